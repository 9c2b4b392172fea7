"""What the user said is held against single calls and against the finished patch, in whole sessions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.project import BRIDLE, EDIT, ENVIRONMENT, Done, bridle, git, make_project
from support.service import Answer, Script, Service, submit
from support.terminal import OnTerminal

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]

TASK = "mean() is wrong. Don't touch tests/, and never commit."
BEHIND = "import pathlib; pathlib.Path('tests/test_calc.py').write_text('')"


def events(session: str, kind: str) -> list[dict[str, Any]]:
    lines = map(json.loads, bridle("show", session, "--json").out.splitlines())
    return [each for each in lines if each["type"] == kind]


def test_what_was_said_is_refused_and_a_patch_against_it_is_not_taken(
    tmp_path: Path, service: Callable[[Script], Service]
) -> None:
    project = make_project(tmp_path / "project")
    model = service(
        [
            Answer(calls=[EDIT]),
            Answer(calls=[("write", {"path": "tests/test_calc.py", "content": ""})]),
            Answer(calls=[("shell", {"command": "true && git commit -am x"})]),
            Answer(calls=[("shell", {"command": f'python3 -c "{BEHIND}"'})]),
            submit(),
            Answer(calls=[("shell", {"command": "git status --short | cat > /tmp/x; git stash list"})]),
            Answer(
                calls=[
                    (
                        "shell",
                        {
                            "command": "git show HEAD:tests/test_calc.py | python3 -c "
                            "\"import sys; open('tests/test_calc.py', 'w').write(sys.stdin.read())\""
                        },
                    )
                ]
            ),
            submit("divide by n"),
        ]
    )
    options = ["--model", "scripted", "--base-url", model.url, "--autonomy", "full", "--json", "--verify", "true"]
    done = bridle("fix", TASK, "--repo", str(project), *options)
    assert (done.code, done.report["branch"]) == (0, "bridle/mean-is-wrong-don-t-touch-tests-and-never-commit"), (
        done.err
    )
    branch = done.report["branch"]
    assert git(project, "diff", "--name-only", "main", branch) == "calc.py"
    session = done.report["session"]
    assert [(each["said"], each["applied"]) for each in events(session, "constraint.heard")] == [
        ("Don't touch tests/", True),
        ("never commit", True),
    ]
    denied = [each for each in events(session, "gate.decided") if each["verdict"] == "deny"]
    assert [each["by"] for each in denied] == [
        "deny rule 1 of what the user said",
        "deny rule 2 of what the user said",
    ]
    told = [each["text"] for each in events(session, "message") if "Not accepted" in each["text"]]
    assert len(told) == 1
    assert "tests/test_calc.py (deny rule 1 of what the user said: you said: Don't touch tests/)" in told[0]


def test_a_delivery_of_what_the_users_tools_trust_is_asked_about_though_a_rule_allows_it(
    tmp_path: Path, service: Callable[[Script], Service]
) -> None:
    project = make_project(tmp_path / "project")
    config = tmp_path / "config.toml"
    config.write_text('[[allow]]\neffects = "deliver"\n')
    env = {"BRIDLE_CONFIG": str(config)}
    options = ["--autonomy", "trusted", "--json", "--verify", "true"]

    def fix(*turns: Answer) -> Done:
        model = service([*turns, submit()])
        command = [
            "fix",
            "mean() is wrong",
            "--repo",
            str(project),
            "--model",
            "scripted",
            "--base-url",
            model.url,
        ]
        return bridle(*command, *options, env=env)

    plain = fix(Answer(calls=[EDIT]))
    assert (plain.code, bool(plain.report["branch"])) == (0, True)
    [ruling] = [e for e in events(plain.report["session"], "gate.decided") if e["call"] == "delivery"]
    assert ruling["by"] == f"allow rule 1 of {config}"
    hook = ("write", {"path": ".husky/pre-commit", "content": "#!/bin/sh\n"})
    hooked = fix(Answer(calls=[EDIT]), Answer(calls=[hook]))
    assert (hooked.code, hooked.report["branch"]) == (5, None)
    assert "runs on your machine when you commit" in hooked.report["detail"]
    assert any("runs on your machine when you commit" in line for line in hooked.report["flagged"])
    again = bridle("resume", hooked.report["session"], "--autonomy", "full", "--json", env=env)
    assert again.code == 0, again.err
    rulings = [e for e in events(hooked.report["session"], "gate.decided") if e["call"] == "delivery"]
    assert (rulings[-1]["verdict"], rulings[-1]["by"]) == ("allow", "guarded")
    assert "runs on your machine when you commit" in rulings[-1]["cause"]
    assert "gate" in bridle("show", hooked.report["session"]).out


@pytest.mark.parametrize(("keys", "wanted"), [("y\r", False), ("n\r", True)])
def test_a_person_is_asked_whether_they_meant_it(
    tmp_path: Path, service: Callable[[Script], Service], keys: str, wanted: bool
) -> None:
    project = make_project(tmp_path / "project")
    model = service([Answer(calls=[EDIT]), submit(), submit(), submit(), submit()])
    command = ["fix", "mean() is wrong. Only change src/", "--repo", str(project), "--model", "scripted"]
    more = ["--base-url", model.url, "--verify", "true"]
    terminal = OnTerminal([str(BRIDLE), *command, *more], ENVIRONMENT)
    try:
        asked = terminal.expect("because you said so")
        assert "Only change src/" in asked
        assert "refuses effects write, destroy; paths /*, !/src/" in " ".join(asked.split())
        terminal.answer(keys)
        if wanted:
            terminal.expect("Why not")
            terminal.send("\r")
            terminal.expect("deliver: allow this?")
            terminal.answer("y\r")
        code = terminal.wait()
    finally:
        terminal.close()
    assert (code == 0) is wanted, terminal.seen
    assert bool(git(project, "branch", "--list", "bridle/*")) is wanted
    if not wanted:
        assert "deny rule 1 of what the user said" in terminal.seen


def test_a_repository_allows_nothing_until_it_is_trusted(
    tmp_path: Path, service: Callable[[Script], Service]
) -> None:
    project = make_project(tmp_path / "project")
    (project / "bridle.toml").write_text('[[allow]]\neffects = "deliver"\n')
    git(project, "add", "-A")
    git(project, "commit", "-qm", "rules")
    env = {"BRIDLE_STATE_DIR": str(tmp_path / "state")}
    model = service([Answer(calls=[EDIT]), submit()])
    command = ["fix", "mean() is wrong", "--repo", str(project), "--model", "scripted", "--base-url", model.url]
    done = bridle(*command, "--verify", "true", "--json", env=env)
    assert done.code == 5
    assert "has an allow rule, ignored until you say `bridle trust`" in done.err
    assert bridle("trust", "--repo", str(project), "--yes", env=env).code == 0
    again = bridle("resume", done.report["session"], "--json", env=env)
    assert (again.code, again.report["branch"]) == (0, "bridle/mean-is-wrong"), again.err
