"""The table in docs/security.md: each row is a real attempt to get out of a sandbox, and proof that it failed."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from conformance.kinds import KINDS, Kind
from support.escape import GROUPS
from support.escape.page import with_table
from support.escape.scene import SMALL, Attempt, Scene
from support.lab import own_git

from sandboxes.protocol import Sandbox, SandboxError, SandboxSpec

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
BACKENDS = {"docker": "docker-host", "bubblewrap": "bubblewrap"}
Open = Callable[..., Awaitable[Sandbox]]


def cases() -> list[Any]:
    """Each row on each of its backends."""
    return [
        pytest.param(row, on, id=f"{row.id}-{on}", marks=[getattr(pytest.mark, on)] if on in BACKENDS else [])
        for _, rows in GROUPS
        for row in rows
        for on in row.on
    ]


def kind_of(backend: str) -> Kind:
    """The kind of sandbox for a backend."""
    return next(kind for kind in KINDS if kind.name == BACKENDS[backend])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[dict[str, Sandbox]]:
    """One sandbox for each backend, for attempts that leave it well; made when first asked for."""
    boxes: dict[str, Sandbox] = {}
    yield boxes
    for box in boxes.values():
        await box.close()


@pytest_asyncio.fixture(loop_scope="module")
async def made() -> AsyncIterator[list[Sandbox]]:
    """Sandboxes of one attempt."""
    boxes: list[Sandbox] = []
    yield boxes
    for box in boxes:
        with suppress(SandboxError):
            await box.close()


async def opened(kind: Kind, **fields: Any) -> Sandbox:
    """A sandbox with small limits."""
    fields.setdefault("limits", SMALL)
    return await kind.make_backend().open(SandboxSpec(f"test-{secrets.token_hex(4)}", **fields))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("row", "on"), cases())
async def test_contained(
    row: Attempt,
    on: str,
    request: pytest.FixtureRequest,
    shared: dict[str, Sandbox],
    made: list[Sandbox],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own_git(tmp_path / "gitconfig", monkeypatch)
    folder = tmp_path / "host"
    folder.mkdir()
    if on not in BACKENDS:
        async with asyncio.timeout(row.seconds):
            await row.act(Scene.without_sandbox(folder, secrets.token_hex(16), monkeypatch))
        return
    request.getfixturevalue({"docker": "engine"}.get(on, on))
    kind = kind_of(on)
    if on not in shared:
        shared[on] = await opened(kind)

    async def open_one(**fields: Any) -> Sandbox:
        made.append(await opened(kind, **fields))
        return made[-1]

    outside = kind.outside()
    try:
        scene = Scene(kind.make_backend, shared[on], open_one, outside, folder, secrets.token_hex(16), monkeypatch)
        async with asyncio.timeout(row.seconds):
            await row.act(scene)
            assert await scene.sh("echo well") == "well\n"
    finally:
        outside.close()


SOMEBODY = 54321
"""A user who has nothing."""


DOCTOR = """
import asyncio
from sandboxes.bubblewrap.backend import BubblewrapBackend
print(asyncio.run(BubblewrapBackend().check()))
"""


@pytest.mark.bubblewrap
@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user; as one, `test_contained` is this")
def test_the_runner_is_safe_from_its_own_user(bubblewrap: None, tmp_path: Path) -> None:
    """Where Bridle is not root, runner and commands are one user; `test_contained` is tried as such a one."""
    import pydantic

    place = Path(tempfile.mkdtemp(prefix="bridle-somebody-"))
    try:
        os.chown(place, SOMEBODY, SOMEBODY)
        words = [
            "setpriv",
            f"--reuid={SOMEBODY}",
            f"--regid={SOMEBODY}",
            "--clear-groups",
            "/usr/bin/python3",
            "-m",
        ]
        words += ["pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={place}/t", str(Path(__file__))]
        words += ["-k", "bubblewrap and (trace or signals or bounds or forgery) and contained"]
        path = [str(PAGE.parents[1]), str(Path(pydantic.__file__).parents[1])]
        env = {"HOME": str(place), "XDG_STATE_HOME": str(place), "PATH": "/usr/bin:/bin"}
        env |= {"PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            words, env=env, cwd=PAGE.parents[1], capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode != 0 and "ImportError" in done.stdout + done.stderr:
            pytest.skip("NO SYSTEM PYTHON FOR THE TESTS: /usr/bin/python3 cannot load what these need")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "4 passed" in done.stdout
        told = subprocess.run(
            [*words[:5], "-c", DOCTOR], env=env, capture_output=True, text=True, timeout=60, check=True
        )
        assert "the same user" in told.stdout
    finally:
        shutil.rmtree(place)


def test_the_page_holds_the_table() -> None:
    page = PAGE.read_text()
    assert page == with_table(page, GROUPS), "docs/security.md is out of date: run `make table`"


def test_every_row_is_one_of_its_kind() -> None:
    rows = [row for _, group in GROUPS for row in group]
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        assert "|" not in row.title + row.tried + row.held, row.id
        assert row.on
