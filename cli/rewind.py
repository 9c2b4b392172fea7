"""`bridle rewind`: list the checkpoints of a session, and take it back to one.

Threat model: what a checkpoint was made before, and the names of files, are the agent's text: made harmless first.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from agent.journal import AnyEvent
    from agent.rewinding import Plan, Point
    from agent.store import SessionFolder, Store
    from sandboxes.protocol import Backend

SHOWN_PATHS = 20


def rewind(
    session: Annotated[str, typer.Argument(help="The session's id, the beginning of it, or `last`.")],
    to: Annotated[int | None, typer.Option("--to", help="The number of the checkpoint to go back to.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object; never asks.")] = False,
) -> None:
    """Take a session back to a checkpoint: its files and its conversation. Without --to, list the checkpoints."""
    import asyncio

    from agent.outcomes import Outcome, UsageProblem
    from agent.repository.stream import PatchProblem
    from agent.store import Store
    from sandboxes.protocol import SandboxError

    store = Store()
    folder = store.find(session)
    events = _events(folder)
    backend = _backend(events)
    try:
        if to is None:
            asyncio.run(_list(backend, folder, events, as_json=as_json))
            return
        done = asyncio.run(_go_back(backend, store, folder, to, yes=yes, as_json=as_json))
    except SandboxError as error:
        typer.echo(f"bridle: {error}", err=True)
        raise typer.Exit(Outcome.SANDBOX_FAILED.exit_code) from None
    except PatchProblem as error:
        raise UsageProblem(f"what would change cannot be told: {error}") from error
    if not done:
        raise typer.Exit(Outcome.APPROVAL_NEEDED.exit_code)


def _events(folder: SessionFolder) -> list[AnyEvent]:
    from agent.journal import JournalDamaged, read_events
    from agent.outcomes import UsageProblem

    try:
        return read_events(folder.journal)
    except (JournalDamaged, FileNotFoundError) as error:
        raise UsageProblem(f"the journal of session {folder.id} cannot be read: {error}") from error


def _backend(events: Sequence[AnyEvent]) -> Backend:
    """The one that has the session's checkpoints; what the settings say for a session without a sandbox."""
    from agent.session import last_opening
    from agent.settings import load
    from sandboxes.select import BACKENDS, choose, make_backend

    opened = last_opening(events)
    known = next((name for name in BACKENDS if opened is not None and name == opened.backend), None)
    if opened is None or known is None:
        return choose(load({}).backend).backend
    return make_backend(known, runtime=opened.runtime or None if known == "docker" else None)


async def _list(backend: Backend, folder: SessionFolder, events: Sequence[AnyEvent], *, as_json: bool) -> None:
    from agent.checkpoints import prefix_of
    from agent.rewinding import points

    held = await backend.checkpoints(prefix_of(folder.id))
    found = points(events, held)
    size = sum(each.size for each in held)
    if as_json:
        listed = {"session": folder.id, "bytes": size, "checkpoints": [asdict(point) for point in found]}
        typer.echo(json.dumps(listed))
        return
    if not found:
        typer.echo(f"Session {folder.id} has no checkpoints.")
        return
    _show_points(found)
    typer.echo(f"\n{_bytes(size)} on the disk. Go back: bridle rewind {folder.id} --to NUMBER")


def _show_points(found: Sequence[Point]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from agent.autonomy.visible import visible

    table = Table(box=None, pad_edge=False)
    for heading in ("number", "when", "disk", "turns since", "before"):
        table.add_column(heading, no_wrap=heading != "before", overflow="ellipsis")
    for point in found:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(point.time))
        since = "undone" if point.turns is None else str(point.turns)
        disk = _bytes(point.bytes) if point.held else "dropped"
        table.add_row(str(point.number), when, disk, since, Text(visible(point.before)))
    Console().print(table)


async def _go_back(
    backend: Backend, store: Store, folder: SessionFolder, number: int, *, yes: bool, as_json: bool
) -> bool:
    """Show what would change, and do it if the user wants it. Raises UsageProblem, SandboxError, PatchProblem."""
    from agent.outcomes import UsageProblem
    from agent.rewinding import carry_out, complete, give_up, plan
    from agent.store import open_journal, why_not_resumable
    from sandboxes.protocol import SandboxError, SandboxUnavailable

    folder.lock()
    with open_journal(folder) as journal:
        if (reason := why_not_resumable(journal.events)) is not None:
            raise UsageProblem(f"session {folder.id} cannot be rewound: {reason}")
        try:  # what a dead process left is what would change
            await backend.reap(store.save_to, keeper=str(store.root))
        except SandboxUnavailable:
            raise
        except SandboxError as error:
            typer.echo(f"bridle: {error}", err=True)
        complete(folder, journal.events)
        planned = await plan(backend, folder, journal, number)
        try:
            if not as_json:
                _show_plan(planned)
            agreed = yes or (not as_json and _ask(number))
            if agreed:
                carry_out(planned, folder, journal)
        finally:
            give_up(planned)
    if as_json:
        typer.echo(json.dumps(_as_json(planned, folder.id, done=agreed)))
    elif agreed:
        typer.echo(f"Session {folder.id} is at checkpoint {number}. Go on: bridle resume {folder.id}")
    return agreed


def _ask(number: int) -> bool:
    if not sys.stdin.isatty():
        typer.echo("Nothing was changed: there is no terminal to ask at; give --yes to do it.", err=True)
        return False
    if typer.confirm(f"Go back to checkpoint {number}?", err=True):
        return True
    typer.echo("Nothing was changed.", err=True)
    return False


def _show_plan(planned: Plan) -> None:
    from agent.autonomy.visible import visible
    from tools.text import one_line, plural

    event = planned.event
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.time))
    typer.echo(f"Checkpoint {event.number}, made {when} before: {one_line(event.before)}")
    typer.echo(f"{plural(planned.turns, 'turn')} of the conversation would go.")
    if planned.changes is None:
        typer.echo("The files as they are now were not saved; those of the checkpoint would take their place.")
        return
    rows = [
        *(("+", path) for path in planned.changes.added),
        *(("~", path) for path in planned.changes.changed),
        *(("-", path) for path in planned.changes.removed),
    ]
    if not rows:
        typer.echo("No file of the workspace would change.")
    for mark, path in rows[:SHOWN_PATHS]:
        typer.echo(f"  {mark} {visible(path)}")
    if len(rows) > SHOWN_PATHS:
        typer.echo(f"  and {plural(len(rows) - SHOWN_PATHS, 'more file')}")


def _as_json(planned: Plan, session: str, *, done: bool) -> dict[str, Any]:
    """Paths are bounded as on the screen, but ten times as many; the counts are of all."""
    changes: dict[str, Any] | None = None
    if planned.changes is not None:
        kinds = asdict(planned.changes)
        changes = {
            kind: {"files": len(paths), "paths": paths[: 10 * SHOWN_PATHS]} for kind, paths in kinds.items()
        }
    return {
        "session": session,
        "to": planned.event.number,
        "before": planned.event.before,
        "turns": planned.turns,
        "changes": changes,
        "rewound": done,
    }


def _bytes(number: int) -> str:
    return f"{number / 1e6:.1f} MB"
