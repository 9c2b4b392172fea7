"""A model asked no more often than its service takes, by all attempts of a run together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from agent.models.protocol import Model, Reply, Request


class Pace:
    """Turns begin `per_minute` times a minute at most, evenly spread, and `at_once` are under way at a time."""

    def __init__(self, per_minute: float | None = None, at_once: int | None = None) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._places = asyncio.Semaphore(at_once) if at_once else None

    async def __aenter__(self) -> None:
        if self._places is not None:
            await self._places.acquire()
        now = time.monotonic()
        begin = max(now, self._next)
        self._next = begin + self._gap
        try:
            await asyncio.sleep(begin - now)
        except asyncio.CancelledError:
            self._done()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._done()

    def _done(self) -> None:
        if self._places is not None:
            self._places.release()


class PacedModel:
    """A model behind a pace; implements `agent.models.protocol.Model`."""

    def __init__(self, model: Model, pace: Pace) -> None:
        self._model, self._pace = model, pace

    @property
    def name(self) -> str:
        """See Model."""
        return self._model.name

    async def complete(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        """See Model."""
        async with self._pace:
            return await self._model.complete(request, on_text)

    async def close(self) -> None:
        """See Model."""
        await self._model.close()
