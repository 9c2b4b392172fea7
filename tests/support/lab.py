"""A laboratory: a real git repository, and workspaces as an engine would hand them out."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.repository.archive import read_archive
from agent.repository.base import Base
from agent.repository.changes import Changes, PatchLimits, take_out
from agent.repository.delivery import Delivery, deliver
from agent.repository.ignored import IgnoreRules
from agent.repository.intake import take_in
from agent.repository.source import Repository, open_repository

FILE, LINK = 0o100644, 0o120000
Tree = dict[bytes, tuple[int, bytes]]
"""Path to git mode and content (a symlink's target)."""


async def pieces(data: bytes, size: int = 7001) -> AsyncIterator[bytes]:
    """`data` as a stream in pieces that fall across every boundary."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


class Engine:
    """Makes the tar that an engine would hand out, and any that it would not."""

    def __init__(self, format: int = tarfile.PAX_FORMAT) -> None:  # noqa: A002 -- tarfile's word
        self.buffer = io.BytesIO()
        self.tar = tarfile.open(  # noqa: SIM115
            fileobj=self.buffer, mode="w", format=format, encoding="utf-8", errors="surrogateescape"
        )
        self.add(b"workspace", type=tarfile.DIRTYPE)

    def add(self, name: bytes, content: bytes = b"", mode: int = 0o644, **fields: object) -> None:
        member = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
        member.size, member.mode = len(content), mode
        for key, value in fields.items():
            setattr(member, key, value)
        self.tar.addfile(member, io.BytesIO(content))

    def tree(self, tree: Mapping[bytes, tuple[int, bytes]]) -> None:
        folders = {path[:at] for path in tree for at, byte in enumerate(path) if byte == ord("/")}
        for path in sorted({*tree, *folders}):
            name = b"workspace/" + path
            if path in folders and path not in tree:
                self.add(name, mode=0o755, type=tarfile.DIRTYPE)
            elif tree[path][0] == LINK:
                target = tree[path][1].decode("utf-8", "surrogateescape")
                self.add(name, type=tarfile.SYMTYPE, linkname=target)
            else:
                self.add(name, tree[path][1], mode=tree[path][0] & 0o777)

    def bytes(self) -> bytes:
        self.tar.close()
        return self.buffer.getvalue()


@dataclass
class Lab:
    """One repository and what a session would keep about it."""

    root: Path
    folder: Path
    base: Base = field(init=False)
    repo: Repository = field(init=False)

    @classmethod
    def begun(cls, place: Path) -> Lab:
        """A repository with one commit below `place`, taken in."""
        lab = cls(place / "repo", place / "session")
        lab.root.mkdir()
        lab.folder.mkdir()
        lab.git("init", "-q")
        lab.write("README.md", "# Example\n")
        lab.write("src/stats.py", "def mean(xs):\n    return sum(xs) / (len(xs) - 1)\n")
        lab.commit()
        lab.take_in()
        return lab

    @property
    def archive(self) -> Path:
        return self.folder / "base.tar"

    def git(self, *args: str | bytes, stdin: bytes = b"", cwd: Path | None = None) -> bytes:
        done = subprocess.run(["git", *args], cwd=cwd or self.root, input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, (args, done.stderr)
        return done.stdout

    def write(self, path: str | bytes, content: bytes | str = b"", mode: int | None = None) -> Path:
        name = path if isinstance(path, bytes) else path.encode()
        place = Path(os.fsdecode(os.fsencode(self.root) + b"/" + name))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
        if mode is not None:
            place.chmod(mode)
        return place

    def commit(self, message: str = "A commit") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD").decode().strip()

    def take_in(self, **limits: int) -> Base:
        self.repo = open_repository(self.root)
        self.base = take_in(self.repo, self.archive, uid=1000, gid=1000, **limits)
        return self.base

    def tree(self) -> Tree:
        """What was taken in."""
        return {path: (self.base.files[path].mode, content.read()) for path, content in read_archive(self.archive)}

    async def take_out(self, data: bytes, limits: PatchLimits | None = None) -> Changes:
        with IgnoreRules(self.repo) as ignored:
            spool = self.folder / "changes"
            return await take_out(pieces(data), self.base, self.archive, ignored, spool=spool, limits=limits)

    async def take_out_stream(self, stream: AsyncIterator[bytes]) -> Changes:
        """What a sandbox hands out."""
        with IgnoreRules(self.repo) as ignored:
            return await take_out(stream, self.base, self.archive, ignored, spool=self.folder / "changes")

    async def take_out_tree(self, tree: Tree) -> Changes:
        engine = Engine()
        engine.tree(tree)
        return await self.take_out(engine.bytes())

    def deliver(self, changes: Changes, slug: str = "fix", message: str = "Fix\n") -> Delivery:
        return deliver(self.repo, self.base, changes, base_archive=self.archive, slug=slug, message=message)

    def tree_of(self, commit: str) -> Tree:
        """A commit's files, from git itself."""
        tree: Tree = {}
        for line in self.git("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")[:-1]:
            about, _, path = line.partition(b"\t")
            mode, kind, oid = about.split()
            content = self.git("cat-file", "blob", oid) if kind == b"blob" else oid
            tree[path] = (int(mode, 8), content)
        return tree

    def snapshot(self) -> dict[str, tuple[object, ...]]:
        """Every file of the checkout and of `.git`, by content, mode and time; what delivery adds is left out."""
        ours = [self.root / ".git" / each for each in ("objects", "refs/heads/bridle", "logs/refs/heads/bridle")]
        seen: dict[str, tuple[object, ...]] = {}
        for path in sorted(self.root.rglob("*")):
            if any(path == each or each in path.parents for each in ours):
                continue
            status = path.lstat()
            if path.is_symlink():
                seen[str(path)] = (path.readlink(), status.st_mtime_ns)
            elif path.is_file():
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                seen[str(path)] = (content, status.st_mode, status.st_mtime_ns, status.st_size)
        return seen


def own_git(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """git as for a user with a name and nothing else; `settings` is a file to be written."""
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    settings.write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
