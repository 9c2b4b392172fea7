"""`bridle fix` at a terminal: a person sees each question, answers it, and gets the branch."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.project import BRIDLE, BUGGY, EDIT, ENVIRONMENT, FIXED, bridle, containers, git, make_project
from support.service import Answer, Script, Service, submit
from support.terminal import OnTerminal

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]

EDIT_TWICE = [Answer(calls=[EDIT]), Answer(calls=[EDIT]), submit()]
WRONG = ("shell", {"command": "echo wrong > calc.py"})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture
def attended(project: Path, service: Callable[[Script], Service]) -> Iterator[Callable[..., OnTerminal]]:
    """`bridle fix` at a terminal, with a scripted model."""
    opened: list[OnTerminal] = []

    def begin(script: Script, *more: str) -> OnTerminal:
        common = ["--repo", str(project), "--model", "scripted", "--base-url", service(script).url]
        opened.append(OnTerminal([str(BRIDLE), "fix", "mean() is wrong", *common, *more], ENVIRONMENT))
        return opened[-1]

    yield begin
    for each in opened:
        each.close()


def test_each_step_is_approved_and_the_branch_delivered(
    attended: Callable[..., OnTerminal], project: Path
) -> None:
    terminal = attended([Answer(calls=[WRONG]), Answer(calls=[EDIT]), submit("divided by n")], "-a", "ask")
    terminal.expect("shell: allow this?")
    terminal.expect("echo wrong > calc.py")
    terminal.answer("n\r")
    terminal.expect("Why not")
    terminal.send("use the edit tool\r")
    terminal.expect("edit: allow this?")
    terminal.expect("+    return sum(values) / len(values)")
    terminal.answer("y\r")
    terminal.expect("shell: allow this?")
    terminal.expect("python3 -m pytest -q")
    terminal.answer("y\r")
    terminal.expect("deliver: allow this?")
    terminal.answer("y\r")
    assert terminal.wait() == 0, terminal.seen
    assert "git merge bridle/mean-is-wrong" in terminal.seen
    assert git(project, "show", "bridle/mean-is-wrong:calc.py") + "\n" == FIXED
    assert (project / "calc.py").read_text() == BUGGY
    shown = bridle("show", "last").out
    assert "use the edit tool" in shown


def test_a_delivery_that_is_refused_keeps_the_patch(attended: Callable[..., OnTerminal], project: Path) -> None:
    terminal = attended([Answer(calls=[EDIT]), submit()])
    terminal.expect("deliver: allow this?")
    terminal.answer("n\r")
    terminal.expect("Why not")
    terminal.send("\r")
    assert terminal.wait() == 5, terminal.seen
    assert git(project, "branch", "--list", "bridle/*") == ""
    assert "len(values)" in bridle("show", "last", "--diff").out


def test_a_delivery_that_is_refused_with_a_reason_goes_back_to_the_model(
    attended: Callable[..., OnTerminal], project: Path
) -> None:
    comment = ("edit", {"path": "calc.py", "old": "def mean", "new": "# The average.\ndef mean"})
    terminal = attended([Answer(calls=[EDIT]), submit(), Answer(calls=[comment]), submit()])
    terminal.expect("deliver: allow this?")
    terminal.answer("n\r")
    terminal.expect("Why not")
    terminal.send("say what mean is\r")
    terminal.expect("deliver: allow this?")
    terminal.expect("# The average.")
    terminal.answer("y\r")
    assert terminal.wait() == 0, terminal.seen
    assert git(project, "show", "bridle/mean-is-wrong:calc.py").startswith("# The average.")


def test_quitting_at_a_question_keeps_the_session(attended: Callable[..., OnTerminal]) -> None:
    terminal = attended(EDIT_TWICE, "-a", "1")
    terminal.expect("edit: allow this?")
    terminal.answer("q\r")
    assert terminal.wait() == 130, terminal.seen
    assert bridle("resume", "last", "-a", "full", "--json").code == 0


def test_ctrl_c_at_a_question_keeps_the_session(attended: Callable[..., OnTerminal], own_state: Path) -> None:
    terminal = attended(EDIT_TWICE, "-a", "1")
    terminal.expect("edit: allow this?")
    terminal.answer("\x03")
    assert terminal.wait() == 130, terminal.seen
    session = next((own_state / "sessions").iterdir()).name
    assert containers(session) == []
    assert bridle("resume", session, "-a", "full", "--json").code == 0


def test_a_terminal_that_goes_away_leaves_a_resumable_session(attended: Callable[..., OnTerminal]) -> None:
    terminal = attended(EDIT_TWICE, "-a", "1")
    terminal.expect("edit: allow this?")
    terminal.hang_up()
    terminal.child.send_signal(signal.SIGHUP)
    assert terminal.child.wait(60) == 130
    assert bridle("resume", "last", "-a", "full", "--json").code == 0
