"""Nobody at the terminal: sessions stop or wait at a question, and go on with an answer given elsewhere."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.project import EDIT, bridle, finish, git, make_project, start
from support.service import Answer, Script, Service, submit

from agent.journal import CallStarted, GateDecided, read_events
from agent.store import Store

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]

Start = Callable[[Script], Service]
DROP = ("shell", {"command": "rm -rf build"})
COMMIT = ("git", {"action": "commit", "message": "x"})
LOOK = ("read", {"path": "calc.py"})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


def fix(project: Path, service: Service, *more: str) -> list[str]:
    model = ["--model", "scripted", "--base-url", service.url]
    return ["fix", "mean() is wrong", "--repo", str(project), *model, "--json", *more]


def open_questions() -> list[dict[str, Any]]:
    return [json.loads(line) for line in bridle("approve", "--json").out.splitlines()]


def journal(session: str) -> list[Any]:
    return read_events(Store().find(session).journal)


def test_a_session_stops_at_a_question_and_goes_on_with_the_answer(project: Path, service: Start) -> None:
    model = service([Answer(calls=[LOOK, DROP, EDIT]), submit()])
    done = bridle(*fix(project, model, "--on-ask", "stop"))
    assert (done.code, done.report["outcome"]) == (5, "approval_needed")
    session, question = done.report["session"], done.report["question"]
    [listed] = open_questions()
    assert (listed["session"], listed["open"], listed["question"]["id"]) == (session, False, question)
    assert listed["question"]["title"] == "$ rm -rf build"
    assert "destroy" in listed["question"]["effects"]
    assert listed["question"]["causes"], "which part of the command it is, is kept"
    shown = bridle("approve", session)
    assert shown.code == 5
    assert "rm -rf build" in shown.out
    assert "level 3 contained asks before" in shown.out
    assert bridle("approve", question, "--yes").code == 0
    assert open_questions() == []
    assert bridle("approve", question, "--yes").code == 2, "a question is answered once"
    again = bridle("resume", session, "--json")
    assert (again.code, again.report["outcome"]) == (5, "approval_needed")
    assert len(model.requests) == 2, "the call ran where the session had stopped: no turn was asked again for it"
    results = [message for message in model.requests[1]["messages"] if message["role"] == "tool"]
    assert len(results) == 3
    assert "not" not in results[1]["content"].lower()
    assert model.requests[1]["messages"][-1]["role"] == "user", "that it was interrupted is said after the results"
    [decided] = [e for e in journal(session) if isinstance(e, GateDecided) and "destroy" in e.effects]
    assert (decided.verdict, decided.answers) == ("allow", ("yes",))
    assert "@" in decided.by
    # The delivery is the next question.
    [delivery] = open_questions()
    assert "calc.py" in delivery["question"]["diff"]
    assert bridle("approve", session, "--yes").code == 0
    last = bridle("resume", session, "--json")
    assert (last.code, last.report["branch"]) == (0, "bridle/mean-is-wrong")
    assert len(model.requests) == 2
    audit = json.loads(bridle("audit", session, "--json").out)
    assert audit["chain"]["problems"] == []
    assert [each["tool"] for each in audit["decisions"] if each["answers"]] == ["shell", "deliver"]


def test_a_no_given_later_reaches_the_model_with_its_reason(project: Path, service: Start) -> None:
    model = service([Answer(calls=[DROP]), Answer(calls=[EDIT]), submit()])
    session = bridle(*fix(project, model, "--on-ask", "stop")).report["session"]
    assert bridle("approve", session, "--no", "keep the build").code == 0
    again = bridle("resume", session, "--json")
    assert again.code == 5
    [result] = [m for m in model.requests[1]["messages"] if m["role"] == "tool"]
    assert "said no: keep the build" in result["content"]


def test_an_answer_does_not_hold_at_a_lower_level_or_after_a_change_of_reach(
    project: Path, service: Start
) -> None:
    model = service([Answer(calls=[DROP]), submit()])
    session = bridle(*fix(project, model, "--on-ask", "stop")).report["session"]
    assert bridle("approve", session, "--yes").code == 0
    again = bridle("resume", session, "--json", "--autonomy", "edit")
    assert (again.code, len(model.requests)) == (5, 1)
    [asked] = open_questions()
    assert asked["question"]["level"] == 2, "asked anew"
    assert bridle("approve", session, "--yes").code == 0
    again = bridle("resume", session, "--json", "--allow-host", "example.org")
    assert (again.code, len(model.requests)) == (5, 1)
    assert not any(isinstance(event, CallStarted) for event in journal(session))


def test_it_goes_on_where_the_state_folder_was_moved_to(project: Path, service: Start, tmp_path: Path) -> None:
    model = service([Answer(calls=[EDIT]), submit()])
    session = bridle(*fix(project, model, "--on-ask", "stop")).report["session"]
    moved = tmp_path / "elsewhere"
    shutil.copytree(Store().root, moved)
    env = {"BRIDLE_STATE_DIR": str(moved)}
    assert bridle("approve", session, "--yes", env=env).code == 0
    again = bridle("resume", session, "--json", env=env)
    assert (again.code, again.report["branch"]) == (0, "bridle/mean-is-wrong")
    assert git(project, "log", "--oneline", "-1", "bridle/mean-is-wrong")


def test_a_waiting_session_takes_the_answer_from_another_terminal(project: Path, service: Start) -> None:
    model = service([Answer(calls=[DROP]), Answer(calls=[EDIT]), submit()])
    process = start(*fix(project, model, "--on-ask", "wait", "--max-time", "20"))
    answered = []
    deadline = time.monotonic() + 90
    while process.poll() is None and time.monotonic() < deadline:
        for each in open_questions():
            if each["open"]:
                if not answered:
                    time.sleep(2)  # a person takes their time
                done = bridle("approve", each["question"]["id"], "--yes")
                assert done.code == 0, done.err
                assert "goes on" in done.out
                answered.append(each["question"]["tool"])
        time.sleep(0.3)
    done = finish(process)
    assert done.code == 0, done.err
    assert answered == ["shell", "deliver"]
    waited = [e for e in journal(done.report["session"]) if isinstance(e, GateDecided) and e.answers]
    assert waited[0].seconds >= 2


def test_a_question_nobody_answers_is_denied_in_the_end(project: Path, service: Start) -> None:
    model = service([Answer(calls=[DROP]), Answer(calls=[EDIT]), submit()])
    done = bridle(*fix(project, model, "--on-ask", "wait", "--approval-timeout", "1"))
    assert (done.code, done.report["question"]) == (5, None)
    [result] = [m for m in model.requests[1]["messages"] if m["role"] == "tool"]
    assert "nobody answered within 1 s" in result["content"]


def test_a_model_that_is_refused_three_times_in_a_row_is_stopped(project: Path, service: Start) -> None:
    probe = [Answer(calls=[("shell", {"command": f"rm -rf {name}"})]) for name in "abcd"]
    model = service([probe[0], Answer(calls=[LOOK]), *probe[1:]])
    done = bridle(*fix(project, model))
    assert (done.code, done.report["outcome"]) == (5, "approval_needed")
    assert done.report["detail"] == "3 calls in a row were not allowed"
    assert "shell rm -rf c: nobody is there to ask" in done.report["summary"]
    assert len(model.requests) == 5


def test_policy_judge_and_program_answer_in_that_order(project: Path, service: Start, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[[answer]]\nsay = "yes"\ntool = "deliver"\neffects = ["deliver"]\n'
        '[[answer]]\nsay = "no"\ntool = "git"\neffects = ["history"]\nreason = "no commits"\n'
        '[judge]\nmay_approve = ["write", "run"]\n'
    )
    policy.chmod(0o600)
    program = tmp_path / "program"
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\nq = json.load(sys.stdin)\n"
        "ok = q['tool'] == 'shell' and 'judge' in ' '.join(q['advice'])\n"
        "print(json.dumps({'decision': 'yes' if ok else 'no', 'reason': 'not for me'}))\n"
    )
    program.chmod(0o700)
    turns = iter([Answer(calls=[EDIT]), Answer(calls=[DROP]), Answer(calls=[COMMIT]), submit()])

    def answer(request: dict[str, Any]) -> Answer:
        if "You review one tool call" in request["messages"][0]["content"]:
            assert "mean() is wrong" in request["messages"][1]["content"]
            return Answer('{"verdict": "approve", "reason": "it is asked for"}')
        return next(turns)

    model = service(answer)
    more = ["--policy", str(policy), "--judge", "small", "--approver-cmd", str(program), "-a", "ask"]
    done = bridle(*fix(project, model, *more))
    assert (done.code, done.report["outcome"]) == (0, "done"), done.err
    decided = [e for e in journal(done.report["session"]) if isinstance(e, GateDecided) and e.answers]
    by = {(e.tool, e.call == "verify"): (e.by, e.verdict) for e in decided}
    assert by["edit", False] == ("judge small", "allow")
    assert by["shell", False] == ("program program", "allow"), (
        "no judge approves what destroys; its advice is passed on"
    )
    assert by["git", False] == ("policy policy.toml", "deny")
    assert by["shell", True] == ("judge small", "allow")
    assert by["deliver", False] == ("policy policy.toml", "allow")


def test_what_cannot_be_believed_ends_it_before_it_begins(project: Path, service: Start, tmp_path: Path) -> None:
    model = service([])
    for option, value in [("--policy", str(tmp_path / "none.toml")), ("--approver-cmd", "no-such-program x")]:
        done = bridle(*fix(project, model, option, value))
        assert done.code == 2
        assert value.split()[0] in done.err
    assert model.requests == []
