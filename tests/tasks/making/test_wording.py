"""Instructions: what failing tests saw, in words that can be typed; no test's own things, no file, no line."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tasks.making import observing
from tasks.making.observing import Observed, Saw
from tasks.making.wording import instruction

OBSERVE = Path(observing.__file__).parent / "inside" / "observe.py"
PRODUCT = """
class Box:
    def __init__(self):
        self.things = []

    def put(self, thing):
        self.things.append(thing)

    def first(self):
        return self.things[1]


def slug(text, sep="-"):
    return sep.join(text.lower().split(" "))
"""
TESTS = """
import unittest
import pytest
from pkg import Box, slug
from helpers import secret


@pytest.mark.parametrize(("given", "wanted"), [("a  b", "a-b")])
def test_parameters(given, wanted):
    assert slug(given) == wanted


def test_local():
    result = slug("A  B", sep="_")
    assert result == "a_b"


def test_steps():
    box = Box()
    box.put(4)
    box.put(5)
    assert box.first() == 4


def test_raises():
    with pytest.raises(ValueError):
        slug("x")


def test_error_and_what_was_expected():
    made = slug(None)
    assert made == ""


def test_of_its_own():
    assert secret(slug) == "right"


def test_an_object():
    assert slug("a") == object()


def test_long():
    assert slug("a" * 400 + "  b") == "a" * 400 + "-b"


class Old(unittest.TestCase):
    def test_loop(self):
        for given, wanted in [("q", "q"), ("q  q", "q-q")]:
            self.assertEqual(slug(given), wanted)

    def test_true(self):
        self.assertFalse(slug("x"))
"""
HELPERS = "def secret(function):\n    return function('hush')\n"
SAID = {
    "test_parameters[a  b-a-b]": "- `slug('a  b')` returns `'a--b'`; it should return `'a-b'`.",
    "test_local": "- `slug('A  B', sep='_')` returns `'a__b'`; it should return `'a_b'`.",
    "test_steps": "- After\n\n  ```python\n  box = Box()\n  box.put(4)\n  box.put(5)\n  ```\n\n"
    "  `box.first()` returns `5`; it should return `4`.",
    "test_raises": "- `slug('x')` should raise `ValueError`, and raises nothing.",
    "test_error_and_what_was_expected": "- `slug(None)` ends in `AttributeError: 'NoneType' object has no"
    " attribute 'lower'`; it should give `''`.",
    "Old::test_loop": "- `slug('q  q')` returns `'q--q'`; it should return `'q-q'`.",
    "Old::test_true": "- `slug('x')` is true; it should be false.",
    "test_of_its_own": None,
    "test_an_object": None,
    "test_long": "differs from `'a' * 400 + '-b'` at position 401: `",
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """What the tests saw, observed as in a sandbox."""
    return observe(tmp_path_factory.mktemp("seen"), [])


@pytest.mark.parametrize("select", [["tests/test_it.py::Old"], ["tests", "-k", "loop or true"]])
def test_arguments_select_tests(tmp_path: Path, select: list[str]) -> None:
    names = ("Old::test_loop", "Old::test_true")
    assert set(observe(tmp_path, select).tests) == {f"tests/test_it.py::{name}" for name in names}


def observe(folder: Path, select: list[str]) -> Observed:
    for name, text in {
        "workspace/pkg.py": PRODUCT,
        "kit/tests/test_it.py": TESTS,
        "kit/tests/helpers.py": HELPERS,
        "kit/pytest.ini": "[pytest]\npythonpath = tests\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    asked: dict[str, Any] = {
        "workspace": [str(folder / "workspace")],
        "tests": str(folder / "kit"),
        "select": select,
        "versions": [{"files": {}, "ids": []}],
        "seconds": 60,
        "trace": True,
        "results": str(folder / "results"),
    }
    subprocess.run([sys.executable, OBSERVE], input=json.dumps(asked), text=True, check=True, timeout=120)
    return Observed.model_validate_json((folder / "results").read_text())


@pytest.mark.parametrize("name", SAID)
def test_what_a_failure_saw_is_told(seen: Observed, name: str) -> None:
    saw = seen.tests[f"tests/test_it.py::{name}"].saw
    text = instruction({name: saw}) if saw is not None else None
    wanted = SAID[name]
    if wanted is None:
        assert text is None
    else:
        assert text is not None
        assert wanted in text
        assert text.startswith(("`slug` ", "Something is wrong where `Box.first`, `Box.put` are used together."))
        assert "pkg" not in text
        assert "test_it" not in text


def test_lines_are_told_by_test_and_by_import(seen: Observed) -> None:
    (lines,) = seen.lines.values()
    numbers = ["", *seen.tests]
    assert 0 in lines[2]
    assert {numbers[each] for each in lines[10]} == {"tests/test_it.py::test_steps"}
    assert len(seen.failing) == len(SAID)


def test_several_cases_are_few_and_say_that_there_are_more() -> None:
    saw = {
        f"t.py::test_{n}": Saw(
            kind="compare", operator="==", expression=f"f({n})", left="0", right="1", other="1", other_plain=True,
            functions=("pkg.mod.f",), strong=True,
        )
        for n in range(9)
    }  # fmt: skip
    text = instruction(saw)
    assert text is not None
    assert text.startswith("`f` does not do what it should.")
    assert text.count("\n- ") == 6
    assert "There are more cases of the same." in text
    assert "more cases" not in (instruction({"t.py::a": saw["t.py::test_1"]}) or "more cases")
    saw["t.py::test_1"] = saw["t.py::test_1"].model_copy(update={"functions": ("pkg.mod.Box.g",)})
    assert (instruction(saw) or "").startswith("`Box.g` and `f` do not do what they should.")


def test_backticks_and_lines_cannot_leave_their_code() -> None:
    saw = Saw(
        kind="compare", operator="==", expression="f('`')", left="'``'", right="'a\\nb'", other="x",
        other_plain=True, functions=("f",), strong=True,
    )  # fmt: skip
    text = instruction({"t.py::a": saw})
    assert text is not None
    assert textwrap.dedent("- ``f('`')`` returns ```'``'```; it should return `'a\\nb'`.") in text


def test_of_several_bugs_each_is_told_or_nothing() -> None:
    def seen(expression: str, strong: bool = True) -> Saw:
        return Saw(
            kind="compare", operator="==", expression=expression, left="0", right="1", other="1", other_plain=True,
            functions=("m.f",), strong=strong,
        )  # fmt: skip

    saw = {f"t.py::test_{n}": seen(f"f({n})") for n in range(8)}
    saw |= {"t.py::test_long": seen("f(1000000000)"), "t.py::test_weak": seen("f(x)", strong=False)}
    text = instruction(saw, [{"t.py::test_0"}, {"t.py::test_long"}])
    assert text is not None
    assert "`f(1000000000)` returns" in text
    assert instruction(saw, [{"t.py::test_0"}, {"t.py::test_weak"}]) is None
    assert instruction(saw, [{"t.py::test_0"}, set()]) is None
