"""A session's checkpoints stay within their budget, whatever it makes."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from agent.checkpoints import MAX_BYTES, MAX_KEPT, Checkpoints, prefix_of, surplus
from agent.journal import AnyEvent, CheckpointMade
from agent.standing import END
from sandboxes.docker.backend import DockerBackend
from sandboxes.protocol import Checkpoint, Sandbox, SandboxSpec


def made(sizes: list[int]) -> list[Checkpoint]:
    return [Checkpoint(f"id{n}", "run", n, "", float(n), size) for n, size in enumerate(sizes, 1)]


@given(st.lists(st.integers(0, MAX_BYTES), min_size=1, max_size=60))
def test_what_is_kept_fits_and_no_more_goes_than_has_to(sizes: list[int]) -> None:
    held = made(sizes)
    gone = surplus(held, held[-1])
    kept = [each for each in held if each not in gone]
    assert held[0] in kept
    assert held[-1] in kept
    assert gone == held[1 : 1 + len(gone)], "the oldest go first"
    if len(kept) > 2:
        assert len(kept) <= MAX_KEPT
        assert sum(each.size for each in kept) <= MAX_BYTES
    if gone:
        one_more = [held[0], *held[len(gone) :]]
        assert len(one_more) > MAX_KEPT or sum(each.size for each in one_more) > MAX_BYTES


LARGE = "head -c 60000000 /dev/urandom > /home/agent/installed"


async def saved_twice(box: Sandbox, notes: list[str], *, end: bool = False) -> list[CheckpointMade]:
    """Two checkpoints of a session, before and after a small change."""
    events: list[AnyEvent] = []
    checkpoints = Checkpoints(DockerBackend(), box, box_session(box), events, events.append, notes.append)
    first = await checkpoints.make(END if end else "call")
    await box.write("small", b"small")
    second = await checkpoints.make("call")
    assert isinstance(first, CheckpointMade)
    assert isinstance(second, CheckpointMade)
    return [first, second]


def box_session(box: Sandbox) -> str:
    return box.name.split(".w0")[0].removeprefix("bridle-")


@pytest_asyncio.fixture
async def box() -> AsyncIterator[Sandbox]:
    backend, session = DockerBackend(), f"test-{secrets.token_hex(4)}"
    made = await backend.open(SandboxSpec(f"{session}.w0"))
    yield made
    await made.close()
    for each in await backend.checkpoints(prefix_of(session)):
        await backend.drop(each)


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
async def test_what_was_saved_is_not_saved_again(box: Sandbox) -> None:
    notes: list[str] = []
    assert (await box.exec(["sh", "-c", LARGE])).exit_code == 0
    first, second = await saved_twice(box, notes)
    assert first.bytes > 50 << 20
    assert second.bytes < 5 << 20
    assert (await box.exec(["sh", "-c", "stat -c %s /home/agent/installed; cat small"])).output.text() == (
        "60000000\nsmall"
    )
    assert notes == []


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("alive", ["left behind", "background", "ended", "shared memory"])
async def test_no_process_is_lost_for_it(box: Sandbox, alive: str) -> None:
    notes: list[str] = []
    await box.exec(["sh", "-c", LARGE])
    if alive == "left behind":
        await box.exec(["sh", "-c", "sleep 1000 >/dev/null 2>&1 &"])
    elif alive == "shared memory":
        await box.exec(["sh", "-c", "echo here > /dev/shm/it"])
    else:
        await box.start(["sleep", "1000" if alive == "background" else "0"])
    first, second = await saved_twice(box, notes)
    assert min(first.bytes, second.bytes) > 50 << 20
    if alive == "left behind":
        lines = (await box.exec(["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"])).output.text()
        assert "sleep 1000" in lines
    elif alive == "shared memory":
        assert await box.read("/dev/shm/it") == b"here\n"
    else:
        assert len(await box.processes()) == 1
    assert notes == []


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
async def test_nothing_is_begun_anew_at_the_end(box: Sandbox) -> None:
    await box.exec(["sh", "-c", LARGE])
    first, second = await saved_twice(box, [], end=True)
    assert min(first.bytes, second.bytes) > 50 << 20


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
async def test_a_session_keeps_its_first_and_its_latest_on_the_engine() -> None:
    backend, session = DockerBackend(), f"test-{secrets.token_hex(4)}"
    events: list[AnyEvent] = []
    notes: list[str] = []
    box = await backend.open(SandboxSpec(f"{session}.w0"))
    checkpoints = Checkpoints(backend, box, session, events, events.append, notes.append)
    try:
        for turn in range(MAX_KEPT + 3):
            await box.write("turn", b"%d" % turn)
            assert isinstance(await checkpoints.make(f"turn {turn}"), CheckpointMade)
        labels = [each.label for each in await backend.checkpoints(prefix_of(session))]
        assert labels == ["turn 0", *(f"turn {n}" for n in range(4, MAX_KEPT + 3))]
        oldest = (await backend.checkpoints(prefix_of(session)))[1]
        await box.restore(oldest)
        assert await box.read("turn") == b"4"
        await checkpoints.drop_all()
        assert await backend.checkpoints(prefix_of(session)) == []
        assert notes == []
    finally:
        await checkpoints.drop_all()
        await box.close()
