"""Who comes in when: never too many, never too much memory, nobody forgotten."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.agents.pacing import Pace
from tasks.runs.room import Room


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
