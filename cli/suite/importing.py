"""`bridle suite import`: tasks of other formats, as folders that `bridle suite check` can prove."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.suite.common import Json, say, shown

if TYPE_CHECKING:
    from tasks.importing.writing import Imported

app = typer.Typer(no_args_is_help=True, help="Tasks of other formats, written as task folders.")
Out = Annotated[Path, typer.Option(help="The folder that the tasks are written below.")]


@app.command("swebench")
def swebench(
    file: Annotated[Path, typer.Argument(help="Instances, one JSON object a line.")],
    out: Out,
    image_template: Annotated[
        str | None,
        typer.Option(help="The image's name, with {id} for the instance (default: as SWE-bench publishes them)."),
    ] = None,
    json: Json = False,
) -> None:
    """SWE-bench instances: FAIL_TO_PASS and PASS_TO_PASS are judged in the image's /testbed."""
    from tasks.importing.swebench import TEMPLATE, import_file

    _tell(import_file(file, out, image_template or TEMPLATE), json)


@app.command("terminal-bench")
def terminal_bench(
    folder: Annotated[Path, typer.Argument(help="A task with a task.yaml, or a folder of them.")],
    out: Out,
    json: Json = False,
) -> None:
    """Terminal-Bench's first format: task.yaml, Dockerfile, run-tests.sh, tests/, solution.sh."""
    from tasks.importing.terminal_bench import import_folder

    _tell(import_folder(folder, out), json)


def _tell(found: Imported, json: bool) -> None:
    """Say what came of it. Exit 2 when nothing could be written."""
    if json:
        typer.echo(found.model_dump_json())
    else:
        for name in found.written:
            typer.echo(shown(name))
        for note in (*found.notes, *(f"left out: {each}" for each in found.left_out)):
            say(note)
    raise typer.Exit(0 if found.written else 2)
