"""Every request against a far end that says anything: what was asked for, or one of the declared errors."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandboxes.channel.channel import Channel
from sandboxes.channel.client import RunnerClient
from sandboxes.channel.frames import MAX_BODY
from sandboxes.protocol import (
    ExecResult,
    FileError,
    Listing,
    ProcessError,
    ProcessInfo,
    ProcessOutput,
    SandboxLost,
)

LIMIT = 50
READY = {"type": "ready", "id": 0, "python": [3, 11], "bash": 1, "empty": 1}

Ask = Callable[[RunnerClient], Awaitable[object]]


def run(client: RunnerClient) -> Awaitable[object]:
    return client.exec(
        ["x"], cwd="/", env=None, stdin=b"", timeout=30, max_output=LIMIT, on_output=None, alone=False
    )


REQUESTS: dict[str, Ask] = {
    "exec": run,
    "exec-live": lambda c: c.exec(
        ["x"],
        cwd="/",
        env=None,
        stdin=b"in",
        timeout=30,
        max_output=LIMIT,
        on_output=lambda data: None,
        alone=False,
    ),
    "read": lambda c: c.read("x", max_bytes=LIMIT),
    "write": lambda c: c.write("x", b"y", expect=None, create_only=False, follow=False),
    "resolve": lambda c: c.resolve("x"),
    "list": lambda c: c.list("x", max_entries=3),
    "start": lambda c: c.background.start(["x"], cwd="/", env=None, pty=None),
    "processes": lambda c: c.background.list(),
    "process-read": lambda c: c.background.read(1, after=0, wait=0, max_bytes=LIMIT),
    "process-write": lambda c: c.background.write(1, b"x", eof=False),
    "process-stop": lambda c: c.background.stop(1, grace=1),
}

IDS = st.sampled_from([1, 1, 1, 1, 0, 2, 1 << 62])
FEW = st.integers(0, 60)
STATES = st.builds(
    lambda end, fields: {**fields, "code": end[0], "ending": end[1]},
    st.sampled_from([(None, None), (0, "exited"), (143, "stopped"), (137, "out_of_memory"), (1, None)]),
    st.fixed_dictionaries(
        {"number": st.integers(0, 2), "total": FEW, "milliseconds": FEW, "pty": st.just(0), "log": st.just(0)}
    ),
)
FIELDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "exit": {
        "code": st.none() | st.integers(0, 255),
        "ending": st.sampled_from(["exited", "timeout", "out_of_memory", "disk_full", "cancelled"]),
        "head": FEW,
        "dropped": FEW,
        "spilled": st.integers(0, 1),
    },
    "data": {},
    "live": {"missed": FEW},
    "done": {},
    "error": {"problem": st.sampled_from(["not_found", "changed", "other"]), "detail": st.text(max_size=5)},
    "refused": {"reason": st.sampled_from(["unknown", "input_full"])},
    "processes": {"states": st.lists(STATES, max_size=3)},
    "part": {"start": FEW, "state": STATES},
    "ready": {"python": st.just([3, 11]), "bash": st.just(1), "empty": st.just(1)},
    "plain": {"bash": st.just(1), "empty": st.just(1)},
    "tunnel.open": {},
    "tunnel.data": {},
}
MESSAGES = st.sampled_from(sorted(FIELDS)).flatmap(
    lambda kind: st.fixed_dictionaries({"type": st.just(kind), "id": IDS, **FIELDS[kind]})
)
BODIES = st.binary(max_size=60) | st.sampled_from([b"/a", b"/a/../b", b"fa\0+0\0", b"la\0fb\0~9\0", b"fa\0"])
FRAMES = st.lists(st.tuples(MESSAGES, BODIES), max_size=5)


def frame(header: dict[str, Any], body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    data = len(text).to_bytes(4, "big") + len(body).to_bytes(4, "big") + text + body
    return b"\1\0\0\0" + len(data).to_bytes(4, "big") + data


async def answered(ask: Ask, said: bytes) -> object:
    """What a request comes to whose far end says this and hangs up."""
    strange: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: strange.append(what))
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setblocking(False)
    channel = await Channel.over(ours, frame(READY), "box")
    try:
        asking = asyncio.ensure_future(ask(RunnerClient(channel)))
        loop = asyncio.get_running_loop()
        await loop.sock_recv(theirs, 1 << 16)
        with contextlib.suppress(OSError):  # when the channel has seen enough
            await loop.sock_sendall(theirs, said)
        theirs.close()
        async with asyncio.timeout(20):
            return await asking
    except (SandboxLost, FileError, ProcessError) as error:
        return error
    finally:
        channel.close()
        await asyncio.sleep(0)
        assert not strange


def assert_fits(name: str, answer: object) -> None:
    """An answer is of the kind that was asked for, and no larger."""
    if isinstance(answer, SandboxLost | FileError | ProcessError):
        return
    match name:
        case "exec" | "exec-live":
            assert isinstance(answer, ExecResult)
            assert (answer.exit_code is None) == (answer.ending in ("timeout", "disk_full"))
            assert len(answer.output.head) + len(answer.output.tail) <= 2048
        case "read":
            assert isinstance(answer, bytes)
            assert len(answer) <= LIMIT
        case "resolve":
            assert isinstance(answer, str)
            assert answer.startswith("/")
        case "list":
            assert isinstance(answer, Listing)
            assert len(answer.entries) <= 3
        case "processes":
            assert isinstance(answer, list)
        case "process-read":
            assert isinstance(answer, ProcessOutput)
            assert answer.info.number == 1
            assert answer.next <= answer.info.total
        case "process-stop":
            assert isinstance(answer, ProcessInfo)
            assert answer.number == 1
        case "start":
            assert answer == 1
        case _:
            assert answer is None


@pytest.mark.parametrize("name", REQUESTS)
@settings(deadline=None)
@given(frames=FRAMES, cut=st.integers(0, 20), junk=st.binary(max_size=20))
def test_whatever_is_said(name: str, frames: list[tuple[dict[str, Any], bytes]], cut: int, junk: bytes) -> None:
    said = b"".join(frame(*each) for each in frames)
    said = said[: len(said) - cut] + junk
    assert_fits(name, asyncio.run(answered(REQUESTS[name], said)))


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_flood_in_answer_ends_at_what_was_asked_for(name: str) -> None:
    flood = frame({"type": "data", "id": 1}, bytes(MAX_BODY)) * 100
    tracemalloc.start()
    try:
        answer = await answered(REQUESTS[name], flood)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert isinstance(answer, SandboxLost)
