"""The channel against a far end that lies."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sandboxes.channel.channel import Channel
from sandboxes.channel.client import RunnerClient
from sandboxes.protocol import ExecResult, ProcessError, SandboxLost

READY = {"type": "ready", "id": 0, "python": [3, 11], "bash": 1, "empty": 1}
DONE = {"type": "exit", "id": 1, "code": 0, "ending": "exited", "head": 0, "dropped": 0, "spilled": 0}


def frame(header: dict[str, Any], body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    data = len(text).to_bytes(4, "big") + len(body).to_bytes(4, "big") + text + body
    return b"\1\0\0\0" + len(data).to_bytes(4, "big") + data


class FarEnd:
    """The other end of a channel: reads requests, says whatever a test wants."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._buffer = b""

    async def say(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._sock, data)

    async def request(self) -> dict[str, Any]:
        while True:
            if len(self._buffer) >= 8:
                header = 8 + int.from_bytes(self._buffer[:4], "big")
                end = header + int.from_bytes(self._buffer[4:8], "big")
                if len(self._buffer) >= end:
                    request = json.loads(self._buffer[8:header])
                    self._buffer = self._buffer[end:]
                    return dict(request)
            self._buffer += await self._loop.sock_recv(self._sock, 1 << 16)

    def hang_up(self) -> None:
        self._sock.close()


async def connected() -> tuple[Channel, RunnerClient, FarEnd]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    channel = await Channel.over(ours, frame(READY), "box")
    await channel.hello
    return channel, RunnerClient(channel), FarEnd(theirs)


def start(client: RunnerClient, on_output: Callable[[bytes], None] | None = None) -> Awaitable[ExecResult]:
    return asyncio.ensure_future(
        client.exec(
            ["x"], cwd="/", env=None, stdin=b"", timeout=30, max_output=100, on_output=on_output, alone=False
        )
    )


async def test_an_honest_reply() -> None:
    _, client, far = await connected()
    call = start(client)
    request = await far.request()
    assert (request["op"], request["id"], request["argv"]) == ("exec", 1, ["x"])
    await far.say(frame({"type": "data", "id": 1}, b"hello") + frame({**DONE, "head": 5}))
    assert (await call).output.head == b"hello"


LIES = {
    "to no request": frame({"type": "done", "id": 7}),
    "to request zero": frame({"type": "done", "id": 0}),
    "a second greeting": frame(READY),
    "more than asked for": frame({"type": "data", "id": 1}, bytes(3000)),
    "live output unasked": frame({"type": "live", "id": 1, "missed": 0}, b"x"),
    "a head it did not send": frame({**DONE, "head": 1000}),
    "an answer of another kind": frame({"type": "done", "id": 1}),
    "cancelled by nobody": frame({**DONE, "ending": "cancelled"}),
    "no frame at all": b"nonsense" * 10,
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_loses_the_sandbox(lie: str) -> None:
    channel, client, far = await connected()
    call = start(client)
    await far.request()
    await far.say(LIES[lie])
    with pytest.raises(SandboxLost, match="broke its channel"):
        await call
    with pytest.raises(SandboxLost):
        await start(client)
    assert channel.ended.done()


STATE = {"number": 1, "code": None, "ending": None, "total": 5, "milliseconds": 9, "pty": 0, "log": 0}
PART = {"type": "part", "id": 1, "start": 0, "state": STATE}
LIES_OF_PROCESSES = {
    "more than there is": frame({"type": "data", "id": 1}, b"123456") + frame(PART),
    "more than asked for": frame({"type": "data", "id": 1}, b"12345678901") + frame(PART),
    "a place beyond the end": frame({"type": "data", "id": 1}, b"12345") + frame({**PART, "start": 1}),
    "another process": frame({**PART, "state": {**STATE, "number": 2}}),
    "another kind of answer": frame({"type": "processes", "id": 1, "states": [STATE]}),
    "just done": frame({"type": "done", "id": 1}),
}


@pytest.mark.parametrize("lie", LIES_OF_PROCESSES)
async def test_a_lie_about_a_process_loses_the_sandbox(lie: str) -> None:
    channel, client, far = await connected()
    reading = asyncio.ensure_future(client.background.read(1, after=0, wait=1, max_bytes=10))
    assert (await far.request())["op"] == "process_read"
    await far.say(LIES_OF_PROCESSES[lie])
    with pytest.raises(SandboxLost, match="broke its channel"):
        await reading
    assert channel.ended.done()


async def test_the_wrong_process_stopped_loses_the_sandbox() -> None:
    _, client, far = await connected()
    stopping = asyncio.ensure_future(client.background.stop(1, grace=1))
    await far.request()
    await far.say(frame({"type": "processes", "id": 1, "states": [STATE, STATE]}))
    with pytest.raises(SandboxLost, match="broke its channel"):
        await stopping


async def test_only_requests_about_processes_are_refused() -> None:
    _, client, far = await connected()
    writing = asyncio.ensure_future(client.background.write(1, b"x", eof=False))
    await far.request()
    await far.say(frame({"type": "refused", "id": 1, "reason": "input_full"}))
    with pytest.raises(ProcessError, match="does not read"):
        await writing
    call = start(client)
    await far.request()
    await far.say(frame({"type": "refused", "id": 2, "reason": "input_full"}))
    with pytest.raises(SandboxLost, match="broke its channel"):
        await call


@pytest.mark.parametrize(
    "said", [b"", b"relative", b"/a/../b", b"/a\0b", b"/" + bytes(5000), b"fa\0", b"fa/b\0+0\0"]
)
async def test_a_path_or_a_listing_that_is_none_loses_the_sandbox(said: bytes) -> None:
    for op in ("resolve", "list"):
        channel, client, far = await connected()
        asking = client.resolve("x") if op == "resolve" else client.list("x", max_entries=1)
        asked: asyncio.Future[object] = asyncio.ensure_future(asking)
        assert (await far.request())["op"] == op
        await far.say(frame({"type": "data", "id": 1}, said) + frame({"type": "done", "id": 1}))
        with pytest.raises(SandboxLost, match="broke its channel"):
            await asked
        assert channel.ended.done()


async def test_hanging_up_in_mid_call_is_reported_and_nothing_repeated() -> None:
    _, client, far = await connected()
    calls = [start(client) for _ in range(3)]
    numbers = [(await far.request())["id"] for _ in calls]
    assert numbers == [1, 2, 3]
    far.hang_up()
    for call in calls:
        with pytest.raises(SandboxLost):
            await call


async def test_late_replies_to_given_up_requests_are_ignored() -> None:
    channel, client, far = await connected()
    first = asyncio.ensure_future(client.read("x", max_bytes=10))
    await far.request()
    first.cancel()
    assert (await far.request())["op"] == "cancel"
    await far.say(frame({"type": "done", "id": 1}))
    with pytest.raises(asyncio.CancelledError):
        await first
    await far.say(frame({"type": "data", "id": 1}, b"late") + frame({"type": "done", "id": 1}))
    second = asyncio.ensure_future(client.read("y", max_bytes=10))
    await far.request()
    await far.say(frame({"type": "data", "id": 2}, b"fresh") + frame({"type": "done", "id": 2}))
    assert await second == b"fresh"
    assert not channel.ended.done()


async def test_cancelling_waits_for_the_end_even_when_cancelled_again() -> None:
    _, client, far = await connected()
    call: asyncio.Task[ExecResult] = start(client)  # type: ignore[assignment]
    await far.request()
    call.cancel()
    assert await far.request() == {"op": "cancel", "id": 1}
    call.cancel()
    await asyncio.sleep(0)
    assert not call.done()
    await far.say(frame({**DONE, "code": None, "ending": "cancelled"}))
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_large_requests_go_in_pieces() -> None:
    _, client, far = await connected()
    data = bytes(1_000_000)
    call = asyncio.ensure_future(client.write("x", data, expect=None, create_only=False, follow=True))
    first = await far.request()
    assert (first["op"], first["size"]) == ("write", len(data))
    assert [(await far.request())["op"] for _ in range(3)] == ["data"] * 3
    await far.say(frame({"type": "done", "id": 1}))
    await call
