"""`bridle suite report`: the reports of a finished run, or of several beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.suite.common import Json, say, shown
from cli.suite.reporting import (
    BaselinePath,
    Html,
    Junit,
    Markdown,
    MaxRegressions,
    MinCoverage,
    MinPassRate,
    Wanted,
    WriteBaseline,
    report_on,
    show,
)

if TYPE_CHECKING:
    from tasks.reports.reading import LoadedRun


def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="The --out folder of a run, or of several.")
    ],
    html: Html = None,
    junit: Junit = None,
    markdown: Markdown = None,
    baseline: BaselinePath = None,
    write_baseline: WriteBaseline = None,
    min_pass_rate: MinPassRate = None,
    min_coverage: MinCoverage = None,
    max_regressions: MaxRegressions = None,
    json: Json = False,
) -> None:
    """Report on a run: rates with intervals, costs, failures. Several runs: success by level, side by side."""
    from tasks.reports.reading import load_run

    wanted = Wanted(html, junit, markdown, write_baseline, baseline, min_pass_rate, min_coverage, max_regressions)
    loaded = [load_run(each) for each in runs]
    if len(loaded) > 1:
        _beside(loaded, wanted, json=json)
        return
    made = report_on(loaded[0], wanted, wanted.read_baseline())
    if json:
        typer.echo(made.model_dump_json())
    else:
        show(made)
    raise typer.Exit(made.ending.code)


def _beside(runs: list[LoadedRun], wanted: Wanted, *, json: bool) -> None:
    """Several runs beside each other. Raises UsageProblem for what is made of one run alone."""
    from dataclasses import replace

    from agent.outcomes import UsageProblem
    from tasks.reports.page import runs_page
    from tasks.reports.report import reports_of

    if replace(wanted, html=None) != Wanted():
        raise UsageProblem("several runs have --html and --json alone: give one run for anything else")
    reports = reports_of(runs)
    if wanted.html is not None:
        wanted.html.write_text(runs_page(runs, reports), encoding="utf-8")
    if json:
        typer.echo(reports.model_dump_json())
        return
    if not reports.alike:
        say("the runs have different tasks: what differs between them may be the tasks")
    for run, each in zip(runs, reports.reports, strict=True):
        typer.echo(shown(f"{run.folder.name}: {each.rate.text()}, strict {each.strict.text()}, {run.name}"))
    for level in reports.levels:
        typer.echo(f"level {level.level} {level.label}: {level.rates.rate.text()}")


def schema(
    name: Annotated[str, typer.Argument(help="report, reports, comparison or baseline.")] = "report",
) -> None:
    """Print the JSON schema of what `--json` prints, or of a baseline."""
    from agent.outcomes import UsageProblem
    from tasks.reports.report import SCHEMAS, schema_text

    if name not in SCHEMAS:
        raise UsageProblem(f"there is no schema {name!r}: give one of {', '.join(SCHEMAS)}")
    typer.echo(schema_text(name), nl=False)
