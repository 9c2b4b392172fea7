"""A run in numbers. Rates are over tasks, each with its interval; what is unscored is never a zero in silence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from pydantic import BaseModel, ConfigDict

from agent.autonomy.levels import Level
from tasks.reports.reading import LoadedRun, Tally, tallies
from tasks.reports.statistics import (
    FEWEST_TASKS,
    Interval,
    clustered,
    events_per,
    mean_rate,
    minimum_detectable,
    pass_at_k,
    pass_hat_k,
    ratio,
)
from tasks.runs.measures import Interventions, added
from tasks.runs.results import AttemptResult, Kind

MAX_POINTS = 40
"""Points of a budget curve; between them it is constant, or was thinned out."""


class _Numbers(BaseModel):
    model_config = ConfigDict(frozen=True)


class Rates(_Numbers):
    """How often attempts passed. Of those that were scored (`rate`), with all others as failures (`strict`), and
    how many of the planned ones were scored (`coverage`). `attempts` are the planned ones.
    """

    tasks: int
    attempts: int
    scored: int
    passed: int
    rate: Interval
    strict: Interval
    coverage: Interval


class AtK(_Numbers):
    """pass@k and pass^k: that one of `k` attempts passes, and that all do; over tasks with so many scored ones."""

    k: int
    tasks: int
    one: Interval
    all: Interval


class Amounts(_Numbers):
    """What it takes: US dollars, tokens, model turns, seconds of the agent's work, times a person had to act.

    None where nothing can be said of it: nothing was counted, nothing solved, or there is only one task.
    """

    cost: Interval | None = None
    tokens: Interval | None = None
    steps: Interval | None = None
    seconds: Interval | None = None
    interventions: Interval | None = None


class Point(_Numbers):
    """A budget, and the rate of attempts that were solved within it."""

    budget: float
    rate: Interval


class AtLevel(_Numbers):
    """Success at one level of autonomy."""

    level: int
    label: str
    rates: Rates
    per_solved: Amounts


class Summary(_Numbers):
    """What a run came to.

    `attempts` were made, `planned` should have been. `detectable` is the smallest difference of rates that a
    second run like this one would show four times in five; None with too few tasks to show any. `budgets` says how
    the rate grows with a budget of steps, tokens, US dollars or seconds.
    """

    attempts: int
    planned: int
    scored: int
    passed: int
    unscored: int
    tasks: int
    rate: Interval
    strict: Interval
    coverage: Interval
    categories: dict[str, Rates]
    difficulties: dict[str, Rates]
    splits: dict[str, Rates]
    levels: list[AtLevel]
    at_k: list[AtK]
    detectable: float | None
    per_solved: Amounts
    per_attempt: Amounts
    budgets: dict[str, list[Point]]
    failures: dict[str, int]
    flags: dict[str, int]
    interventions: Interventions
    tokens: int
    cost: float | None


def summarise(run: LoadedRun) -> Summary:
    """The numbers of a run."""
    tasks, results = tallies(run), run.results
    scored = [each for each in results if each.status != "unscored"]
    whole = rates(tasks)
    return Summary(
        attempts=len(results),
        planned=whole.attempts,
        scored=whole.scored,
        passed=whole.passed,
        unscored=len(results) - whole.scored,
        tasks=whole.tasks,
        rate=whole.rate,
        strict=whole.strict,
        coverage=whole.coverage,
        categories=_grouped(tasks, lambda each: each.kind.category),
        difficulties=dict(
            sorted(_grouped(tasks, lambda each: each.kind.difficulty).items(), key=lambda pair: _ease(pair[0]))
        ),
        splits=_grouped(tasks, lambda each: each.kind.split),
        levels=levels([run]),
        at_k=list(_at_k(tasks, run.file.attempts)),
        detectable=_detectable(tasks),
        per_solved=amounts(scored, lambda each: each.status == "pass"),
        per_attempt=amounts(scored, lambda _: True),
        budgets=budgets(scored),
        failures=dict(Counter(each.failure.primary for each in results if each.failure).most_common()),
        flags=dict(Counter(_flag_names(results)).most_common()),
        interventions=added(each.measures.interventions for each in results),
        tokens=sum(each.spent.tokens for each in results),
        cost=sum(each.spent.cost or 0.0 for each in results) if _priced(results) else None,
    )


def rates(tasks: Sequence[Tally]) -> Rates:
    """How often attempts at these tasks passed."""
    return Rates(
        tasks=len(tasks),
        attempts=sum(each.planned for each in tasks),
        scored=sum(each.scored for each in tasks),
        passed=sum(each.passed for each in tasks),
        rate=clustered([(each.passed, each.scored) for each in tasks]),
        strict=clustered([(each.passed, each.planned) for each in tasks]),
        coverage=clustered([(each.scored, each.planned) for each in tasks]),
    )


def _grouped(tasks: Iterable[Tally], key: Callable[[Tally], str]) -> dict[str, Rates]:
    groups = groupby(sorted(tasks, key=key), key)
    return {name: rates(list(mine)) for name, mine in groups}


def _ease(difficulty: str) -> tuple[int, str]:
    order = ("easy", "medium", "hard")
    return (order.index(difficulty) if difficulty in order else len(order)), difficulty


def levels(runs: Sequence[LoadedRun]) -> list[AtLevel]:
    """Success by the level that attempts ran at; a run may hold several, since tasks can name theirs."""
    found: dict[int, list[AttemptResult]] = defaultdict(list)
    for run in runs:
        for each in run.results:
            if each.measures.level is not None:
                found[each.measures.level].append(each)
    return [_at_level(level, found[level]) for level in sorted(found)]


def _at_level(level: int, results: Sequence[AttemptResult]) -> AtLevel:
    scored = [each for each in results if each.status != "unscored"]
    return AtLevel(
        level=level,
        label=Level(level).label,
        rates=rates([_tally(mine) for mine in _by_task(results)]),
        per_solved=amounts(scored, lambda each: each.status == "pass"),
    )


def _by_task(results: Iterable[AttemptResult]) -> list[list[AttemptResult]]:
    ordered = sorted(results, key=lambda each: each.task)
    return [list(mine) for _, mine in groupby(ordered, lambda each: each.task)]


def _tally(mine: Sequence[AttemptResult]) -> Tally:
    counts = Counter(each.status for each in mine)
    return Tally(mine[0].task, Kind(), len(mine), counts["pass"] + counts["fail"], counts["pass"])


def _at_k(tasks: Sequence[Tally], most: int) -> Iterable[AtK]:
    for k in range(1, most + 1):
        known = [each for each in tasks if each.scored >= k]
        if known:
            total = sum(each.scored for each in known)
            one = [pass_at_k(each.scored, each.passed, k) for each in known]
            every = [pass_hat_k(each.scored, each.passed, k) for each in known]
            yield AtK(k=k, tasks=len(known), one=mean_rate(one, total), all=mean_rate(every, total))


def _detectable(tasks: Sequence[Tally]) -> float | None:
    """With a second run's error as large as this one's; half of Wilson's interval stands for the error."""
    known = [(each.passed, each.scored) for each in tasks if each.scored]
    found = clustered(known)
    error = (found.high - found.low) / 2 / 1.96
    return minimum_detectable(error * 2**0.5, len(known))


def amounts(scored: Sequence[AttemptResult], counts: Callable[[AttemptResult], bool]) -> Amounts:
    """All that these attempts took, over how many of them count."""
    groups = _by_task(scored)
    counted = [sum(map(counts, mine)) for mine in groups]

    def over(amount: Callable[[AttemptResult], float]) -> Interval | None:
        return ratio([sum(map(amount, mine)) for mine in groups], counted)

    acted = [sum(each.measures.interventions.total for each in mine) for mine in groups]
    return Amounts(
        cost=over(lambda each: each.spent.cost or 0.0) if _priced(scored) else None,
        tokens=over(lambda each: each.spent.tokens),
        steps=over(lambda each: each.spent.steps),
        seconds=over(lambda each: each.measures.worked),
        interventions=events_per(acted, counted),
    )


def _priced(results: Sequence[AttemptResult]) -> bool:
    """Whether all that was spent has a price; a sum over a part would be too low."""
    turned = [each for each in results if each.spent.steps]
    return bool(turned) and all(each.spent.cost is not None for each in turned)


SPENT: dict[str, Callable[[AttemptResult], float]] = {
    "steps": lambda each: each.spent.steps,
    "tokens": lambda each: each.spent.tokens,
    "cost": lambda each: each.spent.cost or 0.0,
    "seconds": lambda each: each.measures.worked,
}
"""What a budget can limit, and what an attempt used of it."""


def budgets(scored: Sequence[AttemptResult]) -> dict[str, list[Point]]:
    """How the rate grows with a budget: an attempt that was solved with s is solved within every budget from s on.

    That holds for agents that do not know their budget. Kinds of budget of which nothing was used are left out.
    """
    curves = {}
    for name, used in SPENT.items():
        if any(used(each) for each in scored) and (name != "cost" or _priced(scored)):
            solved = sorted({used(each) for each in scored if each.status == "pass"})
            curves[name] = [Point(budget=each, rate=_within(scored, used, each)) for each in _thinned(solved)]
    return curves


def _within(scored: Sequence[AttemptResult], used: Callable[[AttemptResult], float], budget: float) -> Interval:
    groups = _by_task(scored)
    return clustered(
        [(sum(each.status == "pass" and used(each) <= budget for each in mine), len(mine)) for mine in groups]
    )


def _thinned(values: Sequence[float]) -> list[float]:
    """At most MAX_POINTS of sorted values, evenly, with the last."""
    if len(values) <= MAX_POINTS:
        return list(values)
    return [values[(i + 1) * len(values) // MAX_POINTS - 1] for i in range(MAX_POINTS)]


def _flag_names(results: Iterable[AttemptResult]) -> list[str]:
    found = []
    for each in results:
        found += flags_of(each)
    return found


def flags_of(result: AttemptResult) -> list[str]:
    """The names of what was flagged, each once."""
    return sorted({flag.name for flag in result.grade.flags}) if result.grade else []


def headline(summary: Summary) -> str:
    """The run in one line."""
    words = f"{summary.passed} of {summary.scored} attempts on {summary.tasks} tasks pass: {summary.rate.text()}"
    missing = summary.planned - summary.scored
    return f"{words}; {missing} of {summary.planned} unscored" if missing else words


def detectable_words(summary: Summary) -> str:
    """What a second run like this one could show."""
    if summary.detectable is None:
        return f"So few tasks show no difference between runs: {FEWEST_TASKS} are the least"
    points = f"{summary.detectable * 100:.0f} points"
    return f"A second run like this one would show a difference of {points} four times in five"
