"""What commands can use up: processes, memory, disk. The sandbox survives it, or says at once that it did not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from conformance.kinds import Kind

from sandboxes.protocol import FileError, Limits, Sandbox, SandboxError

Open = Callable[..., Awaitable[Sandbox]]

BOMB = "f() { f | f & f; }; f; sleep 60"


async def test_a_fork_bomb_leaves_room_for_the_next_command(fresh: Open, kind: Kind) -> None:
    box = await fresh(limits=Limits(pids=64, memory_bytes=512 << 20))
    async with asyncio.timeout(90):
        try:
            result = await box.exec(["sh", "-c", BOMB], timeout=2.0)
            assert result.ending in ("timeout", "exited")
            texts = [(await box.exec(["echo", "well"])).output.text()]
            while texts[-1] != "well\n" and len(texts) < 20:  # "try again", it says
                texts.append((await box.exec(["echo", "well"])).output.text())
        except SandboxError:
            assert not kind.runner  # without one it may be lost, or refuse, and says so
            return
    assert texts[-1] == "well\n"
    assert all(t == "well\n" or "to make room" in t for t in texts) or not kind.runner


async def test_out_of_memory_is_told(fresh: Open) -> None:
    box = await fresh(limits=Limits(memory_bytes=48 << 20))
    result = await box.exec(["sh", "-c", "tail /dev/zero; exit $?"], timeout=60)
    assert result.ending == "out_of_memory"
    assert result.exit_code == 137
    assert (await box.exec(["echo", "well"])).output.text() == "well\n"


async def test_a_failure_that_is_not_for_memory_is_not_called_so(fresh: Open) -> None:
    box = await fresh()
    result = await box.exec(["sh", "-c", "kill -9 $$"])
    assert (result.exit_code, result.ending) == (137, "exited")


async def test_an_end_for_want_of_memory_is_that_calls_alone(fresh: Open) -> None:
    """Neither a later crash is called so, nor a command that went well although something of it was killed."""
    box = await fresh(limits=Limits(memory_bytes=48 << 20))
    assert (await box.exec(["sh", "-c", "tail /dev/zero; exit $?"], timeout=60)).ending == "out_of_memory"
    for name, code in (("SEGV", 139), ("KILL", 137)):
        result = await box.exec(["sh", "-c", f"kill -{name} $$"])
        assert (result.exit_code, result.ending) == (code, "exited")
    result = await box.exec(["sh", "-c", "tail /dev/zero; exit 0"], timeout=60)
    assert (result.exit_code, result.ending) == (0, "exited")


async def test_a_full_disk_is_told_and_leaves_nothing_half_written(fresh: Open) -> None:
    box = await fresh()
    await box.write("/dev/shm/old", b"old")
    await box.exec(["sh", "-c", "cat /dev/zero > /dev/shm/fill"])  # 64 MB, until it is full
    with pytest.raises(FileError) as caught:
        await box.write("/dev/shm/new", bytes(1 << 20))
    assert caught.value.problem == "no_space"
    with pytest.raises(FileError) as caught:
        await box.write("/dev/shm/old", bytes(1 << 20))
    assert caught.value.problem == "no_space"
    assert await box.read("/dev/shm/old") == b"old"
    listing = await box.exec(["ls", "-A", "/dev/shm"])
    assert listing.output.text().split() == ["fill", "old"]


async def test_files_have_a_largest_size(fresh: Open) -> None:
    box = await fresh(limits=Limits(file_bytes=1 << 20))
    with pytest.raises(FileError) as caught:
        await box.write("large", bytes(2 << 20))
    assert caught.value.problem == "too_large"
    result = await box.exec(["sh", "-c", "head -c 2000000 /dev/zero"], max_output=100)
    assert (result.exit_code, result.output.total) == (0, 2_000_000)
    if result.output.spill:  # as much as went in
        assert set(await box.read(result.output.spill)) == {0}
