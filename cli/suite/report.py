"""`bridle suite report`: the reports of a finished run, or of several beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.suite.common import Json
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
    made = report_on(loaded[0], wanted, wanted.read_baseline())
    if json:
        typer.echo(made.model_dump_json())
    else:
        show(made)
    raise typer.Exit(made.ending.code)


def schema(
    name: Annotated[str, typer.Argument(help="report, reports, comparison or baseline.")] = "report",
) -> None:
    """Print the JSON schema of what `--json` prints, or of a baseline."""
    from agent.outcomes import UsageProblem
    from tasks.reports.report import SCHEMAS, schema_text

    if name not in SCHEMAS:
        raise UsageProblem(f"there is no schema {name!r}: give one of {', '.join(SCHEMAS)}")
    typer.echo(schema_text(name), nl=False)
