"""A sandbox that goes away: every pending and later call says so at once, and nothing is done twice."""

from __future__ import annotations

import asyncio
import os
import signal
import tarfile
import time
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from conformance.kinds import Outside

from sandboxes.protocol import Sandbox, SandboxLost

Open = Callable[..., Awaitable[Sandbox]]


async def pending(box: Sandbox) -> asyncio.Task[Any]:
    """A long call that certainly runs."""
    running = asyncio.ensure_future(box.exec(["sh", "-c", "echo started > /tmp/up; sleep 100"], timeout=200))
    while (await box.exec(["test", "-s", "/tmp/up"])).exit_code != 0:
        await asyncio.sleep(0.02)
    return running


async def assert_lost(box: Sandbox, running: asyncio.Task[Any] | None = None) -> None:
    begun = time.monotonic()
    if running is not None:
        with pytest.raises(SandboxLost):
            await running
    for action in (box.exec(["true"]), box.read("x"), box.write("x", b"")):
        with pytest.raises(SandboxLost):
            await action
    assert time.monotonic() - begun < 5


async def test_killed_from_outside(fresh: Open, outside: Outside) -> None:
    box = await fresh()
    running = await pending(box)
    outside.kill(box)
    await assert_lost(box, running)


async def test_removed_from_outside(fresh: Open, outside: Outside) -> None:
    box = await fresh()
    running = await pending(box)
    outside.remove(box)
    await assert_lost(box, running)
    with pytest.raises(SandboxLost):
        await box.upload(Path("/dev/null"))
    with pytest.raises(SandboxLost):
        async for _ in box.download():
            pass
    await box.stop()
    await box.close()


async def test_the_first_process_killed_from_outside(fresh: Open, outside: Outside) -> None:
    box = await fresh()
    running = await pending(box)
    os.kill(outside.first_process(box), signal.SIGKILL)
    await assert_lost(box, running)


async def test_the_first_process_cannot_be_killed_by_a_command(fresh: Open) -> None:
    box = await fresh()
    each = "for p in /proc/[0-9]*; do [ $p = /proc/$$ ] || kill -9 ${p#/proc/}; done"
    for attack in ("kill -9 1 && echo killed", "kill -STOP 1 && echo stopped", each, "kill -9 -1"):
        result = await box.exec(["sh", "-c", f"{attack}; kill -9 1"], timeout=20)
        assert result.output.text().strip() not in ("killed", "stopped")
    assert (await box.exec(["echo", "well"])).output.text() == "well\n"


@pytest.mark.parametrize("size", [0, 8 << 20], ids=["small", "larger than any buffer"])
async def test_paused_from_outside(
    fresh: Open, outside: Outside, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("sandboxes.channel.channel.GRACE_SECONDS", 0.5)
    box = await fresh()
    running = asyncio.ensure_future(box.exec(["sleep", "100"], timeout=60))
    await box.exec(["true"])
    outside.pause(box)
    try:
        async with asyncio.timeout(30):
            for call in (box.exec(["cat"], stdin=bytes(size), timeout=0.5), running):
                with pytest.raises(SandboxLost, match=r"does not answer|has paused it|runs no command"):
                    await call
            await assert_lost(box)
    finally:
        outside.resume(box)
    await assert_lost(box)


async def test_stopped_files_stay(fresh: Open) -> None:
    box = await fresh()
    await box.write("kept", b"kept")
    running = await pending(box)
    await box.stop()
    await assert_lost(box, running)
    stream = b"".join([piece async for piece in box.download()])
    with tarfile.open(fileobj=BytesIO(stream)) as tar:
        file = tar.extractfile("workspace/kept")
        assert file is not None
        assert file.read() == b"kept"
    await box.stop()


async def test_closed(fresh: Open) -> None:
    box = await fresh()
    await box.close()
    await assert_lost(box)
    await box.close()
    await box.stop()
