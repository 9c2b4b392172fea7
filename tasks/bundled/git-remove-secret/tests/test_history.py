import os
import subprocess
from pathlib import Path

import pytest

ENV = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": "/nonexistent"}


def git(folder, *args, stdin=b""):
    done = subprocess.run(["git", "-C", str(folder), *args], input=stdin, capture_output=True, env=ENV, check=True)
    return done.stdout.decode()


def lines(folder, *args):
    return git(folder, *args).splitlines()


@pytest.fixture
def clean(tmp_path):
    folder = tmp_path / "clean"
    folder.mkdir()
    git(folder, "init", "-q", "--bare", ".")
    git(folder, "fast-import", "--quiet", stdin=Path("clean.fe").read_bytes())
    return folder


def test_the_secret_is_in_no_commit(clean):
    objects = [line.split(" ", 1) for line in lines(clean, "rev-list", "--all", "--objects")]
    assert sorted({path for _, path in filter(lambda each: len(each) > 1, objects)} - {""}) == ["README.md", "app.py", "docs", "docs/how.md"]
    texts = [git(clean, "cat-file", "blob", name) for name, *_ in objects if git(clean, "cat-file", "-t", name) == "blob\n"]
    assert sorted(texts) == ["# App\n", "How to\n", "print('hello')\n", "print('hello, world')\n"]


def test_messages_authors_and_order_stay(clean):
    assert lines(clean, "log", "--format=%an %ae %at %cn %ce %ct", "main") == [
        "ada ada@example.org 1700004000 ada ada@example.org 1700004000",
        "grace grace@example.org 1700003000 grace grace@example.org 1700003000",
        "ada ada@example.org 1700002000 ada ada@example.org 1700002000",
        "grace grace@example.org 1700001000 grace grace@example.org 1700001000",
        "ada ada@example.org 1700000000 ada ada@example.org 1700000000",
    ]
    assert git(clean, "log", "--format=%B", "main").split("\n\n") == [
        "Say how",
        "New key",
        "Greet everybody",
        "Read me, and how to deploy",
        "First version",
        "",
    ]


def test_every_other_file_stays(clean):
    def listed(commit):
        return [" ".join(line.split()[i][:12] for i in (0, 2, 3)) for line in lines(clean, "ls-tree", "-r", commit)]

    assert listed("main") == ["100644 95f541a31a59 README.md", "100644 b2204a3d4efe app.py", "100644 ea2ab6a2f56c docs/how.md"]
    assert listed("main~1") == ["100644 95f541a31a59 README.md", "100644 b2204a3d4efe app.py"]
    assert listed("main~2") == ["100644 95f541a31a59 README.md", "100644 b2204a3d4efe app.py"]
    assert listed("main~3") == ["100644 95f541a31a59 README.md", "100644 b376c9941fda app.py"]
    assert listed("main~4") == ["100644 b376c9941fda app.py"]
