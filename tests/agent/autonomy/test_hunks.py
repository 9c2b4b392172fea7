"""An edit, accepted in parts: any choice of hunks gives the old text with those places changed, and no others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.autonomy.hunks import change

LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\r\n", "\n", "d"]), max_size=12).map("".join)


@given(LINES, LINES)
def test_all_hunks_give_the_new_text_and_none_the_old(before: str, after: str) -> None:
    made = change(before, after)
    assert made is not None
    assert made.merged(range(len(made.hunks))) == after
    assert made.merged(()) == before
    assert bool(made.hunks) == (before != after)


@given(LINES, LINES, st.data())
def test_rejecting_a_hunk_is_accepting_all_others(before: str, after: str, data: st.DataObject) -> None:
    made = change(before, after)
    assert made is not None
    accepted = data.draw(st.sets(st.sampled_from(range(len(made.hunks))))) if made.hunks else set()
    wanted = []
    at = 0
    for number, hunk in enumerate(made.hunks):
        wanted.append("".join(made.before[at : hunk.old[0]]))
        side, place = (made.after, hunk.new) if number in accepted else (made.before, hunk.old)
        wanted.append("".join(side[place[0] : place[1]]))
        at = hunk.old[1]
    assert made.merged(accepted) == "".join(wanted) + "".join(made.before[at:])


def test_places_near_each_other_are_hunks_of_their_own_and_are_shown_with_lines_around() -> None:
    made = change("1\n2\n3\n4\n", "one\n2\nthree\n4\n")
    assert made is not None
    assert made.merged({1}) == "1\n2\nthree\n4\n"
    assert made.shown(made.hunks[1]) == "@@ -3,1 +3,1 @@\n 1\n 2\n-3\n+three\n 4"


def test_a_change_of_too_many_lines_is_not_taken_apart() -> None:
    assert change("a\n" * 9000 + "b\n", "c\n" * 9000) is None
    assert change("a\n" * 90_000, "a\n" * 45_000 + "b\n" + "a\n" * 45_000) is not None
