"""Twins of tests: what passes a test fails its twin, and what passes both is a forgery."""

from __future__ import annotations

import ast
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.grading.strict import strict
from tasks.grading.twins import named_tests, other_than, turned, units

SOURCE = '''
"""A file of tests."""
import unittest

import pytest
from code_under_test import double

WANTED = {"a": 2}


def test_value():
    assert double(2) == 4


def test_name_of_a_value():
    assert double({"a": 1}) == WANTED


def test_not_plain():
    assert double(3) == double(1) + 4


def test_member():
    assert 4 in [double(2)]


def test_refused():
    with pytest.raises(TypeError):
        double(None)


def test_refused_in_a_loop():
    for wrong in (None, object()):
        with pytest.raises(TypeError):
            double(wrong)


def test_only_perhaps():
    for number in range(double(1)):
        assert double(number) == 2 * number


def test_early():
    if double(1) == 2:
        return
    assert double(1) == 3


@pytest.mark.parametrize("given, wanted", [(1, 2), (2, 4)])
def test_each(given, wanted):
    assert double(given) == wanted


class TestIt(unittest.TestCase):
    def test_equal(self):
        self.assertEqual(double(2), 4)

    def test_true(self):
        self.assertTrue(double(2) > 3)

    def test_raises(self):
        self.assertRaises(TypeError, double, None)


class TestMore(TestIt):
    pass
'''


def double(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: double(each) for key, each in value.items()}
    if not isinstance(value, int):
        raise TypeError(value)
    return value + value


def outcome(source: str, name: str) -> bool:
    """Whether a test of the file passes with `double`."""
    import sys
    from types import ModuleType

    module = ModuleType("code_under_test")
    module.__dict__["double"] = double
    before = sys.modules.get("code_under_test")
    sys.modules["code_under_test"] = module
    try:
        space: dict[str, Any] = {"__name__": "a_test"}
        exec(compile(source, "test_file.py", "exec"), space)
        owner, _, last = name.rpartition("::")
        function = getattr(space[owner](last), last) if owner else space[last]
        for arguments in [(1, 2), (2, 4)] if last == "test_each" else [()]:
            function(*arguments)
    except Exception:  # noqa: BLE001 -- whatever a test ends with but its end is a failure
        return False
    finally:
        del sys.modules["code_under_test"]
        if before is not None:
            sys.modules["code_under_test"] = before
    return True


NAMES = sorted(named_tests(SOURCE))


@pytest.mark.parametrize("name", NAMES)
def test_who_passes_a_test_fails_its_twin(name: str) -> None:
    assert outcome(SOURCE, name)
    for seed in range(8):
        twin = turned(SOURCE, [name], random.Random(seed))
        assert not outcome(twin, name), ast.unparse(ast.parse(twin))
        others = [other for other in NAMES if other != name]
        assert all(outcome(twin, other) for other in others)


def test_where_a_value_is_compared_only_the_value_differs() -> None:
    twin = turned(SOURCE, ["test_value"], random.Random(1))
    changed = set(twin.splitlines()) - set(ast.unparse(ast.parse(SOURCE)).splitlines())
    (line,) = changed
    assert line.strip().startswith("assert double(2) == ")


def test_an_inherited_test_is_turned_round_with_the_one_it_is() -> None:
    found = units(SOURCE, ["test_value", "TestIt::test_equal", "TestMore::test_equal", "Elsewhere::test_x"])
    assert found["TestMore::test_equal"] == found["TestIt::test_equal"] == "TestIt::test_equal"
    assert found["Elsewhere::test_x"] == "Elsewhere::test_x"


def test_a_test_that_the_file_does_not_define_is_wrapped() -> None:
    source = "def make():\n    def test_it():\n        pass\n    return test_it\ntest_made = make()\n"
    assert outcome(source, "test_made")
    assert not outcome(turned(source, ["test_made"], random.Random(0)), "test_made")


def test_what_is_no_python_stays() -> None:
    assert turned("def broken(:", ["test_x"], random.Random(0)) == "def broken(:"
    assert strict("def broken(:") == "def broken(:"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e6, 1e6) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)


@given(values, st.randoms(use_true_random=False))
def test_another_value_is_never_equal(value: object, rng: random.Random) -> None:
    other = other_than(value, rng)
    assert other is None or other != value
    assert other is None or type(other) is type(value) or value is None
