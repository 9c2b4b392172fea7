"""The verify command is found from names alone: nothing of the repository is opened."""

from __future__ import annotations

import pytest

from agent.checks import PROBE, PYTEST, find_check, needs_pytest


@pytest.mark.parametrize(
    "paths",
    [
        ["test_a.py"],
        ["lib/a.py", "lib/tests/test_a.py"],
        ["pkg/a_test.py"],
        ["pytest.ini", "a.py"],
        ["t/conftest.py"],
    ],
)
def test_a_pytest_project_is_known_by_its_files(paths: list[str]) -> None:
    assert find_check(paths) == PYTEST


@pytest.mark.parametrize(
    "paths",
    [[], ["a.py", "pyproject.toml", "setup.cfg", "tox.ini"], ["test_a.js", "latest.py"], ["sub/pytest.ini"]],
)
def test_others_are_not(paths: list[str]) -> None:
    assert find_check(paths) is None


def test_only_the_command_that_was_found_is_probed() -> None:
    assert needs_pytest(PYTEST)
    assert not needs_pytest("make check")
    assert PROBE[0] == PYTEST.split()[0], "the probe asks the interpreter that the command will use"
