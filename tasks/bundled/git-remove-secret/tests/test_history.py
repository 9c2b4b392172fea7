import os
import subprocess
from pathlib import Path

import pytest

ENV = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": "/nonexistent"}


def git(folder, *args, stdin=b""):
    done = subprocess.run(["git", "-C", str(folder), *args], input=stdin, capture_output=True, env=ENV, check=True)
    return done.stdout.decode()


def repository(folder, stream):
    folder.mkdir()
    git(folder, "init", "-q", "--bare", ".")
    git(folder, "fast-import", "--quiet", stdin=Path(stream).read_bytes())
    return folder


@pytest.fixture
def clean(tmp_path):
    return repository(tmp_path / "clean", "clean.fe")


@pytest.fixture
def before(tmp_path):
    return repository(tmp_path / "before", Path(__file__).parent / "history.fe")


def test_the_secret_is_in_no_commit(clean):
    objects = git(clean, "rev-list", "--all", "--objects")
    assert "deploy.key" not in objects
    for line in objects.splitlines():
        kind = git(clean, "cat-file", "-t", line.split()[0]).strip()
        assert kind != "blob" or "do-not-share" not in git(clean, "cat-file", "blob", line.split()[0])


def test_messages_authors_and_order_stay(clean, before):
    form = "--format=%an %ae %at %cn %ct %B"
    assert git(clean, "log", form, "main") == git(before, "log", form, "main")


def test_every_other_file_stays(clean, before):
    count = len(git(before, "rev-list", "main").split())
    for back in range(count):
        listed = git(before, "ls-tree", "-r", f"main~{back}").splitlines()
        wanted = [line for line in listed if not line.endswith("deploy.key")]
        assert git(clean, "ls-tree", "-r", f"main~{back}").splitlines() == wanted
