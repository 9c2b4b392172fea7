"""Text of the agent's, made fit to be shown to a person: nothing in it acts on the terminal or hides.

Threat model: model text, arguments, file names and file contents may hold escape sequences (which move the cursor,
set titles, or make the terminal type an answer by itself), carriage returns that overwrite what was shown,
bidirectional overrides that reorder it, invisible characters, and spaces that are not spaces. All of them come out
as escapes a person can read. What it cannot see is a letter that merely looks like another one.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SHOWN_AS_NOTHING = frozenset(
    map(
        chr,
        (
            0x034F,  # combining grapheme joiner
            0x115F,
            0x1160,
            0x3164,
            0xFFA0,  # Hangul fillers
            0x17B4,
            0x17B5,  # Khmer inherent vowels
            0x2800,  # braille blank
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),  # variation selectors
        ),
    )
)


def visible(text: str) -> str:
    """`text` with every character that acts, hides or deceives as an escape; newlines and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if _harmless(character) else _escape(character) for character in text)


class Shortened(NamedTuple):
    """The part of a text that fits, and what was left out of it."""

    text: str
    lines_left_out: int
    characters_left_out: int

    @property
    def whole(self) -> bool:
        """Whether nothing was left out."""
        return not self.lines_left_out and not self.characters_left_out


def shorten(text: str, *, lines: int, columns: int) -> Shortened:
    """At most `lines` lines (the first ones and the last one) of at most `columns` characters, counts in place.

    The end is kept because what matters in a long command may stand there.
    """
    every = text.split("\n")
    cut = len(every) - lines
    if cut > 0:
        cut += 1  # the line that tells the count takes one place
        every = [*every[: lines - 2], "", every[-1]]
    dropped = 0
    kept = []
    for line in every:
        over = len(line) - columns
        if over > 0:
            dropped += over
            half = columns // 2
            line = f"{line[:half]} [… {over} characters …] {line[len(line) - (columns - half) :]}"  # noqa: PLW2901
        kept.append(line)
    if cut > 0:
        kept[lines - 2] = f"[… {cut} lines …]"
    return Shortened("\n".join(kept), max(cut, 0), dropped)


def _harmless(character: str) -> bool:
    if character in "\n\t ":
        return True
    category = unicodedata.category(character)
    return category not in _HIDDEN_CATEGORIES and category != "Zs" and character not in _SHOWN_AS_NOTHING


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
