"""Trees as data: the files that were taken in, and what differs from them now.

The manifest of what was taken in (`Base`) is kept as JSON, so that a later process can go on.

Paths are bytes everywhere; in the JSON form they are percent-quoted, since a file's name need not be text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from agent.repository.names import parents, quoted, unquoted

REGULAR = 0o100644
EXECUTABLE = 0o100755
SYMLINK = 0o120000
GITLINK = 0o160000


def _path(value: Any) -> Any:
    return unquoted(value) if isinstance(value, str) else value


RawPath = Annotated[bytes, BeforeValidator(_path), PlainSerializer(quoted, return_type=str, when_used="json")]
"""A path relative to the repository's root: any bytes but NUL, `/` between components."""


class Entry(BaseModel):
    """One file as it was taken in.

    `mode` is git's (REGULAR, EXECUTABLE, SYMLINK); `size` is in bytes; `sha256` is over the content (for a
    symlink, its target), as hex. `blob` is the object this content has in the repository: `stored` when git
    has it already (it may then be the cleaned form of a filtered file), else the hash of the bytes as they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: int
    sha256: str
    size: int
    blob: str
    stored: bool


class Base(BaseModel):
    """Everything delivery and resume need to know about the tree that was taken in.

    `kept` are paths of HEAD that were not taken in (submodules, sparse and unreadable files) and stay as HEAD
    has them; `submodules` are those of them that are gitlinks. `dirty` says that the files differ from HEAD.
    `time` is HEAD's committer date in seconds, which every file in the archive carries. `notes` are sentences
    for the user.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: str
    branch: str | None
    object_format: str
    time: int
    dirty: bool
    files: dict[RawPath, Entry]
    kept: tuple[RawPath, ...] = ()
    submodules: tuple[RawPath, ...] = ()
    notes: tuple[str, ...] = ()

    def folders(self) -> set[bytes]:
        """Every folder that holds a file, at any depth."""
        return {folder for path in self.files for folder in parents(path)}

    def text_paths(self) -> list[str]:
        """The paths that are UTF-8 text, in order."""
        return sorted(path.decode() for path in self.files if _is_text(path))


def _is_text(path: bytes) -> bool:
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


Kind = Literal["added", "modified", "deleted", "mode", "type"]


@dataclass(frozen=True, slots=True)
class File:
    """A file as the agent left it: git's mode, the hash of its content (a symlink's target), its size in bytes."""

    mode: int
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Change:
    """One path that is not as it was. `old` is None for an added file, `new` for a deleted one.

    `type` is a file that became a symlink or the other way round; `mode` is a changed executable bit and no more.
    """

    path: bytes
    kind: Kind
    old: Entry | None
    new: File | None


@dataclass(frozen=True, slots=True)
class Changes:
    """All changes, sorted by path, and what was left out, as sentences. False when there are none.

    `spool` holds every old and new content of a changed path, as a file named by its SHA-256.
    """

    base: Base
    changes: tuple[Change, ...]
    spool: Path
    skipped: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    def content(self, side: File | Entry) -> Path:
        """The file with the content of one side of a change."""
        return self.spool / side.sha256
