"""What commands can fill: bytes and files in all are limited, wherever they put them, and may then be deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from conformance.kinds import WITH_A_RUNNER

from sandboxes.protocol import Limits, Sandbox

Open = Callable[..., Awaitable[Sandbox]]

SMALL_DISK = Limits(memory_bytes=512 << 20, pids=128, disk_bytes=64 << 20, files=2_000)
pytestmark = WITH_A_RUNNER


async def used(box: Sandbox) -> int:
    """What there is in the usual places, in MiB."""
    result = await box.exec(
        ["sh", "-c", "du -sm /workspace /tmp /home/agent 2>/dev/null | awk '{ n += $1 } END { print n }'"]
    )
    return int(result.output.text())


# One megabyte at a time and not at full speed, on a disk that others use as well.
SLOWLY = "while head -c 1000000 /dev/zero; do sleep 0.005; done"


@pytest.mark.parametrize(
    "script",
    [
        f"{SLOWLY} > /workspace/bomb",
        "mkdir -p /tmp/a/b; n=0; while head -c 300000 /dev/zero > /tmp/a/b/$n; do n=$((n+1)); sleep 0.001; done",
        f"mkdir ~/closed; cd ~/closed; exec 5> x; chmod 0 .; ( {SLOWLY} ) >&5",
        f"cd /tmp; n=0; while [ $n -lt 150 ]; do mkdir d; cd d; n=$((n+1)); done; {SLOWLY} > x",
        f"cd /tmp; exec 5> x; rm x; ( {SLOWLY} ) >&5",
        f"( {SLOWLY} ) > /tmp/left & sleep 0.1; rm -f nothing; wait",
    ],
    ids=["one file", "many files", "in a closed folder", "far down", "a file without a name", "in the background"],
)
async def test_a_disk_bomb_is_contained(fresh: Open, script: str) -> None:
    box = await fresh(limits=SMALL_DISK)
    result = await box.exec(["sh", "-c", script], timeout=100)
    assert (result.ending, result.exit_code) == ("disk_full", None)
    assert await used(box) < 1000
    assert "zero" not in (await box.exec(["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"])).output.text()


async def test_what_filled_the_disk_can_be_deleted(fresh: Open) -> None:
    box = await fresh(limits=SMALL_DISK)
    assert (await box.exec(["sh", "-c", f"{SLOWLY} > bomb"], timeout=100)).ending == "disk_full"
    waited = await box.exec(["sh", "-c", "sleep 1; ls"], timeout=20)
    assert (waited.ending, waited.output.text()) == ("exited", "bomb\n")
    again = await box.exec(["sh", "-c", f"{SLOWLY} > more"], timeout=100)
    assert again.ending == "disk_full"
    assert (await box.exec(["sh", "-c", "rm bomb more; sleep 1"])).ending == "exited"
    below = await box.exec(["sh", "-c", "head -c 20000000 /dev/zero > fine; sleep 2"], timeout=20)
    assert below.ending == "exited"


async def test_a_background_process_of_an_earlier_call_is_ended_with_the_rest(fresh: Open) -> None:
    box = await fresh(limits=SMALL_DISK)
    await box.exec(["sh", "-c", f"( {SLOWLY} ) > /workspace/bomb 2>/dev/null & sleep 0.1"])
    assert (await box.exec(["sleep", "90"], timeout=100)).ending == "disk_full"
    size = await used(box)
    await asyncio.sleep(1)
    assert await used(box) == size


async def test_what_lost_its_supervisor_is_watched_as_well(fresh: Open) -> None:
    """Where the runner is the commands' user, as it is with such a variable, they can kill a supervisor."""
    box = await fresh(limits=SMALL_DISK, env={"LD_LIBRARY_PATH": "/workspace/no"})
    bomb = "( while head -c 1000000 /dev/zero; do sleep 0.001; done ) >bomb 2>/dev/null </dev/null"
    done = await box.exec(["sh", "-c", f"({bomb} &); sleep 0.3; kill -9 $PPID; sleep 0.3"], timeout=20)
    assert done.ending in ("exited", "disk_full")  # already, on a fast disk
    await asyncio.sleep(20)  # in which nothing else runs that would have it watched
    while (said := await box.exec(["stat", "-c", "%s", "bomb"])).exit_code != 0:
        assert said.ending == "disk_full"
    assert (48 << 20) < int(said.output.text()) < (160 << 20)


async def test_a_process_started_in_the_background_is_told_apart(fresh: Open) -> None:
    box = await fresh(limits=SMALL_DISK)
    number = await box.start(["sh", "-c", f"{SLOWLY} > bomb"])
    async with asyncio.timeout(100):
        while (await box.processes())[0].status == "running":
            await asyncio.sleep(0.1)
    assert (await box.processes())[0].ending == "disk_full"
    async with asyncio.timeout(20):
        assert (await box.process_stop(number)).ending == "disk_full"


@pytest.mark.parametrize("place", ["/workspace/d", "/tmp/d"])
async def test_an_inode_bomb_is_contained(fresh: Open, place: str) -> None:
    box = await fresh(limits=SMALL_DISK)
    script = f"mkdir {place}; cd {place}; n=0; while : > $n; do n=$((n+1)); done"
    assert (await box.exec(["sh", "-c", script], timeout=100)).ending == "disk_full"
    listed = await box.exec(["sh", "-c", f"ls {place} | wc -l; rm -rf {place}; sleep 1"], timeout=60)
    assert listed.ending == "exited"
    assert 1_000 < int(listed.output.text()) < 200_000


async def test_links_do_not_count_as_files_of_their_own_size(fresh: Open) -> None:
    box = await fresh(limits=SMALL_DISK)
    script = (
        "head -c 30000000 /dev/zero > a; for n in 1 2 3 4 5 6; do ln a $n; done; ( yes | head -c 9000000 ) > b"
    )
    assert (await box.exec(["sh", "-c", f"{script}; sleep 3"], timeout=60)).ending == "exited"


async def test_calls_are_served_while_files_are_counted(fresh: Open) -> None:
    box = await fresh(limits=Limits(disk_bytes=1 << 30, files=20_000))
    script = "mkdir d; cd d; n=0; while [ $n -lt 12000 ]; do : > $n; n=$((n+1)); done"
    filling = asyncio.ensure_future(box.exec(["sh", "-c", script], timeout=100))
    while not filling.done():
        assert (await box.exec(["true"], timeout=30)).exit_code == 0
        await asyncio.sleep(0.05)
    assert (await filling).ending == "exited"


async def test_a_storm_of_zombies_leaves_room_for_the_next_command(fresh: Open) -> None:
    box = await fresh(limits=Limits(pids=64, memory_bytes=512 << 20))
    script = "while :; do ( sleep 0.01 & exec sleep 30 ) & done 2>/dev/null"
    assert (await box.exec(["sh", "-c", script], timeout=3)).ending in ("timeout", "exited")
    texts = [(await box.exec(["echo", "well"])).output.text()]
    while texts[-1] != "well\n" and len(texts) < 20:
        texts.append((await box.exec(["echo", "well"])).output.text())
    assert texts[-1] == "well\n"


async def test_shared_memory_is_limited(fresh: Open) -> None:
    box = await fresh()
    result = await box.exec(
        ["sh", "-c", "cat /dev/zero > /dev/shm/fill; stat -c %s /dev/shm/fill; rm /dev/shm/fill"]
    )
    assert int(result.output.text().split()[-1]) <= 64 << 20
