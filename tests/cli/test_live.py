"""Output on the screen while a command runs: soon, bounded, and nothing in it that acts."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from support.project import BRIDLE, EDIT, ENVIRONMENT, make_project
from support.service import Answer, Script, Service, submit
from support.terminal import OnTerminal

from agent.journal import CallFinished, CallStarted
from cli.live import COLUMNS, LAST_LINES, SHOWN_LINES, LiveOutput
from cli.terminal import QuietWatcher, TerminalWatcher


def shown(*pieces: bytes) -> str:
    live = LiveOutput()
    return "".join(map(live.feed, pieces)) + live.end()


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


SIZES = st.lists(st.integers(0, 30), max_size=30)
EVIL = st.lists(
    st.sampled_from([b"\x1b]0;owned\x07", b"\x1b[2J", b"\x9b31m", b"\r", b"\n", b"\xc3", b"\xa4", b"\xe2\x80\xae"])
    | st.binary(max_size=12),
    max_size=60,
).map(b"".join)


@given(EVIL, SIZES)
def test_whatever_comes_nothing_acts_and_all_is_bounded(data: bytes, sizes: list[int]) -> None:
    text = shown(*cut(data, sizes))
    assert not {character for character in text if not character.isprintable()} - {"\n", "\t"}
    # A line that overwrites what is on the screen is shown once more.
    assert len(text.splitlines()) <= 2 * (SHOWN_LINES + LAST_LINES + 1)
    assert all(len(line) <= COLUMNS + 2 for line in text.splitlines())
    assert not text or text.endswith("\n")


@given(st.text(st.characters(exclude_characters="\r\x1b\x9b"), max_size=300).map(str.encode), SIZES)
def test_how_it_was_cut_does_not_show(data: bytes, sizes: list[int]) -> None:
    assert shown(*cut(data, sizes)) == shown(data)


def test_each_piece_is_shown_as_it_comes() -> None:
    live = LiveOutput()
    assert live.feed(b"..") == "  .."
    assert live.feed(b".F") == ".F"
    assert live.feed(b"\nnext \xc3") == "\n  next "
    assert live.feed(b"\xa4\n") == "ä\n"
    assert live.end() == ""


def test_of_progress_the_last_state_stays() -> None:
    assert shown(b"\r 10%", b"\r 20%", b"\r100%\n") == "  100%\n"
    assert shown(b"start", b"\rdone \n") == "  start\n  done \n"
    assert shown(b"\x1b[32mgre", b"en\x1b[0m\r\n") == "  green\n"
    many = shown(*(b"\r%d%%" % n for n in range(100_000)))
    assert many == "  99999%\n"


def test_much_is_counted_and_ends_with_its_last_lines() -> None:
    lines = [f"line {number}" for number in range(100_000)]
    data = "\n".join(lines).encode() + b"\n"
    wanted = [*lines[:SHOWN_LINES], f"… {len(lines) - SHOWN_LINES - LAST_LINES} more lines", *lines[-LAST_LINES:]]
    for pieces in ([data], cut(data, [7] * 1000), cut(data, [65536] * 100)):
        assert shown(*pieces).splitlines() == ["  " + line for line in wanted]


def test_a_line_without_an_end_is_cut() -> None:
    live = LiveOutput()
    text = "".join(live.feed(b"x" * 1000) for _ in range(1000)) + live.end()
    assert text == "  " + "x" * COLUMNS + "\n"


def test_where_output_was_followed_only_the_ending_comes_after_it() -> None:
    file = io.StringIO()
    watcher = TerminalWatcher(Console(file=file, soft_wrap=True))
    watcher.event(CallStarted(call="1", tool="shell", arguments='{"command":"make"}'))
    watcher.output(b"one\ntw")
    watcher.output(b"o\n")
    watcher.event(CallFinished(call="1", tool="shell", ok=True, text="one\ntwo\n[exit 0]"))
    watcher.event(CallStarted(call="2", tool="read", arguments='{"path":"a"}'))
    watcher.event(CallFinished(call="2", tool="read", ok=True, text="1\n2"))
    assert file.getvalue() == "shell make\n  one\n  two\n  [exit 0]\nread a\n  1\n  2\n"
    QuietWatcher().output(b"nothing")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


def command(project: Path, model: Service) -> list[str]:
    options = ["--repo", str(project), "--model", "m", "--base-url", model.url, "-a", "full", "--verify", "true"]
    return [str(BRIDLE), "fix", "mean() is wrong", *options]


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_a_terminal_shows_output_while_the_command_runs(
    project: Path, service: Callable[[Script], Service]
) -> None:
    script = "echo be$((1 + 1))gun; printf '\\033]0;owned\\007%s\\n' it$((2 + 2))self; sleep 5; seq 1000"
    model = service([Answer(calls=[("shell", {"command": script})]), Answer(calls=[EDIT]), submit()])
    terminal = OnTerminal(command(project, model), ENVIRONMENT)
    try:
        terminal.expect("be2gun", 60)
        terminal.expect("it4self")
        seen_at = time.monotonic()
        assert "[exit 0]" not in terminal.seen
        terminal.expect("[exit 0]", 60)
        assert time.monotonic() - seen_at > 1, "it was there before the command had ended"
        assert terminal.wait() == 0, terminal.seen
    finally:
        terminal.close()
    assert b"\x1b]0;" not in terminal.raw
    assert "more lines" in terminal.seen
    assert terminal.seen.count("be2gun") == 1
