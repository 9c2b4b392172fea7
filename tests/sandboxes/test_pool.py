"""Sandboxes that wait are handed out alive and clean, and none is left when their owner goes."""

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

from sandboxes.docker.backend import DockerBackend
from sandboxes.ownership import RUN_LABEL
from sandboxes.pool import MAX_KINDS, Pool
from sandboxes.protocol import Limits, Sandbox, SandboxSpec, SandboxUnavailable, WorkspaceArchive

pytestmark = pytest.mark.docker
SMALL = Limits(memory_bytes=512 << 20, cpus=2.0, pids=128)
PATIENCE = 60.0


class Yard:
    """A pool of a test's own, and what the engine has of it."""

    def __init__(self, client: Any) -> None:
        self.client, self.run_id = client, f"test-pool-{secrets.token_hex(4)}"
        self.pool = Pool(DockerBackend(), 2, run_id=self.run_id)
        self.out: list[Sandbox] = []

    async def open(self, image: str = "host", **fields: Any) -> Sandbox:
        spec = SandboxSpec(f"{self.run_id}-taken{len(self.out)}", image=image, limits=SMALL, **fields)
        self.out.append(await self.pool.open(spec))
        return self.out[-1]

    def there(self) -> list[str]:
        """The names of the pool's running containers, handed out or waiting."""
        found = self.client.containers(filters={"label": f"{RUN_LABEL}={self.run_id}"})
        return [str(each["Names"][0]).lstrip("/") for each in found]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.there()) != count:
                await asyncio.sleep(0.05)


@pytest_asyncio.fixture
async def yard(client: Any) -> AsyncIterator[Yard]:
    made = Yard(client)
    yield made
    await made.pool.close()
    for sandbox in made.out:
        await sandbox.close()
    assert client.containers(all=True, filters={"label": f"{RUN_LABEL}={made.run_id}"}) == []


async def test_what_waits_is_handed_out_and_replaced(yard: Yard, image: str, tmp_path: Path) -> None:
    archive = tmp_path / "base.tar"
    with tarfile.open(archive, "w") as tar:
        info = tarfile.TarInfo("here.txt")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"text"))
    cold = await yard.open(image, env={"GIVEN": "yes"})
    assert cold.name not in yard.there()
    await yard.until(2)
    waiting = yard.there()

    warm = await yard.open(image, env={"GIVEN": "yes"}, workspace=WorkspaceArchive(archive))

    assert warm.name in waiting
    result = await warm.exec(["sh", "-c", "cat here.txt; echo >> here.txt; echo $GIVEN; id -u"])
    assert result.output.text().split() == ["text", "yes", "1000"] or result.output.text() == "textyes\n1000\n"
    await yard.until(3)
    saved = await warm.checkpoint()
    assert saved.run_id == f"{yard.run_id}-taken1"
    await yard.pool.drop(saved)


async def test_another_kind_is_another_sandbox(yard: Yard) -> None:
    await yard.open(env={"KIND": "one"})
    await yard.until(2)
    waiting = yard.there()
    other = await yard.open(env={"KIND": "other"})
    assert other.name not in waiting
    assert (await other.exec(["sh", "-c", "echo $KIND"])).output.text() == "other\n"


async def test_one_that_died_while_it_waited_is_not_handed_out(yard: Yard, client: Any) -> None:
    await yard.open()
    await yard.until(2)
    dead = yard.there()
    for name in dead:
        client.kill(name)
    sandbox = await yard.open()
    assert sandbox.name not in dead
    assert (await sandbox.exec(["true"])).exit_code == 0


async def test_many_ask_at_once_and_each_gets_its_own(yard: Yard) -> None:
    yard.pool.prepare(SandboxSpec("any", limits=SMALL))
    taken = await asyncio.gather(*(yard.open() for _ in range(4)))
    assert len({sandbox.name for sandbox in taken}) == 4
    for number, sandbox in enumerate(taken):
        await sandbox.write("mine", str(number).encode())
    assert [await sandbox.read("mine") for sandbox in taken] == [b"0", b"1", b"2", b"3"]


async def test_kinds_are_bounded(yard: Yard) -> None:
    for number in range(MAX_KINDS + 1):
        yard.pool.prepare(SandboxSpec("any", limits=SMALL, env={"N": str(number)}))
    await yard.until(MAX_KINDS * 2)


async def test_closing_leaves_nothing_but_what_was_handed_out(yard: Yard) -> None:
    kept = await yard.open()
    yard.pool.prepare(SandboxSpec("any", limits=SMALL, env={"ON": "its way"}))
    await yard.pool.close()
    await yard.pool.close()
    await yard.until(0)
    assert (await kept.exec(["true"])).exit_code == 0
    late = await yard.open()
    assert (await late.exec(["true"])).exit_code == 0
    await yard.until(0)


async def test_who_gives_up_waiting_leaves_nothing(yard: Yard) -> None:
    yard.pool.prepare(SandboxSpec("any", limits=SMALL))
    asking = asyncio.create_task(yard.open())
    await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await (await yard.open()).exec(["true"])).exit_code == 0


async def test_what_cannot_be_opened_says_so_to_who_asks(yard: Yard) -> None:
    yard.pool.prepare(SandboxSpec("any", image="no-such-image-anywhere:1"))
    with pytest.raises(SandboxUnavailable, match="no-such-image-anywhere"):
        await yard.open("no-such-image-anywhere:1")


async def test_a_checkpoint_is_begun_with_whatever_waits(yard: Yard) -> None:
    first = await yard.open()
    await first.write("file", b"saved")
    saved = await first.checkpoint()
    await yard.until(2)
    waiting = yard.there()
    again = await yard.open(checkpoint=saved)
    assert again.name not in waiting
    assert await again.read("file") == b"saved"
    await again.close()
    await yard.pool.drop(saved)


async def test_the_pool_of_a_dead_owner_is_removed_unsaved(yard: Yard, client: Any, tmp_path: Path) -> None:
    script = """
import asyncio, sys
from sandboxes.docker.backend import DockerBackend
from sandboxes.pool import Pool
from sandboxes.protocol import SandboxSpec

async def main():
    pool = Pool(DockerBackend(), 2, run_id=sys.argv[1])
    taken = await pool.open(SandboxSpec("a-session.w0", keeper=sys.argv[2]))
    pool.prepare(SandboxSpec("x", keeper=sys.argv[2]))
    while len(pool._shelves[0].waiting) < 2 or not all(task.done() for task in pool._shelves[0].waiting):
        await asyncio.sleep(0.05)
    taken = await pool.open(SandboxSpec("a-session.w0", keeper=sys.argv[2]))
    print("ready", flush=True)
    await taken.exec(["sleep", "1000"], timeout=1000)

asyncio.run(main())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, yard.run_id, str(tmp_path)],  # a keeper, so that nobody else takes them
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    asked: list[str] = []

    def save_to(run_id: str) -> None:
        asked.append(run_id)

    await DockerBackend().reap(save_to, keeper=str(tmp_path))
    assert yard.run_id in asked
    assert client.containers(all=True, filters={"label": f"{RUN_LABEL}={yard.run_id}"}) == []
