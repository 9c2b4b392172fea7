"""How long a call took: told to the model for commands, and kept out of what is journalled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.models.fingerprint import message_fingerprint
from agent.models.protocol import Message
from agent.models.wire import wire_text


def shown(content: str, seconds: float | None) -> str:
    return wire_text(Message(role="tool", content=content, tool_call_id="a", seconds=seconds))


@pytest.mark.parametrize(
    ("content", "seconds", "told"),
    [
        ("out\n[exit 0]", 11.24, "out\n[exit 0; 11.2 s]"),
        ("[exit 0]", 0.0213, "[exit 0; 0.02 s]"),
        ("out\n[exit 1; now in /a]", 600.04, "out\n[exit 1; 600.0 s; now in /a]"),
        ("out\n[exit 1; in /a]; b]", 1, "out\n[exit 1; 1.0 s; in /a]; b]"),
        ("out\n[exit 137: killed by SIGKILL]", 2, "out\n[exit 137: killed by SIGKILL; 2.0 s]"),
        ("out\n[killed: out of memory]", 2, "out\n[killed: out of memory; 2.0 s]"),
        ("[exit 0]\n[exit 9]", 2, "[exit 0]\n[exit 9; 2.0 s]"),
    ],
)
def test_of_a_command_the_last_line_tells_it(content: str, seconds: float, told: str) -> None:
    assert shown(content, seconds) == told


@pytest.mark.parametrize(
    "content",
    [
        "",
        "     1\timport os\n[lines 1-1 of 9; read on with start_line=2]",
        "a.py:1:[exit 0]",
        "[exit 0]\n",
        "[exit 0]\n     1\tx",
        "[exit 0",
        "[exit zero]",
        "No such file",
        "[git diff: exit 128]",
        "out\n[timed out after 5 s, everything it started was killed]",
    ],
)
def test_of_anything_else_nothing_is_told(content: str) -> None:
    assert shown(content, 0.5) == content


@given(st.text(), st.floats(0, 1e6))
def test_only_results_that_were_timed_change(text: str, seconds: float) -> None:
    content = f"{text}\n[exit 0]"
    assert shown(content, None) == content
    assert wire_text(Message(role="user", content=content, seconds=seconds)) == content
    assert shown(content, seconds).startswith(f"{text}\n[exit 0; ")


@given(st.text(), st.floats(0, 1e6), st.floats(0, 1e6))
def test_replay_knows_nothing_of_it(text: str, one: float, other: float) -> None:
    first, second = (
        Message(role="tool", content=f"{text}\n[exit 0]", tool_call_id="a", seconds=seconds)
        for seconds in (one, other)
    )
    assert message_fingerprint(first) == message_fingerprint(second)
