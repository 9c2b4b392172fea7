"""A run as Markdown for a pull request: short, most important first.

Threat model: details of failures hold text of the agent's. They stand in code spans, on one line, cut, without
backticks: no link, no mention, no HTML of the agent's making comes into the page.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.autonomy.visible import visible
from tasks.reports.comparison import Compared, difference_words, show_words, verdict_words
from tasks.reports.report import AttemptRow, SuiteReport
from tasks.reports.statistics import Interval
from tasks.reports.summary import Rates, detectable_words, headline

MAX_ROWS = 20
MAX_CELL = 120


def markdown(report: SuiteReport, title: str) -> str:
    """The page."""
    lines = [f"## {_plain(title)}", "", f"**{headline(report)}**", ""]
    for problem in report.ending.problems:
        lines += [f"- ❌ {_plain(problem)}"]
    lines += [""] if report.ending.problems else []
    lines += _table(report)
    lines += ["", *_numbers(report)]
    if report.compared is not None:
        lines += ["", *_against(report.compared)]
    lines += ["", *_failures(report)]
    return "\n".join(lines).rstrip() + "\n"


def _table(report: SuiteReport) -> Iterator[str]:
    yield "| category | tasks | pass rate (95 % interval) | strict | scored |"
    yield "|---|--:|---|---|--:|"
    whole = Rates(
        tasks=report.tasks,
        attempts=report.planned,
        scored=report.scored,
        passed=report.passed,
        rate=report.rate,
        strict=report.strict,
        coverage=report.coverage,
    )
    rows = list(report.categories.items())
    for name, each in [*rows, ("**all**", whole)] if len(rows) != 1 else rows:
        scored = f"{each.scored}/{each.attempts}"
        label = name if each is whole else _plain(name)
        yield f"| {label} | {each.tasks} | {each.rate.text()} | {each.strict.text()} | {scored} |"


def _numbers(report: SuiteReport) -> Iterator[str]:
    for each in report.at_k:
        if each.k > 1 and each.k == report.at_k[-1].k:
            yield f"pass@{each.k} {each.one.text()}, pass^{each.k} {each.all.text()}  "
    spent = report.per_solved
    words = []
    for label, found, form in (
        ("$", spent.cost, "{:.2f}"),
        ("tokens ", spent.tokens, "{:.0f}"),
        ("seconds ", spent.seconds, "{:.0f}"),
    ):
        words += [f"{label}{_amount(found, form)}"] if found is not None else []
    if words:
        yield f"For each solved task: {', '.join(words)}  "
    yield f"{detectable_words(report)}."


def _amount(found: Interval, form: str) -> str:
    value, low, high = (form.format(each) for each in (found.value, found.low, found.high))
    return f"{value} ({low}-{high})"


def _against(compared: Compared) -> Iterator[str]:
    yield "### Against the baseline"
    yield ""
    yield f"{_plain(verdict_words(compared, 'This run is'))}  "
    if compared.overall.verdict == "can't tell":
        yield f"{show_words(compared.overall)}  "
    for each in compared.categories:
        if each.verdict != "can't tell":
            words = difference_words(each.comparison.difference)
            yield f"- {_plain(each.category)}: {each.verdict}, {words}, p = {each.adjusted:.3g} (Holm)"
    changes = sorted(compared.changes, key=lambda each: (not each.regression, each.task))
    if changes:
        yield ""
        yield "| task | baseline | now | |"
        yield "|---|--:|--:|---|"
    for change in changes[:MAX_ROWS]:
        before, now = (f"{passed}/{scored}" for passed, scored in (change.a, change.b))
        fell = change.b[0] * change.a[1] < change.a[0] * change.b[1]
        mark = "**regression**" if change.regression else "fell" if fell else "rose"
        yield f"| {_plain(change.task)} | {before} | {now} | {mark} |"
    yield from _more(len(changes))
    for warning in compared.warnings:
        yield f"- {_plain(warning)}"


def _failures(report: SuiteReport) -> Iterator[str]:
    bad = [each for each in report.results if each.status != "pass"]
    if not bad:
        return
    yield "### What did not pass"
    yield ""
    yield ", ".join(f"{count} × {_plain(name)}" for name, count in report.failures.items())
    yield ""
    yield "| task | attempt | why | detail | flags |"
    yield "|---|--:|---|---|---|"
    for each in bad[:MAX_ROWS]:
        yield _row(each)
    yield from _more(len(bad))


def _row(row: AttemptRow) -> str:
    why = row.why or "unknown"
    return f"| {_plain(row.task)} | {row.number} | {why} | {_code(row.detail)} | {', '.join(row.flags)} |"


def _more(count: int) -> Iterator[str]:
    if count > MAX_ROWS:
        yield ""
        yield f"… and {count - MAX_ROWS} more, in the HTML report."


def _plain(text: str) -> str:
    """Text of a task's author or a command line, on one line, with nothing that Markdown acts on."""
    line = " ".join(visible(text).split())
    return "".join(f"\\{char}" if char in "\\`*[]<>|#&@~!" else char for char in line)


def _code(text: str) -> str:
    line = " ".join(visible(text).split()).replace("`", "'")
    line = line if len(line) <= MAX_CELL else line[: MAX_CELL - 1] + "…"
    return f"`{line}`".replace("|", "\\|") if line else ""
