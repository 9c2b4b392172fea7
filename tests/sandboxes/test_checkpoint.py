"""A sandbox's file state is saved, gone back to and copied; what is dropped leaves nothing behind."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import secrets
import signal
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sandboxes.docker.backend import DockerBackend
from sandboxes.docker.checkpoints import MAX_LAYERS
from sandboxes.ownership import CHECKPOINT_LABEL, RUN_LABEL
from sandboxes.protocol import (
    Checkpoint,
    FileError,
    Limits,
    Sandbox,
    SandboxError,
    SandboxLost,
    SandboxSpec,
    WorkspaceArchive,
)

pytestmark = pytest.mark.docker
SMALL = Limits(memory_bytes=512 << 20, cpus=2.0, pids=128)


class Room:
    """Opens sandboxes of runs that no other test has, and leaves nothing of them."""

    def __init__(self, client: Any) -> None:
        self.backend, self.client = DockerBackend(), client
        self.prefix = f"test-{secrets.token_hex(4)}"
        self.made: list[Sandbox] = []

    async def open(self, image: str, **fields: Any) -> Sandbox:
        spec = SandboxSpec(f"{self.prefix}.w{len(self.made)}", image=image, limits=SMALL, **fields)
        self.made.append(await self.backend.open(spec))
        return self.made[-1]

    async def fork(self, box: Sandbox, checkpoint: Checkpoint | None = None) -> Sandbox:
        self.made.append(await box.fork(f"{self.prefix}.w{len(self.made)}", checkpoint))
        return self.made[-1]

    def left(self) -> list[str]:
        """Containers and images of these runs that the engine still has."""
        wanted = {"label": RUN_LABEL}
        things = [*self.client.containers(all=True, filters=wanted), *self.client.images(all=True, filters=wanted)]
        return [str(t["Id"]) for t in things if t["Labels"][RUN_LABEL].startswith(self.prefix)]

    async def empty(self) -> None:
        for box in self.made:
            await box.close()
        for checkpoint in await self.backend.checkpoints(self.prefix):
            await self.backend.drop(checkpoint)


@pytest_asyncio.fixture
async def room(client: Any) -> AsyncIterator[Room]:
    made = Room(client)
    yield made
    await made.empty()
    assert made.left() == []


async def text(box: Sandbox, path: str) -> str:
    return (await box.read(path)).decode()


async def sh(box: Sandbox, command: str) -> str:
    result = await box.exec(["sh", "-c", command], timeout=30)
    assert result.exit_code == 0, result.output.text()
    return result.output.text()


async def test_back_to_what_was_saved(room: Room, image: str) -> None:
    box = await room.open(image, env={"GIVEN": "yes"})
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
    assert (await sh(box, "id -u; echo $GIVEN; cat /sys/class/net/*/operstate | wc -l")).split() == [
        "1000",
        "yes",
        "1",
    ]
    assert first.label == "before the change"
    assert first.number == 1


async def test_the_list_is_what_was_made(room: Room, image: str) -> None:
    box, other = await room.open(image), await room.open(image)
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


async def test_a_fork_shares_nothing(room: Room, image: str) -> None:
    box = await room.open(image)
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
    box = await room.open("host")
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


async def test_calls_under_way_are_lost_and_later_ones_work(room: Room, image: str) -> None:
    box = await room.open(image)
    saved = await box.checkpoint()
    running = asyncio.create_task(box.exec(["sleep", "1000"], timeout=1000))
    await sh(box, "true")
    await box.restore(saved)
    with pytest.raises(SandboxLost, match="checkpoint"):
        await running
    assert await sh(box, "echo well") == "well\n"


async def test_processes_go_on_after_a_checkpoint(room: Room, image: str) -> None:
    box = await room.open(image)
    await sh(box, "(while :; do echo x >> ticks; sleep 0.05; done) </dev/null >/dev/null 2>&1 &")
    await box.checkpoint()
    before = len(await box.read("ticks"))
    await sh(box, f"while [ $(wc -c < ticks) -le {before} ]; do sleep 0.05; done")


async def test_many_at_once_are_done_one_after_the_other(room: Room) -> None:
    box = await room.open("host")
    made = await asyncio.gather(*(box.checkpoint(str(n)) for n in range(4)), sh(box, "echo x > y"))
    numbers = [c.number for c in made if isinstance(c, Checkpoint)]
    assert sorted(numbers) == [1, 2, 3, 4]


async def test_a_lost_sandbox_comes_back_and_a_closed_one_does_not(room: Room) -> None:
    box = await room.open("host")
    await box.write("file", b"kept")
    saved = await box.checkpoint()
    room.client.kill(box.name)
    with pytest.raises(SandboxLost):
        await box.read("file")
    await box.restore(saved)
    assert await text(box, "file") == "kept"
    await box.close()
    with pytest.raises(SandboxLost, match="closed"):
        await box.restore(saved)


async def test_a_stopped_sandbox_can_be_saved(room: Room) -> None:
    box = await room.open("host")
    await box.write("file", b"kept")
    await box.stop()
    saved = await box.checkpoint("after the end")
    again = await room.open("host", checkpoint=saved)
    assert await text(again, "file") == "kept"


async def test_a_checkpoint_outlives_its_process(room: Room, image: str) -> None:
    script = """
import asyncio, sys
from sandboxes.docker.backend import DockerBackend
from sandboxes.protocol import SandboxSpec

async def main():
    box = await DockerBackend().open(SandboxSpec(sys.argv[1], image=sys.argv[2]))
    await box.exec(["sh", "-c", "echo installed > /home/agent/tool"])
    await box.checkpoint("made by the dead")
    print("ready", flush=True)
    await box.exec(["sleep", "1000"], timeout=1000)

asyncio.run(main())
"""
    run_id = f"{room.prefix}.dead"
    process = subprocess.Popen(
        [sys.executable, "-c", script, run_id, image],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    await room.backend.reap()
    [saved] = await room.backend.checkpoints(room.prefix)
    assert saved.label == "made by the dead"
    box = await room.open(image, checkpoint=saved)
    assert await text(box, "/home/agent/tool") == "installed\n"


async def test_outputs_keep_their_files(room: Room, image: str) -> None:
    box = await room.open(image)

    async def long_output(word: str) -> str:
        result = await box.exec(["sh", "-c", f"for i in 1 2 3 4 5 6 7 8 9; do echo {word}; done"], max_output=20)
        assert result.output.spill is not None
        return result.output.spill

    old = await long_output("before")
    await box.restore(await box.checkpoint())
    new = await long_output("after")
    assert [(await text(box, path)).split()[0] for path in (old, new)] == ["before", "after"]


async def test_the_archive_is_there_when_the_sandbox_is(room: Room, image: str, tmp_path: Path) -> None:
    archive = tmp_path / "base.tar"
    with tarfile.open(archive, "w") as tar:
        info = tarfile.TarInfo("here.txt")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"text"))
    box = await room.open(image, workspace=WorkspaceArchive(archive))
    assert await sh(box, "cat here.txt; echo >> here.txt; stat -c %u here.txt") == "text1000\n"


async def test_what_is_no_checkpoint_is_refused(room: Room, busybox_image: str) -> None:
    box = await room.open("host")
    real = str(room.client.inspect_image(busybox_image)["Id"])
    for id_ in ("", "--all", busybox_image, "sha256:" + "0" * 64, real):
        with pytest.raises(SandboxError, match=r"no longer has|is no checkpoint"):
            await box.restore(Checkpoint(id_, room.prefix, 1, "", 0.0, 0))
        if id_ != real:
            continue
        await room.backend.drop(Checkpoint(id_, room.prefix, 1, "", 0.0, 0))
        assert room.client.inspect_image(busybox_image)["Id"] == real
    assert await sh(box, "echo well") == "well\n"


@pytest.fixture
def deep_image(client: Any, busybox_image: str) -> Iterator[str]:
    """The busybox image with as many layers on top as a long chain of checkpoints would have."""
    saved = io.BytesIO(b"".join(client.get_image(busybox_image)))
    with tarfile.open(fileobj=saved) as tar:

        def member(name: str) -> bytes:
            file = tar.extractfile(name)
            assert file is not None
            return file.read()

        manifest = json.loads(member("manifest.json"))[0]
        config = json.loads(member(manifest["Config"]))
        layers = [member(name) for name in manifest["Layers"]]
    for number in range(MAX_LAYERS):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            info = tarfile.TarInfo(f"layer-{number}")
            tar.addfile(info)
        layers.append(out.getvalue())
    config["rootfs"]["diff_ids"] = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    config.pop("history", None)
    tag = f"bridle-test-deep-{secrets.token_hex(4)}:1"
    files = {"config.json": json.dumps(config).encode()} | {f"{n}.tar": layer for n, layer in enumerate(layers)}
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": [f"{n}.tar" for n in range(len(layers))]}]
    files["manifest.json"] = json.dumps(manifest).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    client.load_image(out.getvalue())
    yield tag
    client.remove_image(tag, force=True)


async def test_a_long_chain_becomes_one_layer(room: Room, deep_image: str) -> None:
    box = await room.open(deep_image)
    await sh(box, "echo x > file; chmod 700 file; echo $KEPT > kept")
    saved = await box.checkpoint()
    layers = room.client.inspect_image(saved.id)["RootFS"]["Layers"]
    assert len(layers) <= 2
    await box.restore(saved)
    assert await sh(box, "cat file kept; echo $KEPT; stat -c '%a %u' file; ls /layer-0") == (
        "x\nyes\nyes\n700 1000\n/layer-0\n"
    )
    assert (await box.checkpoint()).number == 2
    assert room.client.inspect_image(saved.id)["Config"]["Labels"][CHECKPOINT_LABEL] == "1"


async def test_output_of_processes_before_and_after_a_restore_is_kept_apart(room: Room) -> None:
    box = await room.open("host")
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
