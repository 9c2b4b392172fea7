"""The project that bugs are put into: its files as data, where they are from, and which of them are tests.

Threat model: the files are foreign, or at least not looked at. They are read here and never run; a repository is
taken in as any user's is, and nothing is written to it.
"""

from __future__ import annotations

import configparser
import datetime
import hashlib
import os
import shutil
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Literal

from pathspec import GitIgnoreSpec
from pydantic import BaseModel, ConfigDict

from agent.outcomes import UsageProblem
from agent.repository.archive import read_archive
from agent.repository.base import EXECUTABLE, SYMLINK
from agent.repository.intake import take_in
from agent.repository.plumbing import GitFailed, run_git
from agent.repository.source import open_repository
from sandboxes.protocol import AGENT_GID, AGENT_UID
from tasks.environments.prepare import QUIET
from tasks.format.task import MAX_TASK_BYTES, MAX_TASK_FILES

JUNK = GitIgnoreSpec.from_lines(
    ["__pycache__/", "*.py[cod]", "/build/", "/dist/", ".eggs/", ".git", ".hypothesis/", ".pytest_cache/", ".tox/"]
)
"""What a task does not need, and where the right code may lie a second time."""
_OPTIONS = ("markers", "python_files", "python_classes", "python_functions", "xfail_strict")
"""Of the project's pytest settings, those that say what its tests are."""


class Origin(BaseModel):
    """Where a project is from, told in suite.json. `sha256` is of the archive, or of all files taken."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["package", "repository", "folder", "task"]
    name: str
    version: str = ""
    sha256: str
    date: datetime.date


@dataclass(frozen=True, slots=True)
class Project:
    """Files by path, which of them are executable, and patterns of those that may get bugs.

    `tests` are files that lie elsewhere for grading; without any, the tests among `files` are meant.
    """

    files: Mapping[str, bytes]
    executable: frozenset[str]
    origin: Origin
    only: tuple[str, ...] = ()
    tests: Mapping[str, bytes] | None = None
    notes: tuple[str, ...] = ()

    @property
    def kit(self) -> dict[str, bytes]:
        """The test files as they lie in the task's tests/, with settings for pytest."""
        if self.tests is not None:
            return {"pytest.ini": b"[pytest]\n", **self.tests}
        found = {path: data for path, data in self.files.items() if is_test(path)}
        return {"pytest.ini": pytest_settings(self.files), **found}

    def with_tests(self, tests: Mapping[str, bytes], only: tuple[str, ...]) -> Project:
        """The same files with these tests for grading, and bugs in `only`."""
        return replace(self, tests=tests, only=only)

    def may_change(self, path: str) -> bool:
        """Whether a bug may be put into a file."""
        if not path.endswith(".py") or is_test(path) or PurePosixPath(path).name in ("setup.py", "noxfile.py"):
            return False
        return not self.only or GitIgnoreSpec.from_lines(self.only).match_file(path)


def is_test(path: str) -> bool:
    """Whether a file belongs to the tests: by its own name, or a folder's above it."""
    *folders, name = PurePosixPath(path).parts
    named = name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"
    return any(each in ("test", "tests") for each in folders) or (named and name.endswith(".py"))


def from_folder(path: Path, only: Iterable[str] = ()) -> Project:
    """The repository around `path` with its uncommitted changes, or the folder where there is none. Blocking.

    With a folder inside a repository, bugs are put into that part only. Raises UsageProblem.
    """
    if not path.is_dir():
        raise UsageProblem(f"{path} is no folder: give a repository, a folder, or the name of a package")
    path = path.resolve()
    try:
        run_git("rev-parse", "--show-toplevel", cwd=path)
    except GitFailed:
        with TemporaryDirectory(prefix="bridle-make-") as place:
            copy = Path(place) / "copy"
            shutil.copytree(
                path, copy, symlinks=True, ignore=shutil.ignore_patterns(".venv", "venv", "__pycache__")
            )
            run_git("init", "--quiet", "--template=", ".", cwd=copy, env=QUIET)
            who = ("-c", "user.name=Bridle", "-c", "user.email=bridle@localhost")
            run_git(*who, "commit", "--quiet", "--allow-empty", "-m", "empty", cwd=copy, env=QUIET)
            found = _taken(copy, "folder", path.name)
            newest = max((each.stat().st_mtime for each in path.rglob("*.py")), default=0.0)
            day = datetime.datetime.fromtimestamp(newest, datetime.UTC).date()
            origin = found.origin.model_copy(update={"date": day, "version": ""})
            return replace(found, only=tuple(only), origin=origin)
    root = open_repository(path).root.resolve()
    part = path.relative_to(root).as_posix()
    here = (f"/{part}/",) if part != "." and not only else ()
    return replace(_taken(root, "repository", root.name), only=(*only, *here))


def from_files(files: Mapping[str, bytes], executable: Iterable[str], origin: Origin) -> Project:
    """A project of these files without what is left out of every task. Raises UsageProblem."""
    kept = {path: data for path, data in sorted(files.items()) if not JUNK.match_file(path)}
    if len(kept) > MAX_TASK_FILES // 2 or sum(map(len, kept.values())) > MAX_TASK_BYTES // 2:
        limit = f"{MAX_TASK_FILES // 2} files or {MAX_TASK_BYTES >> 21} MiB"
        raise UsageProblem(f"{origin.name} has more than {limit}, too much for tasks: give a smaller project")
    return Project(kept, frozenset(executable) & set(kept), origin)


def digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 over names and contents."""
    whole = hashlib.sha256()
    for path, data in sorted(files.items()):
        whole.update(f"{len(path)} {path} {len(data)}\n".encode("utf-8", "surrogateescape"))
        whole.update(data)
    return whole.hexdigest()


def _taken(root: Path, kind: Literal["repository", "folder"], name: str) -> Project:
    repository = open_repository(root)
    with TemporaryDirectory(prefix="bridle-make-") as place:
        archive = Path(place) / "base.tar"
        base = take_in(repository, archive, uid=AGENT_UID, gid=AGENT_GID)
        files, links, unnamed = {}, [], []
        for path, content in read_archive(archive):
            try:
                text = path.decode("utf-8")
            except UnicodeDecodeError:
                unnamed.append(os.fsdecode(path))
                continue
            if base.files[path].mode == SYMLINK:
                links.append(text)
            else:
                files[text] = content.read()
    executable = {os.fsdecode(path) for path, entry in base.files.items() if entry.mode == EXECUTABLE}
    day = datetime.datetime.fromtimestamp(base.time, datetime.UTC).date()
    origin = Origin(kind=kind, name=name, version=base.head, sha256=digest(files), date=day)
    notes = [f"{each} is a symlink and is left out of the tasks" for each in links]
    notes += [f"{each!r} has a name that is no UTF-8 and is left out" for each in unnamed]
    return replace(from_files(files, executable, origin), notes=(*base.notes, *notes))


def pytest_settings(files: Mapping[str, bytes]) -> bytes:
    """A pytest.ini with what of the project's settings says what its tests are, and no more."""
    found = _settings(files)
    lines = ["[pytest]"]
    for name in _OPTIONS:
        if name in found:
            value = found[name]
            parts = value if isinstance(value, list) else str(value).splitlines()
            parts = [str(each).strip() for each in parts if str(each).strip()]
            lines += [f"{name} = {parts[0]}"] if len(parts) == 1 else [f"{name} =", *(f"    {p}" for p in parts)]
    return ("\n".join(lines) + "\n").encode()


def _settings(files: Mapping[str, bytes]) -> Mapping[str, Any]:
    """The project's own, from where pytest looks for them, in its order; none from a file that cannot be read."""
    for name, section in (("pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(files.get(name, b"").decode("utf-8"))
        except (configparser.Error, UnicodeDecodeError):
            continue
        if parser.has_section(section):
            return dict(parser[section])
    try:
        said: Any = tomllib.loads(files.get("pyproject.toml", b"").decode("utf-8"))
    except (ValueError, RecursionError):
        return {}
    for part in ("tool", "pytest", "ini_options"):
        said = said.get(part) if isinstance(said, dict) else None
    return said if isinstance(said, dict) else {}
