"""Which new files the user's own ignore rules leave out.

Threat model: the paths are the agent's; the rules must not be. So the question goes to git in the user's
repository (its .gitignore files, info/exclude and the user's global excludes as they are there), path by path on
standard input; the agent's own .gitignore has no say.
"""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
from types import TracebackType
from typing import Self

from agent.repository.names import parents
from agent.repository.plumbing import command, environment
from agent.repository.source import Repository
from agent.repository.stream import PatchProblem


class IgnoreRules:
    """Answers whether a new path is ignored, through one `git check-ignore` for all of them. A context manager."""

    def __init__(self, repo: Repository) -> None:
        self._root = os.fsencode(repo.root)
        self._git = subprocess.Popen(
            command("check-ignore", "-z", "--stdin", "--no-index", "--verbose", "--non-matching"),
            cwd=repo.root,
            # check-ignore knows no literal pathspecs; `./` before a path keeps it from being anything else.
            env=environment({"GIT_LITERAL_PATHSPECS": "0"}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._buffer = b""

    def __call__(self, path: bytes) -> bool:
        """Whether `path` (relative to the root) is ignored. Raises PatchProblem when git gives up."""
        if self._behind_a_link(path):
            return False  # git refuses the question; in the user's tree that folder is a symlink
        assert self._git.stdin is not None
        try:
            self._git.stdin.write(b"./" + path + b"\0")
            self._git.stdin.flush()
        except BrokenPipeError as error:
            raise PatchProblem("git does not say which new files are ignored: it has ended") from error
        source, _line, pattern, echoed = (self._field() for _ in range(4))
        if echoed != b"./" + path:
            raise PatchProblem("git does not say which new files are ignored: it answered another question")
        return bool(source) and not pattern.startswith(b"!")

    def _behind_a_link(self, path: bytes) -> bool:
        for folder in parents(path):
            try:
                status = os.lstat(self._root + b"/" + folder)
            except OSError:
                return False
            if stat.S_ISLNK(status.st_mode):
                return True
        return False

    def _field(self) -> bytes:
        assert self._git.stdout is not None
        while b"\0" not in self._buffer:
            chunk = os.read(self._git.stdout.fileno(), 65536)
            if not chunk:
                raise PatchProblem("git does not say which new files are ignored: it ended early")
            self._buffer += chunk
        field, _, self._buffer = self._buffer.partition(b"\0")
        return field

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._git.kill()
        self._git.wait()
        for pipe in (self._git.stdin, self._git.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # a question it no longer reads
                    pipe.close()
