import re
import subprocess
import sys
from pathlib import Path

import pytest
from streams import files, git, log, repository

WHO = "%an %ae %at %cn %ce %ct"


@pytest.fixture
def before(tmp_path):
    return repository(tmp_path / "before.git", Path(__file__).parent / "history.fe")


@pytest.fixture
def after(tmp_path):
    return repository(tmp_path / "after.git", "split.fe")


def test_the_commits(before, after):
    old, new = log(before, "main", "%s"), log(after, "main", "%s")
    assert new == [old[0], "Rename total to sum_cents", "Round shares up", *old[2:]]
    assert all(len(line.split()) <= 1 for line in log(after, "main", "%P"))


def test_the_first_commit_stays(before, after):
    assert log(after, "main", "%H")[0] == log(before, "main", "%H")[0]


def test_messages_and_people(before, after):
    old, new = log(before, "main", WHO), log(after, "main", WHO)
    assert new == [old[0], old[1], old[1], *old[2:]]
    assert git(after, "log", "-2", "--format=%B", "main") == git(before, "log", "-2", "--format=%B", "main")
    assert git(after, "log", "-1", "--format=%B", "main~2").strip() == "Round shares up"
    assert git(after, "log", "-1", "--format=%B", "main~3").strip() == "Rename total to sum_cents"


def test_the_files_of_the_others(before, after):
    old, new = log(before, "main", "%T"), log(after, "main", "%T")
    assert len(new) == 5
    assert new[2:] == old[1:]


def test_the_first_of_the_two_renames_and_does_nothing_else(before, after, tmp_path):
    old = files(before, "main~3", tmp_path / "old")
    new = files(after, "main~3", tmp_path / "new")
    assert sorted(path.name for path in new.iterdir()) == ["app.py", "calc.py"]
    for name in ("app.py", "calc.py"):
        assert (new / name).read_text() == re.sub(r"\btotal\b", "sum_cents", (old / name).read_text())


def test_every_commit_works(after, tmp_path):
    wanted = ["10 in all, 3 each", "10 in all, 3 each", "10 in all, 4 each", "10 in all, 4 each", "10 in all, 4 each"]
    for number, commit in enumerate(log(after, "main", "%H")):
        folder = files(after, commit, tmp_path / str(number))
        code = "from app import bill; print(bill([3, 7], 3))"
        done = subprocess.run([sys.executable, "-B", "-c", code], cwd=folder, env={}, capture_output=True, text=True)
        assert done.stdout.strip() == wanted[number], done.stderr


def test_the_stream_stays():
    assert Path("history.fe").read_bytes() == (Path(__file__).parent / "history.fe").read_bytes()
