"""Which bugs are tried, which are enough unlike, and which go together."""

from __future__ import annotations

import random

from tasks.making.choosing import Bug, call_names, difficulty, is_like, spread, together
from tasks.making.edits import Edit
from tasks.making.mutations.text import Mutation

SOURCE = b"def f(a):\n    return g(a)\n\n\nclass C:\n    def m(self):\n        self.n()\n\n    def n(self): ...\n"


def bug(function: str, line: int, failing: str, kind: str = "comparison") -> Bug:
    return Bug((Mutation("a.py", kind, function, line, (Edit(line, line + 1, b"x"),)),), frozenset(failing))


def test_every_beginning_has_many_kinds_files_and_functions() -> None:
    made = [
        Mutation(f"{file}.py", kind, f"f{n}", n, ()) for file in "ab" for kind in ("x", "y") for n in range(10)
    ]
    order = spread(made, random.Random(1))
    assert sorted(order) == sorted(made)
    assert {(each.kind, each.path) for each in order[:4]} == {(k, f"{f}.py") for f in "ab" for k in ("x", "y")}
    assert len({each.function for each in order[:40:4]}) == 10
    assert spread(reversed(made), random.Random(1)) == order


def test_near_duplicates() -> None:
    kept = [bug("f", 1, "abcde")]
    assert is_like(bug("g", 9, "abcde"), kept)
    assert is_like(bug("f", 3, "xyz"), kept)
    assert is_like(bug("f", 3, "abcd", "boolean"), kept)
    assert not is_like(bug("f", 3, "abc", "boolean"), kept)
    assert not is_like(bug("g", 3, "abcd"), kept)
    two = Bug((*bug("f", 1, "").mutations, *bug("f", 5, "").mutations), frozenset("abcde"))
    assert not is_like(two, kept)


def test_those_that_go_together_are_in_one_function_or_call_each_other() -> None:
    calls = call_names("a.py", SOURCE)
    assert calls[("a.py", "f")] == {"g"}
    assert calls[("a.py", "C.m")] == {"n"}
    known = [bug("f", 1, "a"), bug("g", 20, "b"), bug("C.m", 40, "c"), bug("h", 60, "d"), bug("f", 8, "a")]
    pairs = together(known, 2, calls, random.Random(0))
    names = {tuple(sorted(each.mutations[0].function for each in pair)) for pair in pairs}
    assert names == {("f", "g")}
    assert together(known[2:4], 2, calls, random.Random(0)) == []


def test_difficulty_is_by_sites_and_by_how_much_shows() -> None:
    found = [difficulty(sites, share) for sites in (1, 2, 3) for share in (0.01, 0.2)]
    assert found == ["medium", "easy", "hard", "medium", "hard", "hard"]
