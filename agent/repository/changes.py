"""What the agent changed: the workspace's stream, read in a thread of its own.

The reading itself, and its threat model, are in taking.py; the patch for people is made in patch.py.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from agent.repository.base import Base, Change, Changes, File
from agent.repository.stream import ForwardStream, PatchProblem
from agent.repository.taking import PatchLimits, Taking, read_changes

__all__ = ["Change", "Changes", "File", "PatchLimits", "PatchProblem", "take_out"]


async def take_out(
    stream: AsyncIterator[bytes],
    base: Base,
    base_archive: Path,
    ignored: Callable[[bytes], bool],
    *,
    spool: Path,
    limits: PatchLimits | None = None,
    root: bytes = b"workspace",
) -> Changes:
    """Read the tar `stream` of the workspace and return what differs from `base`.

    Members are named `root/...`. `ignored` is asked, in another thread, for new paths only. `spool` is a folder
    for the changed contents: it is emptied first and must live as long as the result. The stream is closed in
    the end. Raises PatchProblem, which says which limit or which damage it was, and what the stream raises.
    """
    limits = limits or PatchLimits()
    # A killed process may have left contents half-written under the name of the whole.
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir(parents=True, mode=0o700)
    pull = _Pull(stream, asyncio.get_running_loop())
    reading = ForwardStream(pull, limits.stream_bytes)
    # A thread of its own: the shared ones are few, the stream needs them too, and a handful of readers that wait
    # for their streams there would wait for each other without end.
    thread = ThreadPoolExecutor(1, "take-out")
    taking = Taking(base, ignored, spool, limits)
    worker = asyncio.get_running_loop().run_in_executor(thread, read_changes, reading, taking, base_archive, root)
    try:
        return await asyncio.shield(worker)
    except asyncio.CancelledError:
        await pull.cancel()
        await asyncio.wait({worker})
        if not worker.cancelled():
            worker.exception()
        raise
    finally:
        thread.shutdown(wait=False)
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


class _Pull:
    """The next piece of an asynchronous stream, for a thread."""

    def __init__(self, stream: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._stream = stream
        self._loop = loop
        self._lock = threading.Lock()
        self._cancelled = False
        self._waiting: Future[bytes | None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def __call__(self) -> bytes | None:
        with self._lock:
            if self._cancelled:
                raise PatchProblem("reading the workspace was given up")
            self._waiting = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
        return self._waiting.result()

    async def _next(self) -> bytes | None:
        self._idle.clear()
        try:
            return await anext(self._stream, None)
        finally:
            self._idle.set()

    async def cancel(self) -> None:
        """End the wait that is under way, and let no other begin; the stream is at rest after this."""
        with self._lock:
            self._cancelled = True
        if self._waiting is not None:
            self._waiting.cancel()
        await self._idle.wait()
