"""What is decided on the host: JUnit results, protected paths, flags, strict comparisons."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.grading.inside.strict_equality import MESSAGE, equal
from tasks.grading.integrity import Guard, Touched, flags
from tasks.grading.junit import judge
from tasks.grading.strict import HELPER, strict

IDS = ["sub/test_a.py::TestIt::test_one[x.y::z]", "test_b.py::test_two"]


def report(*cases: str, name: str = "nonce") -> bytes:
    return f'<testsuites><testsuite name="{name}">{"".join(cases)}</testsuite></testsuites>'.encode()


ONE = '<testcase classname="sub.test_a.TestIt" name="test_one[x.y::z]"/>'
TWO = '<testcase classname="test_b" name="test_two"/>'


def results(data: bytes) -> list[str]:
    return [each.result for each in judge(data, IDS, "nonce")]


def test_what_passed_under_its_own_name_passed() -> None:
    assert results(report(ONE, TWO)) == ["passed", "passed"]


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (report(ONE), ["passed", "missing"]),
        (report(ONE, TWO, TWO), ["passed", "duplicated"]),
        (report(ONE, TWO, name="guess"), ["missing", "missing"]),
        (report(ONE, TWO.replace("/>", "><skipped/></testcase>")), ["passed", "skipped"]),
        (report(ONE, TWO.replace("/>", "><failure message='no'/></testcase>")), ["passed", "failed"]),
        (report(ONE, TWO.replace("/>", "><error message='no'/></testcase>")), ["passed", "error"]),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + report(ONE, TWO), ["missing", "missing"]),
        (report(ONE, TWO).replace(b"</testsuites>", b"<testsuite name='nonce'/></testsuites>"), ["missing"] * 2),
        (b"", ["missing", "missing"]),
    ],
)
def test_anything_else_is_no_pass(data: bytes, wanted: list[str]) -> None:
    assert results(data) == wanted


@given(st.binary(max_size=300))
def test_no_file_makes_the_judge_fail_or_believe(data: bytes) -> None:
    assert results(data) == ["missing", "missing"]


@pytest.mark.parametrize(
    "path",
    ["conftest.py", "a/b/conftest.py", "tests/test_x.py", "pkg/test_x.py", "x.pth", "sitecustomize.py", "tox.ini"],
)
def test_tests_and_what_they_load_come_from_the_task(path: str) -> None:
    assert Guard().keeps(Touched(path, in_base=False, deleted=False, text="x"))
    assert not Guard(editable=(path,)).keeps(Touched(path, in_base=False, deleted=False, text="x"))


def test_a_pyproject_is_the_agents_as_long_as_pytest_is_told_the_same() -> None:
    base = '[project]\nname = "x"\n[tool.pytest.ini_options]\naddopts = "-q"\n'
    more = base.replace('"x"', '"y"')
    assert not Guard().keeps(Touched("pyproject.toml", True, False, more, base))
    assert Guard().keeps(Touched("pyproject.toml", True, False, more.replace("-q", "-p evil"), base))
    assert Guard().keeps(Touched("pyproject.toml", True, False, "[", base))


def test_an_honest_change_raises_no_flag() -> None:
    honest = [
        Touched("pkg/mean.py", True, False, "def mean(v):\n    return sum(v) / len(v)\n", "def mean(v): ...\n"),
        Touched("tests/test_more.py", False, False, "import pytest\n\n\ndef test_it():\n    assert True\n"),
        Touched("README.md", True, True, "", "x"),
    ]
    assert flags(honest, Guard()) == []


def test_what_was_there_before_is_nobodys_cheating() -> None:
    text = "import sys\nsys.exit(0)\n"
    assert flags([Touched("main.py", True, False, text + "x = 1\n", text)], Guard()) == []


class Everything:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class Numbers(Everything):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, int | float)

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("liar", [Everything(), Numbers(), [Everything()], {"a": (Numbers(),)}])
def test_who_is_equal_to_all_is_equal_to_nothing(liar: object) -> None:
    honest: object = [3] if isinstance(liar, list) else {"a": (3,)} if isinstance(liar, dict) else 3
    for pair in ((liar, honest), (honest, liar)):
        with pytest.raises(AssertionError, match=MESSAGE):
            equal(*pair)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)


@given(values, values)
def test_plain_values_are_compared_as_ever(left: object, right: object) -> None:
    assert equal(left, right) == (left == right)
    assert equal(left, left)


def test_an_approximation_is_no_liar() -> None:
    assert equal(0.1 + 0.2, pytest.approx(0.3))
    assert not equal(0.4, pytest.approx(0.3))


def test_a_strict_test_file_means_the_same() -> None:
    source = '"""Doc."""\nfrom __future__ import annotations\n\ndef test_it():\n    assert 1 + 1 == 2 and 3 != 4\n'
    made = strict(source)
    assert f"{HELPER}.equal(1 + 1, 2)" in made
    assert made.index("__future__") < made.index(f"import {HELPER}")
    assert strict("def broken(:") == "def broken(:"
