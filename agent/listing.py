"""What two saved states of a workspace differ in.

Threat model: as in agent/repository/taking.py. The archives are the agent's: nothing is unpacked, nothing is kept
but names, kinds and hashes, every quantity has a limit, and one that is damaged or cut short is refused whole.
"""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agent.repository.archive import forget
from agent.repository.names import is_git_own, shown
from agent.repository.stream import ForwardStream, PatchProblem
from agent.repository.taking import PatchLimits

CHUNK = 1 << 18
LIMITS = PatchLimits(stream_bytes=16 << 30, entries=500_000)


class Seen(NamedTuple):
    """One file: its kind (`file`, `link`, `other`), if it can be run, the hash of its content or target."""

    kind: str
    executable: bool
    digest: bytes


@dataclass(frozen=True, slots=True)
class Difference:
    """The paths that a step from one state to another adds, changes and removes, fit to be shown.

    Folders, and what git keeps for itself, are not among them.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def difference(old: dict[bytes, Seen], new: dict[bytes, Seen]) -> Difference:
    """What going from `old` to `new` does."""
    return Difference(
        added=tuple(shown(path) for path in sorted(new.keys() - old.keys())),
        changed=tuple(shown(path) for path in sorted(old.keys() & new.keys()) if old[path] != new[path]),
        removed=tuple(shown(path) for path in sorted(old.keys() - new.keys())),
    )


def files_of(archive: Path, root: bytes = b"workspace", limits: PatchLimits = LIMITS) -> dict[bytes, Seen]:
    """The files of a saved workspace, its members named `root/...`. Blocks. Raises PatchProblem, OSError."""
    found: dict[bytes, Seen] = {}
    entries = 0
    with archive.open("rb") as file:
        source = ForwardStream(lambda: file.read(CHUNK) or None, limits.stream_bytes)
        source.allow_header()
        try:
            with tarfile.open(fileobj=source, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
                while (member := tar.next()) is not None:
                    forget(tar)
                    entries += 1
                    name = member.name.encode("utf-8", "surrogateescape")
                    if entries > limits.entries or len(name) > limits.path_bytes or member.issparse():
                        raise PatchProblem(
                            "the saved workspace holds more, or stranger, files than can be compared"
                        )
                    path = name[len(root) + 1 :] if name.startswith(root + b"/") else b""
                    if path and not member.isdir() and not is_git_own(path):
                        found[path] = _seen(source, member, found, root)
                    source.allow_header()
        except (tarfile.TarError, UnicodeError, RecursionError, ValueError, OverflowError) as error:
            raise PatchProblem(f"the saved workspace is damaged: {error}") from error
        if not source.ended_well():
            raise PatchProblem("the saved workspace is damaged or cut short: its archive has no proper end")
    return found


def _seen(source: ForwardStream, member: tarfile.TarInfo, found: dict[bytes, Seen], root: bytes) -> Seen:
    target = member.linkname.encode("utf-8", "surrogateescape")
    if member.islnk():  # a second name of a file seen earlier
        other = Seen("other", False, hashlib.sha256(target).digest())
        return found.get(target[len(root) + 1 :], other)
    if member.issym():
        return Seen("link", False, hashlib.sha256(target).digest())
    if not member.isreg():
        return Seen("other", False, b"")
    running, left = hashlib.sha256(), member.size
    while left > 0:
        piece = source.content(min(CHUNK, left))
        running.update(piece)
        left -= len(piece)
    return Seen("file", bool(member.mode & 0o100), running.digest())
