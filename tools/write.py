"""The `write` tool: a whole file, new or in place of another."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from sandboxes.protocol import FileError, Sandbox
from tools.diffs import unified
from tools.paths import FilePath, explain, find, put, resolve, shown, write_effects
from tools.protocol import Arguments, Effects, Preview, ToolResult, Workbench
from tools.text import plural

MAX_FILE_BYTES = 20 << 20


class WriteArguments(Arguments):
    """Arguments of `write`."""

    path: FilePath = Field(
        description="The file: absolute, or relative to /workspace. Folders are made as needed."
    )
    content: str = Field(description="The whole text of the file, with its last newline.")


class Write:
    """Writes a whole file."""

    name: ClassVar[str] = "write"
    description: ClassVar[str] = (
        "Write a whole text file: a new one, or in place of what is there. To change part of a file use edit."
    )
    arguments: ClassVar[type[Arguments]] = WriteArguments

    def effects(self, args: WriteArguments, bench: Workbench) -> Effects:
        """From the path as spelled; links that lead elsewhere are refused when it runs."""
        return write_effects(resolve(args.path))

    async def preview(self, args: WriteArguments, bench: Workbench) -> Preview:
        """The difference to what is there now."""
        path = resolve(args.path)
        try:
            old = await _current(bench.sandbox, await find(bench.sandbox, path))
        except FileError as error:
            return Preview(f"write {shown(path)}", detail=explain(error))
        diff = unified(path, "" if old is None else old.decode("utf-8", "replace"), args.content)
        return Preview(
            f"{'create' if old is None else 'overwrite'} {shown(path)}",
            diff=diff,
            before="" if old is None else _text(old),
        )

    async def run(self, args: WriteArguments, bench: Workbench) -> ToolResult:
        """Write it, and say whether it replaced something."""
        path = resolve(args.path)
        data = args.content.encode()
        try:
            place = await find(bench.sandbox, path)
            old = await _current(bench.sandbox, place)
            if old == data:
                return ToolResult(
                    f"{shown(path)} holds exactly this text already.", facts={"path": path, "changed": False}
                )
            await put(bench.sandbox, place, data, old=old)
        except FileError as error:
            return ToolResult(explain(error), ok=False, facts={"path": path, "error": error.problem})
        facts = {"path": path, "changed": True, "created": old is None, "bytes": len(data)}
        lines = count_lines(data)
        if old is None:
            return ToolResult(f"Created {shown(path)} ({plural(lines, 'line')}).", facts=facts)
        text = f"Replaced {shown(path)}: it had {plural(count_lines(old), 'line')}, now {lines}."
        return ToolResult(text, facts=facts)


async def _current(sandbox: Sandbox, path: str) -> bytes | None:
    """What the file holds, None when there is none. Raises FileError for everything else."""
    try:
        return await sandbox.read(path, max_bytes=MAX_FILE_BYTES)
    except FileError as error:
        if error.problem == "not_found":
            return None
        raise


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def count_lines(data: bytes) -> int:
    """Lines as an editor counts them: the last one needs no newline."""
    return data.count(b"\n") + (not data.endswith(b"\n") if data else 0)
