"""Repositories from streams, for the tests beside this file."""

import os
import subprocess
from pathlib import Path

ENV = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": "/nonexistent"}


def git(folder, *arguments, stdin=b""):
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, env=ENV, check=True).stdout.decode()


def repository(folder, stream):
    """A bare repository with what a stream holds."""
    folder.mkdir()
    git(folder, "init", "-q", "--bare", ".")
    git(folder, "fast-import", "--quiet", stdin=Path(stream).read_bytes())
    return folder


def files(folder, commit, target):
    """The files of a commit, in a new folder."""
    target.mkdir()
    archive = subprocess.run(["git", "-C", str(folder), "archive", commit], capture_output=True, env=ENV, check=True)
    subprocess.run(["tar", "-x", "-C", str(target)], input=archive.stdout, check=True)
    return target


def log(folder, what, form):
    """A line for each commit, the oldest first, with merges told by their parents."""
    return git(folder, "log", "--reverse", f"--format={form}", what).splitlines()
