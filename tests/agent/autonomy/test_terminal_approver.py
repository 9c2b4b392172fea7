"""The terminal approver, through a real pseudo-terminal: every answer, and everything that must not be one."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from support.terminal import PROMPT, OnTerminal

CHILD = Path(__file__).with_name("terminal_child.py")
ERASE = "\x7f" * 200


class Terminal(OnTerminal):
    """A terminal approver with a scenario, in a child."""

    def __init__(self, scenario: dict[str, Any], result: Path, env: dict[str, str]) -> None:
        self.result_file = result
        super().__init__([sys.executable, str(CHILD), json.dumps(scenario), str(result)], env)

    def end(self) -> dict[str, Any]:
        """What the child made of it."""
        assert self.wait() == 0, self.seen
        outcome: dict[str, Any] = json.loads(self.result_file.read_text())
        assert outcome["terminal_restored"]
        return outcome


class Terminals:
    """Starts children, and ends them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Terminal] = []

    def __call__(self, *calls: dict[str, Any], env: dict[str, str] | None = None, **scenario: Any) -> Terminal:
        result = self.folder / f"result{len(self.started)}.json"
        self.started.append(Terminal({"calls": calls, **scenario}, result, env or {}))
        return self.started[-1]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminals]:
    terminals = Terminals(tmp_path)
    yield terminals
    for one in terminals.started:
        one.close()


CURL = {"command": "curl example.org"}


def test_the_question_says_what_why_and_where(terminal: Terminals) -> None:
    t = terminal({**CURL, "claims": ["read", "network"]}, cwd="/workspace/src")
    shown = t.expect(PROMPT)
    assert "shell: allow this?" in shown
    assert "curl example.org" in shown
    assert "could reach a host over the network (network)" in shown
    assert "could read files, list, search (read), which needs no question" in shown
    assert "level 3 contained asks" in shown
    assert "/workspace/src" in shown
    assert "y yes" in shown
    t.send("y\r")
    outcome = t.end()
    assert outcome["rulings"][0]["verdict"] == "allow"
    assert outcome["events"][-1]["by"] == "user"


def test_no_asks_for_a_reason(terminal: Terminals) -> None:
    t = terminal(CURL, CURL)
    t.answer("n\r")
    t.expect("Why not")
    t.send("no network, please\r")
    t.answer("no\r")
    t.expect("Why not")
    t.send("\r")
    first, second = t.end()["rulings"]
    assert (first["verdict"], first["reason"]) == ("deny", "the user said no: no network, please")
    assert (second["verdict"], second["reason"]) == ("deny", "the user said no, without a reason")


def test_always_is_not_asked_again_for_the_same_command_and_is_for_another(terminal: Terminals) -> None:
    t = terminal(CURL, CURL, {"command": "curl example.org/x"})
    t.answer("a\r")
    t.expect("1  exactly this command in this directory · would have matched 0 of 0 calls")
    t.expect("2  `curl *` to example.org")
    t.expect("Number")
    t.send("7\r")
    t.expect("A number from 1 to 2.")
    t.expect("Number")
    t.send("1\r")
    t.expect("h for an hour")
    t.expect("Scope")
    t.send("s\r")
    t.expect("rest of this session: exactly this command in this directory")
    t.expect("CALL 1")
    t.expect("CALL 2")
    t.answer("n\r\r")
    assert [ruling["verdict"] for ruling in t.end()["rulings"]] == ["allow", "allow", "deny"]


@pytest.mark.parametrize(
    ("key", "scope", "words"),
    [
        ("h", "hour", "for an hour"),
        ("r", "repository", "as a rule in your own state"),
        ("s", "session", "the rest of"),
    ],
)
def test_a_wider_always_for_as_long_as_chosen(terminal: Terminals, key: str, scope: str, words: str) -> None:
    t = terminal(CURL, {"command": "curl -s example.org/x"}, {"command": "curl example.com"})
    t.answer("always\r")
    t.expect("Number")
    t.send("2\r")
    t.expect("Scope")
    t.send("forever\r")
    t.expect("One of: s, h, r.")
    t.expect("Scope")
    t.send(f"{key}\r")
    t.expect(words)
    t.expect("CALL 2")
    t.answer("n\r\r")
    outcome = t.end()
    assert [ruling["verdict"] for ruling in outcome["rulings"]] == ["allow", "allow", "deny"]
    granted = outcome["events"][0]
    assert (granted["type"], granted["scope"], bool(granted["until"])) == (
        "always.granted",
        scope,
        scope == "hour",
    )


def test_enter_alone_at_always_allows_nothing(terminal: Terminals) -> None:
    t = terminal(CURL)
    t.answer("a\r")
    t.expect("Number")
    t.send("\r")
    t.expect("Nothing was allowed")
    t.answer("a\r")
    t.expect("Number")
    t.send("1\r")
    t.expect("Scope")
    t.send("\r")
    t.expect("Nothing was allowed")
    t.answer("q\r")
    assert t.end()["rulings"][0]["verdict"] == "deny"


def test_always_says_how_many_calls_it_would_have_matched(terminal: Terminals) -> None:
    t = terminal(CURL, {"command": "curl example.org/x"}, {"command": "curl evil.org"})
    t.answer("y\r")
    t.answer("n\r\r")
    t.answer("a\r")
    t.expect("would have matched 0 of 2 calls")
    t.expect("`curl *` to evil.org · would have matched 0 of 2 calls")
    t.expect("Number")
    t.send("\r")
    t.answer("q\r")
    t.end()
    t = terminal(CURL, {"command": "curl example.org/x"}, CURL)
    t.answer("y\r")
    t.answer("n\r\r")
    t.answer("a\r")
    t.expect("would have matched 1 of 2 calls")
    t.expect("would have matched 2 of 2 calls")
    t.expect("Number")
    t.send("\r")
    t.answer("q\r")
    t.end()


BEFORE = "1\n2\n3\n4\n5\n"
AFTER = "one\n2\nthree\n4\nfive\n"
WRITE = {"claims": ["write"], "path": "a.txt", "content": AFTER, "before": BEFORE, "diff": "+one\n"}
EDIT = {"claims": ["write"], "path": "a.txt", "old": BEFORE, "new": AFTER, "diff": "+one\n"}


@pytest.mark.parametrize(("tool", "call", "name"), [("write", WRITE, "content"), ("edit", EDIT, "new")])
def test_only_the_accepted_hunks_are_made(terminal: Terminals, tool: str, call: dict[str, Any], name: str) -> None:
    t = terminal(call, tool=tool, level=1)
    t.answer("h\r")
    for number, (text, key) in enumerate((("+one", "\r"), ("+one", "y"), ("+three", "n"), ("+five", "y"))):
        if number != 1:
            t.expect(text)
        t.expect(f"Hunk {max(number, 1)} of 3")
        t.send(f"{key}\r" if key != "\r" else key)
        if key == "\r":
            t.expect("Enter alone answers nothing")
    t.expect("2 of 3 hunks are made")
    outcome = t.end()
    [ruling] = outcome["rulings"]
    assert (ruling["verdict"], ruling[name]) == ("allow", "one\n2\n3\n4\nfive\n")
    assert json.loads(outcome["events"][-1]["edited_arguments"])[name] == "one\n2\n3\n4\nfive\n"


def test_no_hunk_is_a_no_and_all_of_them_a_yes(terminal: Terminals) -> None:
    t = terminal(WRITE, WRITE, tool="write", level=1)
    t.answer("h\r")
    for number, key in enumerate("nnn", 1):
        t.expect(f"Hunk {number} of 3")
        t.send(f"{key}\r")
    t.answer("h\r")
    for number, key in enumerate("yyy", 1):
        t.expect(f"Hunk {number} of 3")
        t.send(f"{key}\r")
    outcome = t.end()
    first, second = outcome["rulings"]
    assert (first["verdict"], first["reason"]) == ("deny", "the user said no: rejected all hunks")
    assert (second["verdict"], second["content"]) == ("allow", AFTER)
    assert outcome["events"][-1]["edited_arguments"] is None


def test_hunks_can_be_left_and_are_there_for_edits_only(terminal: Terminals) -> None:
    t = terminal(WRITE, tool="write", level=1)
    t.answer("h\r")
    t.expect("Hunk 1 of 3")
    t.send("b\r")
    t.expect("Nothing was decided")
    t.answer("q\r")
    t.end()
    t = terminal(CURL)
    t.answer("h\r")
    t.expect("There are no hunks here")
    t.answer("q\r")
    assert t.end()["rulings"][0]["verdict"] == "deny"


def test_the_question_says_what_the_call_names(terminal: Terminals) -> None:
    line = "curl -o ../x.html https://example.org/a; cp $y src/b.py; pytest"
    t = terminal({"command": line, "claims": ["network", "outside", "write", "run"]})
    shown = t.expect(PROMPT)
    assert "touches" in shown
    assert "/x.html" in shown
    assert "src/b.py" in shown
    assert "hosts example.org" in shown
    assert "and what is not in the command's words" in shown
    t.send("q\r")
    t.end()


def test_the_same_call_of_a_turn_is_asked_about_once_and_says_so(terminal: Terminals) -> None:
    t = terminal(CURL, CURL, one_turn=True)
    t.expect("the model makes this call 2 times in this turn")
    t.answer("y\r")
    assert [ruling["verdict"] for ruling in t.end()["rulings"]] == ["allow", "allow"]


def test_a_shell_command_is_edited_in_place(terminal: Terminals) -> None:
    t = terminal(CURL)
    t.answer("e\r")
    t.expect("> curl example.org")
    t.send("/index.html\r")
    outcome = t.end()
    assert outcome["rulings"][0]["verdict"] == "allow"
    assert outcome["rulings"][0]["command"] == "curl example.org/index.html"
    assert json.loads(outcome["events"][-1]["edited_arguments"])["command"] == "curl example.org/index.html"


def test_an_unchanged_edit_is_no_yes(terminal: Terminals) -> None:
    t = terminal(CURL)
    t.answer("e\r")
    t.expect("> curl example.org")
    t.send("\r")
    t.expect("Nothing was changed")
    t.answer("q\r")
    assert t.end()["rulings"][0]["verdict"] == "deny"


def test_other_tools_are_edited_as_json_and_mistakes_are_explained(terminal: Terminals) -> None:
    t = terminal({"command": "x"}, tool="fetch")
    t.answer("e\r")
    t.expect('"command": "x"')
    t.send("!\x1b\r")
    t.expect("This is not JSON")
    t.expect("> ")
    t.send(ERASE + "[1]\x1b\r")
    t.expect("have to be a JSON object")
    t.expect("> ")
    t.send(ERASE + '{"command": "y", "colour": 1}\x1b\r')
    t.expect("note: these arguments do not fit `fetch`: colour")
    t.answer("e\r")
    t.expect("> ")
    t.send(ERASE + '{"command": "y"}\x1b\r')
    ruling = t.end()["rulings"][0]
    assert (ruling["verdict"], ruling["command"]) == ("allow", "y")


def test_an_edit_that_could_do_more_is_asked_about_again(terminal: Terminals) -> None:
    t = terminal({"command": "x", "claims": ["network"]}, tool="fetch")
    t.answer("e\r")
    t.expect("> ")
    t.send(ERASE + '{"command": "y", "claims": ["outside"]}\x1b\r')
    t.expect("note: the edited call could do more than the one you saw: outside")
    t.answer("y\r")
    assert t.end()["rulings"][0]["verdict"] == "allow"


def test_the_level_moves_and_the_call_is_judged_again(terminal: Terminals) -> None:
    t = terminal(CURL, CURL)
    t.answer("l\r")
    t.expect("New level")
    t.send("9\r")
    t.expect("no autonomy level '9'")
    t.expect("New level")
    t.send("\r")
    t.answer("l\r")
    t.expect("New level")
    t.send("trusted\r")
    t.expect("the level is now 4 trusted")
    t.answer("level\r")
    t.expect("New level")
    t.send("5\r")
    outcome = t.end()
    assert [ruling["verdict"] for ruling in outcome["rulings"]] == ["allow", "allow"]
    assert outcome["level"] == 5
    assert [event["type"] for event in outcome["events"]][:3] == ["level.changed", "level.changed", "gate.decided"]


def test_why_explains_and_help_lists_and_neither_answers(terminal: Terminals) -> None:
    t = terminal(CURL)
    t.answer("w\r")
    t.expect("The lowest level")
    t.answer("?\r")
    t.expect("exactly this command")
    t.answer("banana\r")
    t.expect("No such answer: banana")
    t.answer("q\r")
    assert t.end()["rulings"] == [
        {"verdict": "deny", "reason": "the user ended the session", "quit": True, "command": "curl example.org"}
    ]


def test_enter_alone_never_approves(terminal: Terminals) -> None:
    t = terminal(CURL)
    for keys in ("\r", "\n", "   \r", "\t\r", "\x1b[A\r"):
        t.answer(keys)
        t.expect("Enter alone answers nothing")
    t.answer("q\r")
    assert t.end()["rulings"][0]["verdict"] == "deny"


def test_what_was_typed_before_the_question_answers_nothing(terminal: Terminals) -> None:
    t = terminal(CURL, wait_for_type_ahead=True)
    t.expect("CALL 0")
    t.send("y\n")
    t.expect(PROMPT)
    t.send("\r")
    t.expect("Enter alone answers nothing")
    t.answer("q\r")
    assert t.end()["rulings"][0]["verdict"] == "deny"


def test_what_was_typed_too_much_at_one_question_does_not_answer_the_next(terminal: Terminals) -> None:
    t = terminal(CURL, CURL)
    t.answer("y\ry\ry\r")
    t.expect("CALL 1")
    t.expect(PROMPT)
    t.send("\r")
    t.expect("Enter alone answers nothing")
    t.answer("q\r")
    assert [ruling["verdict"] for ruling in t.end()["rulings"]] == ["allow", "deny"]


def test_pasted_newlines_do_not_answer(terminal: Terminals) -> None:
    t = terminal(CURL)
    t.answer("\x1b[200~y\n\x1b[201~" + ERASE + "\r")
    t.expect("Enter alone answers nothing")
    t.answer("q\r")
    assert t.end()["rulings"][0]["verdict"] == "deny"


def test_end_of_input_refuses_and_quits(terminal: Terminals) -> None:
    t = terminal(CURL)
    t.answer("\x04")
    t.expect("End of input")
    [ruling] = t.end()["rulings"]
    assert (ruling["verdict"], ruling["quit"]) == ("deny", True)


@pytest.mark.parametrize("where", ["the question", "the reason", "the editor", "the level"])
def test_ctrl_c_reaches_the_session_as_it_does_elsewhere(terminal: Terminals, where: str) -> None:
    t = terminal(CURL)
    keys, prompt = {
        "the question": ("", ""),
        "the reason": ("n\r", "Why not"),
        "the editor": ("e\r", "> "),
        "the level": ("l\r", "New level"),
    }[where]
    t.answer(keys)
    t.expect(prompt)
    t.send("\x03")
    outcome = t.end()
    assert outcome["ending"] == "cancelled"
    assert outcome["rulings"] == outcome["events"] == []


def test_ctrl_c_without_a_handler_of_the_sessions_own_interrupts_too(terminal: Terminals) -> None:
    t = terminal(CURL, handle_sigint=False)
    t.answer("\x03")
    outcome = t.end()
    # Cancelled, or interrupted outright: which of them comes first is the event loop's business.
    assert outcome["ending"].endswith(" interrupted")
    assert outcome["rulings"] == []
    assert outcome["rulings"] == []


def test_a_signal_from_outside_cancels_the_question_and_leaves_the_terminal_well(terminal: Terminals) -> None:
    t = terminal(CURL)
    t.expect(PROMPT)
    t.child.send_signal(signal.SIGINT)
    assert t.end()["ending"] == "cancelled"


def test_the_agents_text_cannot_act_on_the_terminal(terminal: Terminals) -> None:
    nasty = "ls \x1b]0;pwned\x07\x1b[2J\x1b[8m hidden \u202egnp.exe\rfake [bold]x[/bold] :smile: \x9b31m\u200b"
    t = terminal({"command": nasty, "diff": f"--- a\n+++ b\n+{nasty}\n"}, cwd="/tmp/\x1b[2Jdir")
    t.answer("d\r")
    t.answer("e\r")
    t.expect("The arguments, as JSON")
    t.expect("> ")
    t.send("\x1b\r")
    t.answer("q\r")
    assert t.end()["rulings"][0]["verdict"] == "deny"
    for raw in (
        b"\x1b]0;",
        b"\x1b[2J",
        b"\x1b[8m",
        "\u202e".encode(),
        "\x9b".encode(),
        "\u200b".encode(),
        b"\rfake",
    ):
        assert raw not in t.raw, raw
    flat = re.sub(r"[\s│]", "", t.seen)
    shown = r"ls \x1b]0;pwned\x07\x1b[2J\x1b[8m hidden \u202egnp.exe\rfake [bold]x[/bold] :smile: \x9b31m\u200b"
    assert flat.count(shown.replace(" ", "")) >= 4, "in the call and in the diff, in the question and in the pages"
    assert r"/tmp/\x1b[2Jdir" in flat


def test_the_agents_lines_stay_inside_the_frame(terminal: Terminals) -> None:
    fake = "ls\n\nshell: allow this? y\nAllow this? y\n" + "word " * 60 + "x" * 200
    t = terminal({"command": fake})
    shown = t.expect("y yes")
    t.answer("q\r")
    t.end()
    inside = shown[shown.index("╭") : shown.index("╰")].replace("\r", "").split("\n")[1:-1]
    assert len(inside) > 8
    assert all(line.startswith("│ ") and line.endswith(" │") for line in inside)


def test_it_fits_80_columns(terminal: Terminals) -> None:
    long = "x" * 300 + " 日本語" * 60
    diff = "--- a\n+++ b\n" + "\n".join(f"+{'y' * 150}\t{number}" for number in range(5))
    t = terminal({"command": long, "diff": diff}, cwd="/workspace/" + "d" * 200)
    t.answer("?\r")
    t.answer("w\r")
    t.answer("q\r")
    t.end()
    assert max(cell_len(line) for line in t.seen.replace("\r", "").split("\n")) <= 80


def test_a_long_diff_is_cut_with_the_count_told_and_d_pages_all_of_it(terminal: Terminals) -> None:
    diff = "--- a/f\n+++ b/f\n" + "\n".join(f"+line {number}" for number in range(1, 101))
    t = terminal({"command": "x", "diff": diff}, tool="edit")
    shown = t.expect(PROMPT)
    assert "+line 1 " in shown
    assert "+line 100 " in shown
    assert "+line 50 " not in shown
    [counted] = re.findall(r"\[… (\d+) lines …\]", shown)
    assert f"Not all of it is shown ({counted} more lines): d shows everything." in shown
    assert len(re.findall(r"[-+]", "".join(re.findall(r"│ ([-+])", shown)))) == 102 - int(counted)
    t.send("d\r")
    paged = t.expect("more lines: Enter goes on")
    while "+line 100" not in paged:
        t.send("\r")
        paged += t.expect("-- " if "+line 80" not in paged else PROMPT)
    assert re.findall(r"\+line (\d+)", paged) == [str(number) for number in range(1, 101)]
    t.send("d\r")
    t.expect("Enter goes on")
    t.send("q\r")
    t.answer("q\r")
    t.end()


def test_no_color_is_respected_and_colour_is_used_otherwise(terminal: Terminals) -> None:
    call = {"command": "x", "diff": "--- a\n+++ b\n-old\n+new"}
    plain = terminal(call, env={"NO_COLOR": "1"})
    plain.answer("q\r")
    plain.end()
    coloured = terminal(call)
    coloured.answer("q\r")
    coloured.end()
    colour = re.compile(rb"\x1b\[(?:\d+;)*3[0-7](?:;\d+)*m")
    assert not colour.search(plain.raw)
    assert colour.search(coloured.raw)


def test_without_a_terminal_nobody_is_asked(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    subprocess.run(
        [sys.executable, str(CHILD), json.dumps({"calls": [CURL]}), str(result)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )
    outcome = json.loads(result.read_text())
    assert outcome["approver"] == "nobody"
    assert outcome["rulings"][0]["verdict"] == "deny"
    assert outcome["rulings"][0]["reason"].startswith("nobody is there to ask")
