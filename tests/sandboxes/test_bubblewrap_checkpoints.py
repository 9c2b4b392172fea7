"""What is the bubblewrap backend's own about checkpoints: how processes are held, hostile trees, shared packs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sandboxes.bubblewrap import cgroups, saver
from sandboxes.bubblewrap.backend import BubblewrapBackend
from sandboxes.bubblewrap.freeze import members, standing_still
from sandboxes.bubblewrap.sandbox import BubblewrapSandbox
from sandboxes.pool import Pool
from sandboxes.protocol import Checkpoint, Limits, PtySize, Sandbox, SandboxError, SandboxSpec

pytestmark = [pytest.mark.bubblewrap, pytest.mark.usefixtures("bubblewrap")]


class Room:
    """Sandboxes in a folder of a test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.backend = folder, BubblewrapBackend(folder=folder)
        self.made: list[Sandbox] = []

    async def open(self, **fields: Any) -> BubblewrapSandbox:
        box = await self.backend.open(SandboxSpec(f"test-{secrets.token_hex(4)}", **fields))
        self.made.append(box)
        return box

    def disk(self) -> int:
        """Bytes that the checkpoints take of the disk."""
        seen = {}
        for path in (self.folder / "checkpoints").rglob("*"):
            info = path.lstat()
            if path.is_file():
                seen[info.st_ino] = info.st_size
        return sum(seen.values())

    async def claimed(self) -> int:
        return sum(each.size for each in await self.backend.checkpoints(""))


@pytest_asyncio.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    made = Room(tmp_path / "boxes")
    yield made
    for box in made.made:
        with suppress(SandboxError):
            await box.close()


async def sh(box: Sandbox, command: str) -> str:
    result = await box.exec(["sh", "-c", command], timeout=60)
    assert result.exit_code == 0, result.output.text()
    return result.output.text()


async def background(box: BubblewrapSandbox, command: str) -> int:
    """The host's number of a process inside that goes on running."""
    word = secrets.token_hex(8)
    await box.start(["sh", "-c", f": {word}; {command}"])
    async with asyncio.timeout(20):
        while True:
            for pid in members(box.pid):
                with suppress(OSError):
                    if word in Path(f"/proc/{pid}/cmdline").read_text() and "python" not in _program(pid):
                        return pid
            await asyncio.sleep(0.02)


def _program(pid: int) -> str:
    return str(Path(f"/proc/{pid}/exe").readlink())


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_without_a_control_group_processes_are_stopped_and_go_on(room: Room) -> None:
    box = await room.open()
    for _ in range(3):
        await background(box, "while :; do :; done")
    await background(box, "while :; do ( exec true ) & wait; done")
    still = await background(box, "while :; do :; done")
    os.kill(still, signal.SIGSTOP)
    while state(still) != "T":
        await asyncio.sleep(0.01)
    for _ in range(5):
        with standing_still((), box.pid) as held:
            assert len(held) > 8
            first = {pid: Path(f"/proc/{pid}/stat").read_text().split()[13:15] for pid in held}
            await asyncio.sleep(0.1)
            assert members(box.pid).keys() <= held
            assert first == {pid: Path(f"/proc/{pid}/stat").read_text().split()[13:15] for pid in held}
        assert state(still) == "T", "it was stopped before"
    assert await sh(box, "echo well") == "well\n"
    states = [each.state for pid, each in members(box.pid).items() if pid != still]
    assert "T" not in states


async def test_a_shell_does_not_see_its_job_stand(room: Room) -> None:
    box = await room.open()
    number = await box.start(["bash", "--norc", "-i"], pty=PtySize())
    await box.process_write(number, b"echo up; sh -c 'while :; do :; done'\n")
    async with asyncio.timeout(20):
        while len(members(box.pid)) < 4:
            await asyncio.sleep(0.05)
    for _ in range(20):
        with standing_still((), box.pid):
            pass
        await asyncio.sleep(0.02)
    await box.process_write(number, b"\x03echo typed; echo end'ed'\n")  # the job is interrupted
    said = b""
    async with asyncio.timeout(20):
        while b"ended" not in said:
            said += (await box.process_read(number)).data
            await asyncio.sleep(0.05)
    assert b"up" in said
    assert b"Stopped" not in said


async def test_a_sandbox_without_a_group_is_saved_too(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandboxes.bubblewrap.cgroups._own_groups", dict)
    monkeypatch.setattr("sandboxes.bubblewrap.cgroups.TOP", Path("/nonexistent"))
    box = await room.open(limits=Limits(pids=None))
    assert box.covered == frozenset()
    await box.start(["sh", "-c", "while :; do echo x >> ticks; done"])
    async with asyncio.timeout(20):
        while await sh(box, "cat ticks 2>/dev/null | head -c 1") == "":
            await asyncio.sleep(0.02)
        saved = await box.checkpoint()
        size = len(await box.read("ticks"))
        while len(await box.read("ticks")) <= size:  # it goes on
            await asyncio.sleep(0.02)
    again = await box.fork("other", saved)
    room.made.append(again)
    assert 0 < len(await again.read("ticks")) <= size


async def test_memory_shared_with_a_file_is_no_secret(room: Room) -> None:
    box = await room.open()
    await box.write("f", b"a" * 4096)
    await box.start(
        [
            "python3",
            "-c",
            "import mmap,os,time\nfd=os.open('f',os.O_RDWR)\nm=mmap.mmap(fd,4096)\nm[0:1]=b'b'\nopen('up','w')\n"  # noqa: ISC004
            "while not os.path.exists('go'): time.sleep(.01)\nm[0:1]=b'c'\nopen('done','w')\ntime.sleep(100)",
        ]
    )
    await sh(box, "while [ ! -e up ]; do sleep 0.02; done; sleep 0.2")
    first = await box.checkpoint()
    await sh(box, "touch go; while [ ! -e done ]; do sleep 0.02; done; sleep 0.1")
    second = await box.checkpoint()
    for saved, letter in ((first, b"b"), (second, b"c")):
        then = await box.fork("look", saved)
        room.made.append(then)
        assert (await then.read("f"))[:1] == letter


async def test_only_what_changed_costs(room: Room) -> None:
    box = await room.open()
    await sh(box, "head -c 3000000 /dev/urandom > big; for n in 1 2 3 4; do head -c 50000 /dev/urandom > $n; done")
    await asyncio.sleep(0.1)
    sizes = []
    for number in range(3):
        sizes.append((await box.checkpoint()).size)
        await box.write("new", str(number).encode())
        await asyncio.sleep(0.1)
    assert 3_200_000 <= sizes[0] < 3_300_000
    assert max(sizes[1:]) < 5_000
    await box.restore((await room.backend.checkpoints(""))[0])
    assert (await box.checkpoint()).size < 5_000


async def test_what_is_dropped_is_counted_where_it_stays(room: Room) -> None:
    box = await room.open()
    made: list[Checkpoint] = []
    for number in range(4):
        await sh(box, f"head -c 2000000 /dev/urandom > big{number}; head -c 90000 /dev/urandom > small{number}")
        await asyncio.sleep(0.1)
        made.append(await box.checkpoint())
    await sh(box, "rm big0 small1")
    await asyncio.sleep(0.1)
    made.append(await box.checkpoint())
    for dropped in (made[1], made[0], made[3], made[2]):
        await room.backend.drop(dropped)
        claimed, disk = await room.claimed(), room.disk()
        assert abs(claimed - disk) < 20_000, (claimed, disk)
    await box.restore(made[4])
    assert (await sh(box, "ls")).split() == ["big1", "big2", "big3", "small0", "small2", "small3"]
    await room.backend.drop(made[4])
    assert room.disk() == 0


async def test_a_pack_of_little_use_is_left_behind(room: Room) -> None:
    box = await room.open()
    await sh(box, "echo kept > kept; head -c 900000 /dev/urandom > gone")
    await asyncio.sleep(0.1)
    made = [await box.checkpoint()]
    await sh(box, "rm gone")
    made += [await box.checkpoint(), await box.checkpoint()]
    await room.backend.drop(made[0])
    await room.backend.drop(made[1])
    assert room.disk() < 10_000
    await box.restore(made[2])
    assert await sh(box, "cat kept") == "kept\n"


async def test_far_down_and_very_wide(room: Room) -> None:
    box = await room.open()
    script = (
        "import os\nfor n in range(1500):\n    os.mkdir('d'); os.chdir('d')\nopen('bottom','w').write('here')\n"
        "os.chdir('/workspace'); os.mkdir('w')\nfor n in range(3000): open(f'w/{n}','w').write(str(n))"
    )
    assert (await box.exec(["python3", "-c", script])).exit_code == 0
    await box.restore(await box.checkpoint())
    look = (
        "import os\nfor n in range(1500): os.chdir('d')\nprint(open('bottom').read())\nos.chdir('/workspace/w')\n"
        "print(all(open(str(n)).read()==str(n) for n in range(3000)))"
    )
    assert (await box.exec(["python3", "-c", look])).output.text() == "here\nTrue\n"


async def test_holes_stay_holes(room: Room) -> None:
    box = await room.open()
    await sh(box, "truncate -s 3G sparse; printf end >> sparse")
    saved = await box.checkpoint()
    assert saved.size < 100_000
    await box.restore(saved)
    assert (await sh(box, "tail -c 3 sparse; stat -c ' %s' sparse; du -k sparse")).split()[:2] == [
        "end",
        "3221225475",
    ]
    assert room.disk() < 4 << 30
    packs = [*(room.folder / "checkpoints").glob("*/packs/*")]
    assert sum(path.stat().st_blocks * 512 for path in packs) < 100_000


async def test_links_and_names_lead_nowhere(room: Room, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the host's")
    box = await room.open()
    await sh(box, f"ln -s {secret} one; ln -s {tmp_path} two; ln -s ../../../../../../etc three; mkdir -p x/..y")
    saved = await box.checkpoint()
    packs = b"".join(path.read_bytes() for path in (room.folder / "checkpoints").glob("*/packs/*"))
    assert b"the host's" not in packs
    await box.restore(saved)
    assert await sh(box, "readlink one three; cat one two/secret 2>/dev/null || echo none") == (
        f"{secret}\n../../../../../../etc\nnone\n"
    )


@pytest.mark.parametrize(
    "line",
    [
        '["d", "..", 493, 0]',
        '["f", "a/b", 420, 0, 0, 0, 0, 0, 0]',
        "[]",
        "{}",
        "[1",
        '["d"]',
        '["u"]',
        '["x", "y"]',
    ],
)
async def test_a_damaged_list_is_refused_and_nothing_is_left(room: Room, line: str) -> None:
    box = await room.open()
    await box.write("f", b"text")
    saved = await box.checkpoint()
    manifest = room.folder / "checkpoints" / saved.id / "manifest"
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([lines[0], line, *lines[1:]]))
    with pytest.raises(SandboxError, match="cannot be brought back"):
        await box.restore(saved)
    assert await sh(box, "cat f") == "text"
    there = [each.name for each in room.folder.iterdir() if each.name.startswith(("bridle", "."))]
    assert there == [box.name]


async def test_a_full_disk_is_said_and_nothing_is_left(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    box = await room.open()
    await box.write("f", b"x" * 100_000)
    monkeypatch.setattr(saver, "LEFT_FREE", 1 << 60)
    with pytest.raises(SandboxError, match="not enough room"):
        await box.checkpoint()
    assert [*(room.folder / "checkpoints").iterdir()] == []
    assert await sh(box, "echo well") == "well\n"


OWNER = """
import asyncio, sys, time
from pathlib import Path
from sandboxes.bubblewrap import saver
from sandboxes.bubblewrap.backend import BubblewrapBackend
from sandboxes.protocol import SandboxSpec

walk = saver.Saver._walk

def slow(self, top, place):
    print("saving", flush=True)
    time.sleep(1000)

async def main():
    box = await BubblewrapBackend(folder=Path(sys.argv[1])).open(SandboxSpec("test-killed"))
    await box.write("work.txt", b"work")
    saver.Saver._walk = slow
    await box.checkpoint("never")

asyncio.run(main())
"""


async def test_an_owner_killed_while_it_saves_leaves_nothing(room: Room, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(room.folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "saving\n"
    process.kill()
    process.wait()
    target = tmp_path / "saved.tar"
    gone = await room.backend.reap(lambda _: target, wanted=lambda _: True)
    assert [(each.run_id, each.saved) for each in gone] == [("test-killed", target)]
    [left] = await room.backend.checkpoints("")
    assert left.label == "left behind"
    assert sorted(each.name for each in (room.folder / "checkpoints").iterdir()) == [left.id]


async def test_a_file_that_cannot_be_opened_at_once_holds_nothing_up(room: Room) -> None:
    box = await room.open()
    await box.write("leased", b"x")
    script = (
        "import fcntl,signal,time; signal.signal(signal.SIGIO, signal.SIG_IGN); f=open('leased','r+');"
        "fcntl.fcntl(f,1024,fcntl.F_WRLCK); open('up','w'); time.sleep(100)"
    )
    await box.start(["python3", "-c", script])
    await sh(box, "while [ ! -e up ]; do sleep 0.02; done")
    async with asyncio.timeout(20):
        with pytest.raises(SandboxError, match="could not be saved"):
            await box.checkpoint()
    assert [*(room.folder / "checkpoints").iterdir()] == []
    assert await sh(box, "echo well") == "well\n"


AS_ANYONE = """
import encodings.ascii, os, stat, sys
from pathlib import Path
from sandboxes.bubblewrap.restorer import Restorer
from sandboxes.bubblewrap.saver import Saver
from sandboxes.bubblewrap.tree import Known

home = Path(sys.argv[1])
if os.geteuid() == 0:
    os.chown(home, 54321, 54321)
    os.setgroups([])
    os.setresgid(54321, 54321, 54321)
    os.setresuid(54321, 54321, 54321)

def modes(top):
    found = {}
    for folder in ("p", "p/shut", "p/shut/in", "p/shut/in/most", "p/blind", "p/blind/f", "p/none"):
        found[folder] = stat.S_IMODE(os.lstat(top / folder).st_mode)
        os.chmod(top / folder, 0o700)
    for folder, mode in reversed(found.items()):
        os.chmod(top / folder, mode)
    return found

files = home / "files"
(files / "p/shut/in/most").mkdir(parents=True)
(files / "p/blind").mkdir()
for name in ("p/shut/f", "p/shut/in/most/g", "p/blind/f", "p/none"):
    (files / name).write_text(name)
closed = {"none": 0, "blind/f": 0o200, "blind": 0o300, "shut/in/most": 0, "shut/in": 0o400, "shut": 0}
for name, mode in closed.items():
    (files / "p" / name).chmod(mode)
before = modes(files)
(home / "saved").mkdir()
saver = Saver(home / "saved", Known(), set())
saver.save(files, ["p"], "one")
assert modes(files) == before
(home / "again/files/p").mkdir(parents=True)
Restorer(home / "saved", None).restore(home / "again/files", ["p"])
assert modes(home / "again/files") == before, modes(home / "again/files")
assert oct(before["p/shut/in"]) == "0o400"
os.chmod(home / "again/files/p/shut", 0o700)
assert (home / "again/files/p/shut/f").read_text() == "p/shut/f"
print("well")
"""


def test_without_root_what_the_agent_closed_is_saved_too(tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="bridle-test-"))
    try:
        done = subprocess.run(
            [sys.executable, "-c", AS_ANYONE, str(folder)],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            check=False,
        )
        assert done.stdout == "well\n", done.stderr
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)


async def test_a_pool_hands_out_what_waits(room: Room) -> None:
    async with Pool(room.backend, 1, run_id="waiting", refill=False) as pool:
        spec = SandboxSpec("asked", limits=Limits(pids=100))
        pool.prepare(spec)
        async with asyncio.timeout(30):
            while not list(room.folder.glob("bridle-waiting-*/first.json")):
                await asyncio.sleep(0.05)
        box = await pool.open(spec)
        room.made.append(box)
        assert box.name.startswith("bridle-waiting-")
        await box.write("f", b"text")
        saved = await box.checkpoint()
        assert saved.run_id == "asked"
        assert await pool.checkpoints("asked") == [saved]
        await box.restore(saved)
        assert await box.read("f") == b"text"
        await pool.drop(saved)
    await box.close()
    assert [*room.folder.glob("bridle-*")] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes control groups here")
async def test_empty_groups_of_the_dead_go_and_used_ones_stay(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    box = await room.open()
    groups = [Path(each) for each in json.loads((room.folder / box.name / "owner.json").read_text())["groups"]]
    assert groups
    name = f"bridle-test-left-{secrets.token_hex(4)}"
    left = [group.with_name(name) for group in groups]
    for each in left:
        each.mkdir()
    monkeypatch.setattr(cgroups, "_NAME", re.compile(f"{name}|{box.name}"))  # no other test's
    await room.backend.reap()
    assert all(each.exists() for each in left), "it may be in use in a moment"
    monkeypatch.setattr(cgroups, "OLD_SECONDS", -10.0)
    await room.backend.reap()
    assert not any(each.exists() for each in left)
    assert all(group.exists() for group in groups)
    assert await sh(box, "echo well") == "well\n"


async def test_another_keeper_s_checkpoints_are_not_touched(room: Room, tmp_path: Path) -> None:
    box = await room.open(keeper=str(tmp_path))
    saved = await box.checkpoint()
    about = room.folder / "checkpoints" / saved.id / "about.json"
    about.write_text(
        about.read_text().replace(f'"bridle.owner.pid": "{os.getpid()}"', '"bridle.owner.pid": "999999"')
    )
    assert await room.backend.reap(keeper=str(tmp_path / "other"), wanted=lambda _: False) == []
    assert await room.backend.checkpoints("") == [saved]
    gone = await room.backend.reap(keeper=str(tmp_path), wanted=lambda _: False)
    assert [(each.name, each.kind) for each in gone] == [(saved.id, "checkpoint")]
    assert await room.backend.checkpoints("") == []


async def test_a_checkpoint_of_another_run_is_not_dropped_by_its_id(room: Room) -> None:
    box = await room.open()
    saved = await box.checkpoint()
    await room.backend.drop(replace(saved, run_id="another"))
    assert await room.backend.checkpoints("") == [saved]
