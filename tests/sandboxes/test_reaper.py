"""What dead owners leave is saved and removed; what belongs to the living is not touched."""

from __future__ import annotations

import asyncio
import secrets
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandboxes.docker_backend import DockerBackend
from sandboxes.protocol import SandboxError

pytestmark = pytest.mark.docker

OWNER = """
import asyncio, sys
from sandboxes.docker_backend import DockerBackend
from sandboxes.protocol import SandboxSpec

async def main():
    box = await DockerBackend().open(SandboxSpec(sys.argv[1], image=sys.argv[2]))
    await box.write("work.txt", sys.argv[1].encode())
    print("ready", flush=True)
    await box.exec(["sleep", "1000"], timeout=1000)

asyncio.run(main())
"""


class Owner:
    """A real process with a sandbox."""

    def __init__(self, image: str) -> None:
        self.run_id = f"test-owner-{secrets.token_hex(4)}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, self.run_id, image],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def owners(client: Any) -> Iterator[Any]:
    made: list[Owner] = []

    def make(image: str) -> Owner:
        made.append(Owner(image))
        return made[-1]

    yield make
    for owner in made:
        owner.kill()
        for container in containers(client, owner):
            client.remove_container(container["Id"], force=True)


def containers(client: Any, owner: Owner) -> list[dict[str, Any]]:
    return list(client.containers(all=True, filters={"label": f"bridle.run={owner.run_id}"}))


async def test_the_dead_ones_work_is_saved_the_living_one_is_left(
    owners: Any, client: Any, image: str, tmp_path: Path
) -> None:
    dead, living = owners(image), owners(image)
    dead.kill()

    def save_to(run_id: str) -> Path | None:
        return tmp_path / "saved" / f"{run_id}.tar" if run_id == dead.run_id else None

    gone = await DockerBackend().reap(save_to)
    mine = [r for r in gone if r.run_id == dead.run_id]
    assert [r.saved for r in mine] == [tmp_path / "saved" / f"{dead.run_id}.tar"]
    assert living.run_id not in [r.run_id for r in gone]
    assert not containers(client, dead)
    assert [c["State"] for c in containers(client, living)] == ["running"]
    with tarfile.open(tmp_path / "saved" / f"{dead.run_id}.tar") as tar:
        file = tar.extractfile("workspace/work.txt")
        assert file is not None
        assert file.read() == dead.run_id.encode()
    assert [p.name for p in (tmp_path / "saved").iterdir()] == [f"{dead.run_id}.tar"]


async def test_a_container_stops_with_its_owner(owners: Any, client: Any, image: str) -> None:
    owner = owners(image)
    owner.kill()
    end = time.monotonic() + 20
    while containers(client, owner)[0]["State"] == "running":
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


async def test_unwanted_work_is_dropped(owners: Any, client: Any) -> None:
    owner = owners("host")
    owner.kill()
    gone = await DockerBackend().reap()
    assert [(r.saved) for r in gone if r.run_id == owner.run_id] == [None]
    assert not containers(client, owner)


async def test_several_reapers_at_once(owners: Any, client: Any, tmp_path: Path) -> None:
    dead = [owners("host") for _ in range(2)]
    for owner in dead:
        owner.kill()
    ids = {owner.run_id for owner in dead}
    results = await asyncio.gather(
        *(
            DockerBackend().reap(lambda run_id: tmp_path / f"{run_id}.tar" if run_id in ids else None)
            for _ in range(4)
        )
    )
    removed = [r.run_id for gone in results for r in gone if r.run_id in ids]
    assert sorted(removed) == sorted(ids)
    for owner in dead:
        with tarfile.open(tmp_path / f"{owner.run_id}.tar") as tar:
            assert "workspace/work.txt" in tar.getnames()
    assert len(list(tmp_path.iterdir())) == 2


async def test_work_that_cannot_be_saved_is_not_thrown_away(owners: Any, client: Any, tmp_path: Path) -> None:
    owner = owners("host")
    owner.kill()
    (tmp_path / "file").write_text("in the way")

    def save_to(run_id: str) -> Path | None:
        return tmp_path / "file" / "below.tar" if run_id == owner.run_id else None

    with pytest.raises(SandboxError, match="could not be saved"):
        await DockerBackend().reap(save_to)
    assert containers(client, owner)


async def test_labels_that_tell_nothing_are_left_alone(client: Any, busybox_image: str) -> None:
    labels = {"bridle.run": "test-strange", "bridle.owner.pid": "x"}
    container = client.create_container(busybox_image, ["true"], labels=labels)["Id"]
    try:
        assert "test-strange" not in [r.run_id for r in await DockerBackend().reap()]
        assert client.inspect_container(container)
    finally:
        client.remove_container(container, force=True)
