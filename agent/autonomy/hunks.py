"""An edit taken apart into its changed places, and put together again from those that a person accepted.

Pure functions on texts. A hunk is one run of changed lines, so that places that a diff shows as one, because they
are near each other, can be accepted one by one.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from agent.autonomy.questions import Question

MAX_LINES = 6_000
"""Lines of both texts between the first and the last change; more are not taken apart."""
CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Hunk:
    """One changed place: which lines (from 0, the end excluded) of the old text become which of the new one."""

    old: tuple[int, int]
    new: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Change:
    """Two texts, as lines with their ends, and the hunks between them."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    hunks: tuple[Hunk, ...]

    def shown(self, hunk: Hunk) -> str:
        """One hunk with the lines around it, like a unified diff. It is not made harmless."""
        (start, stop), (first, last) = hunk.old, hunk.new
        head = f"@@ -{start + 1},{stop - start} +{first + 1},{last - first} @@"
        around = (self.before[max(start - CONTEXT, 0) : start], self.before[stop : stop + CONTEXT])
        lines = [
            *(f" {line}" for line in around[0]),
            *(f"-{line}" for line in self.before[start:stop]),
            *(f"+{line}" for line in self.after[first:last]),
            *(f" {line}" for line in around[1]),
        ]
        return "\n".join([head, *(line.removesuffix("\n") for line in lines)])

    def merged(self, accepted: Collection[int]) -> str:
        """The old text with the hunks of these numbers, from 0, and no others."""
        parts: list[str] = []
        at = 0
        for number, hunk in enumerate(self.hunks):
            parts += self.before[at : hunk.old[0]]
            parts += self.after[slice(*hunk.new)] if number in accepted else self.before[slice(*hunk.old)]
            at = hunk.old[1]
        return "".join([*parts, *self.before[at:]])


def change(before: str, after: str) -> Change | None:
    """The hunks between two texts; None where there are too many lines to tell in reasonable time."""
    old, new = _lines(before), _lines(after)
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    if len(old) + len(new) - 2 * (start + end) > MAX_LINES:
        return None
    matcher = SequenceMatcher(None, old[start : len(old) - end], new[start : len(new) - end], autojunk=False)
    hunks = tuple(
        Hunk((start + i1, start + i2), (start + j1, start + j2))
        for tag, i1, i2, j1, j2 in matcher.get_opcodes()
        if tag != "equal"
    )
    return Change(tuple(old), tuple(new), hunks)


def change_of(question: Question) -> Change | None:
    """The change that a question is about, if it can be accepted in part."""
    match question.tool, question.arguments:
        case "edit", {"old": str(old), "new": str(new)}:
            return change(old, new)
        case "write", {"content": str(content)} if question.preview.before is not None:
            return change(question.preview.before, content)
        case _:
            return None


def with_accepted(question: Question, change: Change, accepted: Collection[int]) -> dict[str, Any]:
    """The arguments of the call in which only the accepted hunks are made."""
    name = "new" if question.tool == "edit" else "content"
    return {**question.arguments, name: change.merged(accepted)}


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _common(one: list[str], other: list[str]) -> int:
    pairs = zip(one, other, strict=False)
    return next((number for number, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
