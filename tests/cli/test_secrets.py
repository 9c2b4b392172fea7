"""Secrets as users give them: commands have them, and no text that anybody or anything keeps or sees does."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from support.project import BRIDLE, EDIT, ENVIRONMENT, bridle, git, make_project
from support.service import Answer, Script, Service, submit
from support.terminal import OnTerminal

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]

Start = Callable[[Script], Service]
VALUE = "s3cr3t/+Value&of=the*day"
PLAIN = "tok_0123456789abcdefghijKLMN"
FORMS = [
    form
    for value in (VALUE, PLAIN)
    for form in (
        value,
        value[:12],
        value[-12:],
        base64.b64encode(value.encode()).decode()[:20],
        value.encode().hex()[:20],
        quote(value, safe=""),
        quote(value),
    )
]
PRINT = """
import base64, os, sys, time
from urllib.parse import quote
for name in ("ODD", "TOKEN"):
    value = os.environ[name]
    data = value.encode()
    print("raw", value, "twice", value + value)
    print("base64", base64.b64encode(data).decode(), base64.b64encode(b"user:" + data).decode())
    print("hex", data.hex(), data.hex().upper(), data.hex(" "))
    print("url", quote(value, safe=""), "repr", repr(value), flush=True)
    for part in (value[:9], value[9:15], value[15:]):
        sys.stdout.write(part)
        sys.stdout.flush()
        time.sleep(0.06)
    print()
    print("coloured", value[:9] + chr(27) + "[31m" + value[9:] + chr(27) + "[0m")
    print("on standard error", value, file=sys.stderr, flush=True)
    with open("/tmp/kept-" + name, "w") as file:
        file.write("x" * 1985 + " " + value + "\\n" + base64.encodebytes(data * 9).decode() + value)
    print("cut", "y" * 2990 + value + "z" * 30000)
print(os.environ["TOKEN"][:14])
print(os.environ["TOKEN"][14:])
"""
LEAVE = '(sleep 300 & setsid sleep 300 & ) ; echo "$TOKEN"; echo $ODD >&2'
LOOK = (
    "env | grep -c -e TOKEN -e ODD; "
    "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' "
    "| grep -c -e 't[o]k_' -e 's3[c]r3t'; "
    "pgrep -c sleep"
)
TALK = [
    Answer(
        "I print them.", [("shell", {"command": f"python3 - <<'END'\n{PRINT}\nEND", "secrets": ["TOKEN", "ODD"]})]
    ),
    Answer(calls=[("read", {"path": "/tmp/kept-TOKEN"}), ("read", {"path": "/tmp/kept-ODD"})]),
    Answer(calls=[("search", {"pattern": "raw|url|cut|xxx|=$", "path": "/tmp"})]),
    Answer(calls=[("shell", {"command": LEAVE, "secrets": ["TOKEN", "ODD"]})]),
    Answer(calls=[("shell", {"command": LOOK})]),
    Answer(calls=[("shell", {"command": "cat /tmp/kept-TOKEN; sleep 300", "background": True})]),
    Answer(calls=[("process", {"action": "read", "process": 1, "after": 1990})]),
    Answer(calls=[("edit", {"path": "/tmp/kept-ODD", "old": "nothing like it", "new": ""})]),
    Answer(calls=[EDIT]),
    submit("I used [secret TOKEN]"),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    """The environment of the user, who keeps one value there and the other in a file."""
    (tmp_path / "odd.txt").write_text(VALUE + "\n")
    return {"MY_TOKEN": PLAIN, "BRIDLE_LOG": "debug"}


def fix(project: Path, service: Service, *more: str) -> list[str]:
    """The command line of a fix with the scripted service and both secrets."""
    model = ["--model", "scripted", "--base-url", service.url]
    file = f"ODD=file:{project.parent}/odd.txt"
    secrets = ["--secret", "TOKEN=env:MY_TOKEN", "--secret", file]
    return ["fix", "mean() is wrong", "--repo", str(project), *model, *secrets, *more]


def clean(text: str) -> None:
    """Assert that no value is in a text, in no form, nor a good part of one."""
    for form in FORMS:
        assert form not in text, text[max(0, text.find(form) - 300) : text.find(form) + 100]


def results(model: Service) -> str:
    """Everything that the model was told."""
    return json.dumps([request["messages"] for request in model.requests], ensure_ascii=False)


def test_a_command_has_its_secrets_and_nothing_else_ever_does(
    project: Path, service: Start, given: dict[str, str], own_state: Path
) -> None:
    model = service(TALK)
    done = bridle(*fix(project, model, "-a", "full", "--json"), env=given)
    assert done.code == 0, done.err
    clean(done.out + done.err)
    said = results(model)
    clean(said)
    assert "[secret TOKEN]" in said
    assert "[secret ODD]" in said
    last = model.requests[5]["messages"][-1]["content"]
    assert last.startswith('<data from="shell">\n0\n0\n0\n'), (
        "no later command has them, and nothing that could be asked for them lives"
    )
    for path in (own_state / "sessions" / done.report["session"]).rglob("*"):
        if path.is_file() and path.suffix in {".jsonl", ".json", ".txt", ".diff"}:
            clean(path.read_text(errors="replace"))
    journal = (own_state / "sessions" / done.report["session"] / "journal.jsonl").read_text()
    assert '"TOKEN":"env:MY_TOKEN"' in journal
    assert '"secrets\\":[\\"TOKEN\\",\\"ODD\\"]' in journal
    assert '"secret"' in journal, "the effect is recorded"
    for shown in ((), ("--json",), ("--diff",)):
        clean(bridle("show", done.report["session"], *shown).out)


def test_at_a_terminal_too(project: Path, service: Start, given: dict[str, str]) -> None:
    model = service(TALK)
    terminal = OnTerminal([str(BRIDLE), *fix(project, model, "-a", "full")], {**ENVIRONMENT, **given})
    try:
        assert terminal.wait(120) == 0, terminal.seen
    finally:
        terminal.close()
    clean(terminal.seen)
    clean(re.sub(r"\r?\n *", "", terminal.seen))
    assert terminal.seen.count("[secret TOKEN]") > 5
    assert terminal.seen.count("· with the secrets TOKEN, ODD") == 2, "nobody was asked, and it is shown"


def test_a_person_is_asked_each_time_and_told_the_names(
    project: Path, service: Start, given: dict[str, str]
) -> None:
    use = ("shell", {"command": 'test "$TOKEN" = tok_"0123456789abcdefghijKLMN"', "secrets": ["TOKEN"]})
    model = service([Answer(calls=[use, use]), Answer(calls=[EDIT]), submit()])
    terminal = OnTerminal([str(BRIDLE), *fix(project, model, "-a", "trusted")], {**ENVIRONMENT, **given})
    try:
        terminal.expect("with the secrets TOKEN")
        terminal.expect("hand a secret's value to a command")
        terminal.answer("a\r")
        terminal.expect("This is asked every time")
        terminal.answer("y\r")
        terminal.expect("with the secrets TOKEN")
        terminal.answer("n\r")
        terminal.send("once is enough\r")
        terminal.expect("deliver: allow this?")
        terminal.answer("y\r")
        assert terminal.wait() == 0, terminal.seen
    finally:
        terminal.close()
    told = [m["content"] for m in model.requests[1]["messages"] if m["role"] == "tool"]
    assert told[0].startswith('<data from="shell">\n(no output)\n[exit 0')
    assert "once is enough" in told[1]


def test_with_nobody_there_no_command_gets_one(project: Path, service: Start, given: dict[str, str]) -> None:
    calls = [
        ("shell", {"command": "echo $TOKEN", "secrets": ["TOKEN"]}),
        ("shell", {"command": "echo", "secrets": ["PASSWORD"]}),
        ("shell", {"command": "echo", "secrets": ["ODD"], "background": True}),
    ]
    model = service([Answer(calls=calls), Answer(calls=[EDIT]), submit()])
    done = bridle(*fix(project, model, "-a", "trusted", "--json"), env=given)
    assert done.code == 5
    told = [m["content"] for m in model.requests[1]["messages"] if m["role"] == "tool"]
    assert "Not done: nobody is there to ask" in told[0]
    assert "there is no secret 'PASSWORD'; there are: TOKEN, ODD" in told[1]
    assert "`secrets` does not go with `background`" in told[2]


def test_a_session_without_secrets_does_not_speak_of_them(project: Path, service: Start) -> None:
    model = service([Answer(calls=[EDIT]), submit()])
    done = bridle(
        "fix", "x", "--repo", str(project), "--model", "m", "--base-url", model.url, "-a", "full", "--json"
    )
    assert done.code == 0, done.err
    assert "secret" not in json.dumps(model.requests[0])


def test_a_resumed_session_reads_them_again(project: Path, service: Start, given: dict[str, str]) -> None:
    use = Answer(calls=[("shell", {"command": "echo is:$TOKEN:$ODD", "secrets": ["TOKEN", "ODD"]})])
    model = service([use, use, Answer(calls=[EDIT]), submit()])
    done = bridle(*fix(project, model, "-a", "full", "--json", "--max-steps", "1"), env=given)
    assert done.code == 4
    again = ["resume", done.report["session"], "--max-steps", "9", "--json"]
    without = bridle(*again)
    assert without.code == 2
    assert "the secret TOKEN is to come from the environment variable MY_TOKEN, which is not set" in without.err
    more = bridle(*again, env=given)
    assert more.code == 0, more.err
    assert results(model).count("is:[secret TOKEN]:[secret ODD]") >= 2


LEAK = ("shell", {"command": "echo \"key = '$TOKEN'\" >> settings.py", "secrets": ["TOKEN"]})


def test_a_patch_with_a_value_is_not_delivered_unseen(
    project: Path, service: Start, given: dict[str, str], own_state: Path
) -> None:
    model = service([Answer(calls=[LEAK, EDIT]), submit()])
    done = bridle(*fix(project, model, "-a", "full", "--json"), env=given)
    assert (done.code, done.report["outcome"], done.report["branch"]) == (5, "approval_needed", None)
    assert "settings.py holds the value of a secret: TOKEN" in done.report["detail"]
    assert "settings.py holds the value of a secret: TOKEN" in done.report["flagged"]
    assert git(project, "branch", "--list", "bridle/*") == ""
    clean(done.out + done.err)
    clean((own_state / "sessions" / done.report["session"] / "journal.jsonl").read_text())


def test_a_person_who_sees_it_may_deliver_it(project: Path, service: Start, given: dict[str, str]) -> None:
    model = service([Answer(calls=[LEAK, EDIT]), submit()])
    terminal = OnTerminal([str(BRIDLE), *fix(project, model, "-a", "full")], {**ENVIRONMENT, **given})
    try:
        terminal.expect("holds the value of a secret: TOKEN")
        terminal.answer("y\r")
        assert terminal.wait() == 0, terminal.seen
    finally:
        terminal.close()
    clean(terminal.seen)
    assert PLAIN in git(project, "show", "bridle/mean-is-wrong:settings.py")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--secret", "TOKEN=hunter2hunter2"], "does not belong on the command line"),
        (["--secret", "MISSING"], "environment variable MISSING, which is not set"),
        (["--secret", "TOKEN=file:/nowhere/at/all"], "/nowhere/at/all, which cannot be read: No such file"),
        (["--secret", "TOKEN=file:/"], "cannot be read: Is a directory"),
        (["--secret", "SHORT"], "shorter than 8 characters"),
        (["--secret", "LINES"], "line break"),
        (["--secret", "LONG"], "longer than 4 KiB"),
        (["--secret", "SPACED"], "begins or ends with a space"),
        (["--secret", "a-b=env:LONG"], "a secret's name is made of"),
        (
            ["--inject", "api.example.org:Authorization=Bearer {TOKEN}"],
            "names the secret TOKEN, which is not there",
        ),
        (["--secret", "GOOD", "--inject", "api.example.org:X-Key={GOOD}"], "add --allow-host api.example.org"),
        (["--secret", "GOOD", "--inject", "api.example.org"], "write it as HOST:HEADER=VALUE"),
        (["--secret", "GOOD", "--inject", "a.example:X-Key=none"], "names no secret"),
        (["--secret", "GOOD", "--inject", "a.example:Host={GOOD}"], "belongs to the proxy"),
        (["--secret", "GOOD", "--inject", "*.example.org:X-Key={GOOD}"], "no single host"),
    ],
)
def test_what_is_wrong_is_one_sentence_before_a_session_begins(
    project: Path, own_state: Path, words: list[str], said: str
) -> None:
    env = {
        "SHORT": "hush",
        "LINES": "one line\nand another",
        "LONG": "x" * 5000,
        "SPACED": "too spacious ",
        "GOOD": PLAIN,
        "OPENAI_API_KEY": "x",
    }
    done = bridle("fix", "it", "--repo", str(project), "--model", "m", *words, env=env)
    assert done.code == 2, done.err
    assert said in done.err
    assert done.err.count("\n") == 1
    assert not any(value in done.err for value in (*env.values(), "hunter2") if len(value) > 4)
    assert not (own_state / "sessions").exists()


def test_a_file_in_the_repository_holds_no_secret_unless_it_stays_behind(project: Path, service: Start) -> None:
    (project / ".token").write_text(PLAIN)
    given = [
        "--secret",
        f"TOKEN=file:{project}/.token",
        "--repo",
        str(project),
        "--model",
        "m",
        "-a",
        "plan",
        "--json",
    ]
    done = bridle("fix", "it", *given, "--base-url", service([submit()]).url)
    assert (done.code, done.report["outcome"]) == (2, "usage")
    assert "of the secret TOKEN is part of the repository, so the sandbox would hold it" in done.report["detail"]
    (project / ".gitignore").write_text(".token\n")
    assert bridle("fix", "it", *given, "--base-url", service([submit()]).url).code == 0


def test_a_repository_names_no_secrets(project: Path, own_state: Path) -> None:
    for text in ('[secrets]\nHOME = "env:HOME"\n', '[[inject]]\nhost = "a.example"\n'):
        (project / "bridle.toml").write_text(text)
        done = bridle("fix", "it", "--repo", str(project), "--model", "m", env={"OPENAI_API_KEY": "x"})
        assert done.code == 2
        assert "is yours to say, with --secret or in your own config.toml" in done.err
