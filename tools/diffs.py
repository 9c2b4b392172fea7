"""Unified diffs for people: quick on big files, and free of control characters."""

from __future__ import annotations

import difflib
import re

from tools.paths import shown
from tools.text import clip, visible

_MAX_DIFF = 200_000
_MAX_LINES = 6_000
_CONTEXT = 3


def unified(path: str, old: str, new: str) -> str:
    """The difference of two texts of the file at the absolute `path`; empty when there is none.

    Only what lies between the first and the last changed line is compared: a change in a big file costs little.
    Where even that is more than a few thousand lines, the diff says how many instead of showing them.
    """
    before, after = _lines(old), _lines(new)
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    first = max(0, start - _CONTEXT)
    before = before[first : len(before) - max(0, end - _CONTEXT)]
    after = after[first : len(after) - max(0, end - _CONTEXT)]
    name = shown(path)
    if len(before) + len(after) > _MAX_LINES:
        return f"--- a/{name}\n+++ b/{name}\n(too long to show: {len(before)} lines become {len(after)})\n"
    diff = difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", n=_CONTEXT)
    return clip("".join(_shown(line, first) for line in diff), _MAX_DIFF)


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _common(one: list[str], other: list[str]) -> int:
    """How many lines the two begin with in common."""
    pairs = zip(one, other, strict=False)
    return next((number for number, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _shown(line: str, offset: int) -> str:
    if line.startswith("@@"):
        # Line 0 stands for "before the first line", when one side of a hunk is empty.
        return re.sub(r"(?<=[-+])\d+", lambda number: str(int(number[0]) + offset), line)
    return visible(line) if line.endswith("\n") else visible(line) + "\n\\ No newline at end of file\n"
