"""Sandboxes that are ready before anybody asks: a backend in front of another one.

For each kind of spec that was asked for (image, limits, environment, network, …) some sandboxes are opened in the
background, and one of them is handed out at once. What only the caller knows, the run id and the workspace, is
given to it then.

Threat model: a sandbox that waits has run nothing of the agent's. On the engine it carries its owner's labels like
any other, but the pool's run id, for good: when the owner dies, it and the work in it are dropped, not saved. Work
that has to outlive its process is done in a sandbox of its own. One that died while it waited is not handed out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sandboxes.network.outside import Egress
from sandboxes.protocol import Backend, Check, Checkpoint, Reaped, Sandbox, SandboxError, SandboxSpec

POOL_RUN = "pool"
MAX_KINDS = 4
"""Kinds of sandboxes that are kept ready at a time; the one not asked for the longest makes room."""
OPENED_AT_ONCE = 2
"""In the background: who needs one now must not wait for those that nobody needs yet."""
ALIVE_SECONDS = 5.0
_UNUSED = Egress()


@dataclass(slots=True)
class Shelf:
    """Sandboxes of one kind, ready or on their way, the next one to hand out first."""

    kind: SandboxSpec
    waiting: deque[asyncio.Task[Sandbox]] = field(default_factory=deque)


class Pool:
    """Implements `Backend`. Has to be closed, or used as a context manager."""

    def __init__(self, backend: Backend, size: int, *, run_id: str = POOL_RUN, refill: bool = True) -> None:
        """At most `size` sandboxes of each kind wait. Without `refill`, only those that `prepare` asked for.

        `run_id` is what the engine knows the sandboxes by, also after they were handed out.
        """
        self._backend, self._size, self._run_id, self._refill = backend, size, run_id, refill
        self._shelves: list[Shelf] = []
        self._opening = asyncio.Semaphore(OPENED_AT_ONCE)
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def name(self) -> str:
        return self._backend.name

    @property
    def incremental(self) -> bool:
        return self._backend.incremental

    def prepare(self, spec: SandboxSpec) -> None:
        """Begin to open sandboxes of the spec's kind, up to the pool's size, and come back at once.

        What goes wrong with that shows when somebody opens one.
        """
        if self._closed or spec.checkpoint is not None:
            return
        shelf = self._shelf(spec)
        while len(shelf.waiting) < self._size:
            shelf.waiting.append(asyncio.create_task(self._open_later(shelf.kind)))

    async def open(self, spec: SandboxSpec) -> Sandbox:
        """A sandbox that waits, or else a new one; that is all there is for one that begins with a checkpoint."""
        if self._closed or spec.checkpoint is not None:
            return await self._backend.open(spec)
        sandbox = await self._take(self._shelf(spec))
        if self._refill:
            self.prepare(spec)
        if sandbox is None:
            return await self._backend.open(spec)
        sandbox.adopt(spec.run_id)
        if spec.workspace is not None:
            try:
                await sandbox.upload(spec.workspace.archive, spec.workspace.target)
            except BaseException:
                await sandbox.close()
                raise
        return sandbox

    async def checkpoints(self, run_prefix: str) -> list[Checkpoint]:
        return await self._backend.checkpoints(run_prefix)

    async def drop(self, checkpoint: Checkpoint) -> None:
        await self._backend.drop(checkpoint)

    async def check(self) -> list[Check]:
        return await self._backend.check()

    async def reap(
        self,
        save_to: Callable[[str], Path | None] | None = None,
        *,
        keeper: str = "",
        wanted: Callable[[str], bool] | None = None,
        dry_run: bool = False,
    ) -> list[Reaped]:
        return await self._backend.reap(save_to, keeper=keeper, wanted=wanted, dry_run=dry_run)

    async def close(self) -> None:
        """Close every sandbox that waits; those that were handed out are their holders'. Safe to repeat."""
        self._closed = True
        for shelf in self._shelves:
            self._clear(shelf)
        self._shelves.clear()
        while self._leaving:
            await asyncio.wait(self._leaving)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _shelf(self, spec: SandboxSpec) -> Shelf:
        """The shelf of the spec's kind, which is now the latest asked for; the oldest of too many goes."""
        kind = replace(spec, run_id=self._run_id, workspace=None)
        if kind.network.mode != "allowlist":  # then nothing asks how hosts are reached, and for whom
            kind = replace(kind, egress=_UNUSED)
        shelf = next((each for each in self._shelves if each.kind == kind), None) or Shelf(kind)
        self._shelves = [shelf, *(each for each in self._shelves if each is not shelf)]
        for old in self._shelves[MAX_KINDS:]:
            self._clear(old)
        del self._shelves[MAX_KINDS:]
        return shelf

    async def _open_later(self, kind: SandboxSpec) -> Sandbox:
        async with self._opening:
            return await self._backend.open(kind)

    async def _take(self, shelf: Shelf) -> Sandbox | None:
        """The first sandbox of a shelf that lives; those before it are removed. None when there is none."""
        while shelf.waiting:
            ready = next((task for task in shelf.waiting if task.done()), shelf.waiting[0])
            shelf.waiting.remove(ready)
            try:
                sandbox = await asyncio.shield(ready)
                result = await sandbox.exec(["true"], cwd="/", timeout=ALIVE_SECONDS)
            except SandboxError:
                self._leave(_remove(ready))
            except BaseException:  # who asked was cancelled, or the opening was by `close`
                self._leave(_remove(ready))
                raise
            else:
                if result.ending != "timeout":
                    return sandbox
                self._leave(_remove(ready))
        return None

    def _clear(self, shelf: Shelf) -> None:
        while shelf.waiting:
            self._leave(_remove(shelf.waiting.popleft()))

    def _leave(self, removing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(removing)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


async def _remove(opening: asyncio.Task[Sandbox]) -> None:
    """Close a sandbox that may still be on its way; what cannot be closed, the next start removes."""
    opening.cancel()
    with suppress(SandboxError, asyncio.CancelledError):
        sandbox = await opening
        await sandbox.close()
