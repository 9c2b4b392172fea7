"""What reaches a person's screen: nothing that acts on it, and nothing that ends a session when it is gone."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from support.project import BRIDLE, EDIT, git, make_project
from support.service import Answer, Script, Service, submit
from support.terminal import OnTerminal

from agent.journal import (
    AnyEvent,
    AttemptMade,
    CallFinished,
    CallStarted,
    CheckRun,
    Delivered,
    GateDecided,
    Journal,
    LevelChanged,
    PatchTaken,
    SandboxOpened,
    SessionEnded,
    SessionStarted,
    UserMessage,
)
from agent.outcomes import Outcome
from agent.session import Report
from agent.store import Store
from cli.terminal import QuietWatcher, TerminalWatcher, console, show_journal, show_report

EVIL = "[red]x[/] \x1b]0;owned\x07\x9b31m\u202e \\[/] :warning:"


def events(evil: str) -> list[AnyEvent]:
    """One event of each kind, with `evil` wherever text goes."""
    done = Outcome.DONE
    return [
        SessionStarted(session=evil, version=evil, task=evil, repository=evil, options={}),
        SandboxOpened(run_id=evil, name=evil, image=evil, backend=evil, seconds=1),
        UserMessage(role="user", text=evil),
        CallStarted(call="1", tool=evil, arguments=evil),
        CallFinished(call="1", tool=evil, ok=True, text=evil),
        GateDecided(
            call="1", tool=evil, effects=(evil,), level=3, verdict="deny", cause=evil, by="user", reason=evil
        ),
        LevelChanged(before=1, after=2),
        AttemptMade(number=1, path=evil, target=evil, temperature=0, problem=evil),
        CheckRun(command=evil, exit_code=1, ending=evil, passed=False, output=evil, seconds=1),
        PatchTaken(outcome=done, detail=evil, files=1, added=1, removed=1, flagged=(evil,), skipped=(evil,)),
        Delivered(branch=evil, commit=evil),
        SessionEnded(outcome=done, detail=evil, resumable=False),
    ]


def report(evil: str) -> Report:
    return Report(
        session=evil, outcome=Outcome.DONE, exit_code=0, detail=evil, summary=evil, branch=evil, commit=evil
    )


def show_everything(out: Console, evil: str) -> None:
    watcher = TerminalWatcher(out)
    for event in events(evil):
        watcher.event(event)
    watcher.text(evil)
    watcher.note(evil)
    show_report(out, report(evil))
    show_journal(out, events(evil))


def plain(evil: str) -> str:
    file = io.StringIO()
    show_everything(Console(file=file, highlight=False, soft_wrap=True), evil)
    return file.getvalue()


def test_nothing_acts_on_the_terminal_and_nothing_is_read_as_markup() -> None:
    shown = plain(EVIL)
    assert not {character for character in shown if not character.isprintable()} - {"\n"}
    assert shown.count(r"[red]x[/] \x1b]0;owned\x07\x9b31m\u202e \[/] :warning:") >= 20


@given(st.text())
def test_no_text_breaks_the_screen(evil: str) -> None:
    assert not {character for character in plain(evil) if not character.isprintable()} - {"\n", "\t"}


def test_one_event_is_one_line() -> None:
    file = io.StringIO()
    TerminalWatcher(Console(file=file, soft_wrap=True)).event(
        CheckRun(command="a\ncheck b passes", exit_code=1, ending="exited", passed=False, output="", seconds=1)
    )
    assert len(file.getvalue().splitlines()) == 1


def test_what_the_table_decided_is_not_shown_and_what_a_person_did_is() -> None:
    file = io.StringIO()
    watcher = TerminalWatcher(Console(file=file, soft_wrap=True))
    for by in ("table", "user", "always"):
        watcher.event(GateDecided(call="1", tool="t", effects=(), level=3, verdict="allow", cause=by, by=by))
    assert file.getvalue() == "gate allow · user\ngate allow · always\n"


@pytest.fixture
def broken_pipe() -> Iterator[TextIO]:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", buffering=1) as stream:
        yield stream


@pytest.fixture
def hung_up() -> Iterator[TextIO]:
    master, slave = os.openpty()
    os.close(master)
    with os.fdopen(slave, "w", buffering=1) as stream:
        yield stream


@pytest.mark.parametrize("gone", ["broken_pipe", "hung_up"])
def test_when_nobody_can_read_it_goes_quiet(
    gone: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream: TextIO = request.getfixturevalue(gone)
    monkeypatch.setattr(sys, "stderr", stream)
    stdout = os.fstat(1)
    show_everything(console(), EVIL)
    quiet = QuietWatcher()
    quiet.note("a")
    quiet.note("b")
    after = os.fstat(1)
    assert (stdout.st_dev, stdout.st_ino) == (after.st_dev, after.st_ino), "standard output stays what it was"


def test_without_standard_error_notes_do_not_go_to_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    QuietWatcher().note("a")
    show_everything(console(), EVIL)
    assert capsys.readouterr().out == ""


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_a_session_outlives_its_reader(tmp_path: Path, service: Callable[[Script], Service]) -> None:
    project = make_project(tmp_path / "project")
    model = service([Answer("I will look.", [("read", {"path": "calc.py"})]), Answer(calls=[EDIT]), submit("n")])
    read, write = os.pipe()
    os.close(read)
    command = [BRIDLE, "fix", "mean() is wrong", "--repo", project, "--model", "m", "--base-url", model.url]
    done = subprocess.run(
        [*command, "-a", "full"], stdin=subprocess.DEVNULL, stderr=write, timeout=120, check=False
    )
    os.close(write)
    assert done.returncode == 0
    assert git(project, "branch", "--list", "bridle/*")


def a_session(store: Path) -> str:
    folder = Store(store).create()
    with Journal(folder.journal) as journal:
        journal.append(SessionStarted(session=folder.id, version="1", task=EVIL, repository="/r", options={}))
    folder.patch.write_bytes(b"+\x1b]0;owned\x07\xc2\x9b31m\r\xff\n")
    return folder.id


def test_a_patch_is_harmless_on_a_terminal_and_exact_in_a_file(own_state: Path) -> None:
    session = a_session(own_state)
    raw = subprocess.run([BRIDLE, "show", session, "--diff"], capture_output=True, check=True).stdout
    assert raw == b"+\x1b]0;owned\x07\xc2\x9b31m\r\xff\n"
    for option in ("--diff", "--json"):
        terminal = OnTerminal([str(BRIDLE), "show", session, option], {})
        try:
            assert terminal.wait() == 0
            assert b"\x1b" not in terminal.raw
            assert b"\x07" not in terminal.raw
            assert b"\xc2\x9b" not in terminal.raw
            assert b"owned" in terminal.raw
        finally:
            terminal.close()
