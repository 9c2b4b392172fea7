"""Owners killed at fifty random points beside one that lives: one clean removes all of theirs and none of its."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from support import soak

from agent.housekeeping import sweep
from agent.store import Store
from sandboxes.bubblewrap.backend import default_folder
from sandboxes.bubblewrap.cgroups import TOP
from sandboxes.select import BackendName, make_backend

pytestmark = pytest.mark.alone
Things = set[tuple[str, str]]

POINTS = 50
AT_ONCE = 4
SEED = 20
LIMIT_SECONDS = 60.0
"""For one owner to come to its point, however busy the machine."""


class Owner:
    """A real process, forked from one that has imported everything already."""

    def __init__(self, context: Any, *, rests: bool = False, **given: Any) -> None:
        self.link, theirs = context.Pipe()
        self.process: ForkServerProcess = context.Process(
            target=soak.owner, args=(theirs,), kwargs={**given, "rests": rests}, daemon=True
        )
        self.process.start()
        theirs.close()

    def hear(self) -> Any:
        link: Connection = self.link
        assert link.poll(LIMIT_SECONDS), "an owner said nothing"
        return link.recv()

    def kill_in(self, step: str, delay: float) -> None:
        """Kill it so many seconds into a step."""
        while self.hear() != step:
            pass
        time.sleep(delay)
        self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.link.close()


def on_the_engine(client: Any) -> Things:
    """Everything on the engine that could be left over."""
    found = {("container", each["Id"]) for each in client.containers(all=True)}
    found |= {("image", each["Id"]) for each in client.images(all=True)}
    found |= {("network", each["Id"]) for each in client.networks()}
    found |= {("volume", each["Name"]) for each in client.volumes()["Volumes"] or ()}
    return found


def on_the_host(store: Store) -> Things:
    """Everything of bubblewrap's that could be left over: folders, checkpoints, sessions' control groups.

    What is kept on purpose (the host's `etc` as sandboxes see it) is known by its name.
    """
    home = default_folder(os.environ)
    found = {("folder", each.name) for each in home.glob("*") if each.name not in ("etc", "checkpoints")}
    found |= {("checkpoint", each.name) for each in home.glob("checkpoints/*")}
    ours = tuple(f"bridle-{session}." for session in store.ids())
    for folder, names, _ in os.walk(TOP):
        found |= {("group", f"{folder}/{name}") for name in names if name.startswith(ours)}
    return found


@pytest.mark.docker
async def test_killed_at_fifty_points(
    client: Any, busybox_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await soaked("docker", ["host", busybox_image], lambda: on_the_engine(client), tmp_path, monkeypatch)


@pytest.mark.bubblewrap
@pytest.mark.usefixtures("bubblewrap")
async def test_killed_at_fifty_points_without_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await soaked("bubblewrap", ["host"], lambda: on_the_host(Store()), tmp_path, monkeypatch)


async def soaked(
    name: BackendName,
    images: Sequence[str],
    things: Callable[[], Things],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kill owners of sandboxes of these images, clean, and look at everything there is."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["support.soak"])
    given = {"environ": {**os.environ}, "backend": name, "fill": soak.archive(tmp_path), "temporary": temporary}
    await (await make_backend(name).open(soak.SandboxSpec("test-soak", limits=soak.LIMITS))).close()
    before = things()
    store = Store()
    dice = random.Random(SEED)
    points = [(soak.STEPS[n % len(soak.STEPS)], dice.random() ** 2 * 0.3) for n in range(POINTS)]
    living = Owner(context, image="host", rests=True, **given)
    try:
        while isinstance(has := living.hear(), str):
            pass
        theirs = things() - before
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(number: int, step: str, delay: float) -> None:
            async with limit:
                killed = Owner(context, image=images[number % len(images)], **given)
                await asyncio.to_thread(killed.kill_in, step, delay)

        await asyncio.gather(*(one(number, *point) for number, point in enumerate(points)))
        await settled(things)
        left = {kind for kind, _ in things() - before - theirs}
        assert left >= ({"container", "image"} if name == "docker" else {"folder", "checkpoint"}), (
            "the killed leave something to clean"
        )
        age(store, temporary, things())

        swept = await sweep(store, [make_backend(name)], all_sessions=True)

        assert swept.problems == []
        assert things() - before == theirs
        assert [str(path) for path in temporary.glob("bridle-*")] == [has["scratch"]]
        for folder in store.sessions.iterdir():
            names = {path.name for path in folder.iterdir()}
            own = {".workspace.tar.living.tmp", "changes"} if folder.name == has["session"] else set()
            assert names - own <= {"journal.jsonl", "lock", "workspace.tar"}
            assert own <= names
        living.link.send("are you well?")
        assert living.hear() == [has["session"]] * 3
        living.process.join(LIMIT_SECONDS)
        # Not equal: a clean may also take what others left here long ago.
        assert things() <= before
    finally:
        living.kill()
        await sweep(store, [make_backend(name)], all_sessions=True)


async def settled(things: Callable[[], Things]) -> None:
    """Wait until the engine has done what the dead had asked of it."""
    last, since, end = things(), time.monotonic(), time.monotonic() + LIMIT_SECONDS
    while time.monotonic() - since < 1.5:
        assert time.monotonic() < end
        await asyncio.sleep(0.2)
        if (now := things()) != last:
            last, since = now, time.monotonic()


def age(store: Store, temporary: Path, found: Things) -> None:
    """Let an hour pass: only then does what nobody holds count as left over and not as just being made."""
    groups = [Path(name) for kind, name in found if kind == "group"]
    home = default_folder(os.environ)
    halves = [home / name for kind, name in found if kind == "folder" and name.startswith(".new-")]
    halves += [home / "checkpoints" / name for kind, name in found if name.startswith(".new-")]
    halves = [each for each in halves if each.exists()]
    for path in [*store.sessions.iterdir(), *temporary.iterdir(), *groups, *halves]:
        os.utime(path, (0, 0))
