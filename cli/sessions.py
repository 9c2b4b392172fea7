"""`bridle sessions` and `bridle show`: what was done, read from the journals.

Threat model: tasks, journals and patches hold the agent's text. A terminal gets it made harmless; a file or a pipe
gets the exact bytes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from agent.store import SessionLine

WIDE = 200
"""Characters of a line of the table where it goes to a file or a pipe."""


def sessions(
    disk: Annotated[bool, typer.Option("--disk", help="Also what their checkpoints take of the disk.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the sessions, oldest first."""
    from dataclasses import asdict

    from agent.store import Store

    lines = Store().list()
    held = _held(line.id for line in lines) if disk else {}
    if as_json:
        for line in lines:
            more = {"checkpoint_bytes": held[line.id]} if disk else {}
            typer.echo(json.dumps({**asdict(line), **more}))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from agent.autonomy.visible import visible

    if not lines:
        typer.echo('No sessions yet: `bridle fix "what is wrong"` starts one.')
        return
    rows = [_row(line, held if disk else None) for line in lines]
    table = Table(box=None, pad_edge=False)
    for heading in rows[0]:
        whole = heading in ("session", "outcome", "disk")  # of the others a part is of use, too
        widest = max(len(row[heading]) for row in rows)
        table.add_column(heading, no_wrap=True, overflow="ellipsis", min_width=widest if whole else None)
    for row in rows:
        table.add_row(*(Text(visible(text)) for text in row.values()))
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def _row(line: SessionLine, held: dict[str, int] | None) -> dict[str, str]:
    """A session as the table shows it, by heading."""
    size = {} if held is None else {"disk": f"{held[line.id] / 1e6:.1f} MB"}
    return {
        "session": line.id,
        "started": time.strftime("%Y-%m-%d %H:%M", time.localtime(line.started)) if line.started else "",
        "outcome": line.outcome.replace("_", " ") + (" (resumable)" if line.resumable else ""),
        **size,
        "repository": line.repository,
        "task": line.task.strip().split("\n")[0],
    }


def _held(sessions: Iterable[str]) -> dict[str, int]:
    """Bytes that the checkpoints of each session take of the disk. A backend that does not answer is told."""
    import asyncio

    from agent.checkpoints import prefix_of
    from sandboxes.protocol import Checkpoint, SandboxError
    from sandboxes.select import BACKENDS, make_backend

    found: list[Checkpoint] = []
    for name in BACKENDS:
        try:
            found += asyncio.run(make_backend(name).checkpoints(""))
        except SandboxError as error:
            typer.echo(f"bridle: checkpoints of {name} are not counted: {error}", err=True)
    return {
        session: sum(each.size for each in found if each.run_id.startswith(prefix_of(session)))
        for session in sessions
    }


def show(
    session: Annotated[str, typer.Argument(help="The session's id, the beginning of it, or `last`.")],
    diff: Annotated[bool, typer.Option("--diff", help="Only the patch, as `git apply` takes it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The journal's events, one JSON object a line.")] = False,
) -> None:
    """Show what happened in a session."""
    from agent.autonomy.visible import visible
    from agent.journal import JournalDamaged, read_events
    from agent.outcomes import UsageProblem
    from agent.store import Store

    folder = Store().find(session)
    if diff:
        if not folder.patch.exists():
            raise UsageProblem(f"session {folder.id} has no patch")
        _write_patch(folder.patch.read_bytes())
        return
    try:
        events = read_events(folder.journal)
    except (JournalDamaged, FileNotFoundError) as error:
        raise UsageProblem(f"the journal of session {folder.id} cannot be read: {error}") from error
    if as_json:
        for event in events:
            line = event.model_dump_json(exclude_none=True)
            typer.echo(visible(line) if sys.stdout.isatty() else line)
        return
    from rich.console import Console

    from cli.terminal import show_journal

    show_journal(Console(highlight=False, soft_wrap=True), events)


def _write_patch(patch: bytes) -> None:
    from agent.autonomy.visible import visible

    if sys.stdout.isatty():
        typer.echo(visible(patch.decode("utf-8", "replace")), nl=False)
    else:
        typer.get_binary_stream("stdout").write(patch)
