"""Saves a sandbox's files: see `tree` for what is saved, and the threat model."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sandboxes.bubblewrap.tree import FOLDER, LARGE, NEW, PIECE, SOURCE, Clock, Known, copy_sparse, same
from sandboxes.protocol import SandboxError

LEFT_FREE = 1 << 30
"""Bytes of the host's disk that saving leaves alone."""
SETTLED_NS = 50_000_000


class Saver:
    """Saves one state, in a folder that is there and empty. Blocks.

    `known` is what an earlier state has, `mapped` the inodes that times tell nothing of (None: of any).
    """

    def __init__(self, target: Path, known: Known, mapped: set[int] | None) -> None:
        self.now = Known(target / "packs")
        self.size = 0
        """Bytes that this state takes of the disk, beside what it shares."""
        self._known = known if mapped is not None else Known()
        self._mapped = mapped
        self._settled = time.time_ns() - SETTLED_NS
        self._linked: dict[int, int] = {}
        self._packs: dict[str, int] = {}
        self._not_shared: set[str] = set()
        self._count = self._end = 0
        self._clock = Clock()
        self._target = target
        free = os.statvfs(target)
        self._room = free.f_bavail * free.f_frsize - LEFT_FREE

    def save(self, files: Path, places: Iterable[str], name: str) -> None:
        """Save those folders of `files`; `name` is what no other state's packs begin with.

        Raises SandboxError, OSError; what is half written is the caller's to remove.
        """
        self._name = name
        (self._target / "packs").mkdir(mode=0o700)
        with (
            (self._target / "manifest").open("x", encoding="ascii") as self._list,
            (self._target / "packs" / name).open("xb", buffering=PIECE) as self._small,
        ):
            top = os.open(files, FOLDER)
            try:
                for place in places:
                    self._walk(top, place)
            finally:
                os.close(top)
        self.size += (self._target / "manifest").stat().st_size + self._end

    def _walk(self, top: int, place: str) -> None:
        """One folder and all below it, with one descriptor at a time: the way back is `..`, and checked."""
        info = os.stat(place, dir_fd=top, follow_symlinks=False)
        fd = self._enter(place, top, info)
        above: list[tuple[list[str], os.stat_result, bool]] = []
        names, lent = _names(fd), _lend(fd, info)
        try:
            while True:
                if names:
                    name = names.pop()
                    below = os.stat(name, dir_fd=fd, follow_symlinks=False)
                    if not stat.S_ISDIR(below.st_mode):
                        self._other(name, fd, below)
                        continue
                    inner = self._enter(name, fd, below)
                    above.append((names, info, lent))
                    os.close(fd)
                    fd, info = inner, below
                    names, lent = _names(fd), _lend(fd, info)
                    continue
                self._write("u")
                if not above:
                    break
                outer = os.open("..", FOLDER, dir_fd=fd)
                _give_back(fd, info, lent)
                os.close(fd)
                fd = outer
                names, info, lent = above.pop()
                if not same(os.fstat(fd), info):
                    raise SandboxError("a folder was moved meanwhile")
        finally:
            _leave(fd, [*above, ([], info, lent)])

    def _enter(self, name: str, fd: int, info: os.stat_result) -> int:
        self._write("d", name, stat.S_IMODE(info.st_mode), info.st_mtime_ns)
        inner = _open(name, FOLDER, fd, info)
        if not same(os.fstat(inner), info):
            os.close(inner)
            raise SandboxError("a folder was replaced meanwhile")
        return inner

    def _other(self, name: str, fd: int, info: os.stat_result) -> None:
        mode = stat.S_IMODE(info.st_mode)
        if stat.S_ISREG(info.st_mode):
            self._file(name, fd, info)
        elif stat.S_ISLNK(info.st_mode):
            self._write("l", name, os.readlink(name, dir_fd=fd), info.st_mtime_ns)
        elif stat.S_ISFIFO(info.st_mode):
            self._write("p", name, mode, info.st_mtime_ns)

    def _file(self, name: str, fd: int, info: os.stat_result) -> None:
        several = info.st_nlink > 1
        if several and info.st_ino in self._linked:
            self._write("h", name, self._linked[info.st_ino])
            return
        number = self._count
        self._count += 1
        pack, place = self._shared(info) or self._copied(name, fd, info, number)
        if several:
            self._linked[info.st_ino] = number
        if self._mapped is not None and info.st_ino not in self._mapped and info.st_ctime_ns < self._settled:
            self.now.note(info, pack, place)
        self.now.live[pack] = self.now.live.get(pack, 0) + info.st_size
        mode = stat.S_IMODE(info.st_mode)
        where = self._packs.get(pack)
        if where is None:
            where = self._packs[pack] = len(self._packs)
            self._write("k", pack)
        self._write("f", name, mode, info.st_mtime_ns, number, several, where, place, info.st_size)

    def _shared(self, info: os.stat_result) -> tuple[str, int] | None:
        """Where the state before has the content, if the file is as it was then and that is still there."""
        was = self._known.files.get(info.st_ino)
        if was is None or was[:3] != (info.st_mtime_ns, info.st_ctime_ns, info.st_size):
            return None
        if self._mapped is None or info.st_ino in self._mapped:
            return None
        pack, place = was[3:]
        if pack in self._packs:
            return pack, place
        if pack in self._not_shared or not self._take_over(pack):
            self._not_shared.add(pack)
            return None
        return pack, place

    def _take_over(self, pack: str) -> bool:
        """Have a pack of the state before in this one, too, unless most of it is of no use any more."""
        old = f"{self._known.folder}/{pack}"
        try:
            if self._known.live.get(pack, 0) * 2 < os.stat(old).st_size:  # noqa: PTH116
                return False
            os.link(old, self._target / "packs" / pack)
        except OSError:  # that state was dropped, or the pack has as many names as there can be
            return False
        return True

    def _copied(self, name: str, fd: int, info: os.stat_result, number: int) -> tuple[str, int]:
        """Copy the content: where it is."""
        large = info.st_size > LARGE
        taken = info.st_blocks * 512 if large else info.st_size
        self._room -= taken
        if self._room < 0:
            raise SandboxError("there is not enough room on the disk")
        source = _open(name, SOURCE, fd, info)
        try:
            if not same(os.fstat(source), info):
                raise SandboxError("a file was replaced meanwhile")
            if large:
                self.size += taken
                return self._copied_alone(source, info, number)
            data = os.read(source, info.st_size) if info.st_size else b""
        finally:
            os.close(source)
        if len(data) != info.st_size:
            raise SandboxError("a file became shorter meanwhile")
        self._small.write(data)
        self._end += len(data)
        return self._name, self._end - len(data)

    def _copied_alone(self, source: int, info: os.stat_result, number: int) -> tuple[str, int]:
        pack = f"{self._name}.{number}"
        target = os.open(self._target / "packs" / pack, NEW, 0o600)
        try:
            copy_sparse(source, target, info.st_size, self._clock)
        finally:
            os.close(target)
        return pack, 0

    def _write(self, *what: Any) -> None:
        self._clock.entry()
        self._list.write(json.dumps(what) + "\n")


def _names(fd: int) -> list[str]:
    return os.listdir(fd)


def _open(name: str, flags: int, fd: int, info: os.stat_result) -> int:
    """Open what the agent may have closed to itself: without being root, by opening it for a moment."""
    try:
        return os.open(name, flags, dir_fd=fd)
    except PermissionError:
        if info.st_uid != os.geteuid():
            raise
    place = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    try:
        if not same(os.fstat(place), info):
            raise SandboxError("a file was replaced meanwhile")
        itself = f"/proc/self/fd/{place}"
        os.chmod(itself, stat.S_IMODE(info.st_mode) | 0o700)  # noqa: PTH101
        try:
            return os.open(itself, flags & ~os.O_NOFOLLOW)
        finally:
            os.chmod(itself, stat.S_IMODE(info.st_mode))  # noqa: PTH101
    finally:
        os.close(place)


def _lend(fd: int, info: os.stat_result) -> bool:
    """Make it possible to look up names in an open folder of ours; True if that took a change."""
    if os.geteuid() == 0 or info.st_mode & 0o500 == 0o500 or info.st_uid != os.geteuid():
        return False
    os.fchmod(fd, stat.S_IMODE(info.st_mode) | 0o500)
    return True


def _give_back(fd: int, info: os.stat_result, lent: bool) -> None:
    if lent:
        with contextlib.suppress(OSError):
            os.fchmod(fd, stat.S_IMODE(info.st_mode))


def _leave(fd: int, above: list[tuple[list[str], os.stat_result, bool]]) -> None:
    """End a walk wherever it is: give back what was changed on the way there. Closes the descriptor."""
    try:
        with contextlib.suppress(OSError):
            while any(lent for _, _, lent in above):
                _, info, lent = above.pop()
                outer = os.open("..", FOLDER, dir_fd=fd)
                _give_back(fd, info, lent)
                os.close(fd)
                fd = outer
    finally:
        os.close(fd)
