"""The journal survives what kills a session, says what it cannot read, and costs what is new."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.journal import (
    AnyEvent,
    CallFinished,
    CallStarted,
    CheckRun,
    Journal,
    JournalDamaged,
    LevelChanged,
    ModelReplied,
    NetworkRequested,
    SessionEnded,
    SessionStarted,
    UserMessage,
    read_events,
)
from agent.models.protocol import Tokens, ToolCall, Usage
from agent.outcomes import Outcome
from sandboxes.secrets import Secrets

EVENT_TYPES: tuple[type[Any], ...] = get_args(get_args(AnyEvent)[0])

_NUMBERS = st.floats(allow_nan=False)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_SPECIAL: dict[Any, st.SearchStrategy[Any]] = {
    dict[str, Any]: st.dictionaries(st.text(), _JSON, max_size=4),
    dict[str, Any] | None: st.none() | st.dictionaries(st.text(), _JSON, max_size=4),
    float: _NUMBERS,
    float | None: st.none() | _NUMBERS,
    tuple[ToolCall, ...]: st.lists(st.builds(ToolCall, id=st.text(), name=st.text(), arguments=st.text())).map(
        tuple
    ),
    Tokens | None: st.none()
    | st.builds(Tokens, logprobs=st.lists(st.floats(allow_nan=False, allow_infinity=False)).map(tuple)),
    Usage: st.builds(Usage, input=st.integers(), cached=st.integers(), output=st.integers()),
}


def _events_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    fields = {}
    for name, field in kind.model_fields.items():
        special = field.annotation in _SPECIAL
        fields[name] = _SPECIAL[field.annotation] if special else st.from_type(field.annotation)
    return st.builds(kind, **fields)


def _samples() -> list[Any]:
    return [
        SessionStarted(
            session="s1", version="0", task="fix “mean()”\n", repository="r", options={"level": 3, "x": None}
        ),
        UserMessage(role="user", text="line\nline\u2028and\x00control\x1b[31m"),
        ModelReplied(text="", calls=(ToolCall(id="1", name="shell", arguments='{"command": "ls'),)),
        CheckRun(command="pytest", exit_code=None, ending="timeout", passed=False, output="é🐴", seconds=1.5),
        SessionEnded(outcome=Outcome.INTERRUPTED, detail="", resumable=True),
    ]


def _write(path: Path, events: list[Any]) -> None:
    with Journal(path) as journal:
        for event in events:
            journal.append(event)


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.__name__)
def test_every_event_reads_back_as_it_was_written(
    kind: type[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("round") / "journal.jsonl"

    @settings(deadline=None)  # what a person decided waits for the disk
    @given(event=_events_of(kind))
    def round_trip(event: Any) -> None:
        path.unlink(missing_ok=True)
        _write(path, [event])
        assert read_events(path) == [event]
        assert path.read_bytes().count(b"\n") == 1

    round_trip()


def test_a_tear_at_any_byte_loses_only_the_torn_event_and_the_file_goes_on(tmp_path: Path) -> None:
    samples = _samples()
    whole_path = tmp_path / "whole.jsonl"
    _write(whole_path, samples)
    data = whole_path.read_bytes()
    added = LevelChanged(before=3, after=1)
    path = tmp_path / "torn.jsonl"
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        kept = samples[: data[:cut].count(b"\n")]
        assert read_events(path) == kept, cut
        assert path.stat().st_size == cut, "reading changes nothing: the session may still be running"
        with Journal(path) as journal:
            assert journal.events == kept, cut
            journal.append(added)
            assert journal.events == [*kept, added]
        assert read_events(path) == [*kept, added], cut


def test_zeros_after_the_last_whole_line_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    _write(path, _samples())
    path.write_bytes(path.read_bytes() + b"\0" * 4096)
    with Journal(path) as journal:
        assert len(journal.events) == len(_samples())
    assert b"\0" * 8 not in path.read_bytes()


@pytest.mark.parametrize("line", [1, 3, 5])
@pytest.mark.parametrize(
    "damage",
    [b"", b"{}", b"[]", b'{"type": "no.such.event"}', b'{"type": "level.changed", "before": "x"}', b"\xff\xfe{"],
)
def test_damage_in_a_whole_line_is_an_error_that_names_it(tmp_path: Path, line: int, damage: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    _write(path, _samples())
    lines = path.read_bytes().split(b"\n")
    lines[line - 1] = damage
    damaged = b"\n".join(lines)
    path.write_bytes(damaged)
    with pytest.raises(JournalDamaged, match=rf"journal\.jsonl, line {line}, is not an event"):
        read_events(path)
    with pytest.raises(JournalDamaged, match=f"line {line},"):
        Journal(path)
    assert path.read_bytes() == damaged, "nothing is thrown away that a person could still mend"


@given(before=st.integers(0, 4), junk=st.binary(max_size=40))
def test_reading_any_bytes_gives_events_or_says_damaged(
    tmp_path_factory: pytest.TempPathFactory, before: int, junk: bytes
) -> None:
    path = tmp_path_factory.mktemp("junk") / "journal.jsonl"
    samples = _samples()[:before]
    _write(path, samples)
    path.write_bytes(path.read_bytes() + junk)
    if b"\n" in junk:
        with pytest.raises(JournalDamaged, match=f"line {before + 1},"):
            Journal(path)
    else:
        with Journal(path) as journal:
            assert journal.events == samples


def test_only_its_owner_can_read_it_even_when_it_was_left_open_to_others(tmp_path: Path) -> None:
    path = tmp_path / "sessions" / "one" / "journal.jsonl"
    before = os.umask(0)
    try:
        _write(path, _samples())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        path.chmod(0o644)
        _write(path, [])
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["\ud83d", "a\udcffb", "\ude00\ud83d"])
def test_half_a_surrogate_pair_cannot_stop_the_journal(tmp_path: Path, text: str) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append(UserMessage(role="user", text=text))
        journal.append(CallFinished(call="1", tool="read", ok=True, text="", facts={text: [text, {"k": text}]}))
        assert journal.events == read_events(path)
    message, result = journal.events
    assert isinstance(message, UserMessage)
    assert isinstance(result, CallFinished)
    assert "\ufffd" in message.text
    assert len(message.text) == len(text)
    assert result.facts == {message.text: [message.text, {"k": message.text}]}


def test_a_pair_that_arrived_in_two_halves_becomes_one_character(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(UserMessage(role="user", text="\ud83d\udc34"))
    assert [event.text for event in read_events(journal.path) if isinstance(event, UserMessage)] == ["🐴"]


def _child(code: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(path)], stdout=subprocess.PIPE, text=True
    )


def test_a_full_disk_leaves_no_half_event_behind(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    code = """
        import resource, signal, sys
        from pathlib import Path
        from agent.journal import Journal, UserMessage, read_events
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        path = Path(sys.argv[1])
        with Journal(path) as journal:
            journal.append(UserMessage(role="user", text="first"))
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
            try:
                journal.append(UserMessage(role="user", text="x" * 5000))
            except OSError as error:
                print(error)
            print(len(journal.events), len(read_events(path)))
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            journal.append(UserMessage(role="user", text="third"))
    """
    child = _child(code, path)
    output, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert "the journal cannot be written" in output
    assert str(path) in output
    assert output.splitlines()[-1] == "1 1"
    assert [event.text for event in read_events(path) if isinstance(event, UserMessage)] == ["first", "third"]


def test_killed_while_writing_every_event_that_was_reported_is_there(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    code = """
        import sys
        from pathlib import Path
        from agent.journal import Journal, LevelChanged
        journal = Journal(Path(sys.argv[1]))
        number = 0
        while True:
            journal.append(LevelChanged(before=number, after=number + 1))
            print(number, flush=True)
            number += 1
    """
    child = _child(code, path)
    assert child.stdout is not None
    reported = [int(child.stdout.readline()) for _ in range(50)]
    child.send_signal(signal.SIGKILL)
    reported += [int(line) for line in child.stdout.read().split("\n")[:-1]]
    child.wait(timeout=30)
    with Journal(path) as journal:
        numbers = [event.before for event in journal.events if isinstance(event, LevelChanged)]
        journal.append(LevelChanged(before=-1, after=0))
    assert numbers[: len(reported)] == reported
    assert numbers == list(range(len(numbers)))
    assert len(numbers) - len(reported) <= 1


def test_its_size_is_that_of_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    text = "x" * 8000
    with Journal(path) as journal:
        for step in range(250):
            call = ToolCall(id=f"call_{step}", name="shell", arguments='{"command": "make test"}')
            journal.append(ModelReplied(text="", calls=(call,), usage=Usage(input=1000, output=50), model="m"))
            journal.append(CallStarted(call=call.id, tool=call.name, arguments=call.arguments))
            journal.append(CallFinished(call=call.id, tool=call.name, ok=True, text=text, facts={"exit_code": 0}))
    assert 250 * 8000 < path.stat().st_size < 250 * (8000 + 1000)


def test_a_long_journal_reads_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    line = LevelChanged(before=1, after=2).model_dump_json().encode() + b"\n"
    path.write_bytes(line * 100_000)
    started = time.perf_counter()
    events = read_events(path)
    print(f"{len(events) / (time.perf_counter() - started):,.0f} events/s")  # for -s; machines differ
    assert len(events) == 100_000
    assert events[0] == events[-1]


def test_fields_of_a_newer_version_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"time": 1.0, "type": "level.changed", "before": 1, "after": 2, "mood": "calm"}\n')
    [event] = read_events(path)
    assert event.model_extra == {"mood": "calm"}
    with Journal(tmp_path / "copy.jsonl") as copy:
        copy.append(event)
    assert read_events(copy.path) == [event]


def test_values_of_secrets_are_in_no_event_and_their_place_is_marked(tmp_path: Path) -> None:
    value = 'tok_0123"456789'
    with Journal(tmp_path / "journal.jsonl", Secrets({"TOKEN": value})) as journal:
        written = [
            journal.append(UserMessage(role="user", text=f"it is {value}")),
            journal.append(CallStarted(call="1", tool="shell", arguments=json.dumps({"command": value}))),
            journal.append(CallFinished(call=value, tool="a", ok=True, text="", facts={value: [value, 1]})),
            journal.append(
                NetworkRequested(run_id="r", request=1, host="a", port=1, method=value, verdict="refused")
            ),
        ]
    assert written == read_events(tmp_path / "journal.jsonl") == journal.events
    assert not re.search("tok_|456789", (tmp_path / "journal.jsonl").read_text())
    assert (tmp_path / "journal.jsonl").read_text().count("[secret TOKEN]") == 6


@pytest.mark.parametrize("value", ["interrupted", "session.ended", "0.123456789", "resumable"])
def test_a_value_that_is_a_word_of_the_journals_own_breaks_nothing(tmp_path: Path, value: str) -> None:
    event = SessionEnded(outcome=Outcome.INTERRUPTED, detail=f"it was {value}", resumable=True)
    with Journal(tmp_path / "journal.jsonl", Secrets({"X": value})) as journal:
        journal.append(event)
    assert read_events(tmp_path / "journal.jsonl") == [event.model_copy(update={"detail": "it was [secret X]"})]
