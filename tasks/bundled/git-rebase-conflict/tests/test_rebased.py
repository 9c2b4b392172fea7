import json
import subprocess
import sys
from pathlib import Path

import pytest
from streams import files, git, log, repository


@pytest.fixture
def before(tmp_path):
    return repository(tmp_path / "before.git", Path(__file__).parent / "history.fe")


@pytest.fixture
def after(tmp_path):
    return repository(tmp_path / "after.git", "rebased.fe")


def url(folder, **given):
    code = "import json, sys; from url import url; print(url(json.loads(sys.argv[1])))"
    command = [sys.executable, "-B", "-c", code, json.dumps(given)]
    done = subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1].split(":")[0]


def test_main_stays(before, after):
    assert git(after, "rev-parse", "main") == git(before, "rev-parse", "main")


def test_feature_is_on_top(before, after):
    assert git(after, "merge-base", "main", "feature") == git(after, "rev-parse", "main")
    form = "%an %ae %at %s"
    assert log(after, "main..feature", form) == log(before, "main..feature", form)
    assert [len(line.split()) for line in log(after, "main..feature", "%P")] == [1, 1, 1]
    assert git(after, "log", "--format=%B", "main..feature") == git(before, "log", "--format=%B", "main..feature")


def test_the_first_commit(after, tmp_path):
    folder = files(after, "feature~2", tmp_path / "files")
    assert url(folder, server="a.org") == "http://a.org/"
    assert url(folder, server="a.org", path="/x") == "http://a.org/x"
    assert url(folder, server="a.org", port=8080, path="x") == "http://a.org:8080x"
    assert not (folder / "PATHS.md").exists()


def test_the_second_commit(after, tmp_path):
    folder = files(after, "feature~1", tmp_path / "files")
    assert url(folder, path="x") == "http://localhost/x"
    assert url(folder, path="") == "http://localhost/"
    assert not (folder / "PATHS.md").exists()


def test_the_end(before, after, tmp_path):
    folder = files(after, "feature", tmp_path / "files")
    assert url(folder, server="a.org", path="x/y") == "http://a.org/x/y"
    assert url(folder, scheme="https", port=8443) == "https://localhost:8443/"
    assert url(folder, scheme="https", port=443, path="/p") == "https://localhost/p"
    assert url(folder, port=443) == "http://localhost:443/"
    assert url(folder, host="a.org") == "ValueError"
    assert url(folder, colour="red") == "ValueError"
    assert git(after, "show", "feature:PATHS.md") == git(before, "show", "feature:PATHS.md")


def test_no_marks_and_no_other_files(after):
    for back, names in ((2, {"settings.py", "url.py"}), (1, {"settings.py", "url.py"}), (0, {"settings.py", "url.py", "PATHS.md"})):
        listed = git(after, "ls-tree", "-r", "--name-only", f"feature~{back}").split()
        assert set(listed) == names
        for name in names:
            text = git(after, "show", f"feature~{back}:{name}")
            assert not [line for line in text.splitlines() if line.startswith(("<<<<<<<", "=======", ">>>>>>>"))]


def test_the_stream_stays():
    assert Path("history.fe").read_bytes() == (Path(__file__).parent / "history.fe").read_bytes()
