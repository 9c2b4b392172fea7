"""Why attempts fail: the cause, the tags, and the lines that show it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.journal import AnyEvent, CallFinished, CallStarted, CheckRun, GateDecided, ModelReplied
from agent.outcomes import Outcome
from tasks.failures.rules import Case, explain
from tasks.format.task import load_task
from tasks.grading.grade import Grade
from tasks.grading.integrity import Flag
from tasks.grading.junit import TestResult


def called(tool: str, arguments: str = "{}") -> CallStarted:
    return CallStarted(call="c", tool=tool, arguments=arguments)


def finished(tool: str, text: str, seconds: float | None = 0.1, **facts: object) -> CallFinished:
    return CallFinished(call="c", tool=tool, ok=False, text=text, facts=facts, seconds=seconds)


def grade(*tests: TestResult, touched: tuple[str, ...] = ("a.py",), **more: object) -> Grade:
    return Grade.model_validate({"verdict": "fail", "reward": 0.0, "tests": tests, "touched": touched, **more})


BAD = TestResult(id="test_a.py::test_a", result="failed")
GOOD = TestResult(id="test_a.py::test_b", result="passed")


@pytest.mark.parametrize(
    ("case", "primary"),
    [
        (Case([], Outcome.MODEL_FAILED, "503", None), "infra.provider"),
        (Case([], Outcome.SANDBOX_FAILED, "no engine", None), "infra.start"),
        (Case([], Outcome.DONE, "", None, grader_error="no pytest"), "grader.error"),
        (
            Case([], Outcome.DONE, "", grade(BAD, flags=[Flag(name="integrity.daemon", where="x")])),
            "integrity.daemon",
        ),
        (Case([], Outcome.BUDGET, "100 model turns, the limit of --max-steps", grade(BAD)), "budget.steps"),
        (Case([], Outcome.BUDGET, "9 s have passed, the limit", grade(BAD)), "budget.wall"),
        (Case([], Outcome.BUDGET, "$0.5000, over --max-cost 0.5", grade(BAD)), "budget.cost"),
        (Case([], Outcome.APPROVAL_NEEDED, "nobody is there", grade(BAD)), "gate.denied"),
        (Case([], Outcome.STUCK, "the same call", grade(BAD)), "loop.repeat"),
        (Case([], Outcome.DONE, "", grade(BAD, touched=())), "patch.empty"),
        (
            Case([ModelReplied(text="I can't help with that.")], Outcome.DONE, "", grade(BAD, touched=())),
            "refusal",
        ),
        (Case([], Outcome.DONE, "", grade(applied=False)), "patch.apply_failed"),
        (Case([], Outcome.DONE, "", grade(BAD, output="E  SyntaxError: invalid")), "patch.syntax"),
        (Case([], Outcome.DONE, "", grade(BAD), locations=("b.py",)), "loc.wrong_file"),
        (Case([], Outcome.DONE, "", grade(BAD, GOOD), regression=(BAD.id,)), "outcome.regression"),
        (Case([], Outcome.DONE, "", grade(BAD, GOOD)), "outcome.partial"),
        (Case([], Outcome.DONE, "", grade(BAD)), "outcome.wrong"),
    ],
)
def test_one_primary_cause(case: Case, primary: str) -> None:
    assert explain(case).primary == primary


def test_what_the_agent_did_are_tags_with_the_lines_that_show_it() -> None:
    denied = GateDecided(
        call="c", tool="shell", effects=("destroy",), level=3, verdict="deny", cause="nobody", by="absent"
    )
    check = CheckRun(command="true", exit_code=0, ending="exited", passed=True, output="", seconds=0.1)
    events: list[AnyEvent] = [
        finished("read", "no such argument", seconds=None),
        denied,
        *[called("shell", '{"command":"make"}')] * 3,
        finished("shell", "make: command not found", exit_code=127),
        finished("shell", "stopped", ending="timeout"),
        check,
        called("edit", '{"path":"a.py"}'),
        finished("edit", "old is not there"),
    ]
    found = explain(Case(events, Outcome.DONE, "", grade(BAD)))
    lines = {each.text.split(":")[0]: each.line for each in found.evidence}
    assert found.primary == "outcome.wrong"
    assert found.tags == (
        *("tool.bad_call", "gate.denied", "loop.repeat", "cmd.not_found", "cmd.timeout", "edit.nomatch"),
        "verify.stale",
    )
    assert [each.line for each in found.evidence] == [0, 1, 2, 5, 6, 7, 10, 9], lines


def test_the_table_in_the_documentation_is_read_without_a_note(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "suite.md").read_text()
    (table,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    for name, text in {
        "task.toml": table,
        "instruction.md": "x",
        "tests/test_rolling.py": "",
        "environment/files/rolling.py": "",
    }.items():
        (tmp_path / "task" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "task" / name).write_text(text)
    task = load_task(tmp_path / "task")
    assert task.notes == ()
    assert task.bridle.forbidden.paths == ("records/**",)
