"""Names of files: which are git's own, which are junk that tools leave, and how to show any of them.

Threat model: a name is any bytes the agent liked. It may spell `.git` in a way only some file system reads as
`.git`, and it may hold terminal escapes or text that runs backwards.
"""

from __future__ import annotations

import posixpath
import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

# Code points that HFS+ ignores when it compares names.
_IGNORED_BY_HFS = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF], None
)
_DOT_GIT = re.compile(r"\.git|git~\d+")
_DOT_GITMODULES = re.compile(r"\.gitmodules|gitmod~\d+|gi7eba~\d+")

JUNK_FOLDERS = frozenset(
    {
        b"__pycache__",
        b".pytest_cache",
        b".hypothesis",
        b".mypy_cache",
        b".ruff_cache",
        b".tox",
        b".nox",
        b".venv",
        b".eggs",
        b"node_modules",
    }
)
JUNK_SUFFIXES = (b".pyc", b".pyo")
JUNK_FILES = frozenset({b".coverage", b".DS_Store"})


def shown(path: bytes) -> str:
    """`path` for a person's eyes: nothing in it can move the cursor or turn the text around."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def quoted(path: bytes) -> str:
    """`path` as ASCII text that `unquoted` turns back, whatever bytes it holds."""
    return quote_from_bytes(path, safe="/ !#$&'()+,:;=@[]{}^~")


def unquoted(text: str) -> bytes:
    """The inverse of `quoted`."""
    return unquote_to_bytes(text)


def folded(path: bytes) -> str:
    """`path` as the most forgiving file system would read it: for comparing only."""
    return "/".join(_folded(path))


def is_git_own(path: bytes) -> bool:
    """Whether any component of `path` is `.git` to some file system (case, HFS+, NTFS short names, streams)."""
    return any(_DOT_GIT.fullmatch(name) for name in _folded(path))


def is_gitmodules(path: bytes) -> bool:
    """Whether the last component is `.gitmodules` to some file system; git refuses it as a symlink."""
    return any(_DOT_GITMODULES.fullmatch(name) for name in _folded(path.rpartition(b"/")[2]))


def _folded(path: bytes) -> list[str]:
    text = path.decode("utf-8", "ignore").translate(_IGNORED_BY_HFS).casefold()
    return [name.split(":")[0].rstrip(" .") for name in re.split(r"[/\\]", text)]


def unusable(path: bytes) -> str:
    """Why `path` cannot be a file of the repository, or nothing when it can."""
    if not path or b"\0" in path:
        return "empty name or NUL in it"
    if path.startswith(b"/") or any(part in {b"", b".", b".."} for part in path.split(b"/")):
        return "absolute, or with empty, . or .. components"
    return ""


def parents(path: bytes) -> list[bytes]:
    """The folders above `path`, outermost first: `a/b/c` gives `a`, `a/b`."""
    parts = path.split(b"/")
    return [b"/".join(parts[:end]) for end in range(1, len(parts))]


def is_junk(path: bytes, known_folders: frozenset[bytes] | set[bytes]) -> bool:
    """Whether a new `path` is something tools leave behind. Folders the repository has are never junk."""
    name = path.rpartition(b"/")[2]
    if name.endswith(JUNK_SUFFIXES) or name in JUNK_FILES:
        return True
    return any(
        folder.rpartition(b"/")[2] in JUNK_FOLDERS and folder not in known_folders for folder in parents(path)
    )


def link_danger(path: bytes, target: bytes) -> str:
    """Why the symlink `path` → `target` needs a person's eye, or nothing.

    Lexical: a `..` after another component counts as leaving, since that component may be a symlink too.
    """
    if target.startswith(b"/"):
        return "symlink to an absolute path"
    parts = [part for part in target.split(b"/") if part not in {b"", b"."}]
    climbs = next((at for at, part in enumerate(parts) if part != b".."), len(parts))
    if climbs > path.count(b"/") or b".." in parts[climbs:]:
        return "symlink out of the repository"
    if is_git_own(posixpath.normpath(posixpath.join(posixpath.dirname(path), target))):
        return "symlink into .git"
    return ""
