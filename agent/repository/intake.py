"""Taking the user's working tree in: as it is, bytes as they lie, without touching anything of it.

Taken: tracked files with their uncommitted changes, and untracked files that are not ignored. Not taken, and
told: submodules, nested repositories, devices, sockets, FIFOs, files that cannot be read.

Threat model: names and contents are whatever a clone brought. No filter runs, symlinks are copied and never
followed, and the index is read from a copy, so that not even git's own bookkeeping writes to the user's.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from agent.outcomes import UsageProblem
from agent.repository.archive import TreeWriter
from agent.repository.base import EXECUTABLE, GITLINK, REGULAR, SYMLINK, Base, Entry
from agent.repository.names import is_git_own, parents, shown
from agent.repository.plumbing import GitFailed, run_git, split
from agent.repository.source import Repository
from agent.repository.tracked import Tracked, list_tracked, list_tree, unconverted

MAX_BYTES = 2 << 30
MAX_FILES = 500_000
_CHUNK = 1 << 20
_IN_MEMORY = 8 << 20
_TRIES = 3
_GITS_NAME = "has a name that git keeps for itself"


@dataclass(slots=True)
class _Taken:
    """What is gathered on the way."""

    files: dict[bytes, Entry] = field(default_factory=dict)
    kept: list[bytes] = field(default_factory=list)
    submodules: list[bytes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def leave(self, path: bytes, why: str) -> None:
        """Leave `path` out; what HEAD has there stays."""
        self.kept.append(path)
        self.notes.append(f"{shown(path)} {why} and was not taken in")


class _Found(NamedTuple):
    mode: int
    size: int


def take_in(
    repo: Repository,
    archive: Path,
    *,
    uid: int,
    gid: int,
    max_bytes: int = MAX_BYTES,
    max_files: int = MAX_FILES,
) -> Base:
    """Write the working tree to the tar `archive`, its files owned by `uid`:`gid`, and return its manifest.

    Blocking. Raises UsageProblem when the files are more than `max_files` or larger than `max_bytes` together.
    """
    taken = _Taken(notes=list(repo.notes))
    try:
        tracked = list_tracked(repo)
        untracked = _untracked(repo, taken)
        time = _commit_time(repo)
        trust_mode = _flag(repo, "core.fileMode", default=True)
        found = _survey(repo, tracked, untracked, taken)
        _check_size(found, max_bytes, max_files)
        with TreeWriter(archive, uid=uid, gid=gid, time=time) as tar:
            for path in sorted([*found, *taken.submodules]):
                if path not in found:
                    tar.folder(path)
                    continue
                known = tracked.get(path)
                fixed = known.mode if known and known.oid and not trust_mode else None
                _add(repo, path, fixed, tar, taken)
        _recognise(repo, tracked, taken)
        dirty = _differs(taken, list_tree(repo, repo.head))
    except GitFailed as error:
        raise UsageProblem(f"the repository {repo.root} cannot be read: {error}") from error
    return Base(
        head=repo.head,
        branch=repo.branch,
        object_format=repo.object_format,
        time=time,
        dirty=dirty,
        files=taken.files,
        kept=tuple(sorted(taken.kept)),
        submodules=tuple(sorted(taken.submodules)),
        notes=tuple(taken.notes),
    )


def _untracked(repo: Repository, taken: _Taken) -> list[bytes]:
    """Files git neither tracks nor ignores; a nested repository is listed as a folder, and is not taken."""
    paths = []
    for path in split(run_git("ls-files", "-z", "--others", "--exclude-standard", cwd=repo.root)):
        if path.endswith(b"/"):
            taken.leave(path.rstrip(b"/"), "is a repository of its own")
        elif is_git_own(path):
            taken.leave(path, _GITS_NAME)
        else:
            paths.append(path)
    return paths


def _commit_time(repo: Repository) -> int:
    """HEAD's committer date in seconds since the epoch."""
    header, _, _ = run_git("cat-file", "commit", repo.head, cwd=repo.root).partition(b"\n\n")
    line = next(line for line in header.split(b"\n") if line.startswith(b"committer "))
    return int(line.split(b" ")[-2])


def _flag(repo: Repository, key: str, *, default: bool) -> bool:
    try:
        return run_git("config", "--type=bool", "--get", key, cwd=repo.root).strip() == b"true"
    except GitFailed:
        return default


def _survey(
    repo: Repository, tracked: dict[bytes, Tracked], untracked: Iterable[bytes], taken: _Taken
) -> dict[bytes, _Found]:
    """The files that are there to be taken, with their sizes; what cannot be is noted."""
    found: dict[bytes, _Found] = {}
    real: dict[bytes, bool] = {b"": True}
    sparse: list[bytes] = []
    for path, known in tracked.items():
        if known.mode == GITLINK:
            taken.leave(path, "is a submodule")
            taken.submodules.append(path)
            continue
        if is_git_own(path):  # made where git did not yet refuse it
            taken.leave(path, _GITS_NAME)
            continue
        there = _look(repo, path, real, taken)
        if there is not None:
            found[path] = there
        elif known.sparse:
            sparse.append(path)
    for path in untracked:
        there = _look(repo, path, real, taken)
        if there is not None:
            found[path] = there
    if sparse:
        taken.kept += sparse
        taken.notes.append(f"{len(sparse)} files that the sparse checkout leaves out were not taken in")
    _drop_conflicts(found, taken)
    return found


def _look(repo: Repository, path: bytes, real: dict[bytes, bool], taken: _Taken) -> _Found | None:
    """Mode and size of `path` if it is a file or symlink, reached through real folders only."""
    root = os.fsencode(repo.root)
    for folder in parents(path):
        if folder not in real:
            real[folder] = _is_folder(_join(root, folder))
        if not real[folder]:
            return None
    try:
        status = os.lstat(_join(root, path))
    except FileNotFoundError:
        return None
    except OSError as error:
        taken.leave(path, f"cannot be read ({error.strerror})")
        return None
    if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
        return _Found(status.st_mode, status.st_size)
    if not stat.S_ISDIR(status.st_mode):
        taken.leave(path, "is no regular file (device, FIFO or socket)")
    return None


def _join(root: bytes, path: bytes) -> bytes:
    return os.path.join(root, path)  # noqa: PTH118 -- a Path cannot hold bytes


def _is_folder(path: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _drop_conflicts(found: dict[bytes, _Found], taken: _Taken) -> None:
    """Nothing may be taken in at or below a place that is left out, nor left out below a file taken in."""
    taken.kept = [path for path in taken.kept if not any(folder in found for folder in parents(path))]
    kept = set(taken.kept)
    taken.submodules = [path for path in taken.submodules if path in kept]
    for path in [path for path in found if path in kept or any(folder in kept for folder in parents(path))]:
        del found[path]
        taken.notes.append(f"{shown(path)} lies where something was left out, and was left out too")


def _check_size(found: dict[bytes, _Found], max_bytes: int, max_files: int) -> None:
    if len(found) > max_files:
        raise UsageProblem(
            f"the repository has {len(found)} files and Bridle takes in at most {max_files}:"
            " add what is not needed to .gitignore"
        )
    total = sum(each.size for each in found.values())
    if total > max_bytes:
        biggest = sorted(found, key=lambda path: found[path].size, reverse=True)[:3]
        names = ", ".join(f"{shown(path)} ({found[path].size >> 20} MiB)" for path in biggest)
        raise UsageProblem(
            f"the working tree holds {total >> 20} MiB and Bridle takes in at most {max_bytes >> 20} MiB:"
            f" add what is not needed to .gitignore; the biggest are {names}"
        )


def _add(repo: Repository, path: bytes, fixed: int | None, tar: TreeWriter, taken: _Taken) -> None:
    """Copy one file into the archive and the manifest, at one moment of its content."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as copy:
        try:
            mode, stable = _copy(_join(os.fsencode(repo.root), path), copy)
        except FileNotFoundError:
            return
        except OSError as error:
            taken.leave(path, f"cannot be read ({error.strerror})")
            return
        if not stable:
            taken.notes.append(f"{shown(path)} kept changing while it was read; it was taken in as last seen")
        size = copy.tell()
        mode = fixed if fixed is not None and mode != SYMLINK and fixed != SYMLINK else mode
        content = hashlib.sha256()
        blob = hashlib.new(repo.object_format, b"blob %d\0" % size, usedforsecurity=False)
        copy.seek(0)
        while chunk := copy.read(_CHUNK):
            content.update(chunk)
            blob.update(chunk)
        copy.seek(0)
        tar.file(path, mode, size, copy)
    taken.files[path] = Entry(
        mode=mode, sha256=content.hexdigest(), size=size, blob=blob.hexdigest(), stored=False
    )


def _copy(path: bytes, copy: tempfile.SpooledTemporaryFile[bytes]) -> tuple[int, bool]:
    """Copy a file or a symlink's target; the mode, and whether it stood still meanwhile."""
    for _ in range(_TRIES):
        copy.seek(0)
        copy.truncate()
        if stat.S_ISLNK(os.lstat(path).st_mode):
            copy.write(os.readlink(path))  # noqa: PTH115 -- a Path cannot hold bytes
            return SYMLINK, True
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise FileNotFoundError
            _pour(file, copy, MAX_BYTES)
            after = os.fstat(descriptor)
        mode = EXECUTABLE if after.st_mode & stat.S_IXUSR else REGULAR
        if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, copy.tell()):
            return mode, True
    return mode, False


def _pour(file: io.FileIO, copy: tempfile.SpooledTemporaryFile[bytes], limit: int) -> None:
    """Copy at most `limit` bytes: a log being written must not be read forever."""
    while limit > 0 and (chunk := file.read(min(_CHUNK, limit))):
        copy.write(chunk)
        limit -= len(chunk)


def _recognise(repo: Repository, tracked: dict[bytes, Tracked], taken: _Taken) -> None:
    """Give every file that git holds already the object it has there, converted ones included."""
    unlike = []
    for path, entry in taken.files.items():
        known = tracked.get(path)
        if known is None or not known.oid:
            continue
        if entry.blob == known.oid:
            taken.files[path] = entry.model_copy(update={"stored": True})
        elif SYMLINK not in {known.mode, entry.mode}:
            unlike.append(path)
    for path in unconverted(repo, unlike, tracked):
        taken.files[path] = taken.files[path].model_copy(update={"stored": True, "blob": tracked[path].oid})


def _differs(taken: _Taken, head: dict[bytes, Tracked]) -> bool:
    kept = set(taken.kept)
    then = {path: (each.mode, each.oid) for path, each in head.items() if path not in kept}
    return then != {path: (each.mode, each.blob) for path, each in taken.files.items()}
