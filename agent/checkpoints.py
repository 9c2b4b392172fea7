"""A session's checkpoints: made before everything a user may want to take back, kept within a budget.

Which ones exist is the engine's to say (a user may remove images); what each was made before is in the journal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from agent.journal import AnyEvent, CheckpointMade
from agent.standing import END, next_number, starting_point
from sandboxes.protocol import LEFT_BEHIND, Backend, Checkpoint, Sandbox, SandboxError, SandboxLost

MAX_KEPT = 20
"""Checkpoints of one session; the oldest go first, but never the one of its start."""
MAX_BYTES = 4 << 30
"""Bytes that they may take of the disk, all together."""
REBASE_BYTES = 4 << 20
"""A first checkpoint above this is gone on from at once: what it holds need not be saved again by later ones."""
GO_ON_BYTES = 16 << 20
"""A later one above this, too, where nothing is lost by it; saving less again costs less than going on. What was
gone on from stays on the disk though its checkpoint is dropped, so it may come to MAX_BYTES in all.
"""


def prefix_of(session: str) -> str:
    """What the ids of all runs of a session begin with."""
    return f"{session}."


def as_checkpoint(event: CheckpointMade) -> Checkpoint:
    """The backend's side of a journalled checkpoint."""
    return Checkpoint(event.id, event.run_id, event.run_number, event.before, event.time, event.bytes)


async def held_checkpoints(
    backend: Backend, session: str, events: Sequence[AnyEvent], record: Callable[[AnyEvent], object]
) -> list[Checkpoint]:
    """The checkpoints of a session that still exist. That of a dead run's end, if there is one, is journalled.

    Raises SandboxError.
    """
    held = await backend.checkpoints(prefix_of(session))
    died = starting_point(events)
    left = [each for each in held if (each.run_id, each.label) == (died, LEFT_BEHIND)]
    if left:
        record(_event(next_number(events), END, left[-1], 0.0))
    return held


def _event(number: int, before: str, made: Checkpoint, seconds: float) -> CheckpointMade:
    return CheckpointMade(
        number=number,
        before=before,
        id=made.id,
        run_id=made.run_id,
        run_number=made.number,
        bytes=made.size,
        seconds=seconds,
    )


class Checkpoints:
    """Makes the checkpoints of a session at work. `record` journals; `note` is for what the user should know."""

    def __init__(
        self,
        backend: Backend,
        sandbox: Sandbox,
        session: str,
        events: Sequence[AnyEvent],
        record: Callable[[AnyEvent], object],
        note: Callable[[str], None],
    ) -> None:
        """`events` are the journal's, of which `record` makes more."""
        self._backend, self._sandbox, self._session = backend, sandbox, session
        self._events, self._record, self._note = events, record, note
        self._told: set[str] = set()
        self._may_lie_below = MAX_BYTES

    async def make(self, before: str) -> CheckpointMade | str:
        """Save the file state, and see that what it holds need not be saved again; or why it was not possible.

        Raises SandboxLost.
        """
        made = await self._make(before)
        if isinstance(made, CheckpointMade) and before != END and GO_ON_BYTES < made.bytes <= self._may_lie_below:
            try:
                if await self._sandbox.go_on_from(as_checkpoint(made)):
                    self._may_lie_below -= made.bytes
            except SandboxLost:
                raise
            except SandboxError as error:
                self._tell(f"checkpoints stay slow: {error}")
        return made

    async def _make(self, before: str) -> CheckpointMade | str:
        start = time.monotonic()
        try:
            made = await self._sandbox.checkpoint(before)
        except SandboxLost:
            raise
        except SandboxError as error:
            self._tell(f"no checkpoint: {error}")
            return str(error)
        event = _event(next_number(self._events), before, made, round(time.monotonic() - start, 3))
        self._record(event)
        try:
            await self._trim(made)
        except SandboxError as error:
            self._tell(f"old checkpoints could not be dropped: {error}")
        return event

    async def make_first(self, before: str) -> None:
        """Save the file state of a sandbox that nothing runs in yet, and see that later ones are quick."""
        made = await self._make(before)
        if self._backend.incremental:
            return
        if isinstance(made, CheckpointMade) and made.bytes > REBASE_BYTES:
            await self._sandbox.restore(as_checkpoint(made))

    async def drop_all(self) -> None:
        """Drop all checkpoints of a session that will not need them any more. Never raises."""
        try:
            for each in await self._backend.checkpoints(prefix_of(self._session)):
                await self._backend.drop(each)
        except SandboxError as error:
            self._tell(f"the checkpoints of {self._session} could not be dropped: {error}")

    async def _trim(self, newest: Checkpoint) -> None:
        held = await self._backend.checkpoints(prefix_of(self._session))
        for each in surplus(held, newest):
            await self._backend.drop(each)

    def _tell(self, line: str) -> None:
        """Once is enough: it would be told before every turn."""
        if line not in self._told:
            self._told.add(line)
            self._note(line)


def surplus(held: Sequence[Checkpoint], newest: Checkpoint) -> list[Checkpoint]:
    """Which of the checkpoints, oldest first, are beyond the budget; never the first or `newest`."""
    count, size = len(held), sum(each.size for each in held)
    out = []
    for each in held[1:]:
        if count <= MAX_KEPT and size <= MAX_BYTES:
            break
        if each.id != newest.id:
            out.append(each)
            count -= 1
            size -= each.size
    return out
