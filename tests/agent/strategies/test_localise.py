"""From the output of a failing check to the functions that may be wrong."""

from __future__ import annotations

import posixpath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.strategies.failure import MAX_SHOWN, first_failure, is_pytest
from agent.strategies.localise import MAX_TARGETS, Project, find_targets, is_test, source_of_test
from sandboxes.protocol import WORKSPACE

LONG = """\
F.                                                                       [100%]
=================================== FAILURES ===================================
__________________________________ test_mean ___________________________________

    def test_mean():
>       assert mean([2]) == 2
               ^^^^^^^^^

tests/test_calc.py:5:
_ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _

values = [2]

    def mean(values):
>       return divide(sum(values), len(values) - 1)
E       ZeroDivisionError: division by zero

calc.py:2: ZeroDivisionError
____________________________________ test_b ____________________________________
>       assert other()
E       assert 0

tests/test_b.py:9: AssertionError
=========================== short test summary info ============================
FAILED tests/test_calc.py::test_mean - ZeroDivisionError: division by zero
1 failed, 1 passed in 0.01s
"""


def test_only_what_matters_of_the_first_failure_is_kept() -> None:
    failure = first_failure(LONG.replace("calc.py:2", f"{WORKSPACE}/calc.py:2"), WORKSPACE)
    assert failure.frames == (("tests/test_calc.py", 5), ("calc.py", 2))
    assert failure.marked == ("assert mean([2]) == 2", "return divide(sum(values), len(values) - 1)")
    assert failure.text.splitlines() == [
        "> assert mean([2]) == 2",
        "tests/test_calc.py:5:",
        "> return divide(sum(values), len(values) - 1)",
        "E       ZeroDivisionError: division by zero",
        "calc.py:2: ZeroDivisionError",
    ]
    assert is_pytest(LONG)


def test_a_plain_traceback_is_understood_as_well() -> None:
    output = (
        f'Traceback (most recent call last):\n  File "{WORKSPACE}/check.py", line 3, in <module>\nValueError: x\n'
    )
    failure = first_failure(output, WORKSPACE)
    assert failure.frames == (("check.py", 3),)
    assert "ValueError: x" in failure.text
    assert not is_pytest(output)


@given(st.text(max_size=2000) | st.text(alphabet="_ E>=\n.py:1aF", max_size=2000))
def test_no_output_upsets_it_or_comes_out_long(output: str) -> None:
    assert len(first_failure(output, WORKSPACE).text) <= MAX_SHOWN
    is_pytest(output)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tests/test_a.py", True),
        ("a/tests/helpers.py", True),
        ("test_a.py", True),
        ("a_test.py", True),
        ("conftest.py", True),
        ("pkg/testing/a.py", False),
        ("attest.py", False),
        ("pkg/contest.py", False),
    ],
)
def test_tests_are_known_by_their_names(path: str, expected: bool) -> None:
    assert is_test(path) is expected


PACKAGE = {
    "src/shop/__init__.py": "from .cart import total, Cart\n",
    "src/shop/cart.py": (
        "def total(items):\n    return sum(price(i) for i in items)\n\n\ndef price(item):\n    return item\n\n\n"
        "class Cart:\n    def __init__(self, items):\n        self.items = items\n\n"
        "    def count(self):\n        return len(self.items) + 1\n"
    ),
    "src/shop/other.py": "def total():\n    return 0\n\n\ndef count():\n    return 0\n",
    "setup.py": "def total():\n    pass\n",
}


async def targets_for(open_sandbox: Any, test: str, more: dict[str, Any] | None = None) -> list[str]:
    """What the failure of the last line of `test` leads to."""
    project = await Project.open(await open_sandbox({**PACKAGE, "tests/test_shop.py": test, **(more or {})}))
    lines = test.splitlines()
    failure = first_failure(
        f"> {lines[-1].strip()}\nE   assert\n\ntests/test_shop.py:{len(lines)}: Error\n", WORKSPACE
    )
    assert await source_of_test(project, failure)
    return [f"{posixpath.basename(t.path)}:{t.function.name}" for t in await find_targets(project, failure)]


@pytest.mark.docker
async def test_the_function_that_the_failing_line_calls_comes_first_then_what_it_calls(open_sandbox: Any) -> None:
    test = "from shop import total\n\n\ndef test_total():\n    assert total([1]) == 2\n"
    assert await targets_for(open_sandbox, test) == ["cart.py:total", "cart.py:price"]


@pytest.mark.docker
async def test_methods_and_classes_are_found_in_what_the_test_imports(open_sandbox: Any) -> None:
    test = (
        "from shop.cart import Cart\n\n\ndef test_count():\n    cart = Cart([1])\n    assert cart.count() == 1\n"
    )
    assert await targets_for(open_sandbox, test) == ["cart.py:Cart.count", "cart.py:Cart.__init__"]


@pytest.mark.docker
async def test_hostile_files_are_passed_over(open_sandbox: Any) -> None:
    test = "from shop import total\n\n\ndef test_total():\n    assert total([1]) == 2\n"
    more = {
        "src/a\nb.py": "def total(): 1\n",
        "src/latin.py": b"def total():\n    return '\xe9'\n",
        "src/nul.py": b"def total():\n    return '\0'\n",
        "src/deep.py": "def total():\n    return " + "(" * 3000 + ")" * 3000 + "\n",
        "src/huge.py": "def total():\n    return 1\n" * 40_000,
        ".hidden/total.py": "def total(): 1\n",
        **{f"src/many/m{number}.py": "def many(): 1\n" for number in range(600)},
    }
    found = await targets_for(open_sandbox, test, more)
    assert found[0] == "cart.py:total"
    assert len(found) <= MAX_TARGETS


@pytest.mark.docker
async def test_paths_that_are_not_in_the_project_lead_nowhere(open_sandbox: Any) -> None:
    project = await Project.open(await open_sandbox(PACKAGE))
    output = "> x\nE y\n\n../../etc/passwd.py:1: \n/usr/lib/python3/abc.py:3: \nsrc/shop/cart.py:99999: E\n"
    assert await find_targets(project, first_failure(output, WORKSPACE)) == []


@pytest.mark.docker
async def test_the_innermost_function_of_the_traceback_comes_first_also_when_the_test_calls_it(
    open_sandbox: Any,
) -> None:
    files = {
        "calc.py": "def mean(v):\n    return total(v) / 0\n\n\ndef total(v):\n    return sum(v)\n",
        "tests/test_calc.py": "from calc import mean, total\n\n\ndef test_it():\n    total([1])\n    mean([1])\n",
    }
    project = await Project.open(await open_sandbox(files))
    failure = first_failure("> mean([1])\n\ntests/test_calc.py:6: \n> x\nE y\n\ncalc.py:2: Z\n", WORKSPACE)
    assert [t.function.name for t in await find_targets(project, failure)] == ["mean", "total"]
