"""Owners killed at fifty random points beside one that lives: one clean removes all of theirs and none of its."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import time
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from support import soak

from agent.housekeeping import sweep
from agent.store import Store
from sandboxes.docker.backend import DockerBackend

pytestmark = [pytest.mark.docker, pytest.mark.alone]

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


def things(client: Any) -> set[tuple[str, str]]:
    """Everything on the engine that could be left over."""
    found = {("container", each["Id"]) for each in client.containers(all=True)}
    found |= {("image", each["Id"]) for each in client.images(all=True)}
    found |= {("network", each["Id"]) for each in client.networks()}
    found |= {("volume", each["Name"]) for each in client.volumes()["Volumes"] or ()}
    return found


async def test_killed_at_fifty_points(
    client: Any, busybox_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["support.soak"])
    given = {"fill": soak.archive(tmp_path), "temporary": temporary}
    await (await DockerBackend().open(soak.SandboxSpec("test-soak", limits=soak.LIMITS))).close()
    before = things(client)
    store = Store()
    dice = random.Random(SEED)
    points = [(soak.STEPS[n % len(soak.STEPS)], dice.random() ** 2 * 0.3) for n in range(POINTS)]
    living = Owner(context, image="host", rests=True, **given)
    try:
        while isinstance(has := living.hear(), str):
            pass
        theirs = things(client) - before
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(number: int, step: str, delay: float) -> None:
            async with limit:
                image = busybox_image if number % 2 else "host"
                killed = Owner(context, image=image, **given)
                await asyncio.to_thread(killed.kill_in, step, delay)

        await asyncio.gather(*(one(number, *point) for number, point in enumerate(points)))
        await settled(client)
        left = things(client) - before - theirs
        assert {kind for kind, _ in left} == {"container", "image"}, "the killed leave something to clean"
        age(store, temporary)

        swept = await sweep(store, [DockerBackend()], all_sessions=True)

        assert swept.problems == []
        assert things(client) - before == theirs
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
        assert things(client) <= before
    finally:
        living.kill()
        await sweep(store, [DockerBackend()], all_sessions=True)


async def settled(client: Any) -> None:
    """Wait until the engine has done what the dead had asked of it."""
    last, since, end = things(client), time.monotonic(), time.monotonic() + LIMIT_SECONDS
    while time.monotonic() - since < 1.5:
        assert time.monotonic() < end
        await asyncio.sleep(0.2)
        if (now := things(client)) != last:
            last, since = now, time.monotonic()


def age(store: Store, temporary: Path) -> None:
    """Let a minute pass: only then does what nobody holds count as left over and not as just being made."""
    for path in [*store.sessions.iterdir(), *temporary.iterdir()]:
        os.utime(path, (0, 0))
