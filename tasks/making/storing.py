"""A bug as a task folder, and all of them as a suite.

    environment/files/   the project with the bug, without the tests that it fails
    tests/               all of the project's tests; those it fails and those it passes are expected
    solution/            the patch that takes the bug back
    wrong/               of several sites, each with only that one left wrong

The failing tests are taken out of the workspace, so that an agent works from the instruction; the others stay, as
they would in a repository whose bug has no test yet.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.parsing import parse
from tasks.format.tables import BridleTable
from tasks.making.edits import Edit, apply, patch
from tasks.making.mutations.text import Text
from tasks.making.project import Origin, Project, is_test

MAX_REGRESSION = 600
"""More passing tests than this are not run for each grade: those of the same test files are, then others."""
SUITE = "suite.json"
SOLVE = """# Takes the bug back.
set -eu
fix=$(cd "$(dirname "$0")" && pwd)/fix.patch
if command -v git >/dev/null; then git apply --whitespace=nowarn "$fix"; else patch -s -p1 <"$fix"; fi
"""
WRONG = """# Takes back {what}, which is not all.
set -eu
cat >/tmp/part.patch <<'END-OF-PATCH'
{patch}END-OF-PATCH
fix=/tmp/part.patch
if command -v git >/dev/null; then git apply --whitespace=nowarn "$fix"; else patch -s -p1 <"$fix"; fi
"""


class Site(BaseModel):
    """One place of a bug, for who reads suite.json."""

    model_config = ConfigDict(frozen=True)

    path: str
    line: int
    function: str
    kind: str


class Entry(BaseModel):
    """A task of the suite: what was done to it, and the tests that fail."""

    model_config = ConfigDict(frozen=True)

    name: str
    sites: tuple[Site, ...]
    failing: tuple[str, ...]
    share: float
    difficulty: str
    hash: str = ""
    of: str = ""


class Made(BaseModel):
    """suite.json: what the tasks were made from, and what became of all candidates."""

    model_config = ConfigDict(frozen=True)

    version: str
    source: Origin
    seed: int
    sites: tuple[int, int]
    wanted: int
    only: tuple[str, ...] = ()
    tests: int = 0
    left_out: int = 0
    counts: dict[str, int] = {}
    tasks: tuple[Entry, ...] = ()
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """What a task's folder is written from. `parts` are the fixes that leave one site wrong."""

    project: Project
    mutated: Mapping[str, bytes]
    failing: Collection[str]
    passing: Collection[str]
    instruction: str
    difficulty: str
    seconds: float
    twin_of: str = ""
    parts: tuple[Mapping[str, bytes], ...] = ()


def write_task(folder: Path, content: Content) -> None:
    """Write the task at `folder`, which must not exist."""
    project = content.project
    right = {path: project.files[path] for path in content.mutated}
    files = {**project.files, **content.mutated}
    if project.tests is None:
        files |= without_tests({path: data for path, data in files.items() if is_test(path)}, content.failing)
    for path, data in files.items():
        if data is not _GONE:
            _write(folder / "environment" / "files" / path, data, path in project.executable)
    for path, data in project.kit.items():
        _write(folder / "tests" / path, data)
    _write(folder / "solution" / "solve.sh", SOLVE.encode(), executable=True)
    _write(folder / "solution" / "fix.patch", patch(content.mutated, right))
    for number, part in enumerate(content.parts, 1):
        what = f"all but one of {len(content.parts)} bugs"
        text = WRONG.format(what=what, patch=patch(content.mutated, part).decode("utf-8", "surrogateescape"))
        _write(folder / "wrong" / f"not-site-{number}.sh", text.encode("utf-8", "surrogateescape"))
    _write(folder / "instruction.md", content.instruction.encode())
    _write(folder / "task.toml", _table(content).encode())


def _table(content: Content) -> str:
    failing, passing = sorted(content.failing), _regression(content)
    seconds = round(max(120.0, 20 * content.seconds))
    lines = [
        'schema_version = "1.1"',
        "",
        "[metadata]",
        'author_name = "bridle suite make"',
        'category = "bug-fix"',
        "",
        "[verifier]",
        f"timeout_sec = {seconds}.0",
        "",
        "[agent]",
        "timeout_sec = 900.0",
        "",
        "[bridle]",
        'category = "bug-fix"',
        f'difficulty = "{content.difficulty}"',
        f"date = {content.project.origin.date.isoformat()}",
    ]
    lines += [f"twin_of = {_text(content.twin_of)}"] if content.twin_of else []
    lines += [f"locations = {_list(sorted(content.mutated))}"]
    lines += [f"expected = {_list([*failing, *passing])}", f"regression = {_list(passing)}"]
    return "\n".join(lines) + "\n"


def _regression(content: Content) -> list[str]:
    """The passing tests that are run: all, or those of the failing ones' files before others."""
    near = {test.split("::")[0] for test in content.failing}
    ordered = sorted(content.passing, key=lambda test: (test.split("::")[0] not in near, test))
    return sorted(ordered[:MAX_REGRESSION])


def acceptable(test: str) -> bool:
    """Whether a task can expect this id."""
    try:
        BridleTable(expected=(test,))
    except ValidationError:
        return False
    return test.isprintable() and not any(char in test for char in "\\'\"")


_GONE = b"\0gone"


def without_tests(files: Mapping[str, bytes], failing: Iterable[str]) -> dict[str, bytes]:
    """The test files without the functions of these ids; one where a function is not found is gone whole."""
    wanted: dict[str, set[str]] = {}
    for test in failing:
        path, _, name = test.partition("[")[0].partition("::")
        wanted.setdefault(path, set()).add(name.rpartition("::")[2])
    found = {}
    for path, names in wanted.items():
        if path in files:
            found[path] = _without(path, files[path], names)
    return found


def _without(path: str, source: bytes, names: set[str]) -> bytes:
    try:
        text = Text(path, source)
        edits, seen = [], set()
        bodies = [text.tree.body, *(n.body for n in ast.walk(text.tree) if isinstance(n, ast.ClassDef))]
        for body in bodies:
            gone = [n for n in body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name in names]
            seen |= {node.name for node in gone}
            for number, node in enumerate(gone):
                start = text.line_start(node.decorator_list[0] if node.decorator_list else node)
                end = text.line_end(node)
                needed = number == 0 and len(gone) == len(body)
                edits.append(Edit(start, end, b" " * node.col_offset + b"pass\n" if needed else b""))
        rest = apply(source, edits)
        parse(rest)
    except (ValueError, SyntaxError):
        return _GONE
    return rest if seen == names else _GONE


def _write(path: Path, data: bytes, executable: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o755 if executable else 0o644)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(items: Iterable[str]) -> str:
    return "[\n" + "".join(f"    {_text(each)},\n" for each in items) + "]"
