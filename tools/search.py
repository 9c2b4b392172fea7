"""The `search` tool: lines that match a pattern, or files by name, without what git ignores.

Threat model: the searcher is a program in the sandbox. It runs without configuration that could name other
programs (`rg --no-config`, git with everything of the kind turned off), never through a shell, with the model's
words where they cannot be taken for options. What comes back is the agent's and only ever parsed into lines.

ripgrep, where the image has it; else git, which knows the ignore rules too; else grep or find, which do not.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from sandboxes.protocol import WORKSPACE, ExecResult, FileError
from tools.git import GIT, GIT_ENV
from tools.paths import FilePath, explain, is_below, resolve, shown
from tools.protocol import Arguments, Effect, Effects, Preview, ToolResult, Workbench
from tools.text import LIMIT, one_line, plural, shorten, visible

_ROOM = 2 << 20
_TIMEOUT = 60.0
_WIDTH = 300

By = Literal["rg", "git", "grep"]


class SearchArguments(Arguments):
    """Arguments of `search`."""

    pattern: str = Field("", max_length=2000, description="Regular expression a line must match.")
    name: str = Field(
        "", max_length=500, description="Glob the file must match: *.py, or below `path`: src/**/*.py."
    )
    path: FilePath = Field(".", description="File or folder to search: absolute, or relative to /workspace.")
    ignore_case: bool = Field(False, description="Take upper and lower case for the same in `pattern`.")
    max_results: int = Field(100, ge=1, le=1000, description="How many lines or files to show at most.")

    @model_validator(mode="after")
    def _fits(self) -> SearchArguments:
        if any(mark in self.pattern + self.name for mark in "\0\n"):
            raise ValueError("neither `pattern` nor `name` can hold a NUL or a line break")
        if self.name.startswith("!"):
            raise ValueError("a `name` cannot leave files out: use the shell for that")
        if not (self.pattern or self.name):
            raise ValueError("give a `pattern` for the content, a `name` glob, or both")
        return self


@dataclass(slots=True)
class Found:
    """What a searcher came back with: (path, line number or 0, text); and how far it can be trusted."""

    hits: list[tuple[str, int, str]] = field(default_factory=list)
    complete: bool = True
    notes: list[str] = field(default_factory=list)
    error: str = ""


class Search:
    """Finds lines and files."""

    name: ClassVar[str] = "search"
    description: ClassVar[str] = (
        "Find lines by `pattern` (a regular expression), or files by `name` (a glob), or both. Files that git "
        "ignores are left out, unless `path` names them. A line is shown as path:number:line, unchanged."
    )
    arguments: ClassVar[type[Arguments]] = SearchArguments

    def effects(self, args: SearchArguments, bench: Workbench) -> Effects:
        """Only reading: see the threat model."""
        return frozenset({Effect.READ})

    async def preview(self, args: SearchArguments, bench: Workbench) -> Preview:
        """What is looked for, and where."""
        what = " in ".join(part for part in (repr(args.pattern) if args.pattern else "", args.name) if part)
        return Preview(f"search {one_line(what)} in {shown(resolve(args.path))}")

    async def run(self, args: SearchArguments, bench: Workbench) -> ToolResult:
        """Search with the best program there is; a pattern that is no regular expression is taken literally."""
        path = resolve(args.path)
        try:
            folder, found = await _at(args, bench, path)
        except FileError as error:
            return ToolResult(explain(error), ok=False, facts={"path": path, "error": error.problem})
        if found.error:
            return ToolResult(found.error, ok=False, facts={"path": path, "error": "search"})
        return _report(args, found, folder, path)


async def _at(args: SearchArguments, bench: Workbench, path: str) -> tuple[str, Found]:
    """What is found at `path`, and the folder it was searched from. Raises FileError when nothing is there."""
    try:
        return path, await _search(args, bench, path, "")
    except FileError as error:
        if error.problem != "bad_path":
            raise
    try:  # no folder, then
        await bench.sandbox.read(path, max_bytes=0)
    except FileError as large:
        if large.problem != "too_large":
            raise
    folder, only = posixpath.split(path)
    return folder, await _search(args, bench, folder, only)


async def _search(args: SearchArguments, bench: Workbench, folder: str, only: str) -> Found:
    """Search `folder`, or the one file `only` in it, with the first searcher that is there and able."""
    by: By
    for by in ("rg", "git", "grep"):
        if by == "git" and not is_below(folder, WORKSPACE):
            continue
        result = await _exec(bench, _command(by, args, only), folder)
        if result.exit_code == 127:
            continue
        found = _parse(by, args, result)
        literal = not found.hits and await _is_bad_regex(by, args, bench, result)
        if literal:
            found = _parse(by, args, await _exec(bench, _command(by, args, only, literal=True), folder))
        if by == "git" and not found.hits and (result.exit_code not in {0, 1} or only or folder != WORKSPACE):
            continue  # no repository here, no Perl expressions, or a place that is ignored as a whole
        if by == "grep" and not only:
            found.notes.append("files that git ignores are included")
        if literal:
            found.notes.append("`pattern` is no valid regular expression: it was searched for literally")
        return found
    return Found(error="This sandbox has neither rg, git nor grep and find; list folders with read.")


async def _is_bad_regex(by: By, args: SearchArguments, bench: Workbench, result: ExecResult) -> bool:
    """Was nothing found because the searcher refused the pattern itself?"""
    if not args.pattern:
        return False
    if by == "rg":
        return result.exit_code == 2 and b"regex" in result.output.head
    if by == "git":
        return result.exit_code == 128 and b"-e option" in result.output.head
    # Through find, grep's own exit code is lost: ask it again, about one empty line.
    asked = ["grep", "-E", "-e", _posix(args.pattern)]
    return (await bench.sandbox.exec(asked, cwd="/", stdin=b"\n", timeout=_TIMEOUT)).exit_code == 2


async def _exec(bench: Workbench, argv: list[str], folder: str) -> ExecResult:
    return await bench.sandbox.exec(argv, cwd=folder, env=GIT_ENV, timeout=_TIMEOUT, max_output=_ROOM)


def _command(by: By, args: SearchArguments, only: str, literal: bool = False) -> list[str]:
    case = ["-i"] if args.ignore_case else []
    globs = _globs(args.name) if args.name and not only else []
    target = f"./{only}" if only else "."
    if by == "rg":
        common = ["rg", "--no-config", "--color=never", "--hidden", "--sort=path", "--null", "--no-messages"]
        common += [part for glob in (*globs, "!.git") for part in ("-g", glob)]
        if not args.pattern:
            return [*common, "--files", "--", target]
        kind = "--fixed-strings" if literal else "--engine=auto"
        shape = ["--no-heading", "--line-number", "--with-filename", "--max-columns=2000", "--max-columns-preview"]
        return [*common, *shape, *case, kind, "-e", args.pattern, "--", target]
    if by == "git":
        within = [f":(glob){glob}" for glob in globs] or [f":(literal){only or '.'}"]
        if not args.pattern:
            which = ["--cached", "--others", "--exclude-standard", "--deduplicate"]
            return [*GIT, "ls-files", "-z", *which, "--", *within]
        kind = "--fixed-strings" if literal else "--perl-regexp"
        shape = ["--untracked", "--no-textconv", "--no-recurse-submodules", "--threads=1", "-z", "-n", "-I"]
        return [*GIT, "grep", *shape, *case, kind, "-e", args.pattern, "--", *within]
    find = ["find", target, "-name", ".git", "-prune", "-o", "-type", "f"]
    if not args.pattern:
        return [*find, "-print"]
    words = ["-F", "-e", args.pattern] if literal else ["-E", "-e", _posix(args.pattern)]
    return [*find, "-exec", "grep", "-n", "-H", *case, *words, "{}", "+"]


def _globs(name: str) -> list[str]:
    """`name` as globs below the searched folder: without a slash at any depth, `{a,b}` spelled out."""
    globs = [name]
    while len(globs) < 100 and (braces := re.search(r"\{([^{}]*)\}", globs[0])):
        first = globs.pop(0)
        globs += [first[: braces.start()] + part + first[braces.end() :] for part in braces[1].split(",")]
    return [glob.removeprefix("./").lstrip("/") if "/" in glob else f"**/{glob}" for glob in globs]


_SHORTHAND = {"d": "0-9", "w": "A-Za-z0-9_", "s": " \t"}


def _posix(pattern: str) -> str:
    """The pattern with `\\d`, `\\w` and `\\s`, which POSIX expressions do not know, spelled out."""
    parts, inside = [], False
    for part in re.findall(r"\\.|[^\\]|\\$", pattern):
        if part[0] == "\\" and part[1:] in _SHORTHAND:
            parts.append(_SHORTHAND[part[1]] if inside else f"[{_SHORTHAND[part[1]]}]")
            continue
        inside = part == "[" or (inside and part != "]")
        parts.append(part)
    return "".join(parts)


def _parse(by: By, args: SearchArguments, result: ExecResult) -> Found:
    """Lines of output as hits; what is no hit (a complaint about one file, say) is left out."""
    complete = not result.output.dropped and result.ending == "exited"
    text = (result.output.head if result.output.dropped else result.output.head + result.output.tail).decode(
        "utf-8", "replace"
    )
    found = Found(complete=complete)
    if result.ending != "exited":
        found.notes.append(f"stopped ({result.ending.replace('_', ' ')}): search a smaller `path`")
    if not args.pattern:
        names = text.split("\n" if by == "grep" else "\0")
        found.hits = [(name, 0, "") for name in names[:-1] if name]
    else:
        line = re.compile(r"(.+?):(\d+):(.*)" if by == "grep" else r"([^\0]+)\0(\d+)[:\0](.*)")
        matches = (line.fullmatch(row) for row in text.split("\n"))
        found.hits = [(match[1], int(match[2][:9]), match[3]) for match in matches if match]
    if by == "grep" and args.name:
        from pathspec import GitIgnoreSpec  # only where nothing better than find is there

        wanted = GitIgnoreSpec.from_lines(_globs(args.name))
        found.hits = [hit for hit in found.hits if wanted.match_file(hit[0].removeprefix("./"))]
    found.hits.sort(key=lambda hit: hit[0])
    return found


def _report(args: SearchArguments, found: Found, folder: str, path: str) -> ToolResult:
    """The hits as the model sees them, and a last line that counts them."""
    files = len({hit[0] for hit in found.hits})
    facts = {"path": path, "matches": len(found.hits), "files": files, "complete": found.complete}
    if not found.hits:
        return ToolResult(_nothing(args, found, path, one_file=path != folder), facts=facts)
    lines, room = [], LIMIT
    for name, number, text in found.hits[: args.max_results]:
        where = shown(posixpath.normpath(posixpath.join(folder, name)))
        line = f"{where}:{number}:{shorten(text, _WIDTH)}" if number else where
        room -= len(line) + 1
        if room < 0:
            break
        lines.append(line)
    more = "" if found.complete else "more than "
    count = plural(files, "file")
    if args.pattern:
        count = f"{plural(len(found.hits), 'match', 'matches')} in {count}"
    notes = [more + count, *found.notes]
    if len(lines) < len(found.hits):
        notes.insert(1, f"the first {len(lines)} shown; narrow it by `path` or `name`")
    return ToolResult("\n".join(lines) + f"\n[{'; '.join(notes)}]", facts=facts | {"shown": len(lines)})


def _nothing(args: SearchArguments, found: Found, path: str, *, one_file: bool) -> str:
    """That there is none, and what could be the reason for it."""
    if not args.pattern:
        what = f"No file named {one_line(args.name)}"
        hints = ["`name` matches files; for what is in a folder use folder/**"]
    else:
        named = f" in files named {one_line(args.name)}" if args.name and not one_file else ""
        what = f"No line matches {visible(args.pattern)}{named}"
        hints = ["try fewer words"] if " " in args.pattern.strip() and "|" not in args.pattern else []
        hints += [] if args.ignore_case else ["try ignore_case"]
    if not one_file and not any("ignores" in note for note in found.notes):
        hints.append("files that git ignores were left out")
    notes = "; ".join([*hints, *found.notes])
    return f"{what} in {shown(path)}." + (f" [{notes}]" if notes else "")
