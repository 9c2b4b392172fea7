"""Mutations: what they leave is another program, and the patch takes them back to the byte."""

from __future__ import annotations

import ast
import subprocess
import tempfile
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.making.edits import Edit, apply, patch
from tasks.making.mutations.find import find_mutations, mutate

EVERYTHING = textwrap.dedent(
    '''
    """A file with something of each kind."""  # é — columns are bytes
    import re


    def f(a, b, *, key=None, deep=True, size=3):
        # a + b in a comment is nothing
        if not isinstance(a, str):
            raise TypeError("a < b")
        total = (a) + (b)  # not a - b
        total -= 1
        if a and b:
            return sorted(a, key=key)
        elif a == "ä":
            return a.strip().lower()
        else:
            b = [x for x in b if x > 0]
        try:
            value = int(a[1:size])
        except (ValueError, TypeError):
            value = max(a, b) if deep else min(a, b)
        for i in range(len(a)):
            total += i << 2
        b.append(value)
        while a is not None and total < 10:
            a = re.match("x", a)
        return (
            total
            # between
            // size
        )
    '''
).lstrip()
KINDS = {
    "arithmetic", "bitwise", "boolean", "bound", "comparison", "condition", "default", "dropped argument",
    "dropped call", "dropped condition", "missing case", "missing except", "missing guard", "missing statement",
    "off by one", "swapped arguments", "swapped branches", "swapped call", "wrong variable",
}  # fmt: skip


def mutants(source: str) -> set[tuple[str, str]]:
    """Kind and the changed line, for every mutation that gives another program."""
    data, found = source.encode(), set()
    for each in find_mutations("f.py", data):
        if (mutated := mutate(data, [each])) is not None:
            new = [line for line in mutated.decode().splitlines() if line not in source.splitlines()]
            found.add((each.kind, "; ".join(line.strip() for line in new)))
    return found


def test_there_is_something_of_every_kind() -> None:
    data = EVERYTHING.encode()
    found = [each for each in find_mutations("f.py", data) if mutate(data, [each]) is not None]
    assert {each.kind for each in found} == KINDS
    assert {each.function for each in found} == {"f"}


def test_the_mutants_of_a_small_function_are_known() -> None:
    source = "def first(items, count):\n    return items[:count]\n"
    assert mutants(source) == {
        ("bound", "return items[:count - 1]"),
        ("wrong variable", "return count[:count]"),
        ("wrong variable", "return items[:items]"),
    }
    source = "def span(low, high):\n    if low < 1:\n        return 0\n    return high - low\n"
    assert mutants(source) >= {
        ("comparison", "if low <= 1:"),
        ("comparison", "if low > 1:"),
        ("off by one", "if low < 2:"),
        ("missing guard", "pass"),
        ("arithmetic", "return high + low"),
    }


def test_cases_go_with_their_lines_and_their_neighbours_stay() -> None:
    source = "def f(a):\n    if a:\n        return 1\n    elif a is None:\n        return 2\n    return 3\n"
    data = source.encode()
    texts = {mutate(data, [each]) for each in find_mutations("f.py", data) if each.kind == "missing case"}
    assert texts == {
        b"def f(a):\n    if a:\n        return 1\n    return 3\n",
        b"def f(a):\n    if a is None:\n        return 2\n    return 3\n",
    }


def test_only_reached_lines_and_no_messages_are_touched() -> None:
    source = "def f(a, b):\n    if a < b:\n        raise ValueError(a + b)\n    print(a - b)\n    return a * b\n"
    assert {each.line for each in find_mutations("f.py", source.encode(), {2, 3, 4})} == {2}
    assert {each.line for each in find_mutations("f.py", source.encode())} == {2, 5}


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["\n", "\r\n"]), st.booleans(), st.lists(st.integers(0, 10_000), min_size=1, max_size=3))
def test_what_is_left_parses_and_the_patch_takes_it_back(end: str, closed: bool, numbers: list[int]) -> None:
    source = EVERYTHING.replace("\n", end).encode()
    source = source if closed else source.rstrip()
    found = find_mutations("deep/f.py", source)
    chosen = [found[number % len(found)] for number in numbers]
    mutated = mutate(source, chosen)
    if mutated is None:
        return
    assert ast.dump(ast.parse(mutated)) != ast.dump(ast.parse(source))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deep" / "f.py"
        path.parent.mkdir()
        path.write_bytes(mutated)
        back = patch({"deep/f.py": mutated}, {"deep/f.py": source})
        command = ["git", "apply", "--whitespace=nowarn", "-"]
        subprocess.run(command, cwd=folder, input=back, check=True, capture_output=True)
        assert path.read_bytes() == source


@settings(deadline=None)
@given(st.binary(max_size=30), st.data())
def test_edits_change_their_own_bytes_only(source: bytes, data: st.DataObject) -> None:
    places = sorted(data.draw(st.lists(st.integers(0, len(source)), min_size=2, max_size=4)))
    edits = [Edit(places[0], places[1], b"new")]
    made = apply(source, edits)
    assert made == source[: places[0]] + b"new" + source[places[1] :]
    if len(places) == 4 and places[1] > places[2]:
        with pytest.raises(ValueError, match="overlaps"):
            apply(source, [*edits, Edit(places[2], places[3], b"")])


@pytest.mark.parametrize(
    "source", [b"def f(:", b"\xff", b"a = 1\x0c\n", b"\xef\xbb\xbfa = 1\n", b"a = 1\rb = 2\n"]
)
def test_what_cannot_be_edited_with_certainty_is_refused(source: bytes) -> None:
    with pytest.raises(ValueError, match=r"f\.py"):
        find_mutations("f.py", source)
