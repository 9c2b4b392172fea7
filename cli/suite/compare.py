"""`bridle suite compare`: is one run better than another?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.suite.common import Json


def compare(
    a: Annotated[Path, typer.Argument(help="The --out folder of a run.")],
    b: Annotated[Path, typer.Argument(help="The --out folder of another.")],
    json: Json = False,
) -> None:
    """Is run B better than run A, worse, or can't that be told? Over the tasks that both have."""
    from agent.outcomes import UsageProblem
    from tasks.reports.statistics import clustered
    from tasks.reports.statistics import compare as compare_rates
    from tasks.runs.results import by_task, read_run

    one, two = by_task(read_run(a)), by_task(read_run(b))
    shared = sorted(set(one) & set(two))
    if not shared:
        raise UsageProblem(f"{a} and {b} share no task with a scored attempt, so there is nothing to compare")
    pairs = [(one[name][0] / one[name][1], two[name][0] / two[name][1]) for name in shared]
    found = compare_rates(pairs)
    if json:
        import json as encoder

        typer.echo(encoder.dumps({"tasks": len(shared), **found._asdict()}))
        return
    rates = [clustered([run[name] for name in shared]).text() for run in (one, two)]
    typer.echo(f"A {rates[0]}, B {rates[1]}")
    typer.echo(
        f"{len(shared)} tasks: A better on {found.only_a}, B better on {found.only_b}, p = {found.p_value:.3g}"
    )
    typer.echo(f"B is {found.verdict}" if found.verdict != "can't tell" else "can't tell")
    if found.verdict == "can't tell":
        typer.echo(f"so many tasks show differences of {found.detectable:.0%} or more, four times in five")
