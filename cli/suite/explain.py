"""`bridle suite explain`: the story of one attempt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.suite.common import shown


def explain(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="The --out folder of a run.")],
    task: Annotated[str, typer.Argument(help="The task's name, or TASK/N for the attempt with that number.")],
) -> None:
    """Tell the story of an attempt: how it ended, why it failed, and the lines that show it."""
    from agent.outcomes import UsageProblem
    from tasks.failures.stories import story
    from tasks.runs.results import attempt_folder, read_run

    name, _, number = task.partition("/")
    found = [each for each in read_run(run_folder) if each.task == name and number in ("", str(each.number))]
    if not found:
        raise UsageProblem(f"{run_folder} has no attempt {task}; give the name of a task in it, or TASK/N")
    chosen = next((each for each in found if each.status != "pass"), found[0])
    for line in story(chosen, attempt_folder(run_folder, chosen.task, chosen.number)):
        typer.echo(shown(line))
