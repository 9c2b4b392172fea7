"""Why attempts fail: the cause, the tags, and the lines that show it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.journal import AnyEvent, CallFinished, CallStarted, CheckRun, GateDecided, ModelReplied
from agent.models.protocol import ToolCall
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


SAID = "model 'm' at http://127.0.0.1/v1"
FLAGGED = [Flag(name="integrity.tests_touched", where="tests/test_a.py")]


def stopped(outcome: Outcome, detail: str, *events: AnyEvent, **graded: object) -> Case:
    return Case(list(events), outcome, detail, grade(BAD, **graded))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("case", "primary"),
    [
        (
            Case(
                [],
                Outcome.MODEL_FAILED,
                f"{SAID} failed 5 times, the last time because it answered HTTP 503",
                None,
            ),
            "infra.provider",
        ),
        (
            Case(
                [],
                Outcome.MODEL_FAILED,
                f"{SAID} failed 5 times, the last time because it cannot be reached",
                None,
            ),
            "infra.network",
        ),
        (
            Case(
                [],
                Outcome.MODEL_FAILED,
                "the embedded model's process ended (killed by signal 9; out of memory?)",
                None,
            ),
            "infra.oom",
        ),
        (
            Case([], Outcome.SANDBOX_FAILED, "There is no image x:1 on the Docker engine; get it", None),
            "infra.build",
        ),
        (
            Case([], Outcome.SANDBOX_FAILED, "The image x:1 does not start: exec format error.", None),
            "infra.start",
        ),
        (Case([], Outcome.SANDBOX_FAILED, "bubblewrap has no network of its own", None), "infra.network"),
        (
            Case([], Outcome.SANDBOX_FAILED, "No Docker engine answers at unix:///x; start it", None),
            "infra.daemon",
        ),
        (
            Case([], Outcome.SANDBOX_FAILED, "The sandbox s is gone: its first process ended.", None),
            "infra.daemon",
        ),
        (Case([], Outcome.INTERNAL_ERROR, "KeyError: 'x'", None), "infra.harness"),
        (Case([], Outcome.DONE, "", None, grader_error="no pytest"), "grader.error"),
        (Case([], Outcome.DONE, "", grade(BAD), doubts=(("task.flaky", "graded twice"),)), "task.flaky"),
        (
            Case([], Outcome.DONE, "", grade(BAD, flags=[Flag(name="safety.forbidden", where="x")])),
            "safety.forbidden",
        ),
        (
            Case([], Outcome.DONE, "", grade(GOOD, flags=[Flag(name="integrity.daemon", where="x")])),
            "integrity.daemon",
        ),
        (
            Case([], Outcome.DONE, "", grade(BAD, flags=[Flag(name="integrity.history_mined", where="x")])),
            "integrity.history_mined",
        ),
        (Case([], Outcome.DONE, "", grade(BAD, flags=FLAGGED, put_back=("a.py",))), "integrity.tests_touched"),
        (Case([], Outcome.DONE, "", grade(BAD, flags=FLAGGED)), "outcome.wrong"),
        (
            stopped(Outcome.BUDGET, "the budget is used up: 100 model turns, the limit of --max-steps"),
            "budget.steps",
        ),
        (stopped(Outcome.BUDGET, "the budget is used up: 9 tokens, over --max-tokens 5"), "budget.tokens"),
        (stopped(Outcome.BUDGET, "the budget is used up: $0.5000, over --max-cost 0.5"), "budget.cost"),
        (stopped(Outcome.BUDGET, "9 s have passed, the limit of --max-time"), "budget.wall"),
        (stopped(Outcome.BUDGET, f"the conversation is longer than the context of {SAID}"), "budget.context"),
        (stopped(Outcome.APPROVAL_NEEDED, "3 calls in a row were not allowed"), "gate.denied"),
        (stopped(Outcome.APPROVAL_NEEDED, "nobody answered within 2 s"), "gate.timeout"),
        (stopped(Outcome.APPROVAL_NEEDED, "the patch is not delivered: nobody is there to ask"), "outcome.wrong"),
        (stopped(Outcome.STUCK, "the model made the same `read` call 5 times over"), "loop.repeat"),
        (
            stopped(Outcome.STUCK, "the model answered 3 times without calling a tool", ModelReplied(text="So.")),
            "stop.premature",
        ),
        (
            stopped(
                Outcome.STUCK,
                "the model answered 3 times without calling a tool",
                ModelReplied(text='{"name": "edit"}'),
            ),
            "tool.bad_call",
        ),
        (
            Case([ModelReplied(text="I can't help with that.")], Outcome.DONE, "", grade(BAD, touched=())),
            "refusal",
        ),
        (Case([ModelReplied(text="I can't help with that.")], Outcome.DONE, "", grade(BAD)), "outcome.wrong"),
        (Case([], Outcome.DONE, "", grade(BAD, touched=())), "patch.empty"),
        (Case([], Outcome.DONE, "", grade(applied=False)), "patch.apply_failed"),
        (
            Case([], Outcome.DONE, "", grade(BAD, output='File "a.py", line 1\nE  SyntaxError: invalid')),
            "patch.syntax",
        ),
        (
            Case([], Outcome.DONE, "", grade(BAD, output="File b.py\nSyntaxError: of another file")),
            "outcome.wrong",
        ),
        (Case([], Outcome.DONE, "", grade(BAD), locations=("b.py",)), "loc.wrong_file"),
        (Case([], Outcome.DONE, "", grade(BAD), locations=("a.py", "b.py")), "stop.premature"),
        (Case([], Outcome.DONE, "", grade(BAD, ending="timeout")), "outcome.timeout"),
        (Case([], Outcome.DONE, "", grade(BAD, ending="out_of_memory")), "outcome.resources"),
        (Case([], Outcome.DONE, "", grade(BAD, GOOD), regression=(BAD.id,)), "outcome.regression"),
        (Case([], Outcome.DONE, "", grade(BAD, GOOD)), "outcome.partial"),
        (Case([], Outcome.DONE, "", grade(BAD, GOOD), regression=(GOOD.id,)), "outcome.wrong"),
        (Case([], Outcome.DONE, "", grade(BAD)), "outcome.wrong"),
    ],
)
def test_one_primary_cause(case: Case, primary: str) -> None:
    assert explain(case).primary == primary


def ran(
    tool: str, arguments: dict[str, object], text: str = "", *, ok: bool = True, **facts: object
) -> list[AnyEvent]:
    """A call that the gate let through, and its result."""
    given = json.dumps(arguments)
    effects = {"shell": ("run",), "edit": ("write",), "write": ("write",)}.get(tool, ("read",))
    allowed = GateDecided(call="c", tool=tool, effects=effects, level=5, verdict="allow", cause="", by="table")
    done = CallFinished(
        call="c", tool=tool, ok=ok, text=text, facts=facts, seconds=0.1, submitted=tool == "submit"
    )
    return [allowed, called(tool, given), done]


def edited(old: str, new: str) -> list[AnyEvent]:
    return ran("edit", {"path": "a.py", "old": old, "new": new}, "Edited a.py.")


def checked(*, ok: bool) -> list[AnyEvent]:
    return ran(
        "shell",
        {"command": "python3 -m pytest"},
        "1 passed" if ok else "1 failed",
        ok=ok,
        exit_code=0 if ok else 1,
    )


SUBMIT = ran("submit", {"summary": "done"}, "Submitted.", summary="done")
STEPS = "the budget is used up: 9 model turns, the limit of --max-steps"


@pytest.mark.parametrize(
    ("events", "primary", "tag"),
    [
        ([*edited("1", "2"), *edited("2", "1")] * 3, "loop.edit_revert", "budget.steps"),
        (ran("shell", {"command": "ls"}, "a.py") * 4, "loop.repeat", "budget.steps"),
        ([e for n in range(13) for e in ran("read", {"path": f"{n}.py"}, "x")], "loop.read", "budget.steps"),
        (
            [finished("edit", f"edit was not run: {n}", seconds=None) for n in range(4)],
            "tool.bad_call",
            "budget.steps",
        ),
        (
            [e for n in range(4) for e in ran("edit", {"path": "a", "old": str(n)}, "no", ok=False)],
            "edit.nomatch",
            "budget.steps",
        ),
        (
            [
                e
                for n in range(4)
                for e in ran("shell", {"command": f"x{n}"}, "x: command not found", ok=False, exit_code=127)
            ],
            "cmd.not_found",
            "budget.steps",
        ),
        (
            [
                e
                for n in range(4)
                for e in ran("shell", {"command": f"sleep 9{n} &"}, "", ok=False, ending="timeout")
            ],
            "cmd.timeout",
            "budget.steps",
        ),
        ([*edited("1", "2"), *checked(ok=False)], "budget.steps", "outcome.wrong"),
    ],
)
def test_what_it_was_busy_with_comes_before_the_budget_that_ended_it(
    events: list[AnyEvent], primary: str, tag: str
) -> None:
    found = explain(Case(events, Outcome.BUDGET, STEPS, grade(BAD)))
    assert found.primary == primary
    assert tag in found.tags


@pytest.mark.parametrize(
    ("events", "primary", "tags"),
    [
        ([*edited("1", "2"), *checked(ok=False), *SUBMIT], "verify.ignored", {"outcome.wrong"}),
        ([*edited("1", "2"), *checked(ok=True), *SUBMIT], "outcome.wrong", set()),
        ([*edited("1", "2"), *checked(ok=False), *edited("2", "3"), *SUBMIT], "outcome.wrong", {"verify.stale"}),
        ([*edited("1", "2"), *SUBMIT], "outcome.wrong", {"verify.none"}),
        (
            [*edited("1", "2"), *checked(ok=True), *ran("submit", {}, summary="The rest is still to do.")],
            "stop.premature",
            {"outcome.wrong"},
        ),
    ],
)
def test_what_was_known_when_it_submitted(events: list[AnyEvent], primary: str, tags: set[str]) -> None:
    found = explain(Case(events, Outcome.DONE, "", grade(BAD)))
    assert (found.primary, set(found.tags)) == (primary, tags)


def test_tests_whose_output_goes_through_a_pipe_fail_by_what_they_say() -> None:
    piped = ran(
        "shell",
        {"command": "pytest | tail -3"},
        "FAILED test_a.py::test_a\n1 failed in 0.1s\n[exit 0]",
        exit_code=0,
    )
    assert (
        explain(Case([*edited("1", "2"), *piped, *SUBMIT], Outcome.DONE, "", grade(BAD))).primary
        == "verify.ignored"
    )


def test_a_flood_and_what_was_lost_in_it_are_told() -> None:
    big = ran("shell", {"command": "seq 1 99999"}, "1\n…", dropped=500_000, spill="/tmp/.bridle/out/1")
    looked = ran("read", {"path": "/tmp/.bridle/out/1"}, "…")
    assert set(explain(Case([*big, *edited("1", "2"), *checked(ok=True)], Outcome.DONE, "", grade(BAD))).tags) == {
        "ctx.flood",
        "ctx.lossy",
    }
    assert explain(
        Case([*big, *looked, *edited("1", "2"), *checked(ok=True)], Outcome.DONE, "", grade(BAD))
    ).tags == ("ctx.flood",)


def test_what_a_denial_leaves_undone_is_the_denials_doing() -> None:
    denied = GateDecided(
        call="c", tool="edit", effects=("write",), level=1, verdict="deny", cause="x", by="absent", reason="nobody"
    )
    refused = finished("edit", "Not done: nobody", seconds=None, denied=True)
    for reason, primary in (("nobody is there", "gate.denied"), ("nobody answered within 2 s", "gate.timeout")):
        events = [denied.model_copy(update={"reason": reason}), refused, *SUBMIT]
        assert explain(Case(events, Outcome.CHECKS_FAIL, "", grade(BAD, touched=()))).primary == primary
    assert explain(Case([denied, refused, *SUBMIT], Outcome.DONE, "", grade(BAD))).primary == "outcome.wrong"


def test_evidence_names_the_lines_and_comes_in_the_order_of_the_names() -> None:
    events = [finished("read", "no such argument", seconds=None), *edited("1", "2"), *SUBMIT]
    found = explain(Case(events, Outcome.DONE, "", grade(BAD)))
    assert (found.primary, *found.tags) == ("outcome.wrong", "tool.bad_call", "verify.none")
    assert [each.line for each in found.evidence] == [0, 1, 3]
    assert found.evidence[0].text.startswith(BAD.id)


def test_calls_that_were_cut_short_are_nobodys_mistake() -> None:
    cut = finished("shell", "interrupted", seconds=None, interrupted=True)
    assert explain(Case([cut] * 5, Outcome.SANDBOX_FAILED, "The sandbox s is gone: x.", None)).tags == ()


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


_WORDS = st.text(alphabet="aé \n\"{}\\/:'<>0", max_size=40) | st.sampled_from(
    ["I won't", "still to do", '{"path": 7}', "{}", "[]"]
)
_TOOLS = st.sampled_from(["shell", "edit", "write", "read", "submit", "process", "nothing"])


@st.composite
def _event(draw: st.DrawFn) -> AnyEvent:
    call, tool = draw(st.sampled_from("abc")), draw(_TOOLS)
    facts = draw(
        st.dictionaries(
            st.sampled_from(
                ["denied", "interrupted", "dropped", "spill", "ending", "exit_code", "summary", "changed"]
            ),
            st.none() | st.booleans() | st.integers(-1, 10**6) | _WORDS,
        )
    )
    made: list[AnyEvent] = [
        CallStarted(call=call, tool=tool, arguments=draw(_WORDS)),
        CallFinished(
            call=call,
            tool=tool,
            ok=draw(st.booleans()),
            text=draw(_WORDS),
            facts=facts,
            seconds=draw(st.none() | st.just(0.1)),
            submitted=draw(st.booleans()),
        ),
        ModelReplied(text=draw(_WORDS), calls=(ToolCall(id=call, name=tool, arguments=draw(_WORDS)),)),
        ModelReplied(text=draw(_WORDS), finish=draw(st.sampled_from(["stop", "length"]))),
        GateDecided(
            call=call,
            tool=tool,
            effects=("run",) if draw(st.booleans()) else ("write", "read"),
            level=3,
            verdict=draw(st.sampled_from(["allow", "deny"])),
            cause=draw(_WORDS),
            by="table",
        ),
        CheckRun(
            command="pytest",
            exit_code=1,
            ending="exited",
            passed=draw(st.booleans()),
            output=draw(_WORDS),
            seconds=1,
        ),
    ]
    return draw(st.sampled_from(made))


@given(
    st.lists(_event(), max_size=12),
    st.sampled_from(list(Outcome)),
    _WORDS,
    st.none() | st.sampled_from([grade(BAD), grade(GOOD), grade(), grade(BAD, touched=()), grade(applied=False)]),
)
def test_whatever_a_journal_holds_there_is_one_cause_with_evidence(
    events: list[AnyEvent], outcome: Outcome, detail: str, graded: Grade | None
) -> None:
    found = explain(Case(events, outcome, detail, graded, ("a.py", "b.py"), (GOOD.id,)))
    assert found.primary not in found.tags
    assert len(set(found.tags)) == len(found.tags)
    assert len(found.evidence) == 1 + len(found.tags)
    assert all(0 <= each.line <= len(events) and "\n" not in each.text for each in found.evidence)
    assert graded is None or found.primary != "unknown"
