"""A small real repository with a bug, and the `bridle` command run on it as a user would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.forked import can_fork, run_forked

BRIDLE = Path(sys.executable).parent / "bridle"
QUICK = "[pytest]\naddopts = --disable-plugin-autoload\n"
"""Plugins of this project's environment that the small one has no use for."""
BUGGY = "def mean(values):\n    return sum(values) / (len(values) - 1)\n"
FIXED = "def mean(values):\n    return sum(values) / len(values)\n"
TEST = "from calc import mean\n\n\ndef test_mean():\n    assert mean([2]) == 2\n    assert mean([1, 3]) == 2\n"
ENVIRONMENT = {"VIRTUAL_ENV": sys.prefix}
"""The sandbox gets the environment that has pytest, as if the user had activated it."""
EDIT = ("edit", {"path": "calc.py", "old": "(len(values) - 1)", "new": "len(values)"})


def git(folder: Path, *args: str) -> str:
    """Run git in `folder` with a fixed identity."""
    env = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    done = subprocess.run(["git", *args], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def make_project(folder: Path, files: Mapping[str, str] | None = None) -> Path:
    """A repository with one commit."""
    for name, text in {"pytest.ini": QUICK, **(files or {"calc.py": BUGGY, "tests/test_calc.py": TEST})}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """What `--json` printed."""
        return json.loads(self.out)  # type: ignore[no-any-return]


def start(*args: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start `bridle` with no terminal."""
    return subprocess.Popen(
        [BRIDLE, *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **ENVIRONMENT, **(env or {})},
    )


def finish(process: subprocess.Popen[str], seconds: float = 120) -> Done:
    """Wait for it."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"still running after {seconds} s:\n{out}\n{err}") from None
    return Done(process.returncode, out, err)


def bridle(*args: str, env: Mapping[str, str] | None = None, seconds: float = 120) -> Done:
    """Run `bridle` to its end."""
    given = {**os.environ, **ENVIRONMENT, **(env or {})}
    if not can_fork(given):
        return finish(start(*args, env=env), seconds)
    code, out, err = run_forked(args, given, seconds)
    assert code is not None, f"still running after {seconds} s:\n{out}\n{err}"
    return Done(code, out, err)


def containers(session: str) -> list[str]:
    """The names of the containers of a session, running or not."""
    done = subprocess.run(
        ["docker", "ps", "-a", "--no-trunc", "--format", "{{.Names}}\t{{.Labels}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.split("\t")[0] for line in done.stdout.splitlines() if session in line]
