"""The same fixtures as elsewhere, over every kind of sandbox and its own backend."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio
from conformance.kinds import Kind, Outside, params

from sandboxes.protocol import Limits, Sandbox, SandboxError, SandboxSpec

SMALL = Limits(memory_bytes=512 << 20, cpus=2.0, pids=128)
Open = Callable[..., Awaitable[Sandbox]]


@pytest.fixture(scope="session", params=params())
def kind(request: pytest.FixtureRequest) -> Kind:
    """Every kind of sandbox in turn."""
    chosen: Kind = request.param
    for need in chosen.needs:
        request.getfixturevalue(need)
    return chosen


@pytest.fixture(scope="session")
def image(request: pytest.FixtureRequest, kind: Kind) -> str:
    """The kind's image."""
    return kind.image if kind.image == "host" else str(request.getfixturevalue(kind.image))


@pytest.fixture
def outside(kind: Kind) -> Iterator[Outside]:
    """Does things to sandboxes from outside."""
    hand = kind.outside()
    yield hand
    hand.close()


async def opened(kind: Kind, image: str, **fields: Any) -> Sandbox:
    """A sandbox with small limits."""
    fields.setdefault("limits", SMALL)
    return await kind.make_backend().open(SandboxSpec(f"test-{secrets.token_hex(4)}", image=image, **fields))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box(kind: Kind, image: str) -> AsyncIterator[Sandbox]:
    """One sandbox for all tests of a module that leave it well; they run on the module's loop."""
    sandbox = await opened(kind, image)
    yield sandbox
    await sandbox.close()


@pytest_asyncio.fixture
async def fresh(kind: Kind, image: str) -> AsyncIterator[Open]:
    """Opens sandboxes for tests that break them."""
    made: list[Sandbox] = []

    async def open_one(which: str = image, **fields: Any) -> Sandbox:
        made.append(await opened(kind, which, **fields))
        return made[-1]

    yield open_one
    for sandbox in made:
        with suppress(SandboxError):
            await sandbox.close()
