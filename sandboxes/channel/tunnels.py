"""Connections that commands made to the sandbox's own loopback, as byte streams on the host.

Threat model: the far end may send what it likes. Numbers only grow; nobody sends more than the other side has room
for; at most MOST connections are served at a time. Whatever breaks this breaks the channel. Memory: MOST times
WINDOW for what has come and nobody has read; what is to be sent waits in its sender, which waits for room.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from sandboxes.channel.frames import (
    TunnelData,
    TunnelEnd,
    Tunnelled,
    TunnelOpen,
    TunnelReset,
    TunnelTaken,
    encode,
)
from sandboxes.channel.packets import ProtocolError
from sandboxes.inside.tunnel import MOST, WINDOW
from sandboxes.protocol import SandboxLost

CHUNK = 1 << 15
LINGER_SECONDS = 10.0
"""How long a command may take to close a connection that has been answered to the end."""

Send = Callable[[bytes], Awaitable[None]]


class Stream:
    """One connection. `read`, `write` and `end` raise ConnectionResetError when it, or the sandbox, is gone."""

    def __init__(self, number: int, send: Send) -> None:
        self.number = number
        self._send = send
        self._received = bytearray()
        self._untold = 0
        self._room = WINDOW
        self._changed = asyncio.Event()
        self.broken = False
        self.got_end = False
        self.told_end = False
        self.told_reset = False
        self.on_broken: Callable[[], object] | None = None

    async def read(self) -> bytes:
        """What has come, at least one byte; none at the end."""
        while not self._received and not self.got_end and not self.broken:
            await self._change()
        if self.broken:
            raise ConnectionResetError("the connection broke off")
        data = bytes(self._received[:CHUNK])
        del self._received[: len(data)]
        self._untold += len(data)
        if self._untold >= WINDOW // 4:
            taken, self._untold = self._untold, 0
            await self._tell("tunnel.taken", bytes=taken)
        return data

    async def write(self, data: bytes) -> None:
        """Send bytes, as the command takes them."""
        view = memoryview(data)
        while view:
            while not self._room and not self.broken:
                await self._change()
            if self.broken:
                raise ConnectionResetError("the connection broke off")
            part = view[: min(self._room, CHUNK)]
            view = view[len(part) :]
            self._room -= len(part)
            await self._tell("tunnel.data", bytes(part))

    async def end(self) -> None:
        """Send nothing more. Calling it twice is harmless."""
        if not self.told_end and not self.broken:
            self.told_end = True
            await self._tell("tunnel.end")

    async def finish(self) -> None:
        """Let go of the connection, in good order if it was answered to the end."""
        with contextlib.suppress(ConnectionResetError, TimeoutError):
            if self.told_end:
                async with asyncio.timeout(LINGER_SECONDS):
                    while await self.read():
                        pass
                return
        await self.reset()

    async def reset(self) -> None:
        """Break the connection off, so that its command sees an error."""
        if not self.told_reset:
            self.told_reset = True
            with contextlib.suppress(ConnectionResetError):
                await self._tell("tunnel.reset")
        self.feed_reset()

    async def _tell(self, kind: str, body: bytes = b"", **fields: int) -> None:
        try:
            await self._send(encode({"op": kind, "id": self.number, **fields}, body))
        except SandboxLost as e:
            raise ConnectionResetError(str(e)) from e

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    # What came from inside.

    def feed(self, data: bytes) -> None:
        """Bytes from the command. Raises ProtocolError when there is no room for them."""
        if self.got_end or len(self._received) + self._untold + len(data) > WINDOW:
            raise ProtocolError("more sent on a connection than there is room for")
        if not self.broken:
            self._received += data
        self._changed.set()

    def feed_end(self) -> None:
        """The command sends nothing more."""
        self.got_end = True
        self._changed.set()

    def feed_taken(self, count: int) -> None:
        """The command has taken bytes. Raises ProtocolError for more than were sent."""
        self._room += count
        if self._room > WINDOW:
            raise ProtocolError("more taken from a connection than was sent")
        self._changed.set()

    def feed_reset(self) -> None:
        """The connection is no more."""
        self.broken = True
        self._received.clear()
        self._changed.set()
        if self.on_broken is not None:
            self.on_broken()


class Tunnels:
    """All connections of a sandbox, each served by a task of its own that calls `serve`."""

    def __init__(self, send: Send, serve: Callable[[Stream], Awaitable[None]]) -> None:
        self._send = send
        self._serve = serve
        self._last = 0
        self._streams: dict[int, Stream] = {}
        self._tasks: dict[int, asyncio.Task[Any]] = {}

    def take(self, message: Tunnelled, body: bytes) -> None:
        """News of one connection. Raises ProtocolError."""
        if isinstance(message, TunnelOpen):
            self._open(message.id)
            return
        if not 0 < message.id <= self._last:
            raise ProtocolError("news of no connection")
        stream = self._streams.get(message.id)
        if stream is None:
            return  # one that is over
        match message:
            case TunnelData():
                stream.feed(body)
            case TunnelEnd():
                stream.feed_end()
            case TunnelTaken():
                stream.feed_taken(message.bytes)
            case TunnelReset():
                stream.feed_reset()

    def _open(self, number: int) -> None:
        if number <= self._last:
            raise ProtocolError("a connection's number that is not new")
        if len(self._tasks) >= 2 * MOST:  # some may be over without its being known inside
            raise ProtocolError("too many connections")
        self._last = number
        self._streams[number] = Stream(number, self._send)
        task = asyncio.get_running_loop().create_task(self._run(self._streams[number]))
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._tasks.pop(number, None))

    async def _run(self, stream: Stream) -> None:
        """Serve a connection, and say that it is over; in every case, since its room inside is kept till then."""
        work = asyncio.ensure_future(self._work(stream))
        stream.on_broken = work.cancel
        if stream.broken:
            work.cancel()
        try:
            await asyncio.wait({work})
        finally:
            work.cancel()
            self._streams.pop(stream.number, None)
            if not work.done() or work.cancelled() or work.exception() is not None:
                await stream.reset()
        if not work.cancelled() and (error := work.exception()) is not None:
            what = {"message": "a connection out of a sandbox could not be served", "exception": error}
            asyncio.get_running_loop().call_exception_handler(what)

    async def _work(self, stream: Stream) -> None:
        await self._serve(stream)
        await stream.finish()

    def lost(self) -> None:
        """The sandbox is gone, and its connections with it."""
        for stream in list(self._streams.values()):
            stream.feed_reset()
