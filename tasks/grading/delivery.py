"""A patch made into the tree that is graded, without a file of the agent's ever being written on the host as one.

    patch → index of the task's repository → what is protected put back → tar for a fresh sandbox

Threat model: the patch is the agent's. git applies it to an index of our own (no working tree, no hook, no
filter), and names and contents go from there into an archive as data.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.repository.archive import TreeWriter
from agent.repository.base import GITLINK
from agent.repository.names import is_git_own
from agent.repository.plumbing import GitFailed, run_git, split
from agent.repository.stream import PatchProblem
from sandboxes.protocol import AGENT_GID, AGENT_UID
from tasks.environments.prepare import QUIET, Prepared
from tasks.grading.imports import brought
from tasks.grading.integrity import Flag, Guard, Touched, flags
from tasks.grading.verdict import GraderProblem

MAX_TEXT = 1 << 20


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a patch changes, what was put back, what looks like cheating; `sources` are the test files."""

    touched: tuple[Touched, ...]
    put_back: tuple[str, ...]
    flags: tuple[Flag, ...]
    sources: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Blob:
    mode: int
    oid: str


def write_tree(prepared: Prepared, patch: Path, target: Path) -> Delivery:
    """Write the tree to grade as a tar at `target`.

    Where the tests lie in the workspace, they are the task's, brought up to date by its tests/test.patch.

    Blocking. Raises PatchProblem when the patch does not apply, GraderProblem when the task's own does not.
    """
    repository, table = prepared.repository, prepared.task.bridle
    with TemporaryDirectory(prefix="bridle-grade-") as folder:
        env = {**QUIET, "GIT_INDEX_FILE": str(Path(folder) / "index")}
        try:
            run_git("read-tree", repository.head, cwd=repository.root, env=env)
            before = _entries(repository.root, env)
            if patch.stat().st_size:
                apply = ("apply", "--cached", "--binary", "--whitespace=nowarn", "--", str(patch.absolute()))
                run_git(*apply, cwd=repository.root, env=env)
            after = _entries(repository.root, env)
        except GitFailed as error:
            raise PatchProblem(f"the patch does not apply to the task's files: {error.text}") from error
    protected = (*table.protected, *map(_pattern, _own_tests(prepared)))
    guard = Guard(protected, table.editable, table.locations, _brought(prepared))
    touched = [
        _touched(prepared, path, before.get(path), after.get(path))
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]
    put_back = [each.path for each in touched if guard.keeps(each)]
    for name in put_back:
        path = name.encode("utf-8", "surrogateescape")
        if path in before:
            after[path] = before[path]
        else:
            after.pop(path, None)
    for each in touched:
        if each.path not in put_back and (text := guard.replaced(each)) is not None:
            path = each.path.encode("utf-8", "surrogateescape")
            after[path] = _Blob(after[path].mode, _stored(prepared, text))
            put_back.append(each.path)
    whole = _without_clashes(after, before)
    if prepared.task.test_patch is not None:
        whole = _with_tests(prepared, whole, prepared.task.test_patch)
    _write(prepared, whole, target)
    return Delivery(tuple(touched), tuple(put_back), tuple(flags(touched, guard)), _sources(prepared, whole))


def _brought(prepared: Prepared) -> frozenset[str]:
    """Modules that come with the tests, and that nothing new in the workspace may be called like."""
    if prepared.task.bridle.tests == "workspace":
        return frozenset()
    texts = {name: path for name, path in prepared.task.tests.items() if path.suffix == ".py"}
    return brought({name: path.read_text("utf-8", "replace") for name, path in texts.items()})


def _own_tests(prepared: Prepared) -> set[str]:
    """Paths of the workspace that the task's tests are in."""
    if prepared.task.bridle.tests != "workspace":
        return set()
    found = {each.split("::", 1)[0] for each in prepared.task.bridle.expected}
    if (patch := prepared.task.test_patch) is not None:
        said = run_git("apply", "--numstat", "-z", "--", str(patch), cwd=prepared.repository.root, env=QUIET)
        found |= {os.fsdecode(line.split(b"\t")[-1]) for line in split(said)}
    return found - {""}


def _pattern(path: str) -> str:
    """A path as a pattern, as in a .gitignore, for itself alone."""
    return "/" + "".join(f"\\{char}" if char in "\\*?[]!# " else char for char in path)


def _with_tests(prepared: Prepared, entries: dict[bytes, _Blob], patch: Path) -> dict[bytes, _Blob]:
    root = prepared.repository.root
    lines = b"".join(b"%o %b\t%b\0" % (each.mode, each.oid.encode(), path) for path, each in entries.items())
    with TemporaryDirectory(prefix="bridle-grade-") as folder:
        env = {**QUIET, "GIT_INDEX_FILE": str(Path(folder) / "index")}
        try:
            run_git("update-index", "-z", "--index-info", cwd=root, env=env, stdin=lines)
            run_git("apply", "--cached", "--binary", "--whitespace=nowarn", "--", str(patch), cwd=root, env=env)
            return _entries(root, env)
        except GitFailed as error:
            raise GraderProblem(f"{patch} does not apply to the task's workspace: {error.text}") from error


def _sources(prepared: Prepared, entries: dict[bytes, _Blob]) -> dict[str, str]:
    """The Python files of the tests that are expected, as they lie in the tree, or as the task brings them."""
    if prepared.task.bridle.tests != "workspace":
        files = prepared.task.tests.items()
        return {name: path.read_text(encoding="utf-8") for name, path in files if path.suffix == ".py"}
    names = {each.split("::", 1)[0] for each in prepared.task.bridle.expected}
    found = {name: entries.get(name.encode("utf-8", "surrogateescape")) for name in sorted(names)}
    return {name: _content(prepared, blob).decode("utf-8", "replace") for name, blob in found.items() if blob}


def _entries(root: Path, env: dict[str, str]) -> dict[bytes, _Blob]:
    entries = {}
    for line in split(run_git("ls-files", "-s", "-z", cwd=root, env=env)):
        head, _, path = line.partition(b"\t")
        mode, oid, _ = head.split(b" ")
        if int(mode, 8) != GITLINK and not is_git_own(path):
            entries[path] = _Blob(int(mode, 8), oid.decode())
    return entries


def _touched(prepared: Prepared, path: bytes, old: _Blob | None, new: _Blob | None) -> Touched:
    return Touched(
        path.decode("utf-8", "surrogateescape"),
        in_base=old is not None,
        deleted=new is None,
        text=_text(prepared, new),
        base_text=_text(prepared, old),
        mode=0 if new is None else new.mode,
    )


def _text(prepared: Prepared, blob: _Blob | None) -> str:
    return "" if blob is None else _content(prepared, blob)[:MAX_TEXT].decode("utf-8", "replace")


def _stored(prepared: Prepared, text: str) -> str:
    """The name of a new object with that text in the task's repository on the host."""
    data = text.encode("utf-8", "surrogateescape")
    return run_git("hash-object", "-w", "--stdin", cwd=prepared.repository.root, stdin=data).decode().strip()


def _content(prepared: Prepared, blob: _Blob) -> bytes:
    return run_git("cat-file", "blob", blob.oid, cwd=prepared.repository.root)


def _without_clashes(after: dict[bytes, _Blob], before: dict[bytes, _Blob]) -> dict[bytes, _Blob]:
    """Without what lies below a file, which putting back can lead to: the task's own file wins."""
    kept = {}
    for path, blob in after.items():
        parts = path.split(b"/")
        above = [b"/".join(parts[:end]) for end in range(1, len(parts))]
        below_a_file = any(each in after and (each in before or path not in before) for each in above)
        if not below_a_file and not any(
            p in before and path not in before for p in after if p.startswith(path + b"/")
        ):
            kept[path] = blob
    return kept


def _write(prepared: Prepared, entries: dict[bytes, _Blob], target: Path) -> None:
    with TreeWriter(target, uid=AGENT_UID, gid=AGENT_GID, time=prepared.base.time) as tar:
        for path, blob in sorted(entries.items()):
            data = _content(prepared, blob)
            tar.file(path, blob.mode, len(data), io.BytesIO(data))
