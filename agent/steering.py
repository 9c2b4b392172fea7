"""What the person says and does while the agent works: messages that are queued, and calls that are interrupted.

Nothing here knows of a terminal: `cli/steering.py` reads one. Without one nothing is ever queued or interrupted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Interrupted(Exception):
    """The person interrupted what was guarded, and nothing else."""


async def _nobody() -> str:
    """There is nobody to ask."""
    return ""


class Steering:
    """One session's steering. `ask` asks what the model should be told after an interruption; "" is nothing."""

    def __init__(self, ask: Callable[[], Awaitable[str]] = _nobody) -> None:
        self.ask = ask
        self._queued: list[str] = []
        self._task: asyncio.Future[Any] | None = None
        self._hit = False
        self._ask_next = False

    @property
    def waiting(self) -> bool:
        """Whether the model has to hear something before anything else runs."""
        return bool(self._queued) or self._ask_next

    def say(self, line: str) -> None:
        """Queue a line for the model."""
        self._queued.append(line)

    def interrupt(self) -> bool:
        """Interrupt what is guarded; False when there is nothing, or it is being interrupted already."""
        if self._task is None or self._task.done() or self._hit:
            return False
        self._hit = True
        self._task.cancel()
        return True

    async def guard(self, work: Coroutine[Any, Any, T]) -> T:
        """Await something that the person can interrupt alone. Raises Interrupted, CancelledError."""
        task: asyncio.Future[T] = asyncio.ensure_future(work)
        self._task, self._hit = task, False
        try:
            return await task
        except asyncio.CancelledError:
            whole = asyncio.current_task()
            if not self._hit or (whole is not None and whole.cancelling()):
                raise
            self._ask_next = True
            raise Interrupted from None
        finally:
            self._task = None

    async def heard(self) -> str:
        """What the person said since it was last asked for, lines joined; after an interruption they are asked."""
        if self._ask_next:
            self._ask_next = False
            if line := (await self.ask()).strip():
                self._queued.append(line)
        lines, self._queued = self._queued, []
        return "\n".join(lines)
