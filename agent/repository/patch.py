"""The changes as a patch for people and for `git apply`, and as a whole tree for checking afresh.

Threat model: the agent wrote the contents, the names and any `.gitattributes` among them. The patch is made by
git in a throw-away bare repository of our own that has no configuration, no attributes, no HEAD and no working
tree, from objects we wrote ourselves; so nothing the agent wrote is read as anything but content.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from agent.repository.archive import TreeWriter, read_archive
from agent.repository.base import Changes, File
from agent.repository.names import parents
from agent.repository.plumbing import GitFailed, run_git, split
from agent.repository.stream import PatchProblem
from agent.scratch import scratch_folder


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch file, and how many files, added lines and removed lines it has (binary files have no lines)."""

    path: Path
    files: int
    added: int
    removed: int


def write_patch(changes: Changes, target: Path) -> Patch:
    """Write the changes to `target` as a patch in git's format; it applies to the tree taken in. Blocking.

    Its bytes are the agent's: show them only with control characters made visible. Raises PatchProblem when
    git cannot make it.
    """
    if not changes:
        target.write_bytes(b"")
        return Patch(target, 0, 0, 0)
    paths = {each.path for each in changes.changes}
    # `git apply` refuses a rename from a symlink to a path below it, so where files and folders swap, no renames.
    swapped = any(folder in paths for path in paths for folder in parents(path))
    renames = "--no-renames" if swapped else "-M"
    diff = ("diff-tree", "-r", "--no-ext-diff", "--no-textconv", "--no-color")
    shape = ("-p", "--binary", "--full-index", "--src-prefix=a/", "--dst-prefix=b/")
    partial = target.with_name(target.name + ".partial")
    try:
        with scratch_folder() as folder, partial.open("wb") as file:
            scratch = _Scratch(folder, changes)
            old, new = scratch.trees()
            scratch.git(*diff, *shape, renames, old, new, to=file)
            added, removed = _counts(scratch.git(*diff, "--numstat", "--no-renames", "-z", old, new))
        partial.replace(target)
    except GitFailed as error:
        raise PatchProblem(f"the patch cannot be made: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return Patch(target, len(changes.changes), added, removed)


class _Scratch:
    """The throw-away repository: it holds the changed files only, before and after."""

    def __init__(self, folder: Path, changes: Changes) -> None:
        self._repository = folder / "scratch.git"
        self._folder = folder
        self._changes = changes
        self._env = {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_INDEX_FILE": str(folder / "index"),
        }
        kind = f"--object-format={changes.base.object_format}"
        run_git("init", "-q", "--bare", "--template=", kind, str(self._repository), cwd=folder, env=self._env)

    def git(self, *args: str, stdin: bytes = b"", to: IO[bytes] | None = None) -> bytes:
        """Run git in the scratch repository."""
        place = (f"--git-dir={self._repository}", "-c", f"core.attributesFile={os.devnull}")
        return run_git(*place, *args, cwd=self._changes.spool, stdin=stdin, env=self._env, to=to)

    def trees(self) -> tuple[str, str]:
        """The trees of the changed files before and after."""
        old = {each.path: each.old for each in self._changes.changes if each.old is not None}
        new = {each.path: each.new for each in self._changes.changes if each.new is not None}
        hashes = sorted({side.sha256 for side in old.values()} | {side.sha256 for side in new.values()})
        written = self.git(
            "hash-object",
            "-w",
            "--no-filters",
            "--stdin-paths",
            stdin="".join(f"{each}\n" for each in hashes).encode(),
        )
        oids = dict(zip(hashes, written.decode("ascii").split(), strict=True))
        return (
            self._tree({path: (side.mode, oids[side.sha256]) for path, side in old.items()}),
            self._tree({path: (side.mode, oids[side.sha256]) for path, side in new.items()}),
        )

    def _tree(self, entries: Mapping[bytes, tuple[int, str]]) -> str:
        (self._folder / "index").unlink(missing_ok=True)
        self.git("update-index", "-z", "--index-info", stdin=index_info(entries))
        return self.git("write-tree").decode("ascii").strip()


def index_info(entries: Mapping[bytes, tuple[int, str]]) -> bytes:
    """Entries (mode and object) as `git update-index -z --index-info` takes them."""
    return b"".join(f"{mode:06o} {oid}\t".encode() + path + b"\0" for path, (mode, oid) in entries.items())


def _counts(numstat: bytes) -> tuple[int, int]:
    added = removed = 0
    for line in split(numstat):
        plus, minus, *_ = line.split(b"\t")
        if plus != b"-":
            added, removed = added + int(plus), removed + int(minus)
    return added, removed


def write_result_archive(base_archive: Path, changes: Changes, target: Path, *, uid: int, gid: int) -> None:
    """Write the tree with the changes made as a tar archive, to check it in a fresh sandbox. Blocking."""
    new = {each.path: each.new for each in changes.changes}
    coming = deque((each.path, each.new) for each in changes.changes if each.new is not None)
    with TreeWriter(target, uid=uid, gid=gid, time=changes.base.time) as tar:
        for path, content in read_archive(base_archive):
            while coming and coming[0][0] < path:
                _add(tar, changes, *coming.popleft())
            if path not in new:
                entry = changes.base.files[path]
                tar.file(path, entry.mode, entry.size, content)
        for path, side in coming:
            _add(tar, changes, path, side)
        for path in changes.base.submodules:
            tar.folder(path)


def _add(tar: TreeWriter, changes: Changes, path: bytes, side: File) -> None:
    with changes.content(side).open("rb") as content:
        tar.file(path, side.mode, side.size, content)
