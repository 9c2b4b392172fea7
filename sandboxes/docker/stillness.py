"""Beginnings and standstills exclude each other: an engine starts no command in a container that it has paused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Stillness:
    """Beginnings may be many at once, and wait for the end of a standstill; that waits for those under way."""

    def __init__(self) -> None:
        self._beginnings = 0
        self._none_begins, self._moves = asyncio.Event(), asyncio.Event()
        self._none_begins.set()
        self._moves.set()

    @asynccontextmanager
    async def beginning(self) -> AsyncIterator[None]:
        """Something is being started."""
        while not self._moves.is_set():
            await self._moves.wait()
        self._beginnings += 1
        self._none_begins.clear()
        try:
            yield
        finally:
            self._beginnings -= 1
            if not self._beginnings:
                self._none_begins.set()

    @asynccontextmanager
    async def standstill(self) -> AsyncIterator[None]:
        """Nothing is being started. One at a time: its callers see to that."""
        self._moves.clear()
        try:
            await self._none_begins.wait()
            yield
        finally:
            self._moves.set()
