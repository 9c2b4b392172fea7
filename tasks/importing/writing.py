"""A task folder written from data: task.toml as text, and files with their modes.

Threat model: names and texts come from a benchmark's file. A name becomes a folder's only where it is plain, every
value goes into TOML quoted, and nothing is written outside the folder that was asked for.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from agent.outcomes import UsageProblem

Value = str | bool | int | float | datetime.date | Sequence[str] | Mapping[str, str]
_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Imported(BaseModel):
    """What came of an import: names of the tasks written, and a sentence for each thing left out or to know."""

    model_config = ConfigDict(frozen=True)

    written: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def toml(tables: Mapping[str, Mapping[str, Value | None]]) -> str:
    """Tables by name ("" for what stands before the first) as TOML; what is None or an empty list is left out."""
    parts = []
    for name, table in tables.items():
        lines = [
            f"{_name(key)} = {_value(value)}" for key, value in table.items() if value not in (None, (), [], {})
        ]
        if lines:
            parts.append("\n".join([f"[{name}]", *lines] if name else lines))
    return "\n\n".join(parts) + "\n"


def _name(key: str) -> str:
    return key if _KEY.fullmatch(key) else _quoted(key)


def _value(value: Value | None) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_name(key)} = {_quoted(text)}" for key, text in value.items()) + " }"
    lines = "".join(f"    {_quoted(each)},\n" for each in value or ())
    return f"[\n{lines}]"


def _quoted(text: str) -> str:
    """A basic string: JSON's escapes are TOML's, but for the one control character that JSON leaves alone."""
    plain = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(plain, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_task(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write a new task's files; those that end in .sh can be run. Raises UsageProblem."""
    try:
        folder.mkdir(parents=True)
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
            path.chmod(0o755 if name.endswith(".sh") else 0o644)
    except FileExistsError as error:
        raise UsageProblem(f"{folder} is there already: remove it, or give another --out") from error
    except OSError as error:
        raise UsageProblem(f"{folder} cannot be written: {error.strerror}") from error


def plain_name(text: str) -> str | None:
    """`text` as a folder's name: what is not plain in it becomes `-`; None where nothing is left."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:100].lstrip("._-")
    return name or None
