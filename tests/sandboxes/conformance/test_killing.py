"""What a deadline ends, looked at from outside: in the host's own list of processes."""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
import signal
import struct
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from conformance.kinds import Outside

from sandboxes.protocol import Limits, Sandbox, SandboxLost

Open = Callable[..., Awaitable[Sandbox]]

DEADLINE = 1.0
AFTER = 2.0
"""Seconds in which everything is dead."""

ATTACKS = {
    "ignores signals": "trap '' TERM HUP INT QUIT USR1; sleep {0}; sleep {0}; sleep {0}",
    "forks twice": "(setsid sh -c 'trap \"\" TERM; (sleep {0} &) ; sleep {0}; sleep {0}' &) & sleep {0}",
    "leaves its parent": "(trap '' TERM; setsid sleep {0} &) ; exec sleep {0}",
    "forgets who it is": "(env -i /bin/sh -c 'trap \"\" TERM; setsid env -i sleep {0} &' &); sleep {0}",
    "goes on forking": "while :; do (setsid sleep {0} &); sleep 0.02; done",
    "stops itself": "(setsid sh -c 'kill -STOP $$; sleep {0}' &); sleep {0} & sleep 0.2; kill -STOP $! $$",
    "closes everything": "exec >&- 2>&- <&-; (setsid sleep {0} &); sleep {0}",
}


def mark() -> str:
    """A number of seconds that stands in no other process's command line."""
    return f"3{secrets.randbelow(10**6):06}.{secrets.randbelow(10**6):06}"


def alive(text: str) -> list[str]:
    """The command lines with `text` in them, of all processes of the host."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            line = (place / "cmdline").read_bytes()
        except OSError:
            continue  # it has just ended
        if text.encode() in line:
            found.append(line.replace(b"\0", b" ").decode("utf-8", "replace"))
    return found


async def slowness(box: Sandbox) -> float:
    """How many seconds this machine takes for ten commands of no work now: next to nothing, if it is not busy."""
    begun = time.monotonic()
    for _ in range(5):
        assert (await box.exec(["true"])).exit_code == 0
    return 2 * (time.monotonic() - begun)


async def gone(text: str, begun: float, seconds: float) -> None:
    """Wait until nothing with `text` in its command line lives, which must be so many seconds after `begun`."""
    while left := alive(text):
        assert time.monotonic() - begun < seconds, left
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("attack", ATTACKS)
async def test_all_that_a_call_started_is_dead_two_seconds_after_its_deadline(fresh: Open, attack: str) -> None:
    box, seconds, bystander = await fresh(), mark(), mark()
    await box.exec(["sh", "-c", f"sleep {bystander} >/dev/null 2>&1 &"])
    slow = await slowness(box)
    deadline, begun = DEADLINE + slow, time.monotonic()
    calling = asyncio.ensure_future(box.exec(["sh", "-c", ATTACKS[attack].format(seconds)], timeout=deadline))
    while not alive(f"sleep\0{seconds}"):
        assert not calling.done()
        await asyncio.sleep(0.01)
    result = await calling
    assert (result.exit_code, result.ending) == (None, "timeout")
    assert alive(f"sleep\0{seconds}") == []
    await gone(seconds, begun, deadline + AFTER + slow)
    assert len(alive(f"sleep\0{bystander}")) == 1
    assert (await box.exec(["echo", "well"])).output.text() == "well\n"


HOPS = {
    "a shell": b"#!/bin/sh\nhop() { echo . >>hops; hop & exit; }; hop",
    # x86: write a byte, fork, go on as the child, end as the parent; the same without a library and its start.
    "a program": struct.pack(
        "<16sHHIQQQIHHHHHH2I6Q",
        *(b"\x7fELF\2\1\1", 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0),
        *(1, 5, 0, 0x400000, 0x400000, 167, 167, 4096),
    )
    + bytes.fromhex(
        "b801000000bf01000000488d351d000000ba010000000f05b8390000000f0585c074dd78f331ffb83c0000000f052e"
    ),
}
"""A process that is another one at every look: it forks, the child goes on, the parent ends."""


async def hops(box: Sandbox) -> int:
    return len(await box.read("hops"))


@pytest.mark.parametrize("how", HOPS)
@pytest.mark.parametrize("end", ["deadline", "cancelled"])
async def test_a_process_that_is_never_the_same_is_dead_after_the_end(fresh: Open, how: str, end: str) -> None:
    if how == "a program" and platform.machine() != "x86_64":
        pytest.skip("it is written for another processor")
    box, bystander = await fresh(limits=Limits()), mark()
    await box.write("hop", HOPS[how])
    await box.exec(["chmod", "755", "hop"])
    await box.exec(["sh", "-c", f"sleep {bystander} >/dev/null 2>&1 &"])
    for _ in range(3):
        command = ["sh", "-c", f"./hop >>hops 2>&1 </dev/null & sleep {mark()}"]
        if end == "deadline":
            assert (await box.exec(command, timeout=DEADLINE)).ending == "timeout"
        else:
            calling = asyncio.ensure_future(box.exec(command, timeout=60))
            await asyncio.sleep(DEADLINE)
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
        before = await hops(box)
        await asyncio.sleep(0.3)
        assert before == await hops(box) > 0
    assert len(alive(f"sleep\0{bystander}")) == 1
    assert (await box.exec(["sh", "-c", "grep -c 'State:.*T' /proc/[0-9]*/status"])).exit_code == 1


async def test_all_that_a_call_started_is_dead_once_it_was_cancelled(fresh: Open) -> None:
    box, seconds = await fresh(), mark()
    slow = await slowness(box)
    calling = asyncio.ensure_future(box.exec(["sh", "-c", ATTACKS["forks twice"].format(seconds)], timeout=60))
    while not alive(f"sleep\0{seconds}"):
        await asyncio.sleep(0.01)
    begun = time.monotonic()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert alive(f"sleep\0{seconds}") == []
    await gone(seconds, begun, AFTER + slow)


async def test_a_call_cancelled_at_any_moment_leaves_nothing(fresh: Open) -> None:
    box, seconds = await fresh(), mark()
    for pause in (0.0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15):
        calling = asyncio.ensure_future(box.exec(["sh", "-c", f"setsid sleep {seconds} & sleep {seconds}"]))
        await asyncio.sleep(pause)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        assert alive(f"sleep\0{seconds}") == [], pause
        await gone(seconds, time.monotonic(), AFTER)
    assert (await box.exec(["echo", "well"])).output.text() == "well\n"


async def test_what_a_call_leaves_behind_ends_with_the_sandbox(fresh: Open) -> None:
    box, seconds = await fresh(), mark()
    result = await box.exec(
        ["sh", "-c", f"(trap '' TERM HUP; setsid sleep {seconds} >/dev/null 2>&1 &); echo left"]
    )
    assert result.output.text() == "left\n"
    async with asyncio.timeout(20):
        while len(alive(f"sleep\0{seconds}")) != 1:
            await asyncio.sleep(0.02)
    await box.close()
    await gone(seconds, time.monotonic(), AFTER)


@pytest.mark.parametrize("what", ["all of it", "its first process"])
async def test_a_kill_from_outside_is_known_within_a_second(fresh: Open, outside: Outside, what: str) -> None:
    box, seconds = await fresh(), mark()
    first = outside.first_process(box)
    calling = asyncio.ensure_future(box.exec(["sleep", seconds], timeout=60))
    while not alive(f"sleep\0{seconds}"):
        await asyncio.sleep(0.01)
    if what == "all of it":
        killing = asyncio.ensure_future(asyncio.to_thread(outside.kill, box))
    else:
        killing = asyncio.ensure_future(asyncio.to_thread(os.kill, first, signal.SIGKILL))
    while alive(f"sleep\0{seconds}"):
        await asyncio.sleep(0.005)
    begun = time.monotonic()
    with pytest.raises(SandboxLost):
        await calling
    with pytest.raises(SandboxLost):
        await box.exec(["true"])
    assert time.monotonic() - begun < 1 + 2  # the rest for a busy machine
    await killing
