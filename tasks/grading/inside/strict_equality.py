"""What `==` in a grading test becomes: equal, and not equal to something else as well.

Threat model: a side may be an object of the code under test that says yes to every comparison. It is asked about
a fresh object, and about values far from the other side's, beyond any tolerance: one that says yes there says
nothing. Not asked is who compares by code of Python's, of an installed package or of the tests: an approximation,
a matcher.

It is imported by the Python of a task's image, which may be as old as 3.6.
"""

import fnmatch
import inspect
import os
import site
import sysconfig
import types
from typing import Any

MESSAGE = "bridle: an object that is equal to what it should not be"
DEPTH = 6
WIDTH = 200
FAR = (1 << 127) - 1
"""A prime, so that it is no whole number of turns for what goes round: hours, angles."""
FARTHER = (1 << 521) - 1
_INSTALLED = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
_TRUSTED = tuple(
    os.path.realpath(each) + os.sep
    for each in {*_INSTALLED, *getattr(site, "getsitepackages", list)(), os.path.dirname(__file__)}
)
_IN_C = type(object.__eq__)
_TEST_FOLDERS = frozenset({"test", "tests", "testing"})
_TEST_FILES = ("test_*.py", "*_test.py", "conftest.py")


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
    if depth == 0 or type(value) in (bool, int, float, complex, str, bytes, type(None)):
        return False
    if not _compares_by_known_code(type(value)):
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


def _compares_by_known_code(kind: type) -> bool:
    """Is a type's `__eq__` written in C, or in a file that is none of the code under test?"""
    method = inspect.getattr_static(kind, "__eq__", None)
    if isinstance(method, _IN_C):
        return method.__name__ == "__eq__"
    if not isinstance(method, types.FunctionType):
        return False
    path = os.path.realpath(method.__code__.co_filename)
    *folders, name = path.split(os.sep)
    is_test = bool(_TEST_FOLDERS.intersection(folders)) or any(fnmatch.fnmatch(name, each) for each in _TEST_FILES)
    return is_test or path.startswith(_TRUSTED)


def _neighbours(value: Any) -> Any:
    """Values of the same kind that are another value, and not nearly the same."""
    if type(value) is bool:
        return [not value]
    if type(value) in (int, float):
        return _far_from(value)
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


def _far_from(value: Any) -> Any:
    """Numbers below and above that no tolerance reaches."""
    kind, size = type(value), abs(value)
    if size in (float("inf"), -float("inf")):
        return [kind(0)]
    far = next((each for each in (FAR, FARTHER) if size < each >> 40), None)
    return [] if far is None else [value - kind(far), value + kind(far)]
