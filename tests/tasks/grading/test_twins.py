"""Twins of tests: what passes a test fails its twin, and what passes both is a forgery."""

from __future__ import annotations

import ast
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tasks
from tasks.format.task import load_task
from tasks.grading.by_ids import proofs, rounds
from tasks.grading.strict import strict
from tasks.grading.twins import Strength, named_tests, strengths, turned, units
from tasks.grading.values import other_than

SOURCE = '''
"""A file of tests."""
import unittest

import pytest
from code_under_test import double

WANTED = {"a": 2}
LIST = [2]
LIST.append(4)


def doubles(number, wanted):
    assert double(number) == wanted


def refused(wrong):
    with pytest.raises(TypeError):
        double(wrong)


def same(left, right):
    assert left == right, left
    assert right == left


def test_value():
    assert double(2) == 4


def test_name_of_a_value():
    assert double({"a": 1}) == WANTED


def test_after_a_function_of_its_own():
    def twice(number):
        return double(number)

    assert twice(2) == 4


def test_by_a_helper():
    doubles(2, 4)


def test_refused_by_a_helper():
    refused(None)
    refused(object())


def test_another_refused_by_a_helper():
    refused(None)


def test_by_a_helper_that_asks_twice():
    same(double(2), 4)


def test_a_name_that_changes():
    assert [double(1), double(2)] == LIST


def test_both():
    assert double(2) == 4 and double(3) == 6


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

    def check(self, number):
        self.assertTrue(double(number))

    def test_by_a_method(self):
        self.check(3)


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
NO_TWIN = ("test_only_perhaps", "test_early")
PROVABLE = [name for name in NAMES if name not in NO_TWIN]


@pytest.mark.parametrize("name", PROVABLE)
def test_who_passes_a_test_fails_its_twin(name: str) -> None:
    assert outcome(SOURCE, name)
    for seed in range(8):
        twin = turned(SOURCE, [name], random.Random(seed))
        assert not outcome(twin, name), ast.unparse(ast.parse(twin))
        others = [other for other in NAMES if other != name]
        assert all(outcome(twin, other) for other in others)


def lines(chosen: list[str]) -> list[str]:
    """The file with some turned round, without what is drawn anew each time."""
    return re.sub(r"_[0-9a-f]{6}\b", "", turned(SOURCE, chosen, random.Random(1))).splitlines()


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("test_value", "assert double(2) == "),
        ("test_by_a_helper", "doubles(2, "),
        ("test_name_of_a_value", "assert double({'a': 1}) == {'a': "),
    ],
)
def test_where_a_value_is_compared_or_handed_to_a_helper_only_the_value_differs(name: str, start: str) -> None:
    (line,) = set(lines([name])) - set(lines([]))
    assert line.strip().startswith(start)


def test_what_always_fails_is_no_twin() -> None:
    for name in NO_TWIN:
        assert turned(SOURCE, [name], random.Random(0)) == turned(SOURCE, [], random.Random(0))
    assert set(PROVABLE) == set(strengths(SOURCE)) & set(NAMES)


def test_a_file_tells_by_nothing_else_which_of_its_tests_are_twins() -> None:
    """Neither a copy of a helper, nor a name in the place of a value, nor how it is written."""
    real, twins = (turned(SOURCE, chosen, random.Random(1)) for chosen in ([], PROVABLE))
    copies = [len(re.findall(r"def \w+_[0-9a-f]{6}\(", text)) for text in (real, twins)]
    assert copies == [4, 4]
    assert len(real.splitlines()) == len(twins.splitlines())
    assert "== WANTED" not in real + twins
    assert "== LIST" in real


@pytest.mark.parametrize(
    ("name", "strength"),
    [
        ("test_value", "value"),
        ("test_by_a_helper", "value"),
        ("test_after_a_function_of_its_own", "value"),
        ("test_both", "value"),
        ("test_member", "turned"),
        ("test_refused_by_a_helper", "turned"),
        ("test_by_a_helper_that_asks_twice", "turned"),
        ("test_a_name_that_changes", "turned"),
        ("test_early", None),
    ],
)
def test_how_well_a_twin_hides(name: str, strength: str | None) -> None:
    assert strengths(SOURCE).get(name) == strength


@pytest.mark.parametrize("value", ["None", "True", "0", "1", "[]", "''"])
def test_what_tests_expect_most_often_hides_nothing(value: str) -> None:
    assert strengths(f"def test_it():\n    assert f() == {value}\n") == {"test_it": "turned"}


def test_an_inherited_test_is_turned_round_with_the_one_it_is() -> None:
    names = ["test_value", "TestIt::test_equal", "TestMore::test_equal", "Elsewhere::test_x"]
    found = units("test_file.py", names, {"test_file.py": SOURCE})
    assert found["TestMore::test_equal"] == found["TestIt::test_equal"] == ("test_file.py", "TestIt::test_equal")
    assert "Elsewhere::test_x" not in found


def test_a_test_may_come_from_another_file_or_from_a_function() -> None:
    sources = {
        "__init__.py": "class Mixed:\n    def test_it(self):\n        assert 2 == f()\n",
        "test_a.py": "from . import Mixed\nclass TestA(Mixed):\n    pass\n",
        "test_b.py": "def make():\n    class T:\n        def test_b(self):\n            assert 2 == f()\n"
        "    return T\nTestB = make()\n",
    }
    assert units("test_a.py", ["TestA::test_it"], sources) == {"TestA::test_it": ("__init__.py", "Mixed::test_it")}
    ((_, unit),) = units("test_b.py", ["TestB::test_b"], sources).values()
    assert turned(sources["test_b.py"], [unit], random.Random(0)) != turned(
        sources["test_b.py"], [], random.Random(0)
    )
    twice = sources["test_b.py"] + sources["test_b.py"].replace("make", "again")
    assert units("test_b.py", ["TestB::test_b"], {"test_b.py": twice}) == {}


def test_what_is_no_python_stays() -> None:
    assert turned("def broken(:", ["test_x"], random.Random(0)) == "def broken(:"
    assert strict("def broken(:", "helper") == "def broken(:"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e6, 1e6) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)


@given(values, st.randoms(use_true_random=False))
def test_another_value_is_never_equal(value: object, rng: random.Random) -> None:
    other = other_than(value, rng)
    assert other is None or other != value
    assert other is None or type(other) is type(value) or value is None


@given(st.integers(), st.randoms(use_true_random=False))
def test_another_number_is_as_round_and_on_the_same_side(value: int, rng: random.Random) -> None:
    other = other_than(value, rng)
    assert (other > 0) == (value > 0) or value == 0 < other
    zeros = len(str(value)) - len(str(value).rstrip("0"))
    assert value == 0 or other % 10**zeros == 0


BUNDLED = Path(tasks.__file__).parent / "bundled"


def proven(name: str) -> dict[str, str | None]:
    task = load_task(BUNDLED / name)
    return dict(
        proofs(task, {name: path.read_text() for name, path in task.tests.items() if path.suffix == ".py"})
    )


def test_only_tests_that_failed_before_count_as_guesses() -> None:
    """`given-leap-days` has five tests, of which one failed before: that one is guessed six times."""
    found = proven("given-leap-days")
    assert list(found.values()) == ["value"]
    assert rounds(found) == 6


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ({"a": "value"}, 6),
        ({"a": "value", "b": "turned", "c": "turned", "d": "turned"}, 6),
        ({"a": "turned", "b": "turned"}, 3),
        ({"a": "value", "b": "value", "c": "value", "d": "value"}, 2),
        ({str(number): "value" for number in range(6)}, 1),
        ({"a": None}, 1),
    ],
)
def test_a_blind_guess_has_one_chance_in_sixty_four(found: dict[str, Strength | None], wanted: int) -> None:
    assert rounds(found) == wanted
