"""A run in words and files: a table of rates with their intervals, Markdown, JUnit XML, JSON."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from tasks.reports.statistics import Interval, clustered, pass_at_k, pass_hat_k
from tasks.runs.results import AttemptResult, by_task


class Summary(BaseModel):
    """What a run came to. Rates are over scored attempts; unscored ones are counted apart, never as zero."""

    model_config = ConfigDict(frozen=True)

    attempts: int
    scored: int
    passed: int
    unscored: int
    tasks: int
    rate: Interval
    categories: dict[str, Interval]
    difficulties: dict[str, Interval]
    pass_at: dict[int, float]
    pass_all: dict[int, float]
    failures: dict[str, int]
    flags: dict[str, int]
    tokens: int
    cost: float | None


def summarise(results: Sequence[AttemptResult]) -> Summary:
    """The numbers of a run."""
    counts = by_task(results)
    scored = [each for each in results if each.status != "unscored"]
    least = min((n for _, n in counts.values()), default=0)
    costs = [each.spent.cost for each in results if each.spent.cost is not None]
    names = Counter(_flag_names(results))
    return Summary(
        attempts=len(results),
        scored=len(scored),
        passed=sum(each.status == "pass" for each in scored),
        unscored=len(results) - len(scored),
        tasks=len(counts),
        rate=clustered(list(counts.values())),
        categories=_rates(results, "category"),
        difficulties=_rates(results, "difficulty"),
        pass_at={k: _mean(pass_at_k(n, c, k) for c, n in counts.values()) for k in range(1, least + 1)},
        pass_all={k: _mean(pass_hat_k(n, c, k) for c, n in counts.values()) for k in range(1, least + 1)},
        failures=dict(Counter(each.failure.primary for each in results if each.failure).most_common()),
        flags=dict(names),
        tokens=sum(each.spent.tokens for each in results),
        cost=sum(costs) if costs else None,
    )


def _flag_names(results: Iterable[AttemptResult]) -> list[str]:
    found = []
    for each in results:
        if each.grade is not None:
            found += sorted({flag.name for flag in each.grade.flags})
    return found


def _rates(results: Sequence[AttemptResult], field: str) -> dict[str, Interval]:
    kinds = sorted({str(getattr(each, field)) for each in results})
    return {
        kind: clustered(list(by_task(each for each in results if getattr(each, field) == kind).values()))
        for kind in kinds
    }


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)


def headline(summary: Summary) -> str:
    """The run in one line."""
    words = f"{summary.passed} of {summary.scored} attempts on {summary.tasks} tasks pass: {summary.rate.text()}"
    return f"{words}; {summary.unscored} unscored" if summary.unscored else words


def markdown(results: Sequence[AttemptResult], title: str) -> str:
    """The run for a pull request."""
    summary = summarise(results)
    lines = [f"## {_cell(title)}", "", headline(summary), ""]
    lines += ["| category | pass rate (95 % interval) |", "|---|---|"]
    lines += [f"| {_cell(name)} | {rate.text()} |" for name, rate in summary.categories.items()]
    lines += ["", "| task | attempt | result | why | flags |", "|---|---|---|---|---|"]
    for each in results:
        why = each.failure.primary if each.failure else ""
        flags = ", ".join(sorted({flag.name for flag in each.grade.flags})) if each.grade else ""
        lines.append(f"| {_cell(each.task)} | {each.number} | {each.status} | {why} | {flags} |")
    for k in sorted(summary.pass_at):
        if k > 1:
            lines += ["", f"pass@{k} {summary.pass_at[k]:.0%}, pass^{k} {summary.pass_all[k]:.0%}"]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def junit(results: Sequence[AttemptResult], name: str) -> bytes:
    """The run as JUnit XML: one test case an attempt; what is unscored is an error, not a failure."""
    suite = ElementTree.Element("testsuite", name=name, tests=str(len(results)))
    bad = Counter(each.status for each in results)
    suite.attrib.update(failures=str(bad["fail"]), errors=str(bad["unscored"]))
    for each in results:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=each.category,
            name=f"{each.task} {each.number}",
            time=f"{each.seconds:.2f}",
        )
        if each.failure is not None:
            tag = "failure" if each.status == "fail" else "error"
            ElementTree.SubElement(case, tag, message=_plain(f"{each.failure.primary}: {each.detail}"))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)[:500]
