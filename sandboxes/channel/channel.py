"""The channel to a sandbox's resident runner: requests out, replies in, over the first process's own streams.

Threat model: the far end is trusted no further than `frames` parses it. A reply can only answer a request that
is open, and bring no more bytes than that request allows; anything else breaks the channel, and with it the
sandbox. Every request has a number of its own and is never sent twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sandboxes.channel.frames import (
    MAX_BODY,
    Data,
    Done,
    Exit,
    Frame,
    FrameParser,
    Live,
    Part,
    Plain,
    Problem,
    Processes,
    Ready,
    Refused,
    Tunnelled,
    encode,
)
from sandboxes.channel.packets import ProtocolError
from sandboxes.channel.tunnels import Tunnels
from sandboxes.protocol import FileError, ProcessProblem, SandboxLost

GRACE_SECONDS = 10.0
"""How much longer than asked a reply may take before the runner counts as hung."""
SLOWEST = 10 << 20
"""Bytes a second that a request is taken with at the least."""
UNREAD_SECONDS = 120.0
"""How long what is no request may lie unread: an engine holds everything still while it saves a large state."""


Answer = Exit | Done | Processes | Part
ANSWERS: dict[str, type[Answer]] = {
    "exec": Exit,
    "processes": Processes,
    "process_read": Part,
    "process_stop": Processes,
}
"""What answers a request, where it is not just Done."""
PROCESS_REQUESTS = frozenset({"start", "process_read", "process_write", "process_stop"})


class RefusedRequest(Exception):
    """The runner cannot carry out a request about a background process."""

    def __init__(self, reason: ProcessProblem) -> None:
        super().__init__(reason)
        self.reason: ProcessProblem = reason


@dataclass(slots=True)
class Pending:
    """A request that waits for its reply."""

    number: int
    path: str
    limit: int
    answer: asyncio.Future[Answer | Problem | Refused]
    on_output: Callable[[bytes], None] | None = None
    data: bytearray = field(default_factory=bytearray)


class Channel(asyncio.Protocol):
    """One stream. When it ends, for whatever reason, every pending and later request fails with SandboxLost."""

    def __init__(self, name: str, *, packets: bool = True) -> None:
        self._name = name
        self._parser = FrameParser(packets=packets)
        self._transport: asyncio.Transport | None = None
        self._pending: dict[int, Pending] = {}
        self.last = 0
        """The number of the last request."""
        self._writable = asyncio.Event()
        self._writable.set()
        self._plain = False
        self.tunnels: Tunnels | None = None
        """Where connections of commands go; without, one breaks the channel."""
        self.hello: asyncio.Future[Ready | Plain] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @classmethod
    async def over(cls, sock: socket.socket, early: bytes, name: str, *, packets: bool = True) -> Channel:
        """A channel over a connected socket from which `early` has been read already.

        `packets` says whether an engine stands between, which wraps what it hands on.
        """
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_connection(lambda: cls(name, packets=packets), sock=sock)
        channel.data_received(early)
        return channel

    @property
    def notes(self) -> str:
        """The end of what the far end wrote to its standard error."""
        return bytes(self._parser.notes).decode("utf-8", "replace").strip()

    def close(self, reason: str = "it was closed") -> None:
        """End the stream; the runner then ends itself and everything inside."""
        self._fail(reason)
        if self._transport is not None:
            self._transport.abort()

    @contextlib.contextmanager
    def checking(self) -> Iterator[None]:
        """For looking into a reply: a ProtocolError in there ends the channel and becomes SandboxLost."""
        try:
            yield
        except ProtocolError as e:
            self.close(f"something inside broke its channel ({e})")
            raise self.lost() from None

    def lost(self) -> SandboxLost:
        """The error for a request on an ended channel."""
        reason = self.ended.result() if self.ended.done() else "its stream broke"
        return SandboxLost(f"The sandbox {self._name} is gone: {reason}.")

    def broken(self) -> SandboxLost:
        """End the stream because a reply cannot be; the error to raise for its request."""
        self.close("something inside broke its channel (a wrong reply)")
        return self.lost()

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._fail("its first process ended")

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        if self._plain or self.ended.done():
            return
        try:
            for frame in self._parser.feed(data):
                self._take(frame)
        except ProtocolError as e:
            self.close(f"something inside broke its channel ({e})")

    def _fail(self, reason: str) -> None:
        if self.ended.done():
            return
        self.ended.set_result(reason)
        self._writable.set()
        if not self.hello.done():
            self.hello.cancel()
        for pending in self._pending.values():
            if not pending.answer.done():
                pending.answer.set_exception(self.lost())
                pending.answer.exception()  # seen, also where nobody waits for it any more
        self._pending.clear()
        if self.tunnels is not None:
            self.tunnels.lost()

    def _take(self, frame: Frame) -> None:
        message = frame.message
        if isinstance(message, Ready | Plain):
            if self.hello.done():
                raise ProtocolError("a second greeting")
            self._plain = isinstance(message, Plain)
            self.hello.set_result(message)
            return
        if isinstance(message, Tunnelled):
            if self.tunnels is None:
                raise ProtocolError("a connection nobody asked for")
            self.tunnels.take(message, frame.body)
            return
        pending = self._pending.get(message.id)
        if pending is None:
            if not 0 < message.id <= self.last:
                raise ProtocolError("a reply to no request")
            return  # to one that nobody waits for any more
        if isinstance(message, Live):
            self._show(pending, message, frame.body)
        elif isinstance(message, Data):
            if len(pending.data) + len(frame.body) > pending.limit:
                raise ProtocolError("a reply larger than asked for")
            pending.data += frame.body
        else:
            del self._pending[message.id]
            if not pending.answer.done():
                pending.answer.set_result(message)

    def _show(self, pending: Pending, message: Live, data: bytes) -> None:
        if pending.on_output is None:
            raise ProtocolError("live output nobody asked for")
        if pending.answer.done():
            return
        try:
            if data:
                pending.on_output(data)
            if message.missed:
                pending.on_output(b"\n[... %d bytes not shown here ...]\n" % message.missed)
        except Exception as e:  # noqa: BLE001 -- the caller's own callback: its error goes to the caller
            pending.answer.set_exception(e)

    # The requests' side.

    async def send_raw(self, data: bytes) -> None:
        """Send bytes as they are. Raises SandboxLost, also when nobody takes them."""
        if self.ended.done() or self._transport is None:
            raise self.lost()
        self._transport.write(data)
        try:
            async with asyncio.timeout(UNREAD_SECONDS):
                await self._writable.wait()
        except TimeoutError:
            self.close("its runner does not answer")
            raise self.lost() from None

    def open_request(self, path: str, limit: int, on_output: Callable[[bytes], None] | None = None) -> Pending:
        """A fresh number, and the place where its reply will come. Raises SandboxLost."""
        if self.ended.done():
            raise self.lost()
        self.last += 1
        answer: asyncio.Future[Answer | Problem | Refused] = asyncio.get_running_loop().create_future()
        pending = Pending(self.last, path, limit, answer, on_output)
        self._pending[self.last] = pending
        return pending

    async def ask(self, pending: Pending, header: dict[str, Any], body: bytes, seconds: float) -> Answer:
        """Send one request and wait for its final frame.

        Raises SandboxLost (also when nothing comes for `seconds` and the grace on top), FileError, RefusedRequest
        when it is about a process, and, after having the runner cancel the request, CancelledError or what
        `on_output` raised.
        """
        try:
            async with asyncio.timeout(seconds + GRACE_SECONDS + len(body) / SLOWEST):
                await self._send(pending, header, body)
                message = await asyncio.shield(pending.answer)
        except TimeoutError:
            self.close("its runner does not answer")
            raise self.lost() from None
        except SandboxLost:
            raise
        except BaseException:
            await self._cancel(pending)
            raise
        if isinstance(message, Problem):
            raise FileError(message.problem, pending.path, message.detail)
        if isinstance(message, Refused) and header["op"] in PROCESS_REQUESTS:
            raise RefusedRequest(message.reason)
        if not isinstance(message, ANSWERS.get(header["op"], Done)) or (
            isinstance(message, Exit) and (message.ending == "cancelled" or message.head > len(pending.data))
        ):
            raise self.broken()
        return message

    async def _send(self, pending: Pending, header: dict[str, Any], body: bytes) -> None:
        view = memoryview(body)
        first = {**header, "id": pending.number, "size": len(view)}
        await self.send_raw(encode(first, view[:MAX_BODY]))
        for start in range(MAX_BODY, len(view), MAX_BODY):
            await self.send_raw(encode({"op": "data", "id": pending.number}, view[start : start + MAX_BODY]))

    def end_request(self, number: int) -> None:
        """Have the runner end what a request began, whether it has been answered or not."""
        if not self.ended.done() and self._transport is not None:
            self._transport.write(encode({"op": "cancel", "id": number}))

    async def _cancel(self, pending: Pending) -> None:
        """Have the runner end the request; come back when it has, or when the whole sandbox has."""
        if self.ended.done() or self._transport is None:
            return
        if pending.number not in self._pending:
            return  # it has ended by itself
        if pending.answer.done():  # on_output failed
            pending.answer = asyncio.get_running_loop().create_future()
            self._pending[pending.number] = pending
        pending.on_output = _ignore if pending.on_output else None
        self.end_request(pending.number)
        loop = asyncio.get_running_loop()
        end = loop.time() + GRACE_SECONDS
        while not pending.answer.done() and (left := end - loop.time()) > 0:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({pending.answer}, timeout=left)
        if not pending.answer.done():
            self.close("its runner does not answer")
        pending.answer.exception()  # seen


def _ignore(data: bytes) -> None:
    """Live output after its request was cancelled."""
