"""A sandbox that goes away: every pending and later call says so at once, and nothing is done twice."""

from __future__ import annotations

import asyncio
import os
import signal
import tarfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from sandboxes.protocol import Sandbox, SandboxLost

pytestmark = pytest.mark.docker
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


async def test_killed_from_outside(fresh: Open, image: str, client: Any) -> None:
    box = await fresh(image)
    running = await pending(box)
    client.kill(box.name)
    await assert_lost(box, running)


async def test_removed_from_outside(fresh: Open, image: str, client: Any) -> None:
    box = await fresh(image)
    client.remove_container(box.name, force=True)
    await assert_lost(box)
    with pytest.raises(SandboxLost):
        await box.upload(Path("/dev/null"))
    with pytest.raises(SandboxLost):
        async for _ in box.download():
            pass
    await box.stop()
    await box.close()


async def test_the_runner_killed(fresh: Open, client: Any) -> None:
    box = await fresh("host")
    running = await pending(box)
    os.kill(client.inspect_container(box.name)["State"]["Pid"], signal.SIGKILL)
    await assert_lost(box, running)


async def test_the_first_process_killed_by_a_command(fresh: Open, busybox_image: str) -> None:
    box = await fresh(busybox_image)
    with suppress(SandboxLost):
        await box.exec(
            ["sh", "-c", "for p in /proc/[0-9]*; do [ $p = /proc/$$ ] || kill -9 ${p#/proc/}; done; sleep 60"]
        )
    with pytest.raises(SandboxLost):
        async with asyncio.timeout(20):
            while True:
                await box.exec(["true"])
    await assert_lost(box)


async def test_a_runner_that_does_not_answer(fresh: Open, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandboxes.channel.GRACE_SECONDS", 0.5)
    box = await fresh("host")
    client.pause(box.name)
    try:
        with pytest.raises(SandboxLost, match="does not answer"):
            await box.exec(["true"], timeout=0.5)
        await assert_lost(box)
    finally:
        client.unpause(box.name)


async def test_stopped_files_stay(fresh: Open, image: str, client: Any) -> None:
    box = await fresh(image)
    await box.write("kept", b"kept")
    running = await pending(box)
    await box.stop()
    await assert_lost(box, running)
    assert not client.inspect_container(box.name)["State"]["Running"]
    stream = b"".join([piece async for piece in box.download()])
    with tarfile.open(fileobj=BytesIO(stream)) as tar:
        file = tar.extractfile("workspace/kept")
        assert file is not None
        assert file.read() == b"kept"
    await box.stop()


async def test_closed(fresh: Open, image: str, client: Any) -> None:
    box = await fresh(image)
    await box.close()
    assert not client.containers(all=True, filters={"name": box.name})
    await assert_lost(box)
    await box.close()
    await box.stop()


async def test_volumes_go_with_the_sandbox(fresh: Open, busybox_image: str, client: Any) -> None:
    before = {v["Name"] for v in client.volumes()["Volumes"] or []}
    base = client.create_container(busybox_image, ["true"])
    image = client.commit(base["Id"], changes=["VOLUME /data"])["Id"]
    try:
        box = await fresh(image)
        await box.close()
        assert {v["Name"] for v in client.volumes()["Volumes"] or []} <= before
    finally:
        client.remove_container(base["Id"], force=True)
        client.remove_image(image, force=True)
