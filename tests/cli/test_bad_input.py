"""Wrong inputs: one clear sentence, exit 2, and no session left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.project import bridle, git, make_project


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
