"""`bridle suite explain`: the story of one attempt."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.suite.common import Json, RunFolder, shown

if TYPE_CHECKING:
    from tasks.failures.stories import Line

COLOURS = {"good": "green", "bad": "red", "doubtful": "yellow", "quiet": "bright_black", "head": "bright_white"}


def explain(
    run_folder: RunFolder,
    task: Annotated[str, typer.Argument(help="The task's name, or TASK/N for the attempt with that number.")],
    journal: Annotated[bool, typer.Option("--journal", help="All that happened, as it looked.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Only the patch, as `git apply` takes it.")] = False,
    json: Json = False,
) -> None:
    """Tell the story of an attempt on one screen: how it ended, why, what was done, which tests fail."""
    from agent.outcomes import UsageProblem
    from tasks.failures.stories import story, told
    from tasks.runs.results import attempt_folder, read_run

    name, _, number = task.partition("/")
    found = [each for each in read_run(run_folder) if each.task == name and number in ("", str(each.number))]
    if not found:
        raise UsageProblem(f"{run_folder} has no attempt {task}; give the name of a task in it, or TASK/N")
    chosen = next((each for each in found if each.status != "pass"), found[0])
    folder = attempt_folder(run_folder, chosen.task, chosen.number)
    if journal:
        _show_journal(folder / "journal.jsonl")
    elif diff:
        _show_patch(folder / "patch.diff")
    else:
        it = story(chosen, folder, run_folder)
        typer.echo(it.model_dump_json() if json else "\n".join(map(_coloured, told(it))))


def _coloured(line: Line) -> str:
    """The line for a terminal; as plain text for anything else."""
    colour = COLOURS.get(line.tone) if sys.stdout.isatty() else None
    return (
        typer.style(shown(line.text), fg=colour, bold=line.tone == "head" or None) if colour else shown(line.text)
    )


def _show_journal(path: Path) -> None:
    from agent.journal import JournalDamaged, read_events
    from agent.outcomes import UsageProblem

    try:
        events = read_events(path)
    except (JournalDamaged, FileNotFoundError) as error:
        raise UsageProblem(f"the journal {path} cannot be read: {error}") from error
    from rich.console import Console

    from cli.terminal import show_journal

    show_journal(Console(highlight=False, soft_wrap=True), events)


def _show_patch(path: Path) -> None:
    from agent.outcomes import UsageProblem

    if not path.is_file() or not path.stat().st_size:
        raise UsageProblem(f"{path.parent} has no patch: nothing was changed")
    if sys.stdout.isatty():
        typer.echo(shown(path.read_text("utf-8", "replace")), nl=False)
    else:
        typer.get_binary_stream("stdout").write(path.read_bytes())
