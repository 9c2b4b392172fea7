"""What an agent changed outside the workspace, taken along to where it is graded.

    engine's list of what changed → files, one archive at a time → a tar of what may come along → copied into the
    grading sandbox by the agent's own user

Only for tasks with an image of their own whose tests look at the machine (a test.sh), or that name `paths`.

Threat model: names, contents and their number are the agent's. Nothing is unpacked on the host, and every
quantity is bounded. What decides how tests run never comes along: folders of programs and of installed packages,
hooks and configuration of pytest, names of the tools that tests call, the agent's own dotfiles, the folders of
tests and logs. What does come along is put in place by a command of the agent's user, so that it can reach what
the agent could reach and no more.
"""

from __future__ import annotations

import asyncio
import io
import json
import posixpath
import secrets
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from pathspec import GitIgnoreSpec
from pydantic import BaseModel, ConfigDict

from agent.repository.archive import forget
from agent.repository.names import is_junk, shown, unusable
from agent.repository.stream import ForwardStream, PatchProblem
from sandboxes.host_root import HOME
from sandboxes.protocol import WORKSPACE, FileChange, FileError, Sandbox, TellsChanges
from tasks.environments.prepare import Prepared
from tasks.grading.integrity import CONFIGURATION, HOOKS, TOOLS

MAX_PATHS = 2000
"""The most places that are taken one by one; a new folder counts once."""
MAX_ENTRIES = 20_000
MAX_BYTES = 256 << 20
AT_ONCE = 200
CLOSED = (
    "bin",
    "boot",
    "dev",
    "etc",
    "lib",
    "lib32",
    "lib64",
    "proc",
    "run",
    "sbin",
    "sys",
    "usr",
    "tests",
    "logs",
)
OWN = ("/tmp/.bridle", "/tmp/task", "/tmp/history.bundle")  # noqa: S108 -- inside
_PACKAGES = frozenset({b"site-packages", b"dist-packages"})
_NAMES = frozenset({b"bin", b"sbin", b".local"})
_PATTERNS = GitIgnoreSpec.from_lines((*HOOKS, *CONFIGURATION, *TOOLS))
_PUT = 'cp -RPf "$1/." / 2>/dev/null; rm -rf "$1"'


class Carried(BaseModel):
    """What came along: paths that were taken, that were deleted, and that were left behind, the first of each."""

    model_config = ConfigDict(frozen=True)

    taken: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def wanted(prepared: Prepared) -> bool:
    """Whether a task's verdict can depend on files outside the workspace."""
    said = prepared.task.bridle
    return prepared.made is not None and bool(said.paths or not said.expected)


async def take(prepared: Prepared, sandbox: Sandbox, target: Path) -> Carried:
    """Write what changed outside the workspace of a stopped sandbox to the tar `target`, and what is gone beside
    it.

    Raises SandboxError, PatchProblem where it is more than can be taken.
    """
    if not wanted(prepared) or not isinstance(sandbox, TellsChanges):
        return Carried()
    rule = Rule(prepared)
    changes = [each for each in await sandbox.changed() if rule.asks(each.path)]
    tops = list(_tops(changes))
    if len(tops) > MAX_PATHS:
        raise PatchProblem(f"{len(tops)} places outside the workspace were changed, more than {MAX_PATHS}")
    left = [each.path for each in tops if not rule.lets(each.path)]
    gone = [each.path for each in tops if each.kind == "deleted" and rule.lets(each.path)]
    part, writer = target.with_suffix(".part"), _Writer(rule)
    with tarfile.open(target, "w", encoding="utf-8", errors="surrogateescape") as tar:
        if prepared.carried is not None:
            writer.again(prepared.carried, tar, {each.path for each in tops})
        for each in tops:
            if each.kind != "deleted" and rule.lets(each.path):
                with suppress(FileError):  # a place that a name does not lead to any more
                    await _fetch(sandbox, each.path, part, MAX_BYTES - writer.total)
                    await asyncio.to_thread(writer.add, part, each, tar)
    part.unlink(missing_ok=True)
    found = Carried(taken=tuple(writer.taken[:100]), deleted=tuple(gone[:MAX_PATHS]), left=tuple(left[:100]))
    target.with_suffix(".json").write_text(found.model_dump_json())
    return found


async def fill(prepared: Prepared, sandbox: Sandbox, carried: Path | None = None) -> None:
    """Make what a fresh sandbox lacks beside the files of the workspace: folders without any, and what `take`
    wrote at `carried`, else what earlier steps left. Raises SandboxError.
    """
    folders = [posixpath.join(WORKSPACE, each).encode("utf-8", "surrogateescape") for each in prepared.folders]
    for start in range(0, len(folders), AT_ONCE):
        await sandbox.exec(["mkdir", "-p", "--", *folders[start : start + AT_ONCE]], timeout=60)
    archive = carried if carried is not None and carried.is_file() else prepared.carried
    if archive is not None:
        await _put(sandbox, archive)


async def _put(sandbox: Sandbox, archive: Path) -> None:
    place = f"/tmp/carried-{secrets.token_hex(8)}"  # noqa: S108 -- inside
    await sandbox.upload(archive, place)
    await sandbox.exec(["sh", "-c", _PUT, "put", place], cwd="/", timeout=300)
    said = json.loads(archive.with_suffix(".json").read_text())
    if said["deleted"]:
        await sandbox.exec(["rm", "-rf", "--", *said["deleted"]], cwd="/", timeout=300)


class Rule:
    """Which paths outside the workspace may come along."""

    def __init__(self, prepared: Prepared) -> None:
        self._named = prepared.task.bridle.paths
        self._workspace = {WORKSPACE, prepared.workdir} - {"/"}

    def asks(self, path: str) -> bool:
        """Whether a path is neither the workspace's nor one of Bridle's own, so that it is worth a word."""
        return path != HOME and not any(_below(path, each) for each in (*self._workspace, *OWN))

    def lets(self, path: str) -> bool:
        """Whether it comes along."""
        raw = path.encode("utf-8", "surrogateescape").strip(b"/")
        parts = raw.split(b"/")
        if is_junk(raw, set()) or _PATTERNS.match_file(path.lstrip("/")) or _PACKAGES & {*parts}:
            return False
        if any(_below(path, each) for each in self._named):
            return True
        if parts[0].decode("utf-8", "replace") in CLOSED or _NAMES & {*parts}:
            return False
        return not (path.startswith(f"{HOME}/.") or path == HOME)


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _tops(changes: Iterable[FileChange]) -> Iterator[FileChange]:
    """What has to be fetched: not what lies in a new folder, nor the old folders above something that changed."""
    known = {each.path: each for each in changes}
    above = {folder for path in known for folder in _parents(path)}
    for path, each in sorted(known.items()):
        inside_new = any((up := known.get(folder)) is not None and up.kind == "added" for folder in _parents(path))
        if not inside_new and not (each.kind == "modified" and path in above):
            yield each


def _parents(path: str) -> Iterator[str]:
    while (path := posixpath.dirname(path)) not in ("/", ""):
        yield path


async def _fetch(sandbox: Sandbox, path: str, target: Path, room: int) -> None:
    with target.open("wb") as file:
        async for piece in sandbox.download(path):
            room -= len(piece)
            if room < 0:
                raise PatchProblem(f"what was changed outside the workspace is more than {MAX_BYTES >> 20} MiB")
            file.write(piece)


class _Writer:
    """Copies members of the engine's archives into one, by rule and within limits."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._links: set[str] = set()
        self.taken: list[str] = []
        self.total = 0
        self._entries = 0

    def again(self, before: Path, tar: tarfile.TarFile, changed: set[str]) -> None:
        """Copy what an earlier step left and this one did not change."""
        with tarfile.open(before, "r:", encoding="utf-8", errors="surrogateescape") as old:
            for member in old:
                if not any(_below("/" + member.name, each) for each in changed):
                    self._write(member, old.extractfile(member) if member.isreg() else None, tar)

    def add(self, part: Path, change: FileChange, tar: tarfile.TarFile) -> None:
        """Copy an archive of the engine's. Blocking. Raises PatchProblem."""
        name, above = posixpath.basename(change.path), posixpath.dirname(change.path)
        with part.open("rb") as file:
            source = ForwardStream(lambda: file.read(1 << 18) or None, MAX_BYTES)
            source.allow_header()
            try:
                with tarfile.open(fileobj=source, mode="r:", encoding="utf-8", errors="surrogateescape") as old:
                    while (member := old.next()) is not None:
                        forget(old)
                        inside = member.name == name or member.name.startswith(name + "/")
                        if member.isdir() and member.name == name and change.kind == "modified":
                            return  # an old folder of which only the attributes changed
                        data = source.content(member.size) if member.isreg() else b""
                        if inside:
                            member.name = posixpath.join(above, member.name).lstrip("/")
                            self._write(member, io.BytesIO(data), tar)
                        source.allow_header()
            except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
                raise PatchProblem(f"{shown(change.path.encode('utf-8', 'replace'))} came back damaged") from error

    def _write(self, member: tarfile.TarInfo, data: IO[bytes] | None, tar: tarfile.TarFile) -> None:
        path = "/" + member.name
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise PatchProblem(f"more than {MAX_ENTRIES} files outside the workspace were changed")
        plain = member.isreg() or member.isdir() or member.issym()
        if not plain or unusable(member.name.encode("utf-8", "surrogateescape")) or not self._rule.lets(path):
            return
        if any(folder in self._links for folder in _parents(path)):
            return
        if member.issym():
            self._links.add(path)
        self.total += member.size
        self.taken.append(path)
        new = tarfile.TarInfo(member.name)
        new.type, new.linkname, new.size = member.type, member.linkname, member.size if member.isreg() else 0
        new.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        tar.addfile(new, data if member.isreg() else None)
        forget(tar)
