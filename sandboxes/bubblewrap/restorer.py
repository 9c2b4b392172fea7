"""Brings a saved state back: see `tree` for what was saved, and the threat model."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sandboxes.bubblewrap.tree import FOLDER, LARGE, NEW, SOURCE, Clock, Known, copy_sparse
from sandboxes.protocol import SandboxError

MAX_LINE = 1 << 17
OPEN_PACKS = 64


class Restorer:
    """Brings a saved state back into the empty folders of a sandbox in which nothing runs. Blocks.

    `user` is the host user that all of it is to belong to, None for the one who runs this.
    """

    def __init__(self, saved: Path, user: int | None) -> None:
        self.now = Known(saved / "packs")
        self._saved, self._user = saved, user
        self._packs: list[str] = []
        self._opened: dict[str, int] = {}
        self._clock = Clock()

    def restore(self, files: Path, places: Iterable[str]) -> None:
        """Raises SandboxError, OSError; what is half done is the caller's to remove."""
        try:
            self._restore(files, places)
        except (ValueError, TypeError, IndexError) as e:
            raise SandboxError("its list is damaged") from e

    def _restore(self, files: Path, places: Iterable[str]) -> None:
        several = files.with_name("several")
        several.mkdir(mode=0o700)
        self._several = os.open(several, FOLDER)
        try:
            top = os.open(files, FOLDER)
            self._folders(top, frozenset(places))
        finally:
            for each in self._opened.values():
                os.close(each)
            for name in os.listdir(self._several):  # noqa: PTH208 -- by descriptor
                os.unlink(name, dir_fd=self._several)
            os.close(self._several)
            several.rmdir()

    def _folders(self, fd: int, places: frozenset[str]) -> None:
        """Take over the descriptor of the folder that holds the places, and make what the list says."""
        above: list[tuple[int, int]] = []
        try:
            for kind, *what in self._lines():
                if kind == "d":
                    name, mode, changed = _name(what[0]), int(what[1]), int(what[2])
                    if above or name not in places:
                        os.mkdir(name, 0o700, dir_fd=fd)
                    inner = os.open(name, FOLDER, dir_fd=fd)
                    os.close(fd)
                    fd = inner
                    above.append((mode, changed))
                elif kind == "u":
                    outer = os.open("..", FOLDER, dir_fd=fd)
                    try:
                        self._finish(fd, *above.pop())
                    finally:
                        os.close(fd)
                        fd = outer
                elif kind == "k":
                    self._packs.append(_name(what[0]))
                else:
                    self._other(kind, what, fd)
        finally:
            os.close(fd)
        if above:
            raise SandboxError("its list is cut short")

    def _other(self, kind: str, what: list[Any], fd: int) -> None:
        name = _name(what[0])
        if kind == "f":
            mode, changed, number, several, pack, place, size = map(int, what[1:])
            self._file(name, (mode, changed), self._packs[pack], place, size, fd)
            if several:
                os.link(name, str(number), src_dir_fd=fd, dst_dir_fd=self._several, follow_symlinks=False)
        elif kind == "h":
            os.link(str(int(what[1])), name, src_dir_fd=self._several, dst_dir_fd=fd, follow_symlinks=False)
        elif kind == "l":
            os.symlink(what[1], name, dir_fd=fd)
            if self._user is not None:
                os.chown(name, self._user, self._user, dir_fd=fd, follow_symlinks=False)
            os.utime(name, ns=(what[2], what[2]), dir_fd=fd, follow_symlinks=False)
        elif kind == "p":
            os.mkfifo(name, 0o600, dir_fd=fd)
            pipe = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            try:
                self._finish(pipe, int(what[1]), int(what[2]))
            finally:
                os.close(pipe)
        else:
            raise SandboxError("its list is damaged")

    def _file(self, name: str, about: tuple[int, int], pack: str, place: int, size: int, fd: int) -> None:
        source = self._pack(pack)
        target = os.open(name, NEW, 0o600, dir_fd=fd)
        try:
            if size > LARGE:
                copy_sparse(source, target, size, self._clock)
            elif size and os.write(target, os.pread(source, size, place)) != size:
                raise SandboxError("its contents are cut short")
            self._finish(target, *about)
            info = os.fstat(target)
        finally:
            os.close(target)
        if info.st_nlink == 1:
            self.now.note(info, pack, place)
        self.now.live[pack] = self.now.live.get(pack, 0) + size

    def _pack(self, name: str) -> int:
        """A descriptor of a pack, open as long as it is among the last used."""
        if name not in self._opened:
            if len(self._opened) >= OPEN_PACKS:
                os.close(self._opened.pop(next(iter(self._opened))))
            self._opened[name] = os.open(self._saved / "packs" / name, SOURCE)
        return self._opened[name]

    def _finish(self, fd: int, mode: int, changed: int) -> None:
        if self._user is not None:
            os.fchown(fd, self._user, self._user)
        os.fchmod(fd, stat.S_IMODE(mode))
        os.utime(fd, ns=(changed, changed))

    def _lines(self) -> Iterator[list[Any]]:
        with (self._saved / "manifest").open(encoding="ascii") as lines:
            while line := lines.readline(MAX_LINE):
                self._clock.entry()
                yield json.loads(line)


def _name(said: Any) -> str:
    """One name of a folder's. Raises SandboxError for what is none."""
    if not isinstance(said, str) or said in ("", ".", "..") or "/" in said or "\0" in said:
        raise SandboxError("its list is damaged")
    return said
