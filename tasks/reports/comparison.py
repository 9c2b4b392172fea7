"""Two runs beside each other: better, worse, or can't tell; by category, too; and which tasks fell.

Compared are tasks that both runs scored, with the same content. What makes the runs less alike than a comparison
assumes is told as a warning; where nothing can be compared, that is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from pydantic import BaseModel, ConfigDict

from agent.outcomes import UsageProblem
from tasks.reports.baseline import Baseline, BaselineTask
from tasks.reports.statistics import (
    CONFIDENCE,
    Comparison,
    Interval,
    Verdict,
    clustered,
    compare,
    fell,
    holm,
    verdict,
)

_Counts = tuple[int, int]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Side(_Part):
    """One of the two: its agent, Bridle's version, and its rate on the compared tasks."""

    agent: str
    version: str
    attempts: int
    rate: Interval


class InCategory(_Part):
    """The comparison within one category. `adjusted` is Holm's p-value over all categories, and decides."""

    category: str
    comparison: Comparison
    adjusted: float
    verdict: Verdict


class TaskChange(_Part):
    """A task that went otherwise: (passed, scored) in A and in B. `p_value`: exact, that it fell."""

    task: str
    category: str
    a: tuple[int, int]
    b: tuple[int, int]
    p_value: float
    regression: bool


class Compared(_Part):
    """B against A. `unscored` are tasks of A that B has and did not score, `missing` those it does not have."""

    a: Side
    b: Side
    overall: Comparison
    categories: list[InCategory]
    changes: list[TaskChange]
    changed_content: list[str]
    unscored: list[str]
    missing: list[str]
    warnings: list[str]

    @property
    def regressions(self) -> list[TaskChange]:
        """Tasks that passed in A and fail in B; see `is_regression`."""
        return [each for each in self.changes if each.regression]


def is_regression(a: _Counts, b: _Counts) -> bool:
    """Whether a task fell, from (passed, scored) of each run.

    It did where every attempt in A passed and none in B does; or where its rate fell by more than chance would
    (Fisher's exact test, one-sided, p < 0.05).
    """
    return (a[0] == a[1] and b[0] == 0) or fell(a, b) < 1 - CONFIDENCE


def compare_runs(a: Baseline, b: Baseline, names: tuple[str, str] = ("A", "B")) -> Compared:
    """B against A. Raises UsageProblem where they share no task that both scored, with the same content."""
    shared = sorted(set(a.tasks) & set(b.tasks))
    changed = [name for name in shared if a.tasks[name].hash != b.tasks[name].hash]
    same = [name for name in shared if name not in changed]
    both = [name for name in same if a.tasks[name].scored and b.tasks[name].scored]
    if not both:
        why = (
            f"the content of all {len(changed)} tasks they share differs"
            if changed and not same
            else "they share no task that both have scored attempts of"
        )
        raise UsageProblem(f"{names[0]} and {names[1]} cannot be compared: {why}")
    return Compared(
        a=_side(a, both),
        b=_side(b, both),
        overall=compare([_pair(a.tasks[name], b.tasks[name]) for name in both]),
        categories=_categories(a, b, both),
        changes=list(_changes(a, b, both)),
        changed_content=changed,
        unscored=[name for name in same if a.tasks[name].scored and not b.tasks[name].scored],
        missing=sorted(set(a.tasks) - set(b.tasks)),
        warnings=list(_warnings(a, b, changed, names)),
    )


def _counts(task: BaselineTask) -> _Counts:
    return task.passed, task.scored


def _pair(a: BaselineTask, b: BaselineTask) -> tuple[Fraction, Fraction]:
    return Fraction(a.passed, a.scored), Fraction(b.passed, b.scored)


def _side(run: Baseline, names: Sequence[str]) -> Side:
    rate = clustered([_counts(run.tasks[name]) for name in names])
    return Side(agent=run.agent, version=run.version, attempts=run.attempts, rate=rate)


def _categories(a: Baseline, b: Baseline, names: Sequence[str]) -> list[InCategory]:
    kinds = sorted({b.tasks[name].category for name in names})
    found = []
    for kind in kinds:
        mine = [name for name in names if b.tasks[name].category == kind]
        found.append(compare([_pair(a.tasks[name], b.tasks[name]) for name in mine]))
    adjusted = holm([each.p_value for each in found])
    return [
        InCategory(category=kind, comparison=each, adjusted=p, verdict=verdict(p, each.difference.value))
        for kind, each, p in zip(kinds, found, adjusted, strict=True)
    ]


def _changes(a: Baseline, b: Baseline, names: Sequence[str]) -> Iterator[TaskChange]:
    for name in names:
        before, after = _counts(a.tasks[name]), _counts(b.tasks[name])
        if Fraction(*before) != Fraction(*after):
            yield TaskChange(
                task=name,
                category=b.tasks[name].category,
                a=before,
                b=after,
                p_value=fell(before, after),
                regression=is_regression(before, after),
            )


def _warnings(a: Baseline, b: Baseline, changed: Sequence[str], names: tuple[str, str]) -> Iterator[str]:
    if changed:
        yield f"left out, since their content differs: {_listed(changed)}"
    if a.version != b.version:
        yield f"the versions of Bridle differ ({a.version}, {b.version}): what differs may be the harness"
    if a.attempts != b.attempts:
        yield f"{a.attempts} and {b.attempts} attempts on a task: the p-value is exact only for equal numbers"
    for name, here, there in ((names[0], a, b), (names[1], b, a)):
        if alone := sorted(set(here.tasks) - set(there.tasks)):
            yield f"only in {name}: {_listed(alone)}"
        planned = sum(each.planned for each in here.tasks.values())
        scored = sum(each.scored for each in here.tasks.values())
        if scored < planned:
            yield f"{name} scored {scored} of {planned} attempts: what is missing may not be like the rest"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def verdict_words(compared: Compared, subject: str = "B is") -> str:
    """What can be said of B against A, in one line."""
    found = compared.overall
    points = difference_words(found.difference)
    said = f"{subject} {found.verdict}" if found.verdict != "can't tell" else "can't tell which is better"
    return f"{said}: {points} on {found.tasks} tasks, p = {found.p_value:.3g}"


def difference_words(difference: Interval) -> str:
    """A difference of rates in points, as `+12 points (+3 to +21)`."""
    return f"{difference.value * 100:+.0f} points ({difference.low * 100:+.0f} to {difference.high * 100:+.0f})"


def show_words(found: Comparison) -> str:
    """How large a difference would have shown."""
    if found.detectable is None:
        return f"{found.tasks} tasks can show no difference at all: 6 are the least"
    return f"so many tasks show differences of {found.detectable * 100:.0f} points or more, four times in five"
