"""Recorded sessions played again: the same answers to the same questions, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.journal import Journal, ModelReplied
from agent.models.fingerprint import request_event
from agent.models.profiles import profile_for
from agent.models.protocol import Message, Reply, Request, ToolCall, ToolSpec, Usage
from agent.models.replay import ReplayMismatch, ReplayModel

TOOLS = (ToolSpec(name="shell", description="runs", parameters={}),)
CALL = ToolCall(id="c1", name="shell", arguments='{"command": "pytest"}')
TASK = Message(role="user", content="mend it")
FIRST = Reply(
    text="looking", calls=(CALL,), usage=Usage(input=5, cached=1, output=2), finish="tool_calls", model="m"
)
LAST = Reply(text="done")


def result(text: str, seconds: float) -> Message:
    return Message(role="tool", content=text, tool_call_id="c1", seconds=seconds)


def asked(*messages: Message, temperature: float | None = None) -> Request:
    return Request(messages=messages, tools=TOOLS, temperature=temperature)


SAID = Message(role="assistant", content=FIRST.text, tool_calls=FIRST.calls)
ONE = asked(TASK)
TWO = asked(TASK, SAID, result("1 failed in 0.10s", 0.5))
TWO_AGAIN = asked(TASK, SAID, result("1 failed in 2.34s", 3.1))


def record(path: Path, *turns: tuple[Request, int, str, Reply | None], model: str = "m") -> ReplayModel:
    with Journal(path) as journal:
        for request, known, purpose, reply in turns:
            journal.append(request_event(request, known, model, purpose))
            if reply:
                journal.append(ModelReplied(**reply.model_dump()))
    return ReplayModel(path)


@pytest.fixture
def recording(tmp_path: Path) -> ReplayModel:
    return record(tmp_path / "journal.jsonl", (ONE, 0, "turn", FIRST), (TWO, 1, "turn", LAST))


async def test_the_same_session_gets_the_same_answers(recording: ReplayModel) -> None:
    texts: list[str] = []
    assert await recording.complete(ONE, texts.append) == FIRST
    assert await recording.complete(TWO_AGAIN, texts.append) == LAST
    assert texts == ["looking", "done"]


async def test_exhausted(recording: ReplayModel) -> None:
    await recording.complete(ONE)
    await recording.complete(TWO)
    with pytest.raises(ReplayMismatch, match="2 turns"):
        await recording.complete(TWO)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (asked(TASK, SAID, result("2 failed in 0.10s", 0.5)), "turn 2.*message 3.*tool '2 failed"),
        (asked(Message(role="user", content="break it"), SAID), "turn 2.*message 1.*break it"),
        (asked(TASK, SAID), "2 messages instead of 3"),
        (asked(*TWO.messages, TASK), "4 messages instead of 3"),
        (Request(messages=TWO.messages), "tools"),
        (asked(*TWO.messages, temperature=0.7), "temperature is 0.7"),
    ],
)
async def test_another_request_is_refused(recording: ReplayModel, request_: Request, says: str) -> None:
    await recording.complete(ONE)
    with pytest.raises(ReplayMismatch, match=says):
        await recording.complete(request_)
    assert await recording.complete(TWO) == LAST, "a refused request uses nothing up"


async def test_requests_of_their_own_stand_beside_the_conversation(tmp_path: Path) -> None:
    alone = [asked(Message(role="user", content=f"repair {n}"), temperature=n / 10) for n in (1, 2)]
    playing = record(
        tmp_path / "j",
        (ONE, 0, "turn", FIRST),
        (alone[0], 0, "repair", LAST),
        (alone[1], 0, "repair", LAST),
        (TWO, 1, "turn", LAST),
    )
    for request, reply in [(ONE, FIRST), (alone[0], LAST), (alone[1], LAST), (TWO, LAST)]:
        assert await playing.complete(request) == reply


async def test_a_request_that_was_never_answered_is_no_turn(tmp_path: Path) -> None:
    playing = record(tmp_path / "j", (ONE, 0, "turn", FIRST), (TWO, 1, "turn", None), (TWO, 3, "turn", LAST))
    assert await playing.complete(ONE) == FIRST
    assert await playing.complete(TWO) == LAST


async def test_a_recording_has_the_profile_of_its_model(tmp_path: Path) -> None:
    path = tmp_path / "j"
    record(path, (ONE, 0, "repair", LAST), model="local")
    assert profile_for(f"replay:{path}") == profile_for("local")
    assert profile_for("replay:" + str(path)).strategy == "repair"
    assert profile_for("gpt-5-mini").strategy == "loop"
