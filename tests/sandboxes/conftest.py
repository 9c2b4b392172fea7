"""Sandboxes for tests: real containers, over the host image and over one that has nothing but busybox."""

from __future__ import annotations

import io
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.utils
import pytest
import pytest_asyncio

from sandboxes.docker_backend import DockerBackend
from sandboxes.protocol import Limits, Sandbox, SandboxSpec

SMALL = Limits(memory_bytes=512 << 20, cpus=2.0, pids=128)
Open = Callable[..., Awaitable[Sandbox]]


def busybox_file(folder: Path) -> Path:
    """A static busybox: the host's, or the one of Debian's package, which is fetched but not installed."""
    for name in ("/bin/busybox", "/usr/bin/busybox"):
        if (
            Path(name).is_file()
            and b"dynamic" not in subprocess.run(["ldd", name], capture_output=True, check=False).stdout
        ):
            return Path(name)
    if shutil.which("apt-get"):
        subprocess.run(
            ["apt-get", "download", "busybox-static"], cwd=folder, capture_output=True, timeout=120, check=False
        )
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
    found = list(folder.glob("**/bin/busybox"))
    if not found:
        pytest.skip("NO STATIC BUSYBOX: `apt-get install busybox-static`, or nothing is proved without Python")
    return found[0]


@pytest.fixture(scope="session")
def client(engine: None) -> Iterator[Any]:
    """The Docker SDK's low-level client, to look at sandboxes from outside."""
    sdk = docker.APIClient(**docker.utils.kwargs_from_env(), version="auto", timeout=60)
    yield sdk
    sdk.close()


@pytest.fixture(scope="session")
def busybox_image(client: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The id of an image with busybox, its links, and nothing else."""
    program = busybox_file(tmp_path_factory.mktemp("busybox"))
    names = subprocess.run([str(program), "--list"], capture_output=True, text=True, check=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.add(program, "bin/busybox")
        for name in names:
            if name != "busybox":
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
    tag = f"bridle-test-{secrets.token_hex(4)}"
    changes = ["ENV PATH=/bin", "ENV KEPT=yes"]
    client.import_image_from_data(out.getvalue(), repository=tag, tag="1", changes=changes)
    yield f"{tag}:1"
    client.remove_image(f"{tag}:1", force=True)


@pytest.fixture(scope="session", params=["host", "busybox"])
def image(request: pytest.FixtureRequest) -> str:
    """Every kind of image in turn."""
    if request.param == "host":
        return "host"
    return str(request.getfixturevalue("busybox_image"))


async def opened(image: str, **fields: Any) -> Sandbox:
    """A sandbox with small limits."""
    fields.setdefault("limits", SMALL)
    return await DockerBackend().open(SandboxSpec(f"test-{secrets.token_hex(4)}", image=image, **fields))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box(engine: None, image: str) -> AsyncIterator[Sandbox]:
    """One sandbox for all tests of a module that leave it well; they run on the module's loop."""
    sandbox = await opened(image)
    yield sandbox
    await sandbox.close()


@pytest_asyncio.fixture
async def fresh(engine: None) -> AsyncIterator[Open]:
    """Opens sandboxes for tests that break them."""
    made: list[Sandbox] = []

    async def open_one(image: str, **fields: Any) -> Sandbox:
        made.append(await opened(image, **fields))
        return made[-1]

    yield open_one
    for sandbox in made:
        with suppress(docker.errors.NotFound):
            await sandbox.close()
