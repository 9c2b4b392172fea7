"""The replacement behind the edit tool: exact, unique, and helpful when it cannot be made."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tools.edit import CannotReplace, replace

TEXT = st.text(alphabet="ab \t\nxé", max_size=60)
PIECE = st.text(alphabet="ab \t\nxé", min_size=1, max_size=6)


def overlapping(text: str, old: str) -> int:
    return sum(text.startswith(old, place) for place in range(len(text)))


@given(TEXT, PIECE, PIECE)
def test_a_unique_occurrence_is_replaced_exactly(text: str, old: str, new: str) -> None:
    assume(old != new)
    if overlapping(text, old) == 1:
        assert replace(text, old, new).text == text.replace(old, new)
    else:
        with pytest.raises(CannotReplace):
            replace(text, old, new)


@given(st.lists(TEXT, min_size=2), PIECE, PIECE)
def test_all_replaces_as_str_replace_does(parts: list[str], old: str, new: str) -> None:
    assume(old != new)
    text = old.join(parts)
    changed = replace(text, old, new, everywhere=True)
    assert changed.text == text.replace(old, new)
    assert changed.count == text.count(old)
    assert changed.text[changed.start : changed.end] == new


@given(TEXT, PIECE, TEXT, PIECE)
def test_crlf_files_keep_their_line_endings(before: str, old: str, after: str, new: str) -> None:
    text = f"{before}{old}{after}\n"
    assume(old != new and overlapping(text, old) == 1)
    crlf = text.replace("\n", "\r\n")
    assert replace(crlf, old, new).text == text.replace(old, new).replace("\n", "\r\n")
    assert replace(crlf, old.replace("\n", "\r\n"), new).text == text.replace(old, new).replace("\n", "\r\n")


def test_in_a_file_of_mixed_line_endings_only_the_meant_ones_change() -> None:
    assert replace("a\r\nb\r\nc\nd\n", "c\nd", "x\ny").text == "a\r\nb\r\nx\ny\n"
    assert replace("a\r\nb\r\nc\nd\n", "a\nb", "x\ny").text == "x\r\ny\r\nc\nd\n"


def miss(text: str, old: str, new: str = "something else", everywhere: bool = False) -> str:
    with pytest.raises(CannotReplace) as caught:
        replace(text, old, new, everywhere)
    return str(caught.value)


CODE = "import os\n\n\ndef area(w, h):\n    size = w * h\n    return size\n\n\ndef other():\n    return 1\n"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("    5\t    size = w * h", "x", "line numbers"),
        ("def area(w, h):\n\tsize = w * h", "x", "differs in spaces, tabs or blank lines only"),
        ("def area(w,  h):", "x", "differs in spaces"),
        ("def area(w, h):\\n    size", "x", "escaped once too often"),
        ("    return 1\n\n", "x", "ends with fewer line breaks"),
        ("nothing here like that", "    return size", "is in the file already, at line 6"),
        ("def area(width, h):\n    size = width * h", "x", "The nearest lines are:\n     4\tdef area(w, h):"),
        ("    size = w + h\n    return size", "x", "The nearest lines are:\n     5\t    size = w * h"),
        ("%%%%", "x", "Nothing in the file is like it"),
    ],
)
def test_a_miss_names_the_likely_mistake(old: str, new: str, told: str) -> None:
    assert told in miss(CODE, old, new)


def test_several_occurrences_are_counted_with_their_lines() -> None:
    told = miss("a = 1\na = 2\nb\na = 3\n", "a = ")
    assert (
        "occurs 3 times, beginning on these lines:\n     1\ta = 1\n     2\ta = 2\n     4\ta = 3\nTake in" in told
    )
    assert "occurs 2 times, beginning on these lines:\n     1\taaa\nTake in" in miss("aaa", "aa")
    told = miss("x x\n" * 30, "x")
    assert "occurs 60 times" in told
    assert "    10\tx x\n[and 20 more lines]\nTake in" in told
    assert "occurs 1000 times or more" in miss("x\n" * 3000, "x")


def test_nothing_to_change_is_refused() -> None:
    assert "are the same" in miss("a", "a", "a")
    assert "only in line endings" in miss("a\r\nb\r\n", "a\nb", "a\r\nb")


@given(st.text(max_size=300), st.text(min_size=1, max_size=80), st.text(max_size=20), st.booleans())
def test_any_input_is_either_replaced_or_explained(text: str, old: str, new: str, everywhere: bool) -> None:
    try:
        changed = replace(text, old, new, everywhere)
    except CannotReplace as error:
        told = str(error)
    else:
        assert changed.text != text
        return
    assert 10 < len(told) < 20_000


@pytest.mark.parametrize(
    "text",
    ["x = 1\n" * 200_000, "a b c d e " * 200_000, "\n" * 500_000, "aaaa\n" * 100_000 + "def f(x):\n"],
    ids=["lines", "one line", "blank", "repeats"],
)
def test_a_miss_in_a_huge_file_is_explained_shortly(text: str) -> None:
    assert len(miss(text, "def f(y):\n    return x = 1\n" * 3)) < 20_000
