"""What `suite run` and `suite report` share: where a report goes, and what is asked of a run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.suite.common import say, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.format.task import Task
    from tasks.reports.baseline import Baseline
    from tasks.reports.reading import LoadedRun
    from tasks.reports.report import SuiteReport

Html = Annotated[Path | None, typer.Option(help="Write one self-contained HTML page here.")]
Junit = Annotated[Path | None, typer.Option(help="Write JUnit XML here.")]
Markdown = Annotated[Path | None, typer.Option(help="Write Markdown for a pull request here.")]
WriteBaseline = Annotated[Path | None, typer.Option(help="Write a baseline here, to compare later runs with.")]
BaselinePath = Annotated[
    Path | None, typer.Option(help="A run's folder or a baseline file; exit 3 when this run is worse.")
]
MinPassRate = Annotated[
    float | None, typer.Option(min=0, max=1, help="Exit 3 when fewer of the scored attempts pass.")
]
MinCoverage = Annotated[
    float | None, typer.Option(min=0, max=1, help="Exit 8 when fewer of the planned attempts could be scored.")
]
MaxRegressions = Annotated[
    int | None, typer.Option(min=0, help="Exit 3 when more tasks passed in the baseline and fail now.")
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a report is to be, and what the run has to be."""

    html: Path | None = None
    junit: Path | None = None
    markdown: Path | None = None
    write_baseline: Path | None = None
    baseline: Path | None = None
    min_pass_rate: float | None = None
    min_coverage: float | None = None
    max_regressions: int | None = None

    def read_baseline(self) -> Baseline | None:
        """The baseline, read before any work is done. Raises UsageProblem."""
        from agent.outcomes import UsageProblem
        from tasks.reports.baseline import read_baseline

        if self.baseline is None:
            if self.max_regressions is not None:
                raise UsageProblem("--max-regressions counts against a --baseline: give one, too")
            return None
        return read_baseline(self.baseline)

    def check_baseline(self, baseline: Baseline | None, tasks: Sequence[Task]) -> None:
        """Refuse a baseline that has none of these tasks, before they are run. Raises UsageProblem."""
        from agent.outcomes import UsageProblem

        if baseline is None:
            return
        known = {name: each.hash for name, each in baseline.tasks.items()}
        if not any(known.get(each.name) == each.hash for each in tasks):
            raise UsageProblem(
                f"the baseline {self.baseline} has none of these tasks as they are now, so nothing could be "
                "compared: make a new one with --write-baseline"
            )


def report_on(
    run: LoadedRun, wanted: Wanted, baseline: Baseline | None, *, stopped: bool = False, over: str = ""
) -> SuiteReport:
    """Make the report of a run, and write what is wanted of it."""
    from tasks.reports.baseline import baseline_of, write_baseline
    from tasks.reports.gates import Gates
    from tasks.reports.junit import junit
    from tasks.reports.markdown import markdown
    from tasks.reports.report import report_of

    gates = Gates(
        min_pass_rate=wanted.min_pass_rate,
        min_coverage=wanted.min_coverage,
        max_regressions=wanted.max_regressions,
    )
    report = report_of(run, baseline=baseline, gates=gates, stopped=stopped, over=over)
    title = f"bridle suite, {run.name}"
    if wanted.html is not None:
        from tasks.reports.page import run_page

        wanted.html.write_text(run_page(run, report), encoding="utf-8")
    if wanted.junit is not None:
        wanted.junit.write_bytes(junit(run.results, title))
    if wanted.markdown is not None:
        wanted.markdown.write_text(markdown(report, title), encoding="utf-8")
    if wanted.write_baseline is not None:
        write_baseline(wanted.write_baseline, baseline_of(run))
    return report


def show(report: SuiteReport) -> None:
    """The report as tables on a terminal, as lines elsewhere."""
    from tasks.reports.comparison import verdict_words
    from tasks.reports.summary import headline

    if sys.stdout.isatty():
        _tables(report)
    else:
        for each in report.results:
            typer.echo(shown(f"{each.status:8} {each.task}/{each.number}{f' ({each.why})' if each.why else ''}"))
    typer.echo(shown(headline(report)))
    for name, count in report.failures.items():
        typer.echo(f"  {count} × {name}")
    if report.compared is not None:
        for warning in report.compared.warnings:
            say(warning)
        typer.echo(verdict_words(report.compared, "against the baseline, this run is"))
    for problem in report.ending.problems:
        say(problem)


def _tables(report: SuiteReport) -> None:
    """Rates by category, and each task's attempts."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    rates = Table(title="by category", title_justify="left")
    for column in ("category", "tasks", "pass rate", "strict", "scored"):
        rates.add_column(column)
    for name, each in report.categories.items():
        scored = f"{each.scored}/{each.attempts}"
        rates.add_row(Text(shown(name)), str(each.tasks), each.rate.text(), each.strict.text(), scored)
    console.print(rates)
    tasks = Table(title="by task", title_justify="left")
    for column in ("task", "attempts", "why"):
        tasks.add_column(column)
    signs = {"pass": "[green]✓[/]", "fail": "[red]✗[/]", "unscored": "[yellow]?[/]"}
    for name in dict.fromkeys(each.task for each in report.results):
        mine = [each for each in report.results if each.task == name]
        causes = sorted({each.why for each in mine if each.why})
        tasks.add_row(name, "".join(signs[each.status] for each in mine), ", ".join(causes))
    console.print(tasks)
