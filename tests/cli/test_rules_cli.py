"""`bridle rules` and `bridle trust`, as a user or a pipeline runs them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.project import BRIDLE, Done, bridle, git
from support.terminal import OnTerminal

FILE = """
[[deny]]
name = "no-push"
commands = "git push *"
reason = "releases are made by CI"
match = ["git push", "sudo git push -f origin"]
not_match = "echo git push"

[[allow]]
commands = "curl *"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "bridle.toml").write_text(FILE)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


@pytest.fixture
def env(tmp_path: Path) -> Mapping[str, str]:
    config = tmp_path / "config.toml"
    config.write_text('[[ask]]\ncommands = "make *"\nmatch = "make -j4"\n')
    return {"BRIDLE_CONFIG": str(config), "BRIDLE_STATE_DIR": str(tmp_path / "state")}


def check(root: Path, env: Mapping[str, str], command: str, *more: str) -> Done:
    return bridle("rules", "check", "--repo", str(root), *more, "--", command, env=env)


def test_a_command_is_explained(root: Path, env: Mapping[str, str]) -> None:
    done = check(root, env, "git status; git push", "--level", "full")
    assert done.code == 3
    assert "refused" in done.out
    assert "deny rule 1 (no-push) of bridle.toml: releases are made by CI" in done.out
    done = check(root, env, "curl https://example.org", "--json")
    assert done.code == 5
    found = json.loads(done.out)
    assert found["command"] == "curl https://example.org"
    assert (found["decision"], "network" in found["effects"]) == ("ask", True)
    assert "level 3 contained asks" in found["because"]
    assert "level 5 full" in found["needed"]
    assert "ignored until you say `bridle trust`" in done.err
    done = check(root, env, "ls", "--json", "--level", "0")
    assert (done.code, json.loads(done.out)["decision"], json.loads(done.out)["needed"]) == (0, "allow", "")
    assert "config.toml" in check(root, env, "make", "--level", "5").out


def test_commands_stream_one_object_a_line(root: Path, env: Mapping[str, str]) -> None:
    command = [str(BRIDLE), "rules", "check", "--repo", str(root), "--level", "4", "--jsonl", "-"]
    import os

    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **env}
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line, decision in {"ls": "allow", "git push": "deny", "rm -rf .": "ask", "a\0b": "deny"}.items():
            process.stdin.write(json.dumps(line) + "\n")
            process.stdin.flush()
            found = json.loads(process.stdout.readline())
            assert (found["command"], found["decision"]) == (line, decision)
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.mark.parametrize("text", ["nonsense\n", "3\n", '{"command": "ls"}\n'])
def test_what_is_no_command_is_told_with_its_line(
    root: Path, env: Mapping[str, str], tmp_path: Path, text: str
) -> None:
    file = tmp_path / "commands"
    file.write_text('"ls"\n' + text)
    done = bridle("rules", "check", "--repo", str(root), "--jsonl", str(file), env=env)
    assert done.code == 2
    assert json.loads(done.out)["command"] == "ls"
    assert "line 2 is not a JSON string" in done.err


def test_examples_are_tested(root: Path, env: Mapping[str, str]) -> None:
    done = bridle("rules", "test", "--repo", str(root), env=env)
    assert (done.code, done.out) == (0, "3 rules, 4 examples, 0 failed\n")
    Path(env["BRIDLE_CONFIG"]).write_text('[[ask]]\ncommands = "make *"\nmatch = ["make", "cmake ."]\n')
    done = bridle("rules", "test", "--repo", str(root), env=env)
    assert done.code == 3
    assert "ask rule 1" in done.out
    assert "match example 2, 'cmake .', does not match" in done.out
    done = check(root, env, "ls")
    assert done.code == 2
    assert "'cmake .'" in done.err
    done = bridle("fix", "x", "--repo", str(root), "--model", "replay:/nowhere", env=env)
    assert done.code == 2
    assert "'cmake .'" in done.err


def test_trust_shows_what_it_widens_and_needs_a_yes(root: Path, env: Mapping[str, str]) -> None:
    done = bridle("trust", "--repo", str(root), env=env)
    assert done.code == 2
    assert "commands curl *" in done.out
    assert "--yes" in done.err
    assert bridle("trust", "--repo", str(root), "--yes", env=env).code == 0
    assert check(root, env, "curl https://example.org").code == 0
    assert bridle("trust", "--list", env=env).out.strip() == str(root)
    assert "already" in bridle("trust", "--repo", str(root), env=env).out
    assert bridle("trust", "--repo", str(root), "--revoke", env=env).code == 0
    assert check(root, env, "curl https://example.org").code == 5
    (root / "bridle.toml").unlink()
    assert bridle("trust", "--repo", str(root), "--yes", env=env).code == 2


def test_a_person_says_yes_to_what_they_were_shown(root: Path, env: Mapping[str, str]) -> None:
    for keys, code in (("\r", 5), ("n\r", 5), ("y\r", 0)):
        terminal = OnTerminal([str(BRIDLE), "trust", "--repo", str(root)], env)
        try:
            assert "commands curl *" in terminal.expect("Trust it? [y/N]")
            terminal.send(keys)
            assert terminal.wait() == code
        finally:
            terminal.close()
    assert check(root, env, "curl https://example.org").code == 0


def test_a_file_that_changes_while_it_is_read_is_not_trusted(root: Path, env: Mapping[str, str]) -> None:
    terminal = OnTerminal([str(BRIDLE), "trust", "--repo", str(root)], env)
    try:
        terminal.expect("Trust it?")
        (root / "bridle.toml").write_text(FILE + '[[allow]]\ntool = "*"\n')
        terminal.send("y\r")
        assert terminal.wait() == 2
    finally:
        terminal.close()
    assert "has changed meanwhile" in terminal.seen
    assert check(root, env, "curl https://example.org").code == 5
