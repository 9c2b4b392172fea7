"""The working folder of a task's image, made the repository that an attempt begins with.

    tar stream of the folder → git objects on the host, as data → one commit, and its working tree

Threat model: an image is its author's, and its folder may hold any name and any content. Nothing is unpacked by
name: contents and paths go to `git fast-import` as data, which refuses what no repository may hold; every
quantity has a limit. `.git` never comes along, so that no history does. Attributes of the folder convert
nothing.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from agent.outcomes import UsageProblem
from agent.repository.archive import forget
from agent.repository.base import EXECUTABLE, REGULAR, SYMLINK
from agent.repository.names import JUNK_SUFFIXES, is_git_own, parents, shown, unusable
from agent.repository.plumbing import GitFailed, run_git
from agent.repository.stream import ForwardStream, PatchProblem

MAX_BYTES = 1 << 30
MAX_ENTRIES = 200_000
MAX_PATH = 4096
_CHUNK = 1 << 20
_BRANCH = "refs/heads/main"
_UNCONVERTED = "* -text !eol -ident -filter !working-tree-encoding -export-subst\n"


@dataclass(slots=True)
class _Reading:
    """What has been read: for each path its mode and the mark of its content, and all folders."""

    out: IO[bytes]
    marks: int = 0
    files: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    folders: set[bytes] = field(default_factory=set)

    def content(self, path: bytes, mode: int, size: int, source: ForwardStream) -> None:
        """Write a content of `size` bytes, and note it for `path`."""
        self._begin(path, mode, size)
        while size:
            piece = source.content(min(size, _CHUNK))
            self.out.write(piece)
            size -= len(piece)
        self.out.write(b"\n")

    def link(self, path: bytes, target: bytes) -> None:
        """Note a symlink."""
        self._begin(path, SYMLINK, len(target))
        self.out.write(target + b"\n")

    def add(self, path: bytes, file: Path) -> None:
        """Put a file of the host at `path`."""
        for other in [each for each in self.files if each.startswith(path + b"/") or each in parents(path)]:
            del self.files[other]
        if file.is_symlink():
            self.link(path, os.fsencode(file.readlink()))
            return
        data = file.read_bytes()
        self._begin(path, EXECUTABLE if file.stat().st_mode & 0o100 else REGULAR, len(data))
        self.out.write(data + b"\n")

    def _begin(self, path: bytes, mode: int, size: int) -> None:
        self.marks += 1
        self.files[path] = (mode, self.marks)
        self.out.write(b"blob\nmark :%d\ndata %d\n" % (self.marks, size))


def import_workspace(
    pieces: Iterator[bytes] | None,
    root: bytes,
    repository: Path,
    message: str,
    more: Mapping[str, Path] | None = None,
) -> tuple[str, ...]:
    """Make `repository` a git repository with one commit of the tar stream `pieces`, its members named `root/...`.
    Without a stream, the commit is empty.

    `more` are files of the host on top, by path; they take the place of what is in their way. Returns the folders
    that hold no file, which git does not keep. Blocking. Raises UsageProblem.
    """
    repository.mkdir(parents=True)
    feed = repository.with_suffix(".import")
    try:
        run_git("init", "--quiet", "--template=", "--initial-branch=main", ".", cwd=repository)
        (repository / ".git" / "info").mkdir()
        (repository / ".git" / "info" / "attributes").write_text(_UNCONVERTED)
        with feed.open("wb+") as out:
            reading = _Reading(out)
            if pieces is not None:
                _read(pieces, root, reading)
            for path, file in (more or {}).items():
                reading.add(path.encode("utf-8", "surrogateescape"), file)
            _commit(reading, message)
            out.seek(0)
            run_git("fast-import", "--quiet", "--date-format=raw", cwd=repository, source=out)
        run_git("reset", "--quiet", "--hard", _BRANCH, cwd=repository)
    except (PatchProblem, GitFailed, tarfile.TarError, OSError, ValueError) as error:
        raise UsageProblem(f"{shown(root)} of the task's image cannot be made its workspace: {error}") from error
    finally:
        feed.unlink(missing_ok=True)
    return tuple(sorted(path.decode("utf-8", "surrogateescape") for path in _empty(reading)))


def _read(pieces: Iterator[bytes], root: bytes, reading: _Reading) -> None:
    source = ForwardStream(lambda: next(pieces, None), MAX_BYTES)
    source.allow_header()
    with tarfile.open(fileobj=source, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
        entries = 0
        while (member := tar.next()) is not None:
            forget(tar)
            entries += 1
            if entries > MAX_ENTRIES:
                raise PatchProblem(f"it holds more than {MAX_ENTRIES} entries")
            name = member.name.encode("utf-8", "surrogateescape")
            if name == root and not member.isdir():
                raise PatchProblem("it is no folder")
            below = root + b"/" if root else b""
            if name.startswith(below):
                _member(member, name[len(below) :], below, reading, source)
            source.allow_header()


def _member(member: tarfile.TarInfo, path: bytes, below: bytes, reading: _Reading, source: ForwardStream) -> None:
    if len(path) > MAX_PATH or unusable(path) or member.size < 0 or member.issparse():
        raise PatchProblem(f"{shown(path[:80])} has a name or a size that cannot be taken")
    if is_git_own(path) or path.endswith(JUNK_SUFFIXES):
        return
    target = member.linkname.encode("utf-8", "surrogateescape")
    if member.isdir():
        reading.folders.add(path)
    elif member.issym():
        reading.link(path, target)
    elif member.islnk():
        if target.startswith(below) and target[len(below) :] in reading.files:
            reading.files[path] = reading.files[target[len(below) :]]
    elif member.isreg():
        reading.content(path, EXECUTABLE if member.mode & 0o100 else REGULAR, member.size, source)


def _commit(reading: _Reading, message: str) -> None:
    out, words = reading.out, message.encode()
    who = b"Task <task@localhost> 1577836800 +0000"
    out.write(b"commit %b\nauthor %b\ncommitter %b\n" % (_BRANCH.encode(), who, who))
    out.write(b"data %d\n%b\n" % (len(words), words))
    for path, (mode, mark) in sorted(reading.files.items()):
        out.write(b"M %o :%d %b\n" % (mode, mark, _quoted(path)))
    out.write(b"\n")


def _quoted(path: bytes) -> bytes:
    """A path as fast-import reads it: in quotes, everything but plain characters as octal numbers."""
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+ "
    return b'"' + b"".join(bytes([c]) if c in plain else b"\\%03o" % c for c in path) + b'"'


def _empty(reading: _Reading) -> set[bytes]:
    """Folders without a file at any depth, those above others of them left out."""
    filled = {above for path in reading.files for above in parents(path)}
    empty = reading.folders - filled
    return empty - {above for path in empty for above in parents(path)}
