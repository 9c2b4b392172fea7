"""Edits of source text by place, and the patch that takes them back.

Everything is bytes and byte offsets, as `ast` counts columns: formatting, comments, line ends and a missing
newline at the end stay as they are.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Edit(NamedTuple):
    """The bytes from `start` to `end` become `text`."""

    start: int
    end: int
    text: bytes


def apply(source: bytes, edits: Sequence[Edit]) -> bytes:
    """The source with all edits made. Raises ValueError for edits that overlap or lie outside."""
    parts, place = [], 0
    for edit in sorted(edits):
        if not place <= edit.start <= edit.end <= len(source):
            raise ValueError(f"an edit from {edit.start} to {edit.end} overlaps another one, or lies outside")
        parts += [source[place : edit.start], edit.text]
        place = edit.end
    return b"".join([*parts, source[place:]])


def patch(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> bytes:
    """A patch, as git and patch apply it, that makes the files `new` of `old`; both have the same names."""
    pieces = []
    for name in sorted(old):
        lines = difflib.diff_bytes(
            difflib.unified_diff,
            _lines(old[name]),
            _lines(new[name]),
            f"a/{name}".encode(),
            f"b/{name}".encode(),
            lineterm=b"\n",
        )
        pieces += [line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n" for line in lines]
    return b"".join(pieces)


def _lines(data: bytes) -> list[bytes]:
    """Lines as git counts them: a line ends with a newline and with nothing else."""
    return [line + b"\n" for line in data.split(b"\n")[:-1]] + (
        [rest] if (rest := data.rpartition(b"\n")[2]) else []
    )
