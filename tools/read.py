"""The `read` tool: a file with line numbers, or what a folder holds."""

from __future__ import annotations

import difflib
import posixpath
from typing import ClassVar

from pydantic import Field

from sandboxes.protocol import EntryKind, FileError, Sandbox
from sandboxes.secrets import Secrets
from tools.paths import FilePath, explain, resolve, shown
from tools.protocol import Arguments, Effect, Effects, Preview, ToolResult, Workbench
from tools.text import LIMIT, numbered, one_line, plural, visible

MAX_FILE_BYTES = 20 << 20
_MAX_ENTRIES = 500


class ReadArguments(Arguments):
    """Arguments of `read`."""

    path: FilePath = Field(description="File or folder: absolute, or relative to /workspace.")
    start_line: int = Field(1, ge=1, description="First line to show; the first line of a file is 1.")
    line_count: int = Field(2000, ge=1, le=2000, description="How many lines at most.")


class Read:
    """Shows a file or lists a folder."""

    name: ClassVar[str] = "read"
    description: ClassVar[str] = (
        "Show a file with line numbers, or list a folder. Paths are absolute or relative to /workspace, wherever "
        "the shell is. The number and the tab before each line are not part of the file."
    )
    arguments: ClassVar[type[Arguments]] = ReadArguments

    def effects(self, args: ReadArguments, bench: Workbench) -> Effects:
        """Only reading: nothing of the user's but the workspace lies in the sandbox."""
        return frozenset({Effect.READ})

    async def preview(self, args: ReadArguments, bench: Workbench) -> Preview:
        """The path."""
        return Preview(f"read {shown(resolve(args.path))}")

    async def run(self, args: ReadArguments, bench: Workbench) -> ToolResult:
        """Read and number it, or say what is wrong with the path."""
        path = resolve(args.path)
        try:
            data = await bench.sandbox.read(path, max_bytes=MAX_FILE_BYTES)
        except FileError as error:
            if error.problem == "is_directory":
                return await _folder(bench.sandbox, path)
            if error.problem == "not_found":
                return await _missing(bench, args.path)
            return ToolResult(explain(error), ok=False, facts={"path": path, "error": error.problem})
        facts = {"path": path, "bytes": len(data)}
        if b"\0" in data:
            return ToolResult(_binary(shown(path), data, bench.secrets), facts=facts | {"binary": True})
        text, lines = _page(shown(path), data, args.start_line, args.line_count, bench.secrets)
        return ToolResult(text, facts=facts | {"lines": lines})


def _page(name: str, data: bytes, start: int, count: int, secrets: Secrets) -> tuple[str, int]:
    """The asked part of a text file as shown, and how many lines the file has."""
    if not data:
        return f"{name} is empty (0 bytes).", 0
    text = data.decode("utf-8", "replace")
    lines = text.removesuffix("\n").split("\n")
    if start > len(lines):
        return f"{name} has only {plural(len(lines), 'line')}.", len(lines)
    taken, room = 0, LIMIT
    wanted = lines[start - 1 : start - 1 + count]
    while taken < len(wanted) and room > 0:
        room -= min(len(wanted[taken]), 2000) + 8
        taken += 1
    end = start + taken - 1
    notes = []
    if start > 1 or end < len(lines):
        notes.append(f"lines {start}-{end} of {len(lines)}")
    if end < len(lines):
        notes.append(f"read on with start_line={end + 1}")
    if not text.endswith("\n"):
        notes.append("no newline at the end of the file")
    if "\r\n" in text:
        notes.append("line endings are CRLF")
    if "\ufffd" in text and not _is_utf8(data):
        notes.append("not valid UTF-8: bytes that are no text are shown as \ufffd")
    # Before the lines get their numbers, which would stand in the middle of a value that is broken into lines.
    page = numbered(secrets.mask("\n".join(wanted[:taken])).split("\n"), start)
    return page + (f"\n[{'; '.join(notes)}]" if notes else ""), len(lines)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _binary(name: str, data: bytes, secrets: Secrets) -> str:
    first = secrets.mask_bytes(data[: secrets.longest + 16])[:16]
    kind, how = "a binary file", "for example od -c, file or strings"
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        kind, how = "UTF-16 text", "iconv -f UTF-16 -t UTF-8"
    size = plural(len(data), "byte")
    return f"{name} is {kind} of {size}, starting {first.hex(' ')}. Look into it with shell: {how}."


_MARKS: dict[EntryKind, str] = {"file": "", "folder": "/", "link": "@", "other": ""}


async def _folder(sandbox: Sandbox, path: str) -> ToolResult:
    """What a folder holds, as `ls -F` marks it."""
    try:
        listing = await sandbox.list(path, max_entries=_MAX_ENTRIES)
    except FileError as error:
        return ToolResult(explain(error), ok=False, facts={"path": path, "error": error.problem})
    count = len(listing.entries) + listing.left_out
    if not count:
        return ToolResult(f"{shown(path)} is an empty folder.", facts={"path": path, "entries": 0})
    lines = [visible(entry.name) + _MARKS[entry.kind] for entry in listing.entries]
    if listing.left_out:
        lines.append(
            f"[{'' if listing.counted else 'at least '}{listing.left_out} more: use the search tool with a name]"
        )
    many = f"{'' if listing.counted else 'at least '}{plural(count, 'entry', 'entries')}"
    text = f"{shown(path)} is a folder with {many}:\n" + "\n".join(lines)
    return ToolResult(text, facts={"path": path, "entries": count})


async def _missing(bench: Workbench, asked: str) -> ToolResult:
    """What the model may have meant: below the shell's directory, or a name like it in the same folder."""
    path = resolve(asked)
    facts = {"path": path, "error": "not_found"}
    folder, name = posixpath.split(path)
    text = f"{shown(path)}: no such file."
    here = resolve(asked, bench.cwd)
    if here != path and await _is_there(bench.sandbox, here):
        return ToolResult(
            f"{text} Paths are relative to /workspace; did you mean {shown(here)}?", ok=False, facts=facts
        )
    names, count = await _names(bench.sandbox, folder)
    close = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
    if close:
        text += f" In {shown(folder)} there is: {_some(close, count)}"
    elif names:
        text += f" {shown(folder)} holds: {_some(names[:20], count)}"
    else:
        text += f" The folder {shown(folder)} is not there or empty; the search tool finds files by name."
    return ToolResult(text, ok=False, facts=facts)


async def _is_there(sandbox: Sandbox, path: str) -> bool:
    try:
        await sandbox.read(path, max_bytes=0)
    except FileError as error:
        return error.problem not in {"not_found", "bad_path"}
    return True


async def _names(sandbox: Sandbox, folder: str) -> tuple[list[str], int]:
    """The first names in a folder and how many there are; none when it cannot be listed."""
    try:
        listing = await sandbox.list(folder, max_entries=5000)
    except FileError:
        return [], 0
    names = [entry.name + ("/" if entry.kind == "folder" else "") for entry in listing.entries]
    return names, len(names) + listing.left_out


def _some(names: list[str], count: int) -> str:
    """`names`, and how many of `count` they leave out."""
    rest = count - len(names)
    return ", ".join(one_line(name) for name in names) + (f", and {plural(rest, 'other')}" if rest else "")
