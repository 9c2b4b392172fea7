"""Taking a session back to one of its checkpoints: its files, and what was said.

    list → what would change → (the user says yes) → the checkpoint's workspace beside the saved one
         → the journal says so → it takes the saved one's place

A process that is killed anywhere in between leaves the session as it was, or rewound: the journal decides.
The engine's checkpoint stays, and is what `bridle resume` begins with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.checkpoints import as_checkpoint, held_checkpoints
from agent.journal import AnyEvent, CheckpointMade, Journal, ModelReplied, SandboxOpened, SessionRewound
from agent.listing import Difference, difference, files_of
from agent.outcomes import UsageProblem
from agent.standing import standing
from agent.store import SessionFolder
from agent.workspace import keep_workspace
from sandboxes.protocol import Backend, Checkpoint, SandboxSpec


@dataclass(frozen=True, slots=True)
class Point:
    """A checkpoint one can go back to.

    `turns` of the model come after it and would go; None for one that an earlier rewinding has undone. `held`:
    the engine still has it.
    """

    number: int
    time: float
    before: str
    bytes: int
    turns: int | None
    held: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What going back would do. `changes` is None when the files as they are now are not known."""

    event: CheckpointMade
    changes: Difference | None
    turns: int
    archive: Path


def points(events: Sequence[AnyEvent], held: Sequence[Checkpoint]) -> list[Point]:
    """All checkpoints of a session, oldest first."""
    there = {each.id for each in held}
    now = standing(events)
    after: dict[int, int] = {}
    turns = 0
    for event in reversed(now):
        turns += isinstance(event, ModelReplied)
        if isinstance(event, CheckpointMade):
            after[event.number] = turns
    made = [event for event in events if isinstance(event, CheckpointMade)]
    return [Point(e.number, e.time, e.before, e.bytes, after.get(e.number), e.id in there) for e in made]


async def plan(backend: Backend, folder: SessionFolder, journal: Journal, number: int) -> Plan:
    """What going back to a checkpoint would change; nothing is changed yet.

    Raises UsageProblem when there is no such checkpoint, SandboxError, PatchProblem, OSError.
    """
    held = await held_checkpoints(backend, folder.id, journal.events, journal.append)
    events = journal.events
    found = {point.number: point for point in points(events, held)}
    if number not in found:
        known = f"it has {len(found)}" if found else "it has none"
        raise UsageProblem(f"session {folder.id} has no checkpoint {number} ({known}); `bridle rewind` lists them")
    if not found[number].held:
        raise UsageProblem(
            f"checkpoint {number} of session {folder.id} is no longer there: it was dropped to make room, "
            "or removed; choose another one"
        )
    event = next(e for e in events if isinstance(e, CheckpointMade) and e.number == number)
    opened = [e for e in events if isinstance(e, SandboxOpened)]
    spec = SandboxSpec(f"{folder.id}.rewind", image=opened[-1].image, checkpoint=as_checkpoint(event))
    archive = waiting(folder, number)
    sandbox = await backend.open(spec)
    try:
        await keep_workspace(sandbox, archive)
    finally:
        await sandbox.close()
    changes = None
    if folder.workspace.exists():
        now = await asyncio.to_thread(files_of, folder.workspace)
        changes = difference(now, await asyncio.to_thread(files_of, archive))
    gone = found[number].turns
    turns = sum(isinstance(e, ModelReplied) for e in standing(events)) if gone is None else gone
    return Plan(event, changes, turns, archive)


def carry_out(plan: Plan, folder: SessionFolder, journal: Journal) -> None:
    """Go back: journal it, and let the checkpoint's workspace be the saved one. Raises OSError."""
    journal.append(SessionRewound(to=plan.event.number), durable=True)
    complete(folder, journal.events)


def give_up(plan: Plan) -> None:
    """Leave everything as it was."""
    plan.archive.unlink(missing_ok=True)


def waiting(folder: SessionFolder, number: int) -> Path:
    """Where a checkpoint's workspace lies until the journal says that it counts."""
    return folder.path / f"rewind-{number}.tar"


def complete(folder: SessionFolder, events: Sequence[AnyEvent]) -> None:
    """Finish what a killed `bridle rewind` had begun, and drop what it had only looked at."""
    last = next((e for e in reversed(events) if isinstance(e, SandboxOpened | SessionRewound)), None)
    if isinstance(last, SessionRewound) and waiting(folder, last.to).exists():
        waiting(folder, last.to).replace(folder.workspace)
        folder.patch.unlink(missing_ok=True)
    for left in folder.path.glob("rewind-*"):
        left.unlink(missing_ok=True)
