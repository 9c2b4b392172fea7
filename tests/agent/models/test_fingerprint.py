"""What a fingerprint leaves out, and what it does not."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.models.fingerprint import mask, message_fingerprint, request_event, tools_fingerprint
from agent.models.protocol import Message, Request, ToolCall, ToolSpec

WORDS = st.text(string.ascii_letters + " \n.,()'", max_size=60)
SECONDS = st.floats(0, 10**5, allow_nan=False)
NAMES = st.text(string.ascii_lowercase + string.digits + "_", min_size=8, max_size=8)
HEX = st.integers(2**16, 2**64 - 1)


def result(text: str, **more: object) -> str:
    return message_fingerprint(Message(role="tool", content=text, **more))  # type: ignore[arg-type]


@given(WORDS, WORDS, st.data())
def test_volatile_tokens_do_not_matter(before: str, after: str, data: st.DataObject) -> None:
    def text() -> str:
        seconds, ms = data.draw(SECONDS), data.draw(st.integers(0, 10**6))
        hours, minutes = data.draw(st.integers(0, 23)), data.draw(st.integers(0, 59))
        clock = f"{hours:02}:{minutes:02}:{minutes:02}"
        ruler = "=" * data.draw(st.integers(4, 60))
        number = data.draw(st.integers(0, 10**6))
        return (
            f"{before} {ruler} 1 failed in {seconds:.2f}s {ruler}\ntook {ms} ms, {seconds:.1f} s, {ms} seconds\n"
            f"<object at {data.draw(HEX):#x}>\n2026-0{data.draw(st.integers(1, 9))}-11T{clock}.123Z {clock}\n"
            f"2026-11-22 {clock},{ms % 1000:03} /tmp/tmp{data.draw(NAMES)}/x\n"
            f"/tmp/pytest-of-root/pytest-{number}/test0 pid {number} PID: {number} pid={number} {after}"
        )

    assert result(text()) == result(text())


@given(st.text(), st.text())
def test_what_is_said_matters(one: str, other: str) -> None:
    assert (result(one) == result(other)) == (mask(one) == mask(other))


@given(st.text())
def test_masking_twice_changes_nothing_more(text: str) -> None:
    assert mask(mask(text)) == mask(text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("1 passed in 0.12s", "1 passed in <duration>"),
        ("3 failed, 12 passed", "3 failed, 12 passed"),
        ("assert 0x7 == 12", "assert 0x7 == 12"),
        ("line 12, in mean", "line 12, in mean"),
        ("version 1.2.3", "version 1.2.3"),
        ("x = 5s7", "x = 5s7"),
        ("exit code 1", "exit code 1"),
    ],
)
def test_masks_by_example(text: str, masked: str) -> None:
    assert mask(text) == masked


@given(st.text(), SECONDS, st.text(min_size=1), st.text(min_size=1))
def test_time_taken_and_ids_do_not_matter(text: str, seconds: float, one: str, other: str) -> None:
    assert result(text, seconds=seconds, tool_call_id=one) == result(text, tool_call_id=other)
    calls = [ToolCall(id=i, name="read", arguments="{}") for i in (one, other)]
    first, second = (message_fingerprint(Message(role="assistant", tool_calls=(call,))) for call in calls)
    assert first == second


def test_role_calls_and_their_order_matter() -> None:
    read, edit = (ToolCall(id="x", name=name, arguments="{}") for name in ("read", "edit"))
    again = read.model_copy(update={"arguments": '{"path": "a"}'})
    messages = [
        Message(role="user", content="a"),
        Message(role="system", content="a"),
        *(Message(role="assistant", tool_calls=c) for c in [(read, edit), (edit, read), (read,), (again,)]),
    ]
    prints = {message_fingerprint(message) for message in messages}
    assert len(prints) == len(messages)
    assert all(len(name) == 16 for name in prints)


def test_the_models_own_text_is_not_masked() -> None:
    one, other = (Message(role="assistant", content=f"sleep {n}s") for n in (1, 2))
    assert message_fingerprint(one) != message_fingerprint(other)


def test_tools_matter_in_order() -> None:
    a, b = (ToolSpec(name=name, description="d", parameters={"y": 1, "x": 2}) for name in "ab")
    same = a.model_copy(update={"parameters": {"x": 2, "y": 1}})
    assert tools_fingerprint([a, b]) == tools_fingerprint([same, b])
    assert tools_fingerprint([a, b]) != tools_fingerprint([b, a])


def test_a_request_event_names_what_is_new() -> None:
    request = Request(messages=tuple(Message(role="user", content=c) for c in "abc"), temperature=0.5)
    event = request_event(request, 2, "m", "turn")
    assert (event.messages, event.temperature, event.model, event.purpose) == (3, 0.5, "m", "turn")
    assert event.fingerprints == (message_fingerprint(request.messages[2]),)
