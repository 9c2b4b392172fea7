"""`bridle demo`, whole: a real release, a real sandbox, and the embedded model itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.project import bridle, git

from agent.models.embedded import missing
from tasks.packages.demo import DEMO


@pytest.fixture
def model_there() -> None:
    if problem := missing():
        pytest.skip(f"NO EMBEDDED MODEL, so the demo was not tried: {problem}")


def test_a_folder_that_is_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("")
    done = bridle("demo", "--into", str(tmp_path))
    assert done.code == 2
    assert str(tmp_path) in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.docker
@pytest.mark.local_model
@pytest.mark.usefixtures("engine", "model_there")
def test_the_embedded_model_fixes_a_real_bug_of_a_real_library(tmp_path: Path) -> None:
    """The seeds are the strategy's own, so the same machine gives the same answers."""
    target = tmp_path / "demo"
    done = bridle("demo", "--into", str(target), seconds=900)
    assert done.code == 0, done.err[-3000:]
    assert "runs with --autonomy full" in done.err
    assert git(target, "status", "--porcelain") == ""
    (branch,) = git(target, "for-each-ref", "--format=%(refname:short)", "refs/heads/bridle/").split()
    assert f"branch {branch} in" in done.out
    assert "+++ b/w3lib/http.py" in done.out
    assert git(target, "diff", "--name-only", "main", branch) == "w3lib/http.py"
    git(target, "checkout", "-q", branch)
    python = target / ".venv" / "bin" / "python"
    check = [str(python), *DEMO.verify.split()[1:]]
    env = {**os.environ, "PYTHONPATH": str(target)}
    assert subprocess.run(check, cwd=target, env=env, capture_output=True, check=False).returncode == 0
    behaves = (
        "from w3lib.http import headers_raw_to_dict as f\n"
        "raw = b'A: 1\\r\\nB: x:y\\r\\nnothing\\r\\nA: 2\\r\\nA:1'\n"
        "assert f(raw) == {b'A': [b'1', b'2', b'1'], b'B': [b'x:y']}\n"
        "assert f(None) is None and f(b'') == {}\n"
    )
    subprocess.run([str(python), "-c", behaves], cwd=target, env=env, check=True)
