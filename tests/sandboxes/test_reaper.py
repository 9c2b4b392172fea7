"""What dead owners leave is saved and removed; what belongs to the living is not touched.

Other tests and commands reap on the same engine meanwhile. So everything here has a keeper of the test's own, a
folder that exists: for anyone else it is not theirs to take.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker.errors
import pytest

from sandboxes.docker.backend import DockerBackend
from sandboxes.protocol import SandboxError

pytestmark = pytest.mark.docker

OWNER = """
import asyncio, sys
from sandboxes.docker.backend import DockerBackend
from sandboxes.protocol import SandboxSpec

async def main():
    box = await DockerBackend().open(SandboxSpec(sys.argv[1], image=sys.argv[2], keeper=sys.argv[3]))
    await box.write("work.txt", sys.argv[1].encode())
    print("ready", flush=True)
    await box.exec(["sleep", "1000"], timeout=1000)

asyncio.run(main())
"""


class Owner:
    """A real process with a sandbox."""

    def __init__(self, image: str, keeper: str = "") -> None:
        self.run_id = f"test-owner-{secrets.token_hex(4)}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, self.run_id, image, keeper],
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
def keeper(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("keeper"))


@pytest.fixture
def owners(client: Any, keeper: str) -> Iterator[Any]:
    made: list[Owner] = []

    def make(image: str, keeper: str = keeper) -> Owner:
        made.append(Owner(image, keeper))
        return made[-1]

    yield make
    for owner in made:
        owner.kill()
        for container in containers(client, owner):
            client.remove_container(container["Id"], force=True)
        for number in images(client, owner):
            with contextlib.suppress(docker.errors.ImageNotFound):  # it went with another one
                client.remove_image(number, force=True)


def containers(client: Any, owner: Owner) -> list[dict[str, Any]]:
    return list(client.containers(all=True, filters={"label": f"bridle.run={owner.run_id}"}))


def images(client: Any, owner: Owner) -> list[str]:
    found = client.images(filters={"label": f"bridle.run={owner.run_id}"})
    return [image["Id"] for image in sorted(found, key=lambda image: -int(image["Created"]))]


def save_files(client: Any, owner: Owner) -> str:
    """An image of the owner's container, as a checkpoint is; the container's labels go with it."""
    client.commit(containers(client, owner)[0]["Id"], repository="bridle-test", tag=owner.run_id)
    return f"bridle-test:{owner.run_id}"


async def test_the_dead_ones_work_is_saved_the_living_one_is_left(
    owners: Any, client: Any, image: str, tmp_path: Path, keeper: str
) -> None:
    dead, living = owners(image), owners(image)
    dead.kill()

    def save_to(run_id: str) -> Path | None:
        return tmp_path / "saved" / f"{run_id}.tar" if run_id == dead.run_id else None

    gone = await DockerBackend().reap(save_to, keeper=keeper)
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


async def test_unwanted_work_is_dropped(owners: Any, client: Any, keeper: str) -> None:
    owner = owners("host")
    owner.kill()
    gone = await DockerBackend().reap(keeper=keeper)
    assert [(r.saved) for r in gone if r.run_id == owner.run_id] == [None]
    assert not containers(client, owner)


async def test_several_reapers_at_once(owners: Any, client: Any, tmp_path: Path, keeper: str) -> None:
    dead = [owners("host") for _ in range(2)]
    for owner in dead:
        owner.kill()
    ids = {owner.run_id for owner in dead}
    results = await asyncio.gather(
        *(
            DockerBackend().reap(
                lambda run_id: tmp_path / f"{run_id}.tar" if run_id in ids else None, keeper=keeper
            )
            for _ in range(4)
        )
    )
    removed = [r.run_id for gone in results for r in gone if r.run_id in ids]
    assert sorted(removed) == sorted(ids)
    for owner in dead:
        with tarfile.open(tmp_path / f"{owner.run_id}.tar") as tar:
            assert "workspace/work.txt" in tar.getnames()
    assert len(list(tmp_path.iterdir())) == 2


async def test_work_that_cannot_be_saved_is_not_thrown_away(
    owners: Any, client: Any, tmp_path: Path, keeper: str
) -> None:
    owner = owners("host")
    owner.kill()
    (tmp_path / "file").write_text("in the way")

    def save_to(run_id: str) -> Path | None:
        return tmp_path / "file" / "below.tar" if run_id == owner.run_id else None

    with pytest.raises(SandboxError, match="could not be saved"):
        await DockerBackend().reap(save_to, keeper=keeper)
    assert containers(client, owner)


async def test_labels_that_tell_nothing_are_left_alone(client: Any, busybox_image: str, keeper: str) -> None:
    labels = {"bridle.run": "test-strange", "bridle.owner.pid": "x"}
    container = client.create_container(busybox_image, ["true"], labels=labels)["Id"]
    try:
        assert "test-strange" not in [r.run_id for r in await DockerBackend().reap(keeper=keeper)]
        assert client.inspect_container(container)
    finally:
        client.remove_container(container, force=True)


async def test_images_of_the_dead_are_removed_unless_they_are_wanted(
    owners: Any, client: Any, keeper: str
) -> None:
    dead, wanted, living = owners("host"), owners("host"), owners("host")
    names = {owner.run_id: save_files(client, owner) for owner in (dead, wanted, living)}
    dead.kill()
    wanted.kill()

    def is_wanted(run_id: str) -> bool:
        return run_id == wanted.run_id

    would = await DockerBackend().reap(keeper=keeper, wanted=is_wanted, dry_run=True)
    assert {r.run_id for r in would} >= {dead.run_id, wanted.run_id}
    assert containers(client, dead)
    assert images(client, dead)

    gone = await DockerBackend().reap(keeper=keeper, wanted=is_wanted)
    mine = {(r.kind, r.run_id): r for r in gone if r.run_id in names}
    assert set(mine) == {("sandbox", dead.run_id), ("sandbox", wanted.run_id), ("checkpoint", dead.run_id)}
    assert mine["checkpoint", dead.run_id].name == names[dead.run_id]
    assert 0 < mine["checkpoint", dead.run_id].size < 1 << 20
    assert [len(images(client, owner)) for owner in (dead, wanted, living)] == [0, 1, 1]
    assert [len(containers(client, owner)) for owner in (dead, wanted, living)] == [0, 0, 1]


def nobody(run_id: str) -> bool:
    return False


async def test_images_of_another_keeper_are_left_to_it_while_its_folder_is_there(
    owners: Any, client: Any, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    dead = owners("host", str(theirs))
    save_files(client, dead)
    dead.kill()
    assert dead.run_id not in [
        r.run_id for r in await DockerBackend().reap(keeper=str(tmp_path / "ours"), wanted=nobody)
    ]
    assert images(client, dead)
    theirs.rmdir()
    await DockerBackend().reap(keeper=str(tmp_path / "ours"), wanted=nobody)
    # Anybody may have taken them by now: it counts that they are gone.
    assert not containers(client, dead)
    assert not images(client, dead)


async def test_an_image_that_a_living_sandbox_stands_on_is_left(owners: Any, client: Any, keeper: str) -> None:
    dead = owners("host")
    name = save_files(client, dead)
    dead.kill()
    user = client.create_container(name, ["sh"], labels={"bridle.run": "a-living-one", "bridle.owner.pid": ""})[
        "Id"
    ]
    try:
        gone = await DockerBackend().reap(keeper=keeper, wanted=nobody)
        assert [r.kind for r in gone if r.run_id == dead.run_id] == ["sandbox"]
        assert client.inspect_container(user)["Image"] in images(client, dead)
    finally:
        client.remove_container(user, force=True)
    gone = await DockerBackend().reap(keeper=keeper, wanted=nobody)
    assert [r.kind for r in gone if r.run_id == dead.run_id] == ["checkpoint"]


async def test_a_paused_sandbox_of_the_dead_is_saved_and_removed(
    owners: Any, client: Any, tmp_path: Path, keeper: str
) -> None:
    owner = owners("host")
    client.pause(containers(client, owner)[0]["Id"])
    owner.kill()
    target = tmp_path / "saved.tar"
    gone = await DockerBackend().reap(lambda run_id: target if run_id == owner.run_id else None, keeper=keeper)
    assert [r.saved for r in gone if r.run_id == owner.run_id] == [target]
    assert not containers(client, owner)
