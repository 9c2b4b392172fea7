"""Tar archives of Bridle's own making: the tree as it was taken in, and as the agent left it.

GNU format, since it carries names as the bytes they are. Names are sorted, every folder is written before what
is in it, and times and owners are the caller's, so equal trees give equal archives.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from agent.repository.base import EXECUTABLE, SYMLINK
from agent.repository.names import parents


def forget(tar: tarfile.TarFile) -> None:
    """Drop the headers seen so far; tarfile would keep every one."""
    members: list[tarfile.TarInfo] = vars(tar)["members"]
    members.clear()


class TreeWriter:
    """Writes an archive file by file; the file appears under its name only when all of it is there."""

    def __init__(self, target: Path, *, uid: int, gid: int, time: int) -> None:
        self._target = target
        self._partial = target.with_name(target.name + ".partial")
        self._owner = (uid, gid)
        self._time = max(time, 0)
        self._folders: set[bytes] = set()
        self._tar = tarfile.open(  # noqa: SIM115 -- closed in __exit__
            self._partial, "w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
        )

    def folder(self, path: bytes) -> None:
        """Write the folder `path` and those above it, unless they are there."""
        for folder in (*parents(path), path):
            if folder not in self._folders:
                self._folders.add(folder)
                self._add(self._member(folder, tarfile.DIRTYPE, 0o755))

    def file(self, path: bytes, mode: int, size: int, content: IO[bytes]) -> None:
        """Write a file or symlink (its content is its target) of `size` bytes."""
        if above := parents(path):
            self.folder(above[-1])
        if mode == SYMLINK:
            member = self._member(path, tarfile.SYMTYPE, 0o777)
            member.linkname = content.read(size).decode("utf-8", "surrogateescape")
            self._add(member)
            return
        member = self._member(path, tarfile.REGTYPE, 0o755 if mode == EXECUTABLE else 0o644)
        member.size = size
        self._add(member, content)

    def _add(self, member: tarfile.TarInfo, content: IO[bytes] | None = None) -> None:
        self._tar.addfile(member, content)
        forget(self._tar)

    def _member(self, path: bytes, kind: bytes, mode: int) -> tarfile.TarInfo:
        member = tarfile.TarInfo(path.decode("utf-8", "surrogateescape"))
        member.type, member.mode, member.mtime = kind, mode, self._time
        member.uid, member.gid = self._owner
        return member

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._tar.close()
            if kind is None:
                with self._partial.open("rb") as written:
                    os.fsync(written.fileno())
                self._partial.replace(self._target)
        finally:
            self._partial.unlink(missing_ok=True)


def read_archive(archive: Path) -> Iterator[tuple[bytes, IO[bytes]]]:
    """Path and content of every file of an archive of ours, in its order; a symlink's content is its target.

    A content is good until the next one is asked for.
    """
    with tarfile.open(archive, "r:", encoding="utf-8", errors="surrogateescape") as tar:
        while (member := tar.next()) is not None:
            forget(tar)
            path = member.name.encode("utf-8", "surrogateescape")
            if member.issym():
                yield path, io.BytesIO(member.linkname.encode("utf-8", "surrogateescape"))
            elif (content := tar.extractfile(member) if member.isreg() else None) is not None:
                yield path, content
