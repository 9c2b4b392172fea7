"""Sandboxes for tests: real containers, over the host image and over one that has nothing but busybox."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import docker
import docker.errors
import docker.utils
import pytest
import pytest_asyncio
from support import images

from sandboxes.docker.backend import DockerBackend
from sandboxes.protocol import Limits, Sandbox, SandboxSpec

pytest.register_assert_rewrite("support.escape")

SMALL = Limits(memory_bytes=512 << 20, cpus=2.0, pids=128)
Open = Callable[..., Awaitable[Sandbox]]


@pytest.fixture(scope="session")
def client(engine: None) -> Iterator[Any]:
    """The Docker SDK's low-level client, to look at sandboxes from outside."""
    sdk = docker.APIClient(**docker.utils.kwargs_from_env(), version="auto", timeout=60)
    yield sdk
    sdk.close()


@pytest.fixture(scope="session")
def busybox_image(client: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of an image with busybox, its links, and nothing else."""
    yield from images.busybox(client, tmp_path_factory.mktemp("busybox"))


@pytest.fixture(scope="session")
def debian_image(client: Any) -> Iterator[str]:
    """The name of an image of a small Debian with Python, bash and git."""
    yield from images.debian(client)


@pytest.fixture(scope="session")
def no_python_image(client: Any, debian_image: str) -> Iterator[str]:
    """The name of the same image after its Python was removed."""
    yield from images.without_python(client, debian_image)


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
