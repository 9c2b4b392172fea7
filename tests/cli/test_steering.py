"""Steering at a real terminal: what is typed while the agent works reaches the model; keys interrupt one call."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from support.project import BRIDLE, EDIT, ENVIRONMENT, bridle, make_project
from support.service import Answer, Script, Service, submit
from support.terminal import OnTerminal

from agent.journal import AnyEvent, LevelChanged, UserMessage, read_events
from agent.steering import Steering
from cli.steering import Key, SteeredWatcher, Typing
from cli.terminal import TerminalWatcher

SLEEP = ("shell", {"command": "echo begun; sleep 60"})
BRIEFLY = ("shell", {"command": "echo begun; sleep 4; echo over"})


@given(st.text(st.characters(exclude_categories=["C", "Z"]), max_size=30), st.data())
def test_a_line_is_what_was_typed_however_it_arrives(text: str, data: st.DataObject) -> None:
    raw = text.encode() + b"\r"
    typing, keys = Typing(), []
    while raw:
        size = data.draw(st.integers(1, len(raw)))
        keys += typing.feed(raw[:size])
        raw = raw[size:]
    assert keys == [Key("line", text)]
    assert typing.draft == ""


@given(st.lists(st.binary(max_size=8), max_size=30))
def test_no_bytes_make_a_line_that_could_act_on_a_terminal(pieces: list[bytes]) -> None:
    typing = Typing()
    keys = [key for piece in pieces for key in typing.feed(piece)]
    assert all(key.text.isprintable() for key in keys)
    assert typing.draft.isprintable()


def test_arrows_are_no_escape_and_an_escape_drops_the_line_first() -> None:
    typing = Typing()
    assert typing.feed(b"ab\x1b[A\x1bOPc\x7f\x7f\r") == [Key("line", "a")]
    typing.feed(b"draft\x1b")
    assert typing.escape_alone() is None
    assert typing.draft == ""
    typing.feed(b"\x1b")
    assert typing.escape_alone() == Key("escape")
    typing.feed(b"one two\x17three\x15x")
    assert typing.draft == "x"


def test_while_a_line_is_typed_what_there_is_to_show_waits(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+") as file:
        watch = SteeredWatcher(TerminalWatcher(Console(file=file, soft_wrap=True)))
        watch.note("first")
        watch.typing = True
        watch.note("second")
        watch.output(b"third\n")
        file.seek(0)
        assert "second" not in file.read()
        watch.typing = False
        watch.release()
        file.seek(0)
        text = file.read()
    assert text.index("first") < text.index("second") < text.index("third")


async def test_lines_join_and_nothing_is_asked_without_an_interruption() -> None:
    steering = Steering()
    assert not steering.interrupt()
    steering.say("one")
    steering.say("two")
    assert steering.waiting
    assert await steering.heard() == "one\ntwo"
    assert await steering.heard() == ""


CONTROL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
"""Makes the terminal the one whose Ctrl-C interrupts, as a shell's is."""


class Steered(OnTerminal):
    """`bridle fix` at a terminal; `before` are the terminal's modes."""

    def __init__(self, command: list[str], project: Path) -> None:
        super().__init__([sys.executable, "-c", CONTROL, *command], ENVIRONMENT)
        self.project = project
        self.before = termios.tcgetattr(self.master)

    def end(self) -> int:
        code = self.wait()
        assert termios.tcgetattr(self.master) == self.before
        return code


@pytest.fixture
def project(tmp_path: Path, bubblewrap: None) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture
def steered(
    project: Path, service: Callable[[Script], Service]
) -> Iterator[Callable[..., tuple[Steered, Service]]]:
    opened: list[Steered] = []

    def begin(script: Script, *more: str) -> tuple[Steered, Service]:
        serving = service(script)
        common = [
            "--repo",
            str(project),
            "--model",
            "scripted",
            "--base-url",
            serving.url,
            "--backend",
            "bubblewrap",
        ]
        opened.append(Steered([str(BRIDLE), "fix", "mean() is wrong", *common, *more], project))
        return opened[-1], serving

    yield begin
    for each in opened:
        each.close()


def told(service: Service, request: int) -> list[tuple[str, str]]:
    return [(each["role"], str(each.get("content"))) for each in service.requests[request]["messages"]]


def journal(state: Path) -> list[AnyEvent]:
    [folder] = (state / "sessions").iterdir()
    return read_events(folder / "journal.jsonl")


def test_lines_are_queued_and_reach_the_model_after_the_call(
    steered: Callable[..., tuple[Steered, Service]], own_state: Path
) -> None:
    t, service = steered([Answer(calls=[BRIEFLY, EDIT]), Answer(calls=[EDIT]), submit()], "-a", "full")
    t.expect("\n  begun")
    t.send("keep it short\r")
    t.expect("queued keep it short")
    t.send("and simple\r")
    t.expect("queued and simple")
    t.expect("you said keep it short")
    assert t.end() == 0, t.seen
    messages = told(service, 1)
    assert messages[-1] == ("user", "keep it short\nand simple")
    assert "over" in messages[-3][1]
    assert messages[-2][1].startswith("Not run: the user interrupted or said something meanwhile")
    [said] = [event for event in journal(own_state) if isinstance(event, UserMessage) and event.meanwhile]
    assert (said.by, said.text) == ("user", "keep it short\nand simple")


@pytest.mark.parametrize("key", ["\x1b", "\x03"])
@pytest.mark.parametrize("words", ["use the edit tool", ""])
def test_a_call_is_interrupted_alone(
    steered: Callable[..., tuple[Steered, Service]], key: str, words: str
) -> None:
    t, service = steered([Answer(calls=[SLEEP]), Answer(calls=[EDIT]), submit()], "-a", "full")
    t.expect("\n  begun")
    t.send(key)
    t.expect("interrupted: type what the model should know")
    t.send(f"{words}\r")
    assert t.end() == 0, t.seen
    messages = told(service, 1)
    assert ("The user interrupted this call" in messages[-1][1]) == (not words)
    if words:
        assert messages[-1] == ("user", words)


def test_the_models_turn_is_interrupted_too(steered: Callable[..., tuple[Steered, Service]]) -> None:
    hold = threading.Event()
    t, service = steered([Answer(calls=[SLEEP], wait=hold), Answer(calls=[EDIT]), submit()], "-a", "full")
    assert service.arrived.wait(60)
    time.sleep(0.5)
    t.send("\x1b")
    t.expect("interrupted: type what the model should know")
    t.send("edit it\r")
    hold.set()
    assert t.end() == 0, t.seen
    assert told(service, 1)[-1] == ("user", "edit it")


def test_a_second_ctrl_c_ends_the_session(steered: Callable[..., tuple[Steered, Service]]) -> None:
    t, _ = steered([Answer(calls=[SLEEP]), submit()], "-a", "full")
    t.expect("\n  begun")
    t.send("\x03")
    t.expect("interrupted: type what the model should know")
    t.send("\x03")
    t.expect("keeping the work")
    assert t.end() == 130, t.seen


def test_the_level_moves_for_calls_that_were_proposed_already(
    steered: Callable[..., tuple[Steered, Service]], own_state: Path
) -> None:
    t, _ = steered([Answer(calls=[BRIEFLY, EDIT]), submit()], "-a", "contained")
    t.expect("\n  begun")
    t.send("/level 9\r")
    t.expect("no autonomy level '9'")
    t.send("/help\r")
    t.expect("/quit ends the session")
    t.send("/level ask\r")
    t.expect("autonomy 3 → 1")
    t.expect("edit: allow this?")
    t.answer("n\r")
    t.expect("Why not")
    t.send("\x04")
    assert t.end() == 130, t.seen
    assert [(e.before, e.after) for e in journal(own_state) if isinstance(e, LevelChanged)] == [(3, 1)]


def test_a_question_waits_for_the_line_and_gets_none_of_it(
    steered: Callable[..., tuple[Steered, Service]],
) -> None:
    t, _ = steered(
        [Answer(calls=[BRIEFLY]), Answer(calls=[("shell", {"command": "rm -rf x"})]), submit()], "-a", "3"
    )
    t.expect("\n  begun")
    t.send("please do not y")
    t.expect("a question waits: finish your line")
    t.send("\r")
    t.expect("queued please do not y")
    t.expect("shell: allow this?")
    t.answer("\r")
    t.expect("Enter alone answers nothing")
    t.answer("q\r")
    assert t.end() == 130, t.seen


def test_quit_ends_with_the_work_kept(steered: Callable[..., tuple[Steered, Service]]) -> None:
    t, _ = steered([Answer(calls=[SLEEP]), submit()], "-a", "full")
    t.expect("\n  begun")
    t.send("/quit\r")
    assert t.end() == 130, t.seen
    assert "bridle resume" in t.seen


def test_without_a_terminal_nothing_is_interactive(project: Path, service: Callable[[Script], Service]) -> None:
    url = service([Answer(calls=[EDIT]), submit()]).url
    done = bridle(
        "fix", "x", "--repo", str(project), "--model", "m", "--base-url", url, "--backend", "bubblewrap", "-a", "5"
    )
    assert done.code == 0, done.err
    assert "\x1b" not in done.err


def test_through_tmux(
    project: Path, service: Callable[[Script], Service], own_state: Path, tmp_path: Path
) -> None:
    if shutil.which("tmux") is None:
        pytest.skip("NO TMUX: the tmux command is missing; this test proves nothing until it is there")
    serving = service([Answer(calls=[SLEEP]), Answer(calls=[EDIT]), submit()])
    socket = str(tmp_path / "tmux")

    def tmux(*args: str) -> str:
        return subprocess.run(["tmux", "-S", socket, *args], check=True, capture_output=True, text=True).stdout

    def expect(text: str) -> None:
        deadline = time.monotonic() + 60
        while text not in (screen := tmux("capture-pane", "-p", "-J", "-S", "-", "-t", "t")):
            assert time.monotonic() < deadline, screen
            time.sleep(0.1)

    tmux("-f", "/dev/null", "new-session", "-d", "-s", "t", "-x", "100", "-y", "30", "sh")
    try:
        state = " ".join(
            f"BRIDLE_{name}='{own_state}{end}'" for name, end in (("STATE_DIR", ""), ("CONFIG", "/config.toml"))
        )
        command = f"{BRIDLE} fix 'mean() is wrong' --repo {project} --model m --base-url {serving.url}"
        environment = " ".join(f"{name}='{value}'" for name, value in ENVIRONMENT.items())
        tmux(
            "send-keys",
            "-t",
            "t",
            f"env {state} {environment} {command} --backend bubblewrap -a 3; echo end=$?",
            "Enter",
        )
        expect("begun")
        tmux("send-keys", "-t", "t", "Escape")
        expect("type what the model should know")
        tmux("send-keys", "-t", "t", "use the edit tool", "Enter")
        expect("deliver: allow this?")
        expect("Allow this?")
        tmux("send-keys", "-t", "t", "y", "Enter")
        expect("end=0")
        tmux("send-keys", "-t", "t", "stty -a | grep -wo 'icanon\\|echo' | tr '\\n' +", "Enter")
        expect("icanon+echo+")
    finally:
        tmux("kill-server")


PLAN = [submit("1. divide by len(values)"), Answer(calls=[EDIT]), submit()]


def test_a_plan_is_edited_and_run_at_another_level(
    steered: Callable[..., tuple[Steered, Service]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "2. and say so" >> "$1"\n')
    editor.chmod(0o755)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", str(editor))
    t, service = steered(PLAN, "-a", "plan")
    t.expect("1. divide by len(values)")
    t.expect("The plan: r run it")
    t.send("\r")
    t.expect("Enter alone chooses nothing")
    t.expect("The plan:")
    t.send("e\r")
    t.expect("2. and say so")
    t.expect("The plan:")
    t.send("r\r")
    t.expect("At which level")
    t.send("full\r")
    assert t.end() == 0, t.seen
    assert "git merge bridle/mean-is-wrong" in t.seen
    role, text = told(service, 1)[-1]
    assert role == "user"
    assert text.startswith("I agree to this plan.")
    assert text.endswith("1. divide by len(values)\n2. and say so")


def test_a_plan_that_is_kept_is_gone_on_with_later(
    steered: Callable[..., tuple[Steered, Service]], own_state: Path
) -> None:
    t, service = steered(PLAN, "-a", "plan")
    t.expect("The plan: r run it")
    t.send("k\r")
    assert t.end() == 0, t.seen
    assert "--autonomy contained" in t.seen
    done = bridle("resume", "last", "--autonomy", "full")
    assert done.code == 0, done.err
    assert told(service, 1)[-1][1].endswith("1. divide by len(values)")
    assert "git merge bridle/mean-is-wrong" in done.err


def test_an_interrupted_call_is_ended_inside_the_sandbox(steered: Callable[..., tuple[Steered, Service]]) -> None:
    look = (
        "shell",
        {"command": "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 6[0]' || echo none left"},
    )
    t, service = steered(
        [Answer(calls=[SLEEP]), Answer(calls=[look]), Answer(calls=[EDIT]), submit()], "-a", "full"
    )
    t.expect("\n  begun")
    t.send("\x1b")
    t.expect("interrupted: type what the model should know")
    t.send("\r")
    assert t.end() == 0, t.seen
    assert "none left" in told(service, 2)[-1][1]


def test_a_signal_to_end_leaves_the_terminal_as_it_was(steered: Callable[..., tuple[Steered, Service]]) -> None:
    t, _ = steered([Answer(calls=[SLEEP]), submit()], "-a", "full")
    t.expect("\n  begun")
    t.send("half a li")
    t.expect("> half a li")
    t.child.send_signal(signal.SIGTERM)
    assert t.end() == 130, t.seen


def test_always_in_this_repository_is_kept_for_the_next_session(
    steered: Callable[..., tuple[Steered, Service]], project: Path
) -> None:
    commands = [Answer(calls=[("shell", {"command": f"touch {name}"})]) for name in ("a", "b")]
    t, _ = steered([*commands, Answer(calls=[SLEEP])], "-a", "ask")
    t.answer("a\r")
    t.expect("`touch *`")
    t.expect("Number")
    t.send("2\r")
    t.expect("Scope")
    t.send("r\r")
    t.expect("kept in ")
    t.expect("shell touch b")
    t.expect("\n  begun")
    t.send("/quit\r")
    assert t.end() == 130, t.seen
    checked = bridle("rules", "check", "touch c", "--repo", str(project), "--level", "1")
    assert (checked.code, "allow rule 1 of" in checked.out) == (0, True), checked.out
    assert bridle("rules", "check", "touch ../c", "--repo", str(project), "--level", "1").code == 5
    assert not (project / "bridle.toml").exists()
