"""Who comes in when: never too many, never too much memory, nobody forgotten."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from agent.outcomes import Outcome
from agent.session import Interrupt
from sandboxes.bubblewrap.backend import BubblewrapBackend
from tasks.agents.pacing import Pace
from tasks.agents.work import Agent
from tasks.format.task import Task, load_task
from tasks.runs.results import AttemptResult
from tasks.runs.room import Room
from tasks.runs.runner import Run


@settings(max_examples=60, deadline=None)
@given(
    jobs=st.integers(1, 4),
    memory=st.integers(1, 10),
    wanted=st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=12),
)
def test_never_too_many_and_everybody_gets_in(jobs: int, memory: int, wanted: list[tuple[int, bool]]) -> None:
    async def all_of_them() -> None:
        room, inside, came = Room(jobs, memory), [], []

        async def one(number: int, needs: int) -> None:
            async with room.place(needs):
                inside.append(needs)
                try:
                    assert len(inside) <= jobs
                    assert sum(inside) <= memory or len(inside) == 1
                    await asyncio.sleep(0)
                finally:
                    inside.remove(needs)
                came.append(number)

        running = [asyncio.create_task(one(number, needs)) for number, (needs, _) in enumerate(wanted)]
        await asyncio.sleep(0)
        for task, (_, cancelled) in zip(running, wanted, strict=True):
            if cancelled:
                task.cancel()
        for task in running:
            with suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, 5)
        stayed = [number for number, (_, cancelled) in enumerate(wanted) if not cancelled]
        assert set(stayed) <= set(came)
        async with asyncio.timeout(5), room.place(memory):
            assert inside == []

    asyncio.run(all_of_them())


def test_a_pace_bounds_how_many_and_how_often() -> None:
    async def turns() -> tuple[int, float]:
        pace, under_way, most = Pace(per_minute=6000, at_once=2), 0, 0

        async def turn() -> None:
            nonlocal under_way, most
            async with pace:
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0.001)
                under_way -= 1

        start = asyncio.get_running_loop().time()
        await asyncio.gather(*(turn() for _ in range(10)))
        return most, asyncio.get_running_loop().time() - start

    most, seconds = asyncio.run(turns())
    assert most <= 2
    assert seconds >= 9 * 0.01 * 0.99


class Counting:
    """An executor whose attempts only wait, and which counts how many are under way."""

    def __init__(self) -> None:
        self.under_way = self.most = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def make(self, task: Task, number: int, key: str, folder: Path, interrupt: Interrupt) -> AttemptResult:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.01)
        self.under_way -= 1
        folder.mkdir(parents=True)
        return AttemptResult(task=task.name, number=number, key=key, status="fail", outcome=Outcome.DONE)


@pytest.mark.parametrize(("said", "most"), [("memory_mb = 2048", 2), ('memory = "8G"', 1)])
def test_a_run_takes_the_memory_that_tasks_ask_for_however_they_say_it(
    tmp_path: Path, said: str, most: int
) -> None:
    task = tmp_path / "task"
    shutil.copytree(Path(tasks.__file__).parent / "bundled" / "bug-rolling-mean", task)
    (task / "task.toml").write_text((task / "task.toml").read_text() + f"\n[environment]\n{said}\n")
    counting = Counting()
    run = Run(
        tasks=[load_task(task)],
        agent=Agent(kind="nop"),
        backend=BubblewrapBackend(),
        out=tmp_path / "out",
        attempts=4,
        jobs=2,
        memory=10 << 30,
        executor=counting,
    )
    assert len(asyncio.run(run.run())) == 4
    assert counting.most == most
