"""Attempts on who reads what is printed, and on what parses the model's words."""

from __future__ import annotations

import io
import json
import os
import re

from rich.console import Console

from agent.autonomy.visible import visible
from agent.journal import CallFinished, CallStarted, CheckRun, Delivered, PatchTaken
from agent.outcomes import Outcome
from cli.terminal import TerminalWatcher
from support.escape.scene import Attempt, Scene, refused
from support.project import BUGGY, bridle, make_project
from support.service import Answer, Service, submit
from tools.protocol import Workbench
from tools.registry import default_tools
from tools.shell import ShellArguments

SEQUENCES = (
    b"\x1b]52;c;ZXZpbA==\x07",
    b"\x1b]52;c;ZXZpbA==\x1b\\",
    b"\x1b]0;title\x07",
    b"\x1b]8;;file:///etc/passwd\x07link\x1b]8;;\x07",
    b"\x1b[2J\x1b[H",
    b"\x1b[1A\x1b[2K",
    b"\x1b[999D",
    b"\x1b[?1049h",
    b"\x1b[6n",
    b"\x1b[21t",
    b"\x1b[5i",
    b"\x1bc",
    b'\x1bP$q"p\x1b\\',
    b"\x1bP+q544e\x1b\\",
    b"\x1b_Gi=1\x1b\\",
    b"\x1b^x\x1b\\",
    b"\x1b]1337;File=x:eA==\x07",
    b"\x9b2J",
    b"\x9d52;c;ZXZpbA==\x9c",
    "\x9b2J\x9d0;x\x9c\x90x\x9c".encode(),
    b"\x0e\x0f\x05\x08\x08\x08\x7f",
    b"a\rb\r",
    "\u202eevil\u202c\u2066x\u2069\u200f\u061c".encode(),
    "\u200b\u2060\ufeff\u00ad\u2028\u2029\U000e0041".encode(),
    b"\xff\xfe\xc0\xaf\xed\xa0\x80",
    b"[red]markup[/red] :smile:",
    b"\x1b[31",
    b";1m\x1b",
    b"]0;split\x07",
)


async def sequences(scene: Scene) -> None:
    """A real command prints them; they go the way of live output, of a result, of names and of arguments."""
    screen = io.StringIO()
    watcher = TerminalWatcher(
        Console(file=screen, force_terminal=True, color_system=None, soft_wrap=True, width=200)
    )
    printf = "".join(f"\\{byte:03o}" for byte in b"\n".join(SEQUENCES))
    bench = Workbench(scene.box, live=watcher.output)
    command = f"printf '{printf}'"
    watcher.event(
        CallStarted(
            call="1", tool="shell", arguments=json.dumps({"command": b"\n".join(SEQUENCES).decode("latin-1")})
        )
    )
    result = await default_tools()["shell"].run(ShellArguments(command=command), bench)
    watcher.event(CallFinished(call="1", tool="shell", ok=True, text=result.text))
    for each in SEQUENCES:
        text = each.decode("utf-8", "surrogateescape")
        watcher.text(text)
        watcher.end_line()
        watcher.event(CheckRun(command=text, exit_code=1, ending=text, passed=False, output=text, seconds=1))
        watcher.event(
            PatchTaken(
                outcome=Outcome.DONE, detail=text, files=1, added=1, removed=0, flagged=(text,), skipped=(text,)
            )
        )
        watcher.event(Delivered(branch=text, commit=text))
    printed = re.sub(r"  … \d+ more lines? *\r", "", screen.getvalue())  # the screen's own count
    assert "link" in printed
    assert "evil" in printed
    assert {character for character in printed if not character.isprintable()} - {"\n", "\t"} == set()
    assert visible(printed) == printed
    assert "\x1b" not in result.text


TERMINAL = """
import fcntl, termios
for number in (0, 1, 2):
    said["terminal %d" % number] = "allowed" if os.isatty(number) else "ENOTTY"
    attempt("type into %d" % number, fcntl.ioctl, number, termios.TIOCSTI, b"x")
for path in ("/dev/tty", "/dev/console", "/dev/tty0", "/dev/tty1", "/dev/vcs", "/dev/pts/0", "/proc/1/fd/0"):
    attempt(path, open_for_writing, path)
master, slave = os.openpty()
attempt("take a terminal", fcntl.ioctl, 0, termios.TIOCSCTTY, 1)
"""


async def terminal(scene: Scene) -> None:
    refused(
        await scene.python(TERMINAL),
        also=("ENOTTY", "ENXIO", "ENOENT", "EIO"),
        at_least=14,
    )


def wrong_arguments(path: str) -> list[str]:
    """Arguments of tool calls that are too large, too deep, doubled, or not what they seem."""
    return [
        "[" * 200_000,
        '{"a":' * 100_000,
        '{"command": ' + "9" * 100_000 + "}",
        '{"command": 1e999999}',
        "NaN",
        "null",
        '"x"',
        json.dumps({"command": "x" * 5_000_000}),
        '{"command": "true", "command": ["true"]}',
        '{"command": "\\ud800"}',
        '{"command": "a\\u0000b"}',
        "{" + ",".join(f'"k{n}": 1' for n in range(50_000)) + "}",
        "\x00\xff",
        "{" * 1000,
        json.dumps(
            {
                "command": "true",
                "image": "x",
                "mounts": ["/:/host"],
                "cwd": path,
                "user": "root",
                "privileged": True,
            }
        ),
        json.dumps({"command": ["cat", path]}),
        json.dumps({"command": {"$ref": path}}),
        json.dumps({"__class__": "os.system"}),
        json.dumps({"command": "true", "timeout": -1}),
        json.dumps({"command": "true", "timeout": 10**400}),
        json.dumps({"command": "true", "env": {"LD_PRELOAD": path}}),
    ]


async def arguments(scene: Scene) -> None:
    """A whole session whose model says nothing else; every one is answered, and the work goes on afterwards."""
    wrong = sorted(wrong_arguments(str(scene.host_file())), key=len)  # what is said is sent again with every turn
    project = make_project(scene.folder / "project", {"calc.py": BUGGY})
    calls = [Answer(calls=[("shell", text)]) for text in wrong]
    good = Answer(calls=[("shell", {"command": "echo 'x = 1' >> calc.py; echo still $((40 + 2))"})])
    service = Service([*calls, good, submit("looked")])
    try:
        done = bridle(
            "fix",
            "look",
            "-a",
            "full",
            "--verify",
            "true",
            "--backend",
            scene.backend().name,
            "--repo",
            str(project),
            "--model",
            "scripted",
            "--base-url",
            service.url,
            "--json",
            env={"BRIDLE_STATE_DIR": str(scene.folder / "state")},
            seconds=200,
        )
        answers = [str(request["messages"][-1]["content"]) for request in service.requests[1:]]
    finally:
        service.close()
    assert len(answers) == len(wrong) + 1, answers[-1]
    for text, answer in zip(wrong, answers, strict=False):
        assert "was not run" in answer, text[:80]
        assert len(answer) < 20_000, text[:80]
        assert scene.secret not in answer
    assert "still 42" in answers[-1]
    assert done.report["outcome"] == "done"


async def names(scene: Scene) -> None:
    """Names and folders that the agent makes up come back as text, and where a line is one line, stay one."""
    odd = ["\x1b]0;x\x07", "new\nline", "\u202etxt", "\udcff", "-rf", "--help", "$(id)", "a\tb", "`id`", "\x9b2J"]
    box = await scene.open()
    for name in odd:
        await box.exec([b"touch", b"--", os.fsencode(name)])
    tools, bench = default_tools(), Workbench(box)
    for tool, fields in (
        ("read", {"path": "."}),
        ("search", {"name": "*", "path": "."}),
        ("shell", {"command": "ls"}),
    ):
        text = (await tools[tool].run(tools[tool].arguments.model_validate(fields), bench)).text
        assert visible(text) == text, tool
        assert not re.search(r"uid=\d", text), tool
    await scene.sh("mkdir -p \"$(printf '\\033]0;d\\007\\nx')\"", box)
    shell = tools["shell"]
    moved = await shell.run(ShellArguments(command="cd \"$(printf '\\033]0;d\\007\\nx')\""), bench)
    assert visible(moved.text) == moved.text
    assert "\x1b" not in moved.text


ROWS = (
    Attempt(
        "sequences",
        "escape sequences on the user's screen",
        "Clipboard, title, cursor, query and print sequences, 8-bit controls, bidirectional and invisible "
        "characters, by way of output, results, names and arguments",
        "Everything shown goes through `agent/autonomy/visible.py` (`cli/terminal.py`, `cli/live.py`)",
        sequences,
    ),
    Attempt(
        "names",
        "file and folder names",
        "Files and folders called like escape sequences, options, commands and several lines, shown by `read`, "
        "`search` and `shell`",
        "Names are arguments, never part of a command line, and are made visible",
        names,
    ),
    Attempt(
        "terminal",
        "typing into the user's terminal",
        "`TIOCSTI` on every stream, opening `/dev/tty`, `/dev/console` and others, taking a controlling terminal",
        "No terminal of the host is passed inside",
        terminal,
    ),
    Attempt(
        "arguments",
        "what the model sends as arguments",
        "A session whose tool calls are deep nests, megabytes, endless numbers, doubled keys, images, mounts, "
        "users, folders and variables",
        "Arguments are parsed with limits into closed models, and what does not fit is told to the model "
        "(`agent/loop.py`, `tools/protocol.py`)",
        arguments,
        seconds=240,
    ),
)
