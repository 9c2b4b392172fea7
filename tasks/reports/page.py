"""A run as one HTML page that needs nothing else: no script, no picture, no font, no address.

Threat model: task names aside, nearly every text here may be the agent's: what it said, ran, printed and changed,
and the messages of tests. The templates escape all of it, after every character that acts or hides was made
visible (one place for both: the environment below). The page's policy lets it load nothing and run nothing, and
takes styles from the one element whose hash it names. What is shown of an attempt is bounded, and so is the page;
what was left out is said, with where to find it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup

from agent.autonomy.visible import visible
from tasks.reports import plots
from tasks.reports.comparison import difference_words, show_words
from tasks.reports.plots import Bar, Dot
from tasks.reports.reading import LoadedRun
from tasks.reports.report import SuiteReport, SuiteReports
from tasks.reports.statistics import Interval
from tasks.reports.summary import SPENT, Point, detectable_words, flags_of, headline
from tasks.reports.transcript import Diff, Steps, read_diff, read_steps
from tasks.runs.results import AttemptResult, attempt_folder

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_DETAILS = 6 << 20
"""Characters of steps and patches on a page; attempts that did not pass come first."""
UNITS = {"steps": "", "tokens": "", "cost": "$", "seconds": "s"}
WORDS = {"steps": "model turns", "tokens": "tokens", "cost": "US dollars", "seconds": "seconds of work"}
_ORDER = {"fail": 0, "unscored": 1, "pass": 2}


class Shown(NamedTuple):
    """An attempt on the page; without steps and patch where the page had no room for them."""

    result: AttemptResult
    anchor: str
    folder: str
    steps: Steps | None
    diff: Diff | None


class TaskRow(NamedTuple):
    """A task and its attempts."""

    name: str
    category: str
    difficulty: str
    attempts: list[Shown]


def run_page(run: LoadedRun, report: SuiteReport) -> str:
    """The page of one run; steps and patches are read from its folder."""
    shown = _shown(run)
    by_status = [(status, [each for each in shown if each.result.status == status]) for status in _ORDER]
    return _render(
        "run.html",
        title=f"Bridle suite: {run.name}",
        run=run,
        report=report,
        headline=headline(report),
        detectable=detectable_words(report),
        tasks=_tasks(shown),
        shown=shown,
        when=_when(run),
        spent_name=(spent := _spent_name(run.results)),
        strips=_strips(by_status, spent),
        curves=_curves(report.budgets),
        time_line=_time_line(shown),
        causes=_named(shown, lambda each: [each.failure.primary] if each.failure else []),
        flags=_named(shown, flags_of),
    )


def runs_page(runs: Sequence[LoadedRun], reports: SuiteReports) -> str:
    """The page of several runs beside each other: rates, success by level, cost against success, budgets."""
    names = [run.folder.name for run in runs]
    priced = all(each.per_attempt.cost for each in reports.reports)
    kind = "cost" if priced else "tokens"
    spent = [getattr(each.per_attempt, kind) for each in reports.reports]
    points = [
        (name, found.value, each.rate)
        for name, found, each in zip(names, spent, reports.reports, strict=True)
        if found
    ]
    label = f"{WORDS[kind]} of an attempt against the pass rate, a dot a run"
    return _render(
        "runs.html",
        title="Bridle suite: runs beside each other",
        runs=list(zip(names, runs, reports.reports, strict=True)),
        levels=reports.levels,
        alike=reports.alike,
        kind=WORDS[kind],
        scatter=plots.scatter(points, label, UNITS[kind]) if points else None,
        curves=[(name, _curves(each.budgets)) for name, each in zip(names, reports.reports, strict=True)],
        categories=sorted({name for each in reports.reports for name in each.categories}),
    )


def _shown(run: LoadedRun) -> list[Shown]:
    """All attempts, by how much there is to learn from them; steps and patches as far as the page has room."""
    room, shown = MAX_DETAILS, []
    ordered = sorted(run.results, key=lambda each: (_ORDER[each.status], each.task, each.number))
    for number, result in enumerate(ordered, 1):
        folder = attempt_folder(run.folder, result.task, result.number)
        steps = diff = None
        if room > 0:
            steps, diff = read_steps(folder / "journal.jsonl"), read_diff(folder / "patch.diff")
            room -= sum(len(each.title) + len(each.body) + 80 for each in steps.shown)
            room -= sum(len(each.text) + 40 for each in diff.lines)
            room -= sum(len(test.message) for test in result.grade.tests) if result.grade else 0
        place = folder.relative_to(run.folder).as_posix()
        shown.append(Shown(result, f"a{number}", place, steps, diff))
    return shown


def _tasks(shown: Iterable[Shown]) -> list[TaskRow]:
    rows: dict[str, TaskRow] = {}
    for each in sorted(shown, key=lambda each: (each.result.category, each.result.task, each.result.number)):
        result = each.result
        row = rows.setdefault(result.task, TaskRow(result.task, result.category, result.difficulty, []))
        row.attempts.append(each)
    return list(rows.values())


def _named(
    shown: Iterable[Shown], names: Callable[[AttemptResult], Iterable[str]]
) -> list[tuple[str, list[Shown]]]:
    """Attempts by name of cause or flag, the most frequent first."""
    found: dict[str, list[Shown]] = {}
    for each in shown:
        for name in names(each.result):
            found.setdefault(name, []).append(each)
    return sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))


def _spent_name(results: Sequence[AttemptResult]) -> str:
    """What stands for cost: dollars where they are known, else tokens, else seconds."""
    for name in ("cost", "tokens"):
        if any(SPENT[name](each) for each in results):
            return name
    return "seconds"


def _strips(by_status: Iterable[tuple[str, Sequence[Shown]]], spent: str) -> Markup:
    used, unit = SPENT[spent], UNITS[spent]
    rows = [
        (
            status,
            [
                Dot(used(each.result), f"{_name(each)}: {plots.amount(used(each.result), unit)}", each.anchor)
                for each in shown
            ],
        )
        for status, shown in by_status
        if shown
    ]
    return plots.strips(rows, f"{WORDS[spent]} of each attempt, by how it ended", unit)


def _name(each: Shown) -> str:
    return f"{each.result.task}/{each.result.number}"


def _curves(budgets: dict[str, list[Point]]) -> list[tuple[str, str, Markup, list[Point]]]:
    """Name, unit, plot and the points of a table for each kind of budget that something was solved within."""
    made = []
    for name, points in budgets.items():
        if points:
            label = f"rate of attempts solved within a budget of {WORDS[name]}"
            plot = plots.curve([(each.budget, each.rate) for each in points], label, UNITS[name])
            made.append((WORDS[name], UNITS[name], plot, _few(points)))
    return made


def _few(points: Sequence[Point], count: int = 6) -> list[Point]:
    if len(points) <= count:
        return list(points)
    return [points[(i + 1) * len(points) // count - 1] for i in range(count)]


def _time_line(shown: Sequence[Shown]) -> tuple[Markup, list[Bar]] | None:
    timed = [each for each in shown if each.result.measures.started and each.result.ended]
    if not timed:
        return None
    zero = min(each.result.measures.started for each in timed)
    bars = [_bar(each, zero) for each in timed]
    lanes = plots.lanes_of(bars)
    return plots.time_line(lanes, f"{len(bars)} attempts over time, in {len(lanes)} lanes"), sorted(bars)


def _bar(each: Shown, zero: float) -> Bar:
    result = each.result
    start, end = result.measures.started - zero, max(result.ended, result.measures.started) - zero
    worked = min(end, start + result.measures.worked)
    title = f"{_name(each)}: {result.status}, {worked - start:.1f} s of work, {end - worked:.1f} s for the grader"
    return Bar(start, worked, end, result.status, title, each.anchor)


def _when(run: LoadedRun) -> str:
    ended = [each.ended for each in run.results if each.ended]
    return datetime.fromtimestamp(max(ended), UTC).strftime("%Y-%m-%d %H:%M UTC") if ended else "no time known"


def _render(template: str, **values: Any) -> str:
    css = files("tasks.reports").joinpath("templates", "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return _environment().get_template(template).render(css=Markup(css), policy=policy, **values)  # noqa: S704


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tasks.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters.update(_filters())
    return environment


def _finalize(value: Any) -> Any:
    """What a template puts out: text with nothing hidden in it, which is then escaped; markup as it is."""
    return value if isinstance(value, Markup) else visible(str(value))


def _filters() -> dict[str, Callable[..., Any]]:
    return {
        "rate": Interval.text,
        "percent": lambda value: f"{value * 100:.0f} %",
        "amount": plots.amount,
        "amounts": _amounts,
        "whisker": plots.whisker,
        "difference": lambda found, label: plots.difference(found, label, difference_words(found)),
        "difference_words": difference_words,
        "show_words": show_words,
        "bar": plots.bar,
    }


def _amounts(found: Interval | None, unit: str) -> str:
    if found is None:
        return "–"
    low, high = plots.amount(found.low, unit), plots.amount(found.high, unit)
    return f"{plots.amount(found.value, unit)} ({low} to {high})"
