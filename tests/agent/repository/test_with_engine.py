"""The archives, through a real engine: what it unpacks and hands out again is what was put in."""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker.errors import DockerException

pytestmark = pytest.mark.docker

ODD = ["naïve", "new\nline", " ", '"q', "-n", "n" * 200, "deep/" * 30 + "er", "back\\slash"]


@pytest.fixture
def container() -> Iterator[Any]:
    """A container that never runs, of an image with nothing in it."""
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        pytest.skip(f"NO DOCKER ENGINE: {error}")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        folder = tarfile.TarInfo("workspace")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    name = f"bridle-test-{uuid.uuid4().hex}"
    client.api.import_image_from_data(buffer.getvalue(), repository=name)
    try:
        made = client.containers.create(name, ["none"], network_mode="none")
        try:
            yield made
        finally:
            made.remove(force=True)
    finally:
        client.images.remove(name)
        client.close()


async def test_through_the_engine_and_back(lab: Any, container: Any) -> None:
    for name in ODD:
        lab.write(name, f"content of {name}\n")
    lab.write(b"\xff\xfe", "not text\n")
    lab.take_in()
    container.put_archive("/workspace", lab.archive.read_bytes())
    stream, _ = container.get_archive("/workspace")
    assert not await lab.take_out(b"".join(stream))

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, target in (
            ("a-new.txt", tarfile.REGTYPE, ""),
            ("linked.txt", tarfile.LNKTYPE, "a-new.txt"),
            ("pipe", tarfile.FIFOTYPE, ""),
            ("out", tarfile.SYMTYPE, "/etc"),
            (".git/config", tarfile.REGTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, target, 4 if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(b"new\n"))
    container.put_archive("/workspace", buffer.getvalue())
    stream, _ = container.get_archive("/workspace")
    changes = await lab.take_out(b"".join(stream))
    assert {each.path: changes.content(each.new).read_bytes() for each in changes.changes} == {
        b"a-new.txt": b"new\n",
        b"linked.txt": b"new\n",
        b"out": b"/etc",
    }
    done = lab.deliver(changes)
    assert lab.tree_of(done.commit)[b"\xff\xfe"][1] == b"not text\n"


async def test_folders_belong_to_the_agent(lab: Any, container: Any) -> None:
    container.put_archive("/workspace", lab.archive.read_bytes())
    stream, _ = container.get_archive("/workspace/src")
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        assert {(each.name, each.uid, each.gid) for each in tar} == {
            ("src", 1000, 1000),
            ("src/stats.py", 1000, 1000),
        }
