"""The `edit` tool: one exact replacement in a file, refused unless it is clear which text is meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field, field_validator

from sandboxes.protocol import FileError
from tools.diffs import unified
from tools.near import explain_miss
from tools.paths import FilePath, check_write, explain, resolve, shown, write_effects
from tools.protocol import Arguments, Effects, Preview, ToolResult, Workbench
from tools.text import numbered, plural

MAX_FILE_BYTES = 20 << 20
_AROUND = 3
_MAX_SHOWN = 40


class EditArguments(Arguments):
    """Arguments of `edit`."""

    path: FilePath = Field(description="The file: absolute, or relative to /workspace.")
    old: str = Field(
        description="The text to replace, exactly as in the file, without line numbers. It must occur once: "
        "take in enough lines around it."
    )
    new: str = Field(description="The text to put in its place.")
    all: bool = Field(False, description="Replace every occurrence.")

    @field_validator("old")
    @classmethod
    def _something(cls, old: str) -> str:
        if not old:
            raise ValueError("`old` is empty: name the text to replace, or use write for a new file")
        return old


@dataclass(frozen=True, slots=True)
class Replaced:
    """The new text, how many replacements were made, and where the first one is (characters from the start)."""

    text: str
    count: int
    start: int
    end: int


class CannotReplace(Exception):
    """The edit does not fit the file; the message tells the model what to do."""


def replace(text: str, old: str, new: str, everywhere: bool = False) -> Replaced:
    """`text` with `old` replaced by `new`. Raises CannotReplace when it is not there, or there several times.

    In a file with CRLF line endings, `old` and `new` may be written with LF ones; the file keeps its own.
    """
    if old == new:
        raise CannotReplace("`old` and `new` are the same: nothing would change.")
    if "\r\n" in text and ("\n" not in text.replace("\r\n", "") or old not in text):
        old, new = (part.replace("\r\n", "\n").replace("\n", "\r\n") for part in (old, new))
        if old == new:
            raise CannotReplace("`old` and `new` differ only in line endings; the file keeps its CRLF ones.")
    places = _occurrences(text, old)
    if not places:
        why = explain_miss(*(part.replace("\r\n", "\n") for part in (text, old, new)))
        raise CannotReplace(f"`old` was not found. {why}")
    if len(places) > 1 and not everywhere:
        raise CannotReplace(_several(text, places))
    count = text.count(old) if everywhere else 1
    return Replaced(text.replace(old, new), count, places[0], places[0] + len(new))


def _occurrences(text: str, old: str) -> list[int]:
    """Where `old` begins, overlapping ones included, as any of them could be meant; the first thousand."""
    places: list[int] = []
    at = text.find(old)
    while at >= 0 and len(places) < 1000:
        places.append(at)
        at = text.find(old, at + 1)
    return places


def _several(text: str, places: list[int]) -> str:
    numbers = [str(text.count("\n", 0, place) + 1) for place in places[:20]]
    more = f" and {len(places) - 20} more" if len(places) > 20 else ""
    return (
        f"`old` occurs {len(places)} times, beginning on lines {', '.join(numbers)}{more}. "
        "Take in lines around the one you mean, or set all=true to replace every one."
    )


class Edit:
    """Replaces text in a file."""

    name: ClassVar[str] = "edit"
    description: ClassVar[str] = (
        "Replace an exact piece of text in a file, white space included. It must occur exactly once, unless "
        "all=true. If it is not found you are shown the nearest lines."
    )
    arguments: ClassVar[type[Arguments]] = EditArguments

    def effects(self, args: EditArguments, bench: Workbench) -> Effects:
        """From the path as spelled; links that lead elsewhere are refused when it runs."""
        return write_effects(resolve(args.path))

    async def preview(self, args: EditArguments, bench: Workbench) -> Preview:
        """The diff it would make, or why it cannot be made."""
        path = resolve(args.path)
        title = f"edit {shown(path)}"
        try:
            text = _decode(await bench.sandbox.read(path, max_bytes=MAX_FILE_BYTES))
            changed = replace(text, args.old, args.new, args.all)
        except FileError as error:
            return Preview(title, detail=explain(error))
        except CannotReplace as error:
            return Preview(title, detail=f"This edit will fail: {error}")
        return Preview(title, diff=unified(path, text, changed.text))

    async def run(self, args: EditArguments, bench: Workbench) -> ToolResult:
        """Read, replace, and write back if nobody else wrote in between."""
        path = resolve(args.path)
        try:
            await check_write(bench.sandbox, path)
            data = await bench.sandbox.read(path, max_bytes=MAX_FILE_BYTES)
            changed = replace(_decode(data), args.old, args.new, args.all)
            await bench.sandbox.write(path, _encode(changed.text), expect=data)
        except FileError as error:
            hint = " Use write for a new file." if error.problem == "not_found" else ""
            return ToolResult(explain(error) + hint, ok=False, facts={"path": path, "error": error.problem})
        except CannotReplace as error:
            return ToolResult(f"{shown(path)}: {error}", ok=False, facts={"path": path, "error": "no_match"})
        text = (
            f"Replaced {plural(changed.count, 'occurrence')} in {shown(path)}."
            if args.all
            else f"Edited {shown(path)}."
        )
        facts = {"path": path, "replaced": changed.count}
        return ToolResult(f"{text} It now reads:\n{_region(changed)}", facts=facts)


def _decode(data: bytes) -> str:
    """Text in which bytes that are no UTF-8 survive the way back."""
    return data.decode("utf-8", "surrogateescape")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _region(changed: Replaced) -> str:
    """The lines around the first replacement, numbered."""
    start = changed.text.count("\n", 0, changed.start)
    end = changed.text.count("\n", 0, changed.end)
    lines = changed.text.removesuffix("\n").split("\n")
    first = max(0, start - _AROUND)
    region = lines[first : end + 1 + _AROUND]
    rest = len(region) - _MAX_SHOWN
    others = changed.count - 1
    page = numbered(region[:_MAX_SHOWN], first + 1, 500)
    page += f"\n[{plural(rest, 'more line')}]" if rest > 0 else ""
    return page + (f"\n[and {plural(others, 'more place')}]" if others else "")
