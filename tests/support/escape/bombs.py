"""Attempts to use everything up. Each is bounded by small limits, and both sandbox and host work on afterwards."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.workspace import keep_workspace
from sandboxes.protocol import Limits, Sandbox, SandboxError
from support.escape.scene import Attempt, Scene

FEW = Limits(memory_bytes=256 << 20, pids=64)
SMALL_DISK = Limits(memory_bytes=256 << 20, pids=128, disk_bytes=64 << 20, files=2_000)
SPILLED = 256 << 20
ROOM = 64 << 20
"""Bytes by which this process may grow while a sandbox floods it."""


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def works_on(box: Sandbox) -> None:
    """The sandbox runs commands (if need be after making room), and so does the host."""
    for _ in range(20):
        if (await box.exec(["echo", "well"])).output.text() == "well\n":
            break
    else:
        raise AssertionError("the sandbox runs no commands any more")
    assert subprocess.run(["true"], timeout=30, check=False).returncode == 0


COUNT = """
import os
facts = {}
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        lines = open(f"/proc/{pid}/status").read().splitlines()
    except OSError:
        continue
    about = dict(line.split(":\\t", 1) for line in lines if ":\\t" in line)
    facts[pid] = about["Name"], about["State"][0], about["PPid"], about["Uid"].split()[0]
mine = [pid for pid, fact in facts.items() if fact[3] == str(os.getuid()) and pid != str(os.getpid())]
dead = [pid for pid in mine if facts[pid][1] == "Z" and facts.get(facts[pid][2], "?")[0] == "bridle-runner"]
print("count", len(mine), len(dead))
"""


async def left(box: Sandbox) -> tuple[int, int]:
    """How many processes the agent has, and how many of them are dead and the runner's to be waited for."""
    for _ in range(20):
        words = (await box.exec(["python3", "-I", "-c", COUNT])).output.text().split()
        if words[:1] == ["count"]:
            return int(words[1]), int(words[2])
    raise AssertionError("the sandbox does not get round to counting its processes")


async def forks(scene: Scene) -> None:
    box = await scene.open(limits=FEW)
    result = await box.exec(["sh", "-c", "f() { f | f & f; }; f; sleep 60"], timeout=2.0)
    assert result.ending in ("timeout", "exited")
    await works_on(box)
    async with asyncio.timeout(30):
        while (await left(box))[0] > 2:
            await asyncio.sleep(0.1)


async def memory(scene: Scene) -> None:
    box = await scene.open(limits=Limits(memory_bytes=64 << 20))
    before = resident()
    result = await box.exec(["sh", "-c", "tail /dev/zero; exit $?"], timeout=60)
    assert (result.ending, result.exit_code) == ("out_of_memory", 137)
    assert resident() - before < ROOM
    await works_on(box)


async def disk(scene: Scene) -> None:
    box = await scene.open(limits=SMALL_DISK)
    free = shutil.disk_usage("/").free
    script = "while head -c 1000000 /dev/zero; do sleep 0.005; done > /workspace/bomb"
    assert (await box.exec(["sh", "-c", script], timeout=90)).ending == "disk_full"
    size = int(await scene.sh("stat -c %s /workspace/bomb", box))
    assert size < 500 << 20
    await asyncio.sleep(0.5)
    assert int(await scene.sh("stat -c %s /workspace/bomb; rm /workspace/bomb", box)) == size
    assert shutil.disk_usage("/").free > min(free // 2, 1 << 30)
    await works_on(box)


async def inodes(scene: Scene) -> None:
    box = await scene.open(limits=SMALL_DISK)
    script = "mkdir /tmp/d; cd /tmp/d; n=0; while : > $n; do n=$((n+1)); done"
    assert (await box.exec(["sh", "-c", script], timeout=90)).ending == "disk_full"
    assert 1_000 < int(await scene.sh("ls /tmp/d | wc -l; rm -rf /tmp/d", box)) < 200_000
    await works_on(box)


async def sparse(scene: Scene) -> None:
    """Large files that take no room until they are copied: no copy on the host takes more than allowed."""
    box = await scene.open(limits=SMALL_DISK)
    await scene.sh("n=0; while [ $n -lt 40 ]; do truncate -s 1G /workspace/s$n; n=$((n+1)); done", box)
    free, kept = shutil.disk_usage("/").free, scene.folder / "kept.tar"
    try:
        saved = await box.checkpoint("sparse")
    except SandboxError as error:
        if "more than" not in str(error):
            raise
    else:  # saved as what it is: holes
        await scene.backend().drop(saved)
        assert saved.size < 64 << 20
    with pytest.raises(SandboxError, match="larger than"):
        await keep_workspace(box, kept, largest=SMALL_DISK.saved_bytes)
    assert not list(scene.folder.glob("kept*"))
    assert free - shutil.disk_usage("/").free < 2 << 30
    await scene.sh("rm /workspace/s*", box)
    await works_on(box)
    await scene.backend().drop(await box.checkpoint("well"))


async def output(scene: Scene) -> None:
    box = await scene.open()
    before = resident()
    result = await box.exec(["sh", "-c", "yes 0123456789abcdef & yes fedcba9876543210 >&2"], timeout=4.0)
    assert result.ending == "timeout"
    assert len(result.output.head) + len(result.output.tail) <= 65536
    assert result.output.total > 10_000_000
    assert resident() - before < ROOM
    assert result.output.spill is not None
    assert (
        int(await scene.sh(f"stat -c %s {result.output.spill}; rm {result.output.spill}", box)) <= SPILLED + 4096
    )
    await works_on(box)


async def lines(scene: Scene) -> None:
    """One endless line, and names and arguments as long as the kernel takes them."""
    box = await scene.open()
    before = resident()
    flood = "import os\nfor _ in range(3000): os.write(1, b'\\x1b[' + b'9;' * 32000)"
    result = await box.exec(["python3", "-c", flood], timeout=60.0, on_output=lambda piece: None)
    assert len(result.output.head) + len(result.output.tail) <= 65536
    assert resident() - before < ROOM
    await works_on(box)


async def zombies(scene: Scene) -> None:
    box = await scene.open(limits=FEW)
    script = "while :; do ( sleep 0.01 & exec sleep 30 ) & done 2>/dev/null"
    assert (await box.exec(["sh", "-c", script], timeout=3)).ending in ("timeout", "exited")
    await works_on(box)
    async with asyncio.timeout(30):
        while (await left(box))[1] > 0:
            await asyncio.sleep(0.1)


ROWS = (
    Attempt(
        "forks",
        "fork bomb",
        "Processes that only make more processes, 64 being allowed",
        "A limit on processes; the timeout freezes and kills the whole tree (`sandboxes/inside/processes.py`)",
        forks,
        seconds=90,
    ),
    Attempt(
        "zombies",
        "a storm of dead children",
        "Processes that leave dead and orphaned ones behind as fast as they can",
        "The same limit; the first process waits for orphans",
        zombies,
        seconds=90,
    ),
    Attempt(
        "memory",
        "memory bomb",
        "A process takes memory until it gets no more, 64 MiB being allowed",
        "A limit on memory without swap: the kernel kills inside the sandbox and nowhere else",
        memory,
        seconds=90,
    ),
    Attempt(
        "disk",
        "disk bomb",
        "A file grows without end, 64 MiB being allowed in all",
        "The runner watches what the agent holds and kills what runs (`sandboxes/inside/disk.py`)",
        disk,
        seconds=120,
    ),
    Attempt(
        "sparse",
        "files with holes",
        "Forty files of 1 GiB that take no room, 64 MiB being allowed; then a checkpoint, and a saved workspace",
        "What is saved on the host has a limit of its own, looked at while everything inside stands still",
        sparse,
        seconds=120,
    ),
    Attempt(
        "inodes",
        "inode bomb",
        "Empty files without end, 2,000 being allowed in all",
        "The runner counts them as well",
        inodes,
        seconds=120,
    ),
    Attempt(
        "output",
        "output bomb",
        "Two processes print without end",
        "Head and tail are kept, the rest goes to a file inside of at most 256 MiB (`sandboxes/inside/output.py`)",
        output,
        seconds=90,
    ),
    Attempt(
        "endless-line",
        "an endless line",
        "192 MB of one escape sequence that never ends, followed live",
        "Live output is passed on in bounded pieces, the newest of what waits",
        lines,
        seconds=90,
    ),
)
