"""A journal that was changed, cut or replaced shows it, at the line; an old one still reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chain import check, head_path
from agent.journal import AnyEvent, GateDecided, Journal, LevelChanged, SessionEnded, UserMessage, read_events
from agent.outcomes import Outcome, UsageProblem
from agent.store import SessionFolder, open_journal

EVENTS: list[AnyEvent] = [
    UserMessage(role="user", text=',"chain":"' + "a" * 64 + '"}'),
    GateDecided(call="1", tool="shell", effects=("run",), level=3, verdict="allow", cause="c", by="table"),
    LevelChanged(before=3, after=2),
    UserMessage(role="user", text="two\nlines"),
    SessionEnded(outcome=Outcome.STUCK, detail="", resumable=True),
]


def write(folder: Path, events: list[AnyEvent] = EVENTS) -> Path:
    path = folder / "journal.jsonl"
    with Journal(path) as journal:
        for event in events:
            journal.append(event, durable=isinstance(event, SessionEnded))
    return path


def test_a_whole_journal_has_an_unbroken_chain_and_a_head(tmp_path: Path) -> None:
    path = write(tmp_path)
    found = check(path)
    assert (found.lines, found.chained, found.torn, found.broken, found.problems) == (5, 5, 0, None, ())
    assert head_path(path).read_text() == f"{5:020} {found.head}\n"
    assert head_path(path).stat().st_mode & 0o777 == 0o600
    assert check(path, found.head).problems == ()
    assert read_events(path) == EVENTS, "the hash is no part of an event"


def test_any_changed_byte_shows_at_its_line(tmp_path: Path) -> None:
    path = write(tmp_path)
    whole = path.read_bytes()

    @given(
        at=st.integers(0, len(whole) - 1).filter(lambda at: whole[at : at + 1] != b"\n"), new=st.integers(32, 126)
    )
    def one_byte(at: int, new: int) -> None:
        path.write_bytes(whole[:at] + bytes([new]) + whole[at + 1 :])
        found = check(path)
        if new == whole[at]:
            assert not found.problems
            return
        line = whole[:at].count(b"\n") + 1
        assert found.problems
        # A first line whose hash is no hash any more passes for an old one, which the second line covers.
        assert found.broken == line or (line == 1 and found.broken == 2)

    one_byte()


@pytest.mark.parametrize("line", range(4))
def test_a_line_that_was_cut_out_shows_at_the_next_one(tmp_path: Path, line: int) -> None:
    path = write(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:line] + lines[line + 1 :]))
    assert check(path).broken == line + 1


def test_lines_that_were_swapped_doubled_or_put_in_show(tmp_path: Path) -> None:
    path = write(tmp_path)
    one, two, three, four, five = path.read_bytes().splitlines(keepends=True)
    bare = LevelChanged(before=2, after=5).model_dump_json().encode() + b"\n"
    for lines, broken in [
        ([one, three, two, four, five], 2),
        ([one, two, two, three, four, five], 3),
        ([one, two, bare, three, four, five], 3),
    ]:
        path.write_bytes(b"".join(lines))
        assert check(path).broken == broken


@pytest.mark.parametrize("left", range(5))
def test_a_cut_off_end_shows_and_is_not_written_over(tmp_path: Path, left: int) -> None:
    path = write(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:left]))
    found = check(path)
    assert found.replaced
    assert found.problems == (f"the end is cut off: there were 5 lines, and {left} are left",)
    with pytest.raises(UsageProblem, match="the end is cut off"):
        open_journal(SessionFolder(tmp_path))
    head_path(path).unlink()
    open_journal(SessionFolder(tmp_path)).close()


def test_a_journal_put_in_the_place_of_another_shows_by_the_head(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    path, other = write(tmp_path / "a"), write(tmp_path / "b", [*EVENTS[:1], *EVENTS[:-1], *EVENTS[-1:]])
    path.write_bytes(other.read_bytes())
    assert check(path).replaced
    head_path(path).write_bytes(head_path(other).read_bytes())
    assert check(path).problems == (), "whoever writes both files can replace them"
    kept = check(write(tmp_path / "c")).head
    assert "hash that you kept" in check(path, kept).problems[0]


def test_what_was_added_after_the_head_or_torn_is_no_damage(tmp_path: Path) -> None:
    path = write(tmp_path)
    with Journal(path) as journal:
        journal.append(UserMessage(role="user", text="more"))
    assert check(path).problems == ()
    path.write_bytes(path.read_bytes() + b'{"torn')
    assert (check(path).torn, check(path).lines, check(path).problems) == (6, 6, ())
    with open_journal(SessionFolder(tmp_path)) as journal:
        journal.append(LevelChanged(before=2, after=3))
    assert (check(path).torn, check(path).lines, check(path).problems) == (0, 7, ())


def test_a_missing_or_damaged_head_is_told(tmp_path: Path) -> None:
    path = write(tmp_path)
    head_path(path).write_text("0")
    assert "is damaged" in check(path).problems[0]
    head_path(path).unlink()
    assert "head is missing" in check(path).problems[0]


def test_a_journal_older_than_the_chain_reads_and_is_covered_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    old = [event.model_dump_json().encode() + b"\n" for event in EVENTS]
    path.write_bytes(b"".join(old))
    assert read_events(path) == EVENTS
    assert (check(path).chained, check(path).problems) == (0, ())
    with open_journal(SessionFolder(tmp_path)) as journal:
        journal.append(LevelChanged(before=2, after=3))
        journal.append(LevelChanged(before=3, after=2))
    assert (check(path).lines, check(path).chained, check(path).problems) == (7, 2, ())
    path.write_bytes(path.read_bytes().replace(b'"two\\nlines"', b'"two\\nlinez"'))
    assert check(path).broken == 6, "the first line with a hash covers the older ones"


def test_going_on_after_a_break_keeps_it_in_sight(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"two", b"six"))
    with open_journal(SessionFolder(tmp_path)) as journal:
        journal.append(LevelChanged(before=2, after=3))
    assert check(path).broken == 4
