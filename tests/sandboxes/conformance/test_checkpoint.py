"""A sandbox's file state is saved, gone back to and copied; what is dropped leaves nothing behind."""

from __future__ import annotations

import asyncio
import io
import secrets
import signal
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from conformance.kinds import WITH_A_RUNNER, Kind, Outside

from sandboxes.protocol import (
    LEFT_BEHIND,
    Checkpoint,
    FileError,
    Limits,
    Sandbox,
    SandboxError,
    SandboxLost,
    SandboxSpec,
    WorkspaceArchive,
)

SMALL = Limits(memory_bytes=512 << 20, cpus=2.0, pids=128)


class Room:
    """Opens sandboxes of runs that no other test has, and leaves nothing of them."""

    def __init__(self, kind: Kind, image: str, outside: Outside, keeper: Path) -> None:
        """`keeper` is a folder that keeps other tests from cleaning up after the dead ones of this one."""
        self.kind, self.image, self.outside, self.keeper = kind, image, outside, keeper
        self.backend = kind.make_backend()
        self.prefix = f"test-{secrets.token_hex(4)}"
        self.made: list[Sandbox] = []

    async def open(self, **fields: Any) -> Sandbox:
        spec = SandboxSpec(f"{self.prefix}.w{len(self.made)}", image=self.image, limits=SMALL, **fields)
        self.made.append(await self.backend.open(spec))
        return self.made[-1]

    async def fork(self, box: Sandbox, checkpoint: Checkpoint | None = None) -> Sandbox:
        self.made.append(await box.fork(f"{self.prefix}.w{len(self.made)}", checkpoint))
        return self.made[-1]

    def backend_names(self) -> tuple[str, str]:
        """Where another process finds the backend."""
        return type(self.backend).__module__, type(self.backend).__qualname__

    async def empty(self) -> None:
        for box in self.made:
            await box.close()
        for checkpoint in await self.backend.checkpoints(self.prefix):
            await self.backend.drop(checkpoint)


@pytest_asyncio.fixture
async def room(kind: Kind, image: str, outside: Outside, tmp_path: Path) -> AsyncIterator[Room]:
    made = Room(kind, image, outside, tmp_path)
    yield made
    await made.empty()
    assert outside.left(made.prefix) == []


async def text(box: Sandbox, path: str) -> str:
    return (await box.read(path)).decode()


async def sh(box: Sandbox, command: str) -> str:
    result = await box.exec(["sh", "-c", command], timeout=30)
    assert result.exit_code == 0, result.output.text()
    return result.output.text()


async def test_back_to_what_was_saved(room: Room) -> None:
    box = await room.open(env={"GIVEN": "yes"})
    await box.write("kept.txt", b"first")
    await box.write("/tmp/outside.txt", b"saved too")
    await sh(box, "mkdir d; ln -s kept.txt link; echo x > d/gone-later; chmod 750 d")
    first = await box.checkpoint("before the change")
    await sh(
        box, "echo second > kept.txt; rm -r d link; echo new > new.txt; sleep 1000 </dev/null >/dev/null 2>&1 &"
    )
    name = box.name

    await box.restore(first)

    assert box.name != name
    assert await text(box, "kept.txt") == "first"
    assert await text(box, "/tmp/outside.txt") == "saved too"
    assert (await sh(box, "readlink link; ls -ld d | cut -c1-10; cat d/gone-later")).split() == [
        "kept.txt",
        "drwxr-x---",
        "x",
    ]
    with pytest.raises(FileError, match=r"new\.txt"):
        await box.read("new.txt")
    assert "sleep" not in await sh(box, "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | sed 's/cat .*//'")
    assert (await sh(box, "id -u; echo $GIVEN; grep -c : /proc/net/dev")).split() == [
        "1000",
        "yes",
        "1",
    ]
    assert first.label == "before the change"
    assert first.number == 1


async def test_the_list_is_what_was_made(room: Room) -> None:
    box, other = await room.open(), await room.open()
    made = [await box.checkpoint("one"), await other.checkpoint("other")]
    await sh(box, "head -c 3000000 /dev/urandom > big")
    made.append(await box.checkpoint("three: 日本"))

    assert await room.backend.checkpoints(room.prefix) == made
    assert await room.backend.checkpoints(f"{room.prefix}.w0") == [made[0], made[2]]
    assert [c.number for c in made] == [1, 1, 2]
    assert made[0].size < 1_000_000
    assert 3_000_000 <= made[2].size < 4_000_000

    await room.backend.drop(made[0])
    await room.backend.drop(made[0])
    assert await room.backend.checkpoints(room.prefix) == made[1:]
    with pytest.raises(SandboxError, match="no longer has checkpoint 1"):
        await box.restore(made[0])
    assert await sh(box, "ls") == "big\n"


async def test_a_fork_shares_nothing(room: Room) -> None:
    box = await room.open()
    await box.write("file", b"common")
    saved = await box.checkpoint()
    await box.write("file", b"mine")
    now, then = await room.fork(box), await room.fork(box, saved)
    await now.write("file", await now.read("file") + b" and its own")

    assert [await text(b, "file") for b in (box, now, then)] == ["mine", "mine and its own", "common"]
    assert await room.backend.checkpoints(room.prefix) == [saved]
    await box.close()
    await room.backend.drop(saved)
    assert await text(then, "file") == "common"
    mine = await then.checkpoint("of the fork")
    assert (mine.run_id, mine.number) == (f"{room.prefix}.w2", 1)
    await then.restore(mine)
    assert await text(then, "file") == "common"


async def test_back_and_forth(room: Room) -> None:
    box = await room.open()
    saved = []
    for number in range(3):
        await box.write("n", str(number).encode())
        saved.append(await box.checkpoint())
    for number in (0, 2, 1, 2):
        await box.restore(saved[number])
        assert await text(box, "n") == str(number)
    # The one in the middle is below the state that runs now; dropping it takes nothing from the others.
    await box.restore(saved[1])
    await box.write("n", b"branch")
    saved.append(await box.checkpoint())
    assert saved[-1].number == 4
    await room.backend.drop(saved[1])
    assert await text(box, "n") == "branch"
    await box.restore(saved[3])
    assert await text(box, "n") == "branch"


async def test_calls_under_way_are_lost_and_later_ones_work(room: Room) -> None:
    box = await room.open()
    saved = await box.checkpoint()
    running = asyncio.create_task(box.exec(["sleep", "1000"], timeout=1000))
    await sh(box, "true")
    await box.restore(saved)
    with pytest.raises(SandboxLost, match="checkpoint"):
        await running
    assert await sh(box, "echo well") == "well\n"


async def test_processes_go_on_after_a_checkpoint(room: Room) -> None:
    box = await room.open()
    await sh(box, "(while :; do echo x >> ticks; sleep 0.05; done) </dev/null >/dev/null 2>&1 &")
    await box.checkpoint()
    before = len(await box.read("ticks"))
    await sh(box, f"while [ $(wc -c < ticks) -le {before} ]; do sleep 0.05; done")


async def test_many_at_once_are_done_one_after_the_other(room: Room) -> None:
    box = await room.open()
    made = await asyncio.gather(*(box.checkpoint(str(n)) for n in range(4)), sh(box, "echo x > y"))
    numbers = [c.number for c in made if isinstance(c, Checkpoint)]
    assert sorted(numbers) == [1, 2, 3, 4]


async def test_a_lost_sandbox_comes_back_and_a_closed_one_does_not(room: Room) -> None:
    box = await room.open()
    await box.write("file", b"kept")
    saved = await box.checkpoint()
    room.outside.kill(box)
    with pytest.raises(SandboxLost):
        await box.read("file")
    await box.restore(saved)
    assert await text(box, "file") == "kept"
    await box.close()
    with pytest.raises(SandboxLost, match="closed"):
        await box.restore(saved)


async def test_a_stopped_sandbox_can_be_saved(room: Room) -> None:
    box = await room.open()
    await box.write("file", b"kept")
    await box.stop()
    saved = await box.checkpoint("after the end")
    again = await room.open(checkpoint=saved)
    assert await text(again, "file") == "kept"


async def test_outputs_keep_their_files(room: Room) -> None:
    box = await room.open()

    async def long_output(word: str) -> str:
        result = await box.exec(["sh", "-c", f"for i in 1 2 3 4 5 6 7 8 9; do echo {word}; done"], max_output=20)
        assert result.output.spill is not None
        return result.output.spill

    old = await long_output("before")
    await box.restore(await box.checkpoint())
    new = await long_output("after")
    assert [(await text(box, path)).split()[0] for path in (old, new)] == ["before", "after"]


@WITH_A_RUNNER
async def test_output_of_processes_before_and_after_a_restore_is_kept_apart(room: Room) -> None:
    box = await room.open()
    logs = []
    for text in ("before", "after"):
        number = await box.start(["sh", "-c", f"yes {text} | head -c 1000000"])
        while (part := await box.process_read(number, wait=5)).info.status == "running":
            pass
        assert part.info.log is not None
        assert (await box.read(part.info.log)).startswith(text.encode())
        logs.append(part.info.log)
        if text == "before":
            await box.restore(await box.checkpoint())
    assert (await box.read(logs[0])).startswith(b"before")


async def test_the_archive_is_there_when_the_sandbox_is(room: Room, tmp_path: Path) -> None:
    archive = tmp_path / "base.tar"
    with tarfile.open(archive, "w") as tar:
        info = tarfile.TarInfo("here.txt")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"text"))
    box = await room.open(workspace=WorkspaceArchive(archive))
    assert await sh(box, "cat here.txt; echo >> here.txt; stat -c %u here.txt") == "text1000\n"


async def test_a_checkpoint_outlives_its_process(room: Room) -> None:
    process = _owner(room, f"{room.prefix}.dead", "echo installed > /home/agent/tool", checkpoint=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    await room.backend.reap(keeper=str(room.keeper))
    [saved] = await room.backend.checkpoints(room.prefix)
    assert saved.label == "made by the dead"
    box = await room.open(checkpoint=saved)
    assert await text(box, "/home/agent/tool") == "installed\n"


async def test_a_reaped_sandbox_leaves_its_whole_state(room: Room, tmp_path: Path) -> None:
    box = await room.open()
    saved = await box.checkpoint("one")
    await box.close()
    process = _owner(room, f"{room.prefix}.dead", "echo work > /workspace/w; echo tool > /home/agent/tool")
    process.send_signal(signal.SIGKILL)
    process.wait()
    wanted = f"{room.prefix}.dead"
    await room.backend.reap(
        lambda run_id: tmp_path / "saved.tar" if run_id == wanted else None, keeper=str(room.keeper)
    )
    assert tarfile.is_tarfile(tmp_path / "saved.tar")
    [first, left] = await room.backend.checkpoints(room.prefix)
    assert first == saved
    assert (left.run_id, left.label) == (wanted, LEFT_BEHIND)
    again = await room.open(checkpoint=left)
    assert await sh(again, "cat /workspace/w /home/agent/tool") == "work\ntool\n"


async def test_a_dead_owner_s_checkpoints_go_when_nobody_wants_them(room: Room) -> None:
    mine = await (await room.open()).checkpoint("the living one's")
    process = _owner(room, f"{room.prefix}.dead", "head -c 3000000 /dev/urandom > big", checkpoint=True)
    process.send_signal(signal.SIGKILL)
    process.wait()

    def wanted(run_id: str) -> bool:
        return not run_id.startswith(room.prefix)

    would = await room.backend.reap(keeper=str(room.keeper), wanted=wanted, dry_run=True)
    found = [(each.run_id, each.kind) for each in would if each.run_id.startswith(room.prefix)]
    assert sorted(found) == [(f"{room.prefix}.dead", "checkpoint"), (f"{room.prefix}.dead", "sandbox")]
    gone = [
        each
        for each in await room.backend.reap(keeper=str(room.keeper), wanted=wanted)
        if each.run_id.startswith(room.prefix)
    ]
    assert sorted(each.kind for each in gone) == ["checkpoint", "sandbox"]
    assert next(each.size for each in gone if each.kind == "checkpoint") > 2_900_000
    assert await room.backend.checkpoints(room.prefix) == [mine]


MANY_KINDS = r"""
mkdir -p a/b/c shut; echo x > a/b/c/deep; ln -s ../nowhere a/broken; ln -s / a/root; mkfifo a/pipe
echo one > a/one; ln a/one a/two; touch -d '2001-02-03 04:05:06' a/one
echo in > shut/in; chmod 000 shut; chmod 1770 a/b; chmod 4711 a/b/c/deep
echo odd > "$(printf 'n\342\202\254\001\377 \n.')"
head -c 3000000 /dev/urandom > large; : > empty; sha256sum large > sum
"""
LOOK = """
ls -lanR . ~ 2>/dev/null | awk '/^d/ { $2 = "-" } !/^total/ && $NF != ".."'
readlink a/broken; cat a/b/c/deep n*; sha256sum -c sum
"""


async def test_all_kinds_of_files_come_back(room: Room) -> None:
    box = await room.open()
    await sh(box, MANY_KINDS)
    before = (await box.exec(["sh", "-c", LOOK])).output.text()
    assert all(word in before for word in ("large: OK", "../nowhere", "-rws--x--x", "prw", "drwxrwx--T", "odd"))
    saved = await box.checkpoint()
    await sh(box, "chmod 700 shut; rm -rf a shut large n*; echo changed > empty; mkdir large a")
    await box.restore(saved)
    after = (await box.exec(["sh", "-c", LOOK])).output.text()
    assert after.splitlines() == before.splitlines()
    await sh(box, "echo more >> a/one; cmp a/one a/two; chmod 700 shut; grep in shut/in")


async def test_what_did_not_change_is_not_missed_when_it_does(room: Room) -> None:
    box = await room.open()
    await sh(box, "i=0; while [ $i -lt 300 ]; do echo same-size-$i > f$i; i=$((i+1)); done")
    first = await box.checkpoint()
    # The same sizes, written in place, with the old times put back as far as that goes.
    await sh(box, "touch -r f7 ref; printf S 1<> f7; touch -r ref f7; mv f8 f9; rm f10; echo new > f10")
    second = await box.checkpoint()
    await box.restore(first)
    assert (await sh(box, "cat f7 f8 f9 f10; ls | wc -l")).split() == [
        "same-size-7",
        "same-size-8",
        "same-size-9",
        "same-size-10",
        "300",
    ]
    third = await box.checkpoint()
    await room.backend.drop(first)
    await box.restore(second)
    assert (await sh(box, "cat f7 f9 f10; ls f8 2>/dev/null || echo gone")).split() == [
        "Same-size-7",
        "same-size-8",
        "new",
        "gone",
    ]
    await room.backend.drop(second)
    await box.restore(third)
    assert await sh(box, "cat f7 f299") == "same-size-7\nsame-size-299\n"


async def test_nothing_is_half_written(room: Room) -> None:
    box = await room.open()
    script = "i=0; while :; do i=$((i+1)); echo $i > one; echo $i > two; echo $i >> y; done"
    await sh(box, f"( {script} ) </dev/null >/dev/null 2>&1 & sleep 0.2")
    for _ in range(3):
        saved = await box.checkpoint()
        then = await room.fork(box, saved)
        one, two = (await sh(then, "cat one; echo /; cat two")).split("/")
        # Between two steps of the writer: both are written, or one is a step ahead or empty.
        if one.strip() and two.strip():
            assert int(one) - int(two) in (0, 1)
        await then.close()
    before = await text(box, "y")
    async with asyncio.timeout(30):
        while await text(box, "y") == before:
            await asyncio.sleep(0.05)


async def test_adopted(room: Room) -> None:
    box = await room.open()
    box.adopt(f"{room.prefix}.other")
    saved = await box.checkpoint("as another's")
    assert saved.run_id == f"{room.prefix}.other"
    assert await room.backend.checkpoints(f"{room.prefix}.other") == [saved]
    again = await room.open(checkpoint=saved)
    assert (await again.checkpoint()).run_id != saved.run_id


@pytest.mark.parametrize("id_", ["", "--all", "..", "../../etc", "a/b", "sha256:" + "0" * 64, "x" * 300, "."])
async def test_what_is_no_checkpoint_is_refused(room: Room, id_: str) -> None:
    box = await room.open()
    wrong = Checkpoint(id_, room.prefix, 1, "", 0.0, 0)
    with pytest.raises(SandboxError, match=r"no longer has|is no checkpoint"):
        await box.restore(wrong)
    with pytest.raises(SandboxError, match=r"no longer has|is no checkpoint"):
        await room.open(checkpoint=wrong)
    assert await sh(box, "echo well") == "well\n"


OWNER = """
import asyncio, importlib, sys
from sandboxes.protocol import SandboxSpec

async def main():
    Backend = getattr(importlib.import_module(sys.argv[4]), sys.argv[5])
    box = await Backend().open(SandboxSpec(sys.argv[1], image=sys.argv[2], keeper=sys.argv[7]))
    await box.exec(["sh", "-c", sys.argv[3]])
    if sys.argv[6] == "True":
        await box.checkpoint("made by the dead")
    print("ready", flush=True)
    await box.exec(["sleep", "1000"], timeout=1000)

asyncio.run(main())
"""


def _owner(room: Room, run_id: str, command: str, *, checkpoint: bool = False) -> subprocess.Popen[str]:
    """Another process with a sandbox in which the command has run."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            OWNER,
            run_id,
            room.image,
            command,
            *room.backend_names(),
            str(checkpoint),
            str(room.keeper),
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process
