"""A test goes on to its end where an assertion fails: what comes after is done, and it has failed all the same."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tasks.grading.lasting import make_lasting

SOURCE = '''
import unittest
from contextlib import suppress
import pytest


def test_value(log):
    """Doc."""
    assert len(log) == WANTED, "first"
    assert not log
    log.append("end")


def test_refused(log):
    with pytest.raises(REFUSED) as found:
        int("x")
    assert "invalid" in str(found.value)
    log.append("end")


def test_in_a_loop(log):
    for each in (1, 2):
        assert each == WANTED
        log.append("round")
    log.append("end")


def test_in_a_context(log):
    with open("/dev/null"):
        assert WANTED == 0
        log.append("inside")
    log.append("end")


def check(log):
    assert WANTED == 0
    log.append("checked")


def test_by_a_helper(log):
    check(log)
    log.append("end")


def test_returns(log):
    assert WANTED == 0
    log.append("end")
    return None


async def test_async(log):
    assert WANTED == 0
    log.append("end")


class TestIt(unittest.TestCase):
    def test_method(self, log=None):
        self.assertEqual(WANTED, 0)
        self.log.append("end")
'''
ENDS = {
    "test_value": ["end"],
    "test_refused": ["end"],
    "test_in_a_loop": ["round", "round", "end"],
    "test_in_a_context": ["inside", "end"],
    "test_by_a_helper": ["checked", "end"],
    "test_returns": ["end"],
    "test_async": ["end"],
    "test_method": ["end"],
}


def run(source: str, name: str, wanted: int, refused: type[Exception] = ValueError) -> tuple[bool, list[str]]:
    """Whether a test of the file passes, and what it did."""
    tree = ast.parse(source)
    make_lasting(tree)
    space: dict[str, Any] = {"__name__": "a_test", "WANTED": wanted, "REFUSED": refused}
    exec(compile(ast.unparse(ast.fix_missing_locations(tree)), "test_file.py", "exec"), space)
    log: list[str] = []
    if name == "test_method":
        case = space["TestIt"](name)
        case.log, function = log, case.test_method
    else:
        function = space[name]
    passes: Callable[[], Any] = function if name == "test_method" else lambda: function(log)
    try:
        done = passes()
        if name == "test_async":
            asyncio.run(done)
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 -- whatever a test ends with but its end is a failure
        return False, log
    return True, log


@pytest.mark.parametrize("name", [each for each in ENDS if each != "test_in_a_loop"])
def test_a_test_that_fails_does_what_comes_after(name: str) -> None:
    assert run(SOURCE, name, 0) == (True, ENDS[name])
    assert run(SOURCE, name, 7, BufferError) == (False, ENDS[name])


def test_a_loop_goes_on() -> None:
    assert run(SOURCE, "test_in_a_loop", 1) == (False, ENDS["test_in_a_loop"])


def test_the_first_failure_is_the_one_that_is_told() -> None:
    source = "def test_it():\n    assert 1 == 2, 'first'\n    assert 1 == 3, 'second'\n    raise ValueError\n"
    tree = ast.parse(source)
    make_lasting(tree)
    space: dict[str, Any] = {}
    exec(compile(ast.fix_missing_locations(tree), "test_file.py", "exec"), space)
    with pytest.raises(AssertionError, match="first"):
        space["test_it"]()


@pytest.mark.parametrize(
    "source",
    [
        "def test_it():\n    value = double(2)\n    assert value == 4\n",
        "def test_it():\n    with suppress(AssertionError):\n        assert 1 == 2\n    end()\n",
        "def test_it():\n    try:\n        assert 1 == 2\n    except AssertionError:\n        end()\n",
        "@fixture\ndef place():\n    assert ready()\n    yield 1\n    end()\n",
    ],
)
def test_what_has_nothing_after_it_or_is_waited_for_stays(source: str) -> None:
    tree = ast.parse(source)
    make_lasting(tree)
    assert ast.unparse(tree) == ast.unparse(ast.parse(source))
