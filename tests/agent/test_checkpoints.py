"""A session's checkpoints stay within their budget, whatever it makes."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.checkpoints import MAX_BYTES, MAX_KEPT, Checkpoints, prefix_of, surplus
from agent.journal import AnyEvent, CheckpointMade
from sandboxes.docker.backend import DockerBackend
from sandboxes.protocol import Checkpoint, SandboxSpec


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
