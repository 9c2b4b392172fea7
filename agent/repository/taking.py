"""Reading what the engine hands out, and comparing it with the files that were taken in.

Threat model: the stream is the agent's from the first byte to the last. Nothing of it is ever unpacked: names are
only compared, contents go to files named by their own hash, links are data, and every quantity has a limit. A
stream that is damaged, cut short or contradicts itself is refused whole, since a file missing from it would
read as a deletion. `.git`, in any spelling, never comes back.

Several members of one name: the last wins, as it would for an extractor.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agent.repository.archive import forget, read_archive
from agent.repository.base import EXECUTABLE, REGULAR, SYMLINK, Base, Change, Changes, Entry, File
from agent.repository.names import is_git_own, is_gitmodules, is_junk, parents, shown, unusable
from agent.repository.stream import ForwardStream, PatchProblem

_CHUNK = 1 << 18
_SMALL = 1 << 20


@dataclass(frozen=True, slots=True)
class PatchLimits:
    """What a workspace may hand back. Bytes, except where said.

    `stream_bytes` counts everything, ignored files too; `file_bytes` and `changed_bytes` count new and changed
    files, one and all together; `entries` are members of the stream; `depth` is components of a path.
    """

    stream_bytes: int = 64 << 30
    file_bytes: int = 100 << 20
    changed_bytes: int = 256 << 20
    entries: int = 2_000_000
    path_bytes: int = 4096
    name_bytes: int = 255
    depth: int = 128


@dataclass(slots=True)
class _Count:
    """How many paths were left out for one reason, and the first few of them."""

    number: int = 0
    examples: list[bytes] = field(default_factory=list)


@dataclass
class Taking:
    """The state of reading one stream."""

    base: Base
    ignored: Callable[[bytes], bool]
    spool: Path
    limits: PatchLimits
    found: dict[bytes, File] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    counted: dict[str, _Count] = field(default_factory=dict)
    entries: int = 0
    spooled: int = 0

    def __post_init__(self) -> None:
        self.folders = self.base.folders()
        self.kept = frozenset(self.base.kept)

    def skip(self, path: bytes, why: str) -> None:
        """Leave `path` out, and say so by name."""
        if len(self.skipped) < 100:
            self.skipped.append(f"{shown(path)[:300]} was left out: {why}")
        else:
            self.count("for other reasons", path)

    def count(self, what: str, path: bytes) -> None:
        """Leave `path` out, and say so as one of many: the count, and the first few."""
        count = self.counted.setdefault(what, _Count())
        count.number += 1
        if len(count.examples) < 3:
            count.examples.append(path)


def read_changes(source: ForwardStream, taking: Taking, base_archive: Path, root: bytes) -> Changes:
    """Read the tar of the workspace, its members named `root/...`, and compare it with the base. Blocking."""
    rooted = False
    try:
        source.allow_header()
        with tarfile.open(fileobj=source, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
            while (member := tar.next()) is not None:
                forget(tar)
                name = _raw(member.name)
                if name == root and member.isdir():
                    rooted = True
                elif name.startswith(root + b"/"):
                    _member(source, taking, member, name[len(root) + 1 :], root)
                else:
                    taking.skip(name, "it is not in the workspace")
                source.allow_header()
    except (tarfile.TarError, UnicodeError, RecursionError, ValueError, OverflowError) as error:
        raise PatchProblem(f"the workspace came back damaged: {error}") from error
    if not source.ended_well():
        raise PatchProblem("the workspace came back damaged or cut short: the archive has no proper end")
    if not rooted:
        raise PatchProblem(f"what came back does not hold the folder {shown(root)}")
    return _compare(taking, base_archive)


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _member(source: ForwardStream, taking: Taking, member: tarfile.TarInfo, path: bytes, root: bytes) -> None:
    """Look at one member: note the file it holds, or why it is left out."""
    _check(taking, path, member)
    if why := unusable(path):
        taking.skip(path, why)
        return
    if is_git_own(path):
        if not path.startswith(b".git/") and path != b".git":
            taking.count("because git keeps its own things there", path)
        return
    taking.found.pop(path, None)
    if member.isdir():
        return
    if any(place in taking.kept for place in (*parents(path), path)):
        taking.skip(path, "it lies where something of the repository was not taken in")
        return
    if path not in taking.base.files and _left_out(taking, path):
        return
    if member.issym():
        _symlink(taking, path, _raw(member.linkname))
    elif member.islnk():
        _hard_link(taking, path, _raw(member.linkname), root)
    elif member.isreg():
        sha256 = _content(source, taking, path, member.size)
        mode = EXECUTABLE if member.mode & 0o100 else REGULAR
        taking.found[path] = File(mode, sha256, member.size)
    else:
        taking.skip(path, "it is no regular file (device, FIFO or unknown)")


def _check(taking: Taking, path: bytes, member: tarfile.TarInfo) -> None:
    limits = taking.limits
    taking.entries += 1
    if taking.entries > limits.entries:
        raise PatchProblem(f"the workspace holds more than {limits.entries} entries")
    if len(path) > limits.path_bytes:
        raise PatchProblem(f"a path is longer than {limits.path_bytes} bytes: {shown(path[:80])}...")
    parts = path.split(b"/")
    if len(parts) > limits.depth:
        raise PatchProblem(f"a path is deeper than {limits.depth} folders: {shown(path[:80])}...")
    if max(map(len, parts)) > limits.name_bytes:
        raise PatchProblem(f"a name is longer than {limits.name_bytes} bytes: {shown(path[:80])}...")
    if member.size < 0 or member.issparse():
        raise PatchProblem(f"the workspace came back damaged: {shown(path[:80])} has no plain size")


def _left_out(taking: Taking, path: bytes) -> bool:
    """Whether a new path is junk or ignored, which is counted rather than listed."""
    if is_junk(path, taking.folders):
        taking.count("as what tools leave behind", path)
        return True
    if taking.ignored(path):
        taking.count("as the repository ignores them", path)
        return True
    return False


def _symlink(taking: Taking, path: bytes, target: bytes) -> None:
    if not target or b"\0" in target or len(target) > taking.limits.path_bytes:
        taking.skip(path, "it is a symlink with an impossible target")
        return
    if is_gitmodules(path):
        taking.skip(path, "git allows no symlink of that name")
        return
    sha256 = hashlib.sha256(target).hexdigest()
    old = taking.base.files.get(path)
    if old is None or old.sha256 != sha256:
        _keep(taking, path, sha256, target)
    taking.found[path] = File(SYMLINK, sha256, len(target))


def _hard_link(taking: Taking, path: bytes, name: bytes, root: bytes) -> None:
    """A second name of a file seen earlier: the same content under its own path."""
    target = taking.found.get(name[len(root) + 1 :]) if name.startswith(root + b"/") else None
    if target is not None and target.mode != SYMLINK:
        taking.found[path] = target
        return
    if path in taking.base.files:
        raise PatchProblem(
            f"{shown(path)} is a hard link to {shown(name)}, which is left out, so its content is not known:"
            " make it a file of its own"
        )
    taking.skip(path, f"it is a hard link to {shown(name)}, which is left out")


def _content(source: ForwardStream, taking: Taking, path: bytes, size: int) -> str:
    """Hash a content, and keep it in the spool unless it is what the base has there."""
    old = taking.base.files.get(path)
    if size > taking.limits.file_bytes and (old is None or old.size != size):
        raise _too_large(taking, path)
    if size <= _SMALL:
        data = source.content(size)
        sha256 = hashlib.sha256(data).hexdigest()
        if old is None or old.sha256 != sha256:
            _keep(taking, path, sha256, data)
        return sha256
    running, left, partial = hashlib.sha256(), size, taking.spool / "partial"
    with partial.open("wb") as file:
        while left:
            chunk = source.content(min(_CHUNK, left))
            running.update(chunk)
            file.write(chunk)
            left -= len(chunk)
    sha256 = running.hexdigest()
    if old is not None and old.sha256 == sha256:
        partial.unlink()
        return sha256
    if size > taking.limits.file_bytes:
        partial.unlink()
        raise _too_large(taking, path)
    partial.replace(taking.spool / sha256)
    _spend(taking, size)
    return sha256


def _too_large(taking: Taking, path: bytes) -> PatchProblem:
    return PatchProblem(
        f"{shown(path)} is new or changed and larger than {taking.limits.file_bytes >> 20} MiB:"
        " remove it, or have .gitignore name it"
    )


def _keep(taking: Taking, path: bytes, sha256: str, data: bytes) -> None:
    _spend(taking, len(data))
    place = taking.spool / sha256
    if not place.exists():
        place.write_bytes(data)


def _spend(taking: Taking, size: int) -> None:
    taking.spooled += size
    if taking.spooled > taking.limits.changed_bytes:
        raise PatchProblem(f"the changed files are more than {taking.limits.changed_bytes >> 20} MiB together")


def _compare(taking: Taking, base_archive: Path) -> Changes:
    base, found = taking.base, taking.found
    above_kept = {folder for path in base.kept for folder in parents(path)}
    for path in sorted(found):
        if any(folder in found for folder in parents(path)):
            raise PatchProblem(f"the workspace came back damaged: {shown(path)} lies below a file")
        if path in above_kept:
            taking.skip(path, "it lies where something of the repository was not taken in")
            del found[path]
    changes = [
        change
        for path in sorted({*base.files, *found})
        if (change := _change(path, base.files.get(path), found.get(path))) is not None
    ]
    _spool_old(taking, changes, base_archive)
    for what, count in taking.counted.items():
        examples = ", ".join(shown(path)[:80] for path in count.examples)
        more = ", ..." if count.number > len(count.examples) else ""
        taking.skipped.append(f"{count.number} left out {what}: {examples}{more}")
    return Changes(base, tuple(changes), taking.spool, tuple(taking.skipped))


def _change(path: bytes, old: Entry | None, new: File | None) -> Change | None:
    if new is None:
        return Change(path, "deleted", old, None)
    if old is None:
        return Change(path, "added", None, new)
    if (old.mode == SYMLINK) != (new.mode == SYMLINK):
        return Change(path, "type", old, new)
    if old.sha256 != new.sha256:
        return Change(path, "modified", old, new)
    return Change(path, "mode", old, new) if old.mode != new.mode else None


def _spool_old(taking: Taking, changes: list[Change], base_archive: Path) -> None:
    """Put the old contents beside the new ones, and those new ones that are the base's under another name."""
    sides = [side for change in changes for side in (change.old, change.new) if side is not None]
    missing = {side.sha256 for side in sides if not (taking.spool / side.sha256).exists()}
    if not missing:
        return
    for path, content in read_archive(base_archive):
        entry = taking.base.files[path]
        if entry.sha256 in missing:
            with (taking.spool / "partial").open("wb") as file:
                while chunk := content.read(_CHUNK):
                    file.write(chunk)
            (taking.spool / "partial").replace(taking.spool / entry.sha256)
            missing.remove(entry.sha256)
    if missing:
        raise PatchProblem(f"{base_archive} no longer holds the files that were taken in")
