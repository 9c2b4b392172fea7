"""Where the bug may be: the functions that a failing check leads to, in order of suspicion.

    the project's frames of the traceback, innermost first
    → functions that the failing line of the test calls → functions that the test calls → functions those call

Threat model: the files are the agent's. They are listed and read through the sandbox, bounded in number and size,
and only parsed. Paths named in output count only when the listing has them. Test files are never a target.
"""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from agent.strategies.failure import Failure
from agent.strategies.splice import MAX_SOURCE, Function, Unusable, functions, parse
from sandboxes.protocol import WORKSPACE, FileError, Sandbox

MAX_FILES, MAX_READ, MAX_PARSED = 2000, 400, 80
"""Files that are listed, read and parsed at most."""
MAX_NAMES = 40
"""Called functions that are looked for."""
MAX_TARGETS = 6
WHOLE_LINES = 60
"""An inner function is corrected together with the one around it, up to this many lines."""

_LIST = ["find", ".", "-name", ".?*", "-prune", "-o", "-name", "site-packages", "-prune"]
_LIST += ["-o", "-type", "f", "-name", "*.py", "-print0"]
_NOT_THE_PROJECT = frozenset({"setup.py", "noxfile.py", "versioneer.py", "docs", "doc", "examples", "benchmarks"})


class Target(NamedTuple):
    """A function that may hold the bug."""

    path: str
    function: Function


class Project:
    """The Python files of the workspace, listed once and read at most once each."""

    def __init__(self, sandbox: Sandbox, paths: Iterable[str]) -> None:
        self.paths = list(paths)
        self._sandbox = sandbox
        self._texts: dict[str, str | None] = {}
        self._functions: dict[str, list[Function]] = {}

    @classmethod
    async def open(cls, sandbox: Sandbox) -> Project:
        """List the files. Raises SandboxLost."""
        found = await sandbox.exec(_LIST, timeout=60, max_output=1 << 20)
        names = found.output.head.split(b"\0")[:-1]
        if not found.output.dropped:
            names = (found.output.head + found.output.tail).split(b"\0")[:-1]
        paths = sorted(name.decode().removeprefix("./") for name in names if _is_text(name))
        return cls(sandbox, sorted(paths, key=lambda path: path.count("/"))[:MAX_FILES])

    def sources(self) -> list[str]:
        """The paths that are no tests."""
        return [path for path in self.paths if not is_test(path) and path not in _NOT_THE_PROJECT]

    def modules(self) -> frozenset[str]:
        """Names of the project's own top-level packages and modules, also below `src`."""
        tops = (path.removeprefix("src/").split("/")[0].removesuffix(".py") for path in self.paths)
        return frozenset(top for top in tops if top.isidentifier())

    async def text(self, path: str) -> str | None:
        """What a listed file holds, or None when it cannot be used. Raises SandboxLost."""
        if path not in self._texts:
            self._texts[path] = None
            if path in self.paths and len(self._texts) <= MAX_READ:
                self._texts[path] = await _read(self._sandbox, path)
        return self._texts[path]

    async def functions(self, path: str) -> list[Function]:
        """The functions of a listed file; none when it cannot be parsed."""
        if path not in self._functions:
            text = await self.text(path) if len(self._functions) < MAX_PARSED else None
            try:
                self._functions[path] = await asyncio.to_thread(functions, text or "")
            except Unusable:
                self._functions[path] = []
        return self._functions[path]


def is_test(path: str) -> bool:
    """Whether a path is a test's, which is never edited."""
    *folders, name = path.split("/")
    return (
        name.startswith("test_")
        or name.endswith("_test.py")
        or name in {"conftest.py", "tests.py", "test.py"}
        or not {"test", "tests"}.isdisjoint(folders)
    )


async def find_targets(project: Project, failure: Failure) -> list[Target]:
    """At most MAX_TARGETS functions, the most suspicious first. Raises SandboxLost."""
    found: list[Target] = []
    for path, line in reversed(failure.frames):
        if path in project.paths and not is_test(path):
            found += _at_line(path, line, await project.functions(path))
    called, imported = await _what_the_test_calls(project, failure)
    for name in called[:MAX_NAMES]:
        if len(_distinct(found)) < MAX_TARGETS:
            found += await _defined(project, name, imported)
    for target in found[:2]:
        for name in _calls(target.function.code)[:MAX_NAMES]:
            if len(_distinct(found)) < MAX_TARGETS:
                found += [t for t in await _defined(project, name, {target.path}) if t.path == target.path]
    return _distinct(found)[:MAX_TARGETS]


async def source_of_test(project: Project, failure: Failure) -> str:
    """The test function that failed, as its file has it; empty when it is not found."""
    for path, line in failure.frames:
        if path in project.paths and is_test(path):
            inside = [f for f in await project.functions(path) if f.first <= line <= f.last]
            return inside[0].code if inside else ""
    return ""


def _at_line(path: str, line: int, found: list[Function]) -> list[Target]:
    """The function at a line: the outermost one when that is short, else the innermost."""
    around = [function for function in found if function.first <= line <= function.last]
    if around and around[0].last - around[0].first >= WHOLE_LINES:
        around = around[-1:]
    return [Target(path, function) for function in around[:1]]


async def _what_the_test_calls(project: Project, failure: Failure) -> tuple[list[str], set[str]]:
    """Names called by the failing line, then by the whole test; and the project files that the test imports."""
    names = [name for line in reversed(failure.marked) for name in _words_called(line)]
    imported: set[str] = set()
    for path, line in failure.frames:
        if path in project.paths and is_test(path):
            for function in await project.functions(path):
                if function.first <= line <= function.last:
                    names += _calls(function.code)
                    names.append(function.short_name.removeprefix("test_"))
            imported |= _imported_files(await project.text(path) or "", path, project.paths)
    return list(dict.fromkeys(names)), imported


async def _defined(project: Project, name: str, near: set[str]) -> list[Target]:
    """Functions and methods of that name (a class stands for its `__init__`), those in files `near` first."""
    folders = {path.rpartition("/")[0] for path in near}
    ranked = sorted(project.sources(), key=lambda p: (p not in near, p.rpartition("/")[0] not in folders))
    pattern = re.compile(rf"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+{re.escape(name)}\b", re.MULTILINE)
    for path in ranked:
        text = await project.text(path)
        if text is None or not pattern.search(text):
            continue
        found = [
            Target(path, function)
            for function in await project.functions(path)
            if not function.nested and (function.short_name == name or function.name == f"{name}.__init__")
        ]
        if found:
            return found[:2]
    return []


def _words_called(line: str) -> list[str]:
    return re.findall(r"\b([A-Za-z_]\w{0,80})\s{0,3}\(", line[:500])


def _calls(code: str) -> list[str]:
    """Names that a piece of code calls, in order; plain ones before methods."""
    try:
        calls = [node.func for node in ast.walk(parse(code)) if isinstance(node, ast.Call)]
    except Unusable:
        return []
    plain = [func.id for func in calls if isinstance(func, ast.Name)]
    return plain + [func.attr for func in calls if isinstance(func, ast.Attribute)]


def _imported_files(source: str, path: str, paths: list[str]) -> set[str]:
    """The files among `paths` that a test's imports may mean."""
    try:
        tree = parse(source)
    except Unusable:
        return set()
    wanted = {name.replace(".", "/") for node in ast.walk(tree) for name in _modules(node, path)}
    ends = {f"/{name}{end}" for name in wanted for end in (".py", "/__init__.py")}
    return {p for p in paths if not is_test(p) and any(f"/{p}".endswith(end) for end in ends)}


def _modules(node: ast.AST, path: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = PurePosixPath(path).parts[: -node.level] if node.level else ()
        base = ".".join([*above, *([node.module] if node.module else [])])
        yield base
        yield from (f"{base}.{alias.name}".lstrip(".") for alias in node.names)


def _distinct(targets: list[Target]) -> list[Target]:
    """Each once, where it came first."""
    return list({(t.path, t.function.name, t.function.first): t for t in targets}.values())


def _is_text(name: bytes) -> bool:
    try:
        return name.decode().isprintable()
    except UnicodeDecodeError:
        return False


async def _read(sandbox: Sandbox, path: str) -> str | None:
    try:
        data = await sandbox.read(f"{WORKSPACE}/{path}", max_bytes=MAX_SOURCE)
        return data.decode()
    except (FileError, UnicodeDecodeError):
        return None
