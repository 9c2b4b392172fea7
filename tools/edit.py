"""The `edit` tool: one exact replacement in a file, refused unless it is clear which text is meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field, field_validator

from sandboxes.protocol import FileError
from tools.diffs import unified
from tools.near import explain_miss
from tools.paths import FilePath, explain, find, put, resolve, shown, write_effects
from tools.protocol import Arguments, Effects, Preview, ToolResult, Workbench
from tools.text import numbered, plural

MAX_FILE_BYTES = 20 << 20
_AROUND = 3
_MAX_NEW = 15
_ENDS = 4
_MAX_PLACES = 10
_MAX_FOUND = 1000


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
    """Where `old` begins, overlapping ones included, as any of them could be meant; the first _MAX_FOUND."""
    places: list[int] = []
    at = text.find(old)
    while at >= 0 and len(places) < _MAX_FOUND:
        places.append(at)
        at = text.find(old, at + 1)
    return places


def _several(text: str, places: list[int]) -> str:
    lines = text.split("\n")
    numbers: list[int] = []
    line = before = 0
    for place in places:
        line += text.count("\n", before, place)
        before = place
        if line not in numbers[-1:]:
            numbers.append(line)
    beginnings = "\n".join(numbered([lines[number]], number + 1, 300) for number in numbers[:_MAX_PLACES])
    rest = len(numbers) - _MAX_PLACES
    more = f"\n[and {plural(rest, 'more line')}]" if rest > 0 else ""
    many = f"{len(places)} times" + (" or more" if len(places) == _MAX_FOUND else "")
    return (
        f"`old` occurs {many}, beginning on these lines:\n{beginnings}{more}\n"
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
            place = await find(bench.sandbox, path)
            text = _decode(await bench.sandbox.read(place, max_bytes=MAX_FILE_BYTES))
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
            place = await find(bench.sandbox, path)
            data = await bench.sandbox.read(place, max_bytes=MAX_FILE_BYTES)
            changed = replace(_decode(data), args.old, args.new, args.all)
            await put(bench.sandbox, place, _encode(changed.text), old=data)
        except FileError as error:
            hint = " Use write for a new file." if error.problem == "not_found" else ""
            return ToolResult(explain(error) + hint, ok=False, facts={"path": path, "error": error.problem})
        except CannotReplace as error:
            text = f"{shown(path)}: {error}{_gap(str(error))}Nothing was changed."
            return ToolResult(text, ok=False, facts={"path": path, "error": "no_match"})
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


def _gap(text: str) -> str:
    """What separates a sentence from `text`, which may end in lines of a file."""
    return "\n" if "\n" in text else " "


def _region(changed: Replaced) -> str:
    """The lines around the first replacement, numbered. Of a long one both ends: the model has just written it."""
    start = changed.text.count("\n", 0, changed.start)
    end = changed.text.count("\n", 0, changed.end)
    lines = changed.text.removesuffix("\n").split("\n")
    first = max(0, start - _AROUND)
    stop = end + 1 + _AROUND
    if end - start < _MAX_NEW:
        page = numbered(lines[first:stop], first + 1, 500)
    else:
        hidden, shown_again = start + _ENDS, end - _ENDS
        page = numbered(lines[first:hidden], first + 1, 500)
        page += f"\n[… lines {hidden + 1}-{shown_again} as in `new` …]\n"
        page += numbered(lines[shown_again:stop], shown_again + 1, 500)
    others = changed.count - 1
    return page + (f"\n[and {plural(others, 'more place')}]" if others else "")
