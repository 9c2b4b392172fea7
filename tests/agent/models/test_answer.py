"""Calls in the form that services had before `tool_calls`: they are calls all the same."""

from __future__ import annotations

from typing import Any

import pytest

from agent.models.answer import Answer, Chunk
from agent.models.protocol import Message, Request

ARGUMENTS = '{"command": "ls"}'


def delta(**said: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"function_call": said}}]}


WHOLE = {"choices": [{"message": {"content": None, "function_call": {"name": "bash", "arguments": ARGUMENTS}}}]}


@pytest.mark.parametrize(
    "chunks",
    [
        [WHOLE],
        [delta(name="bash", arguments=""), delta(arguments=ARGUMENTS[:6]), delta(arguments=ARGUMENTS[6:])],
    ],
)
def test_a_function_call_is_a_call(chunks: list[dict[str, Any]]) -> None:
    answer = Answer()
    for chunk in chunks:
        answer.feed(Chunk.model_validate(chunk))
    reply = answer.reply(Request(messages=(Message(role="user", content="go on"),)))
    assert [(call.name, call.arguments) for call in reply.calls] == [("bash", ARGUMENTS)]
