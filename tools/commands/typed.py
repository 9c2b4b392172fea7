"""What text that is typed into a background process could do.

Threat model: the process is the agent's, and may read its input as a shell does or hand it to one, so that the
text counts as a line of a shell whatever reads it; where it cannot be read as one, it has every effect. What was
typed before goes on: a line may come in pieces, and folders, variables and names stay. Only where the process was
started as an interpreter of another language, a text that is no line for a shell is code of that language.
"""

from __future__ import annotations

import posixpath
import re
import shlex

from tools.commands.findings import Findings
from tools.commands.grammar import UnreadableError
from tools.commands.scene import Scene
from tools.commands.table import table
from tools.commands.walk import Reader
from tools.protocol import EVERY_EFFECT, Cause, Effect, Talk
from tools.shell_effects import Found, explained, folder

_SIGNALS = re.compile(r"[\x03\x04\x1a\x1c]")
"""Keys that interrupt or end: alone they run nothing that is not typed."""
_LINES = re.compile(r"(.*(?<!\\)\n)?(.*)", re.DOTALL)
"""Lines that are whole, and the rest."""
_RENAMES = re.compile(r"\balias\b|!(?![\s=])|(?:^|\n)\s*\^")
"""What an interactive shell makes another line of: aliases and its history."""
_PROMPT = re.compile(r"-[iqubBsSEIO]+")
"""Options of an interpreter with which it still reads code from its input."""


def typed(talk: Talk, text: str) -> Found:
    """What `text`, typed into a process, could do; `talk.text` was typed before."""
    done, _ = _split(_plain(talk.text))
    new = whole(talk, text)
    reader, scene = Reader(), _place(talk)
    try:
        _read(reader, done, scene)
        reader.findings, reader.steps = Findings(), 0
        _read(reader, new, scene)
        reader.finish(scene)
    except (UnreadableError, RecursionError) as error:
        if _is_interpreter(talk.command):
            return _code(talk, new)
        why = str(error) if isinstance(error, UnreadableError) else "is too deeply nested"
        return Found(
            EVERY_EFFECT,
            tuple(Cause(e, text[:200], f"read by a shell, it {why}") for e in Effect if e is not Effect.READ),
        )
    found = Found(reader.findings.effects, reader.findings.causes)
    if not _is_interpreter(talk.command):
        return found
    code = _code(talk, new)
    return Found(found.effects | code.effects, (*found.causes, *code.causes))


def whole(talk: Talk, text: str) -> str:
    """`text` with the beginning of its first line, if that was typed before."""
    return _split(_plain(talk.text))[1] + _plain(text)


def _plain(text: str) -> str:
    return _SIGNALS.sub("", text).replace("\r", "\n")


def _split(text: str) -> tuple[str, str]:
    found = _LINES.fullmatch(text)
    return (found[1] or "", found[2]) if found is not None else ("", text)


def _read(reader: Reader, code: str, scene: Scene) -> None:
    """Read lines as a prompt does. Raises UnreadableError."""
    if _RENAMES.search(code):
        raise UnreadableError("may stand for another one")
    if code.strip():
        reader.line(code, scene)


def _place(talk: Talk) -> Scene:
    """Where the process may be: in any folder in which its line runs something."""
    reader = Reader()
    start = Scene(folder(talk.cwd), folder(talk.cwd))
    try:
        reader.line(talk.command, start)
        reader.finish(start)
    except (UnreadableError, RecursionError):
        return Scene(None, None)
    folders = start.folders
    for each in reader.places:
        folders = folders | each if folders is not None and each is not None else None
    return Scene(folders, folders)


def _is_interpreter(command: str) -> bool:
    """Is it for certain the prompt of a language that is no shell's?"""
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    words = words[1:] if words[:1] == ["exec"] else words
    row = table().row(posixpath.basename(words[0])) if words else None
    return row is not None and row.special == "code" and all(map(_PROMPT.fullmatch, words[1:]))


def _code(talk: Talk, text: str) -> Found:
    found = explained(f"{talk.command} <<< {shlex.quote(text)}", talk.cwd)
    return Found(found.effects, tuple(Cause(c.effect, text[:200], c.reason) for c in found.causes))
