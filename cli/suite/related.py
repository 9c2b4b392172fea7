"""`bridle suite gap` and `bridle suite spread`: what twins and variants say about a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.suite.common import Json, RunFolder, shown


def gap(
    originals: Annotated[Path, typer.Argument(help="The --out folder of a run of the known tasks.")],
    twins: Annotated[Path, typer.Argument(help="The --out folder of a run of their twins, by the same agent.")],
    json: Json = False,
) -> None:
    """The contamination gap: the pass rate on known tasks less that on their twins, with its interval."""
    from agent.outcomes import UsageProblem
    from tasks.making.related import gap as measure
    from tasks.runs.results import by_task, read_run

    found = measure(by_task(read_run(originals)), by_task(read_run(twins)))
    if found is None:
        raise UsageProblem(
            f"{twins} has no scored twin of a task of {originals}: see `bridle suite make --twin-of`"
        )
    tasks, comparison = found
    difference = comparison.difference
    if json:
        import json as encoder

        said = {"value": difference.value, "low": difference.low, "high": difference.high}
        typer.echo(encoder.dumps({"tasks": tasks, "gap": said, "p_value": comparison.p_value}))
        return
    points = [100 * each for each in (difference.value, difference.low, difference.high)]
    typer.echo(f"contamination gap {points[0]:+.0f} points ({points[1]:+.0f} to {points[2]:+.0f}), {tasks} tasks")
    words = {"better": "known tasks are solved more often", "worse": "twins are solved more often"}
    typer.echo(f"p = {comparison.p_value:.3g}: {words.get(comparison.verdict, 'no difference can be told')}")


def spread(run_folder: RunFolder, json: Json = False) -> None:
    """How much the wording of instructions matters: pass rates over the variants of tasks."""
    from agent.outcomes import UsageProblem
    from tasks.making.related import spread as measure
    from tasks.runs.results import by_task, read_run

    found = measure(by_task(read_run(run_folder)))
    if found is None:
        raise UsageProblem(f"{run_folder} has no task with variants: see `bridle suite make --variants`")
    if json:
        typer.echo(found.model_dump_json())
        return
    for line in found.lines():
        typer.echo(shown(line))
