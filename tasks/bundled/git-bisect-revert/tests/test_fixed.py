import subprocess
import sys
from pathlib import Path

import pytest
from streams import files, git, log, repository

CULPRIT = "f7dd5b32e1d06e1ff2cc801dc7ddf301008820f0"


@pytest.fixture
def before(tmp_path):
    return repository(tmp_path / "before.git", Path(__file__).parent / "history.fe")


@pytest.fixture
def after(tmp_path):
    return repository(tmp_path / "after.git", "fixed.fe")


def test_the_culprit(before):
    assert Path("culprit.txt").read_text().split() == [CULPRIT]
    assert git(before, "log", "-1", "--format=%s", CULPRIT).strip() == "Simpler expression"


def test_the_history_stays_and_one_commit_is_added(before, after):
    old, new = log(before, "main", "%H"), log(after, "main", "%H")
    assert new[:-1] == old
    assert git(after, "log", "-1", "--format=%P", "main").split() == [old[-1]]


def test_the_message(after):
    wanted = f'Revert "Simpler expression"\n\nThis reverts commit {CULPRIT}.'
    assert git(after, "log", "-1", "--format=%B", "main").strip() == wanted


def test_what_it_did_is_taken_back(after, tmp_path):
    folder = files(after, "main", tmp_path / "files")
    assert 'text = re.sub(r"[^a-z0-9]+", "-", text)\n' in (folder / "slug.py").read_text()
    assert 'replace("--"' not in (folder / "slug.py").read_text()
    assert (folder / "NOTES.md").read_text() == "".join(f"note {number}\n" for number in range(6))


def test_everything_else_stays(before, after):
    changed = git(after, "diff", "--numstat", "main~1", "main").split("\n")
    assert sorted(line.split() for line in changed if line) == [["0", "1", "NOTES.md"], ["1", "2", "slug.py"]]


def test_it_works(after, tmp_path):
    folder = files(after, "main", tmp_path / "files")
    code = 'from slug import slug; print(slug("tea --- time"), slug("The Tea & Cake!"), slug("-"), slug("Caf\\u00e9  9"))'
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=folder, env={}, capture_output=True, text=True)
    assert done.stdout.strip() == "tea-time tea-and-cake untitled cafe-9", done.stderr


def test_the_stream_stays():
    assert Path("history.fe").read_bytes() == (Path(__file__).parent / "history.fe").read_bytes()
