"""Nothing that the agent writes acts on the terminal or hides from the reader."""

from __future__ import annotations

import ast
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.autonomy.visible import shorten, visible

ANYTHING = st.text(alphabet=st.characters(exclude_categories=()))


@given(ANYTHING)
def test_what_comes_out_is_printable_and_can_be_encoded(text: str) -> None:
    shown = visible(text)
    shown.encode()
    for character in shown:
        assert character in "\n\t" or character.isprintable()
        assert unicodedata.bidirectional(character) not in {"LRE", "RLE", "LRO", "RLO", "LRI", "RLI", "FSI", "PDF"}
    assert visible(shown) == shown


@given(ANYTHING.filter(lambda text: "\\" not in text and "'" not in text))
def test_nothing_is_lost(text: str) -> None:
    literal = visible(text).replace("\n", "\\n").replace("\t", "\\t")
    assert ast.literal_eval(f"'{literal}'") == text


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("ls\rrm", r"ls\rrm"),
        ("a\u202eb", r"a\u202eb"),
        ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
        ("rm\u00a0-rf", r"rm\xa0-rf"),
        ("x\u3164y\u2800", r"x\u3164y\u2800"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        ("\u2028", r"\u2028"),
        ("v\ufe0f", r"v\ufe0f"),
    ],
)
def test_known_tricks(hidden: str, shown: str) -> None:
    assert visible(hidden) == shown


@pytest.mark.parametrize("text", ["plain", "tab\tand\nline", "naïve 日本語 🐴 “quotes”", "[bold]x[/bold]"])
def test_ordinary_text_stays(text: str) -> None:
    assert visible(text) == text


@given(
    st.lists(st.text(alphabet="ab", max_size=30), min_size=1, max_size=30), st.integers(3, 12), st.integers(4, 20)
)
def test_shortening_keeps_to_its_bounds_and_counts_right(rows: list[str], lines: int, columns: int) -> None:
    text = "\n".join(rows)
    short = shorten(text, lines=lines, columns=columns)
    out = short.text.split("\n")
    assert len(out) <= lines
    assert short.whole == (len(rows) <= lines and all(len(row) <= columns for row in rows))
    assert (len(rows) - short.lines_left_out) + bool(short.lines_left_out) == len(out)
    if short.whole:
        assert short.text == text
    elif all(len(row) <= columns for row in rows):
        assert out[-1] == rows[-1], "the end may be what matters"
        assert out[:-2] == rows[: lines - 2]
        assert out[-2] == f"[… {short.lines_left_out} lines …]"


def test_a_long_line_keeps_both_ends() -> None:
    short = shorten("echo " + "x" * 10_000 + "; rm -rf ~", lines=3, columns=40)
    assert short.text.startswith("echo xxx")
    assert short.text.endswith("; rm -rf ~")
    assert f"[… {short.characters_left_out} characters …]" in short.text
