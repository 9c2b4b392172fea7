"""Parsing Python, one source at a time."""

from __future__ import annotations

import ast
import threading

_ONE_AT_A_TIME = threading.Lock()
"""CPython counts the depth of a tree for the whole process (before 3.11.8): two threads can fail."""


def parse(source: str | bytes) -> ast.Module:
    """As ast.parse, safe in threads. Raises SyntaxError, ValueError, RecursionError."""
    with _ONE_AT_A_TIME:
        return ast.parse(source)
