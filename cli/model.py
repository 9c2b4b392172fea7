"""`bridle model`: the embedded model's file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The embedded model: fetch it, find it, remove it.")


@app.command()
def pull(
    check: Annotated[bool, typer.Option("--check", help="Hash the file again when it is there already.")] = False,
) -> None:
    """Fetch and verify the embedded model (1.1 GB); goes on where an interrupted fetch stopped."""
    import asyncio

    from agent.models.protocol import ModelError
    from agent.models.pull import pull as fetch
    from agent.outcomes import Outcome

    try:
        with _shown() as (progress, say):
            asyncio.run(fetch(check=check, progress=progress, say=say))
    except ModelError as error:
        typer.echo(f"bridle: {error}", err=True)
        raise typer.Exit(Outcome.MODEL_FAILED.exit_code) from error
    except KeyboardInterrupt:
        typer.echo("bridle: stopped; `bridle model pull` goes on from here", err=True)
        raise typer.Exit(Outcome.INTERRUPTED.exit_code) from None


@app.command()
def path() -> None:
    """Print where the embedded model is. Exit 2 when it is not there, or is not the right file."""
    from agent.models.embedded import models_folder, verified
    from agent.outcomes import UsageProblem

    found = verified()
    if found is None:
        raise UsageProblem(f"the embedded model is not in {models_folder()}: fetch it with `bridle model pull`")
    typer.echo(str(found))


@app.command()
def remove() -> None:
    """Delete the embedded model and what interrupted fetches left."""
    from agent.models.pull import remove as delete

    typer.echo(f"freed {delete() / 1e9:.2f} GB")


@contextmanager
def _shown() -> Iterator[tuple[Callable[[int], None], Callable[[str], None]]]:
    """How progress and remarks reach the user: a bar on a terminal, else a line now and then."""
    from agent.models.embedded import QWEN

    if not sys.stderr.isatty():
        yield _lines(QWEN.size), lambda line: typer.echo(line, err=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    bar = Progress(
        BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    )
    task = bar.add_task("", total=QWEN.size, visible=False)
    with bar:
        yield (
            lambda done: bar.update(task, completed=done, visible=True),
            lambda line: bar.console.print(line, markup=False, highlight=False, soft_wrap=True),
        )


def _lines(total: int) -> Callable[[int], None]:
    """Says every tenth of the way."""
    said = 0

    def progress(done: int) -> None:
        nonlocal said
        tenths = done * 10 // total
        if tenths > said:
            said = tenths
            typer.echo(f"{done / 1e6:.0f} of {total / 1e6:.0f} MB", err=True)

    return progress
