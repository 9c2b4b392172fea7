"""Nobody at the terminal: sessions stop or wait at a question, and go on with an answer given elsewhere."""

from __future__ import annotations

import json
import shutil
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
    assert (listed["question"]["title"], listed["question"]["effects"]) == ("$ rm -rf build", ["run", "destroy"])
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
