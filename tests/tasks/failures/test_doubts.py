"""A verdict is doubted where the task itself does not hold what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.project import bridle

from tasks.grading.grade import Grade
from tasks.runs.doubting import differing

BROKEN = Path(__file__).parent / "suite" / "known-broken"


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_a_test_that_fails_before_anybody_worked_is_the_tasks_fault(tmp_path: Path) -> None:
    script = str(BROKEN / "solution" / "solve.sh")
    command = ["suite", "run", str(BROKEN), "--agent", f"script:{script}", "--regrade"]
    bridle(*command, "--out", str(tmp_path / "out"), seconds=400)
    (path,) = (tmp_path / "out").glob("attempts/*/1/result.json")
    result = json.loads(path.read_text())
    assert (result["status"], result["failure"]["primary"]) == ("fail", "task.broken")
    assert "test_perimeter is said to pass before" in result["failure"]["evidence"][0]["text"]
    told = bridle("suite", "explain", str(tmp_path / "out"), "known-broken").out
    assert "why: task.broken" in told
    assert "area.py (+2 -0)" in told


def graded(first: str, second: str) -> Grade:
    tests = [{"id": "t.py::test_a", "result": first}, {"id": "t.py::test_b", "result": second}]
    return Grade.model_validate({"verdict": "fail", "reward": 0.0, "tests": tests, "detail": f"{first} {second}"})


def test_tests_that_come_out_differently_make_a_task_flaky() -> None:
    assert differing(graded("passed", "failed"), graded("passed", "failed")) == []
    (doubt,) = differing(graded("passed", "failed"), graded("passed", "passed"))
    assert doubt == ("task.flaky", "graded twice, t.py::test_b was failed, then passed")
