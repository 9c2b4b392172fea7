"""Wrong inputs: one clear sentence, exit 2, and no session left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.project import BRIDLE, bridle, git, make_project


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["fix", "x", "--repo", "{tmp}/nowhere"], "no such folder"),
        (["fix", "x", "--repo", "{tmp}/file"], "not a folder"),
        (["fix", "x", "--repo", "{tmp}/plain"], "git init"),
        (["fix", "x", "--repo", "{tmp}/empty"], "commit"),
        (["fix", " ", "--repo", "{tmp}/good"], "issue is empty"),
        (["fix", "x", "--repo", "{tmp}/good", "--autonomy", "9"], "choose one of"),
        (["fix", "x", "--repo", "{tmp}/good", "--strategy", "magic"], "strategy"),
        (["fix", "x", "--repo", "{tmp}/good", "--max-steps", "0"], "max_steps"),
        (["fix", "x", "--repo", "{tmp}/good", "--max-cost", "1"], "--price"),
        (["fix", "x", "--repo", "{tmp}/good", "--model", "replay:{tmp}/nothing"], "nothing"),
        (["fix", "x", "--repo", "{tmp}/hostile"], "bridle.toml"),
        (["resume", "20200101-000000-abcd"], "no session"),
        (["show", "last"], "no session"),
    ],
)
def test_a_wrong_input_is_one_sentence(tmp_path: Path, args: list[str], words: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "plain").mkdir()
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q")
    make_project(tmp_path / "good")
    make_project(tmp_path / "hostile", {"bridle.toml": "network = 'full'\n"})
    done = bridle(*[arg.replace("{tmp}", str(tmp_path)) for arg in args], env={"OPENAI_API_KEY": "k"})
    assert done.code == 2, done.err
    assert words in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert "Traceback" not in done.err
    assert "No sessions yet" in bridle("sessions").out


@pytest.mark.parametrize(
    ("args", "env", "words"),
    [
        (["sessions"], {"BRIDLE_STATE_DIR": "/dev/null/x"}, ""),
        (["fix", "x", "--repo", "{tmp}/good"], {"BRIDLE_STATE_DIR": "/dev/null/x"}, "/dev/null/x"),
        (["fix", "x", "--repo", "{tmp}/good"], {"BRIDLE_STATE_DIR": "{tmp}/file/x"}, "/file/x"),
        (["fix", "x", "--repo", "{tmp}/good"], {"BRIDLE_CONFIG": "{tmp}/nowhere"}, "BRIDLE_CONFIG"),
        (["fix", "x", "--repo", "{tmp}/good"], {"BRIDLE_CONFIG": "{tmp}"}, "folder"),
        (["fix", "x", "--repo", "{tmp}/good"], {"BRIDLE_CONFIG": "{tmp}/latin"}, "latin"),
        (["fix", "x", "--repo", "{tmp}/escape"], {}, r"a\x1b]0;owned\x07"),
    ],
)
def test_a_wrong_surrounding_is_one_sentence(
    tmp_path: Path, args: list[str], env: dict[str, str], words: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "latin").write_bytes(b"model = 'caf\xe9'\n")
    make_project(tmp_path / "good")
    make_project(tmp_path / "escape", {"bridle.toml": '"a\\u001b]0;owned\\u0007\\nb" = 1\n'})
    filled = {name: value.replace("{tmp}", str(tmp_path)) for name, value in env.items()}
    model = {"BRIDLE_MODEL": "m", "OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    done = bridle(*[arg.replace("{tmp}", str(tmp_path)) for arg in args], env={**model, **filled})
    if not words:
        assert (done.code, done.err) == (0, "")
        return
    assert done.code == 2, done.err
    assert words in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert done.err.isascii()
    assert done.err.strip().isprintable()
    assert "Traceback" not in done.err


def test_a_mistake_with_nobody_to_read_it_keeps_its_exit_code(tmp_path: Path) -> None:
    import os
    import subprocess

    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([BRIDLE, "fix", "x", "--repo", tmp_path / "nowhere"], stderr=write, check=False)
    os.close(write)
    assert done.returncode == 2


def test_the_doctor_knows_the_users_file_and_a_bad_state_folder(own_state: Path) -> None:
    import json

    def doctor(env: dict[str, str]) -> dict[str, dict[str, object]]:
        lines = bridle("doctor", "--json", env=env).out.splitlines()
        return {check["what"]: check for check in map(json.loads, lines)}

    (own_state / "config.toml").write_text('model = "mine"\nbase_url = "http://127.0.0.1:9/v1"\n')
    model = doctor({})["model"]
    assert model["ok"]
    assert "`mine`" in str(model["detail"])
    assert not doctor({"BRIDLE_STATE_DIR": "/dev/null/x"})["state"]["ok"]
    (own_state / "config.toml").write_text("model = \n")
    assert not doctor({})["settings"]["ok"]


def test_help_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys\nfrom cli.main import app\nfrom typer.testing import CliRunner\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print([m for m in ('openai', 'docker', 'git', 'pydantic', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_help_names_every_command() -> None:
    out = bridle("--help").out
    for command in ("fix", "resume", "sessions", "show", "doctor", "model", "demo"):
        assert command in out
