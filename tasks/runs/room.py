"""How many attempts fit at a time: by number, and by the memory that their sandboxes may take together."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SHARE = 0.8
"""Of this machine's memory, what sandboxes may be promised together."""


def promised_memory() -> int:
    """Bytes of this machine's memory that attempts may share."""
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * SHARE)


class Room:
    """Lets `jobs` attempts in at a time, and no more than fit into `memory` bytes; first come, first served.

    An attempt that needs more than there is comes in alone: its sandbox is limited, and may well need less.
    """

    def __init__(self, jobs: int, memory: int) -> None:
        self._jobs, self._memory = jobs, memory
        self._inside, self._taken = 0, 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def place(self, memory: int) -> AsyncIterator[None]:
        """A place for one attempt with so many bytes, for as long as the context lasts."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((memory, turn))
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(memory)
            else:
                self._let_in()  # which passes over a turn that was cancelled
            raise
        try:
            yield
        finally:
            self._leave(memory)

    def _leave(self, memory: int) -> None:
        self._inside -= 1
        self._taken -= memory
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting:
            memory, turn = self._waiting[0]
            if turn.cancelled():
                self._waiting.popleft()
                continue
            fits = self._inside < self._jobs and self._taken + memory <= self._memory
            if not (fits or self._inside == 0):
                return
            self._waiting.popleft()
            self._inside += 1
            self._taken += memory
            turn.set_result(None)
