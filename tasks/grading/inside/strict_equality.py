"""What `==` in a grading test becomes: equal, and not equal to something else as well.

Threat model: a side may be an object of the code under test that says yes to every comparison. It is asked about a
fresh object, and about a neighbour of the other side's value: one that says yes there says nothing.
"""

import unittest.mock
from typing import Any

MESSAGE = "bridle: an object that is equal to what it should not be"
DEPTH = 6
WIDTH = 200


class _Fresh:
    """Equal to nothing but itself."""


def equal(left: Any, right: Any) -> Any:
    """`left == right`; AssertionError when a side is equal to other things as well."""
    result = left == right
    if result is True:
        for one, other in ((left, right), (right, left)):
            if _lies(one, other, DEPTH):
                raise AssertionError(MESSAGE)
    return result


def _lies(value: Any, other: Any, depth: int) -> bool:
    if depth == 0 or value is unittest.mock.ANY or other is unittest.mock.ANY:
        return False
    if type(value) in (bool, int, float, complex, str, bytes, type(None)):
        return False
    for wrong in (_Fresh(), *_neighbours(other)):
        try:
            if (value == wrong) is True:
                return True
        except Exception:  # noqa: BLE001, S112 -- a comparison that refuses is no yes
            continue
    if isinstance(value, dict) and isinstance(other, dict):
        pairs = [(each, other.get(key)) for key, each in list(value.items())[:WIDTH] if key in other]
    elif isinstance(value, (list, tuple)) and isinstance(other, (list, tuple)):
        pairs = list(zip(value, other))[:WIDTH]
    else:
        pairs = []
    return any(_lies(one, two, depth - 1) for one, two in pairs)


def _neighbours(value: Any) -> list[Any]:
    """Values of the same kind that are another value."""
    if type(value) is bool:
        return [not value]
    if type(value) in (int, float):
        return [value + 1]
    if type(value) is str:
        return [value + "\x00"]
    if type(value) is bytes:
        return [value + b"\x00"]
    if type(value) is list:
        return [[*value, _Fresh()]]
    if type(value) is tuple:
        return [(*value, _Fresh())]
    if type(value) is dict:
        return [{**value, _Fresh(): None}]
    return []
