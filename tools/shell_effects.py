"""What a shell command could do, found from its syntax tree; see docs/autonomy.md.

Threat model: the command is the model's and may be written to look harmless. Nothing is taken for harmless that is
not understood: a command or an option that the table does not know runs, a value that is not known could be any,
and a line that cannot be read for certain has every effect. What a program that runs does by itself is not seen
from here: that is what `run` means.

Reading anywhere in the sandbox is reading: it holds nothing of the user's but the workspace.
"""

from __future__ import annotations

import posixpath
from functools import lru_cache
from typing import NamedTuple

from tools.protocol import EVERY_EFFECT, Cause, Effect, Effects


class Found(NamedTuple):
    """The effects of a line, and where each but reading comes from. `emptied` are the folders, as patterns, of
    which everything may be deleted; None is one that is not known. `commands` are those it runs of which each word
    is known.
    """

    effects: Effects
    causes: tuple[Cause, ...]
    emptied: frozenset[str | None] = frozenset()
    installs: bool | None = False
    commands: tuple[tuple[str, ...], ...] = ()


def folder(cwd: str) -> frozenset[str] | None:
    """The one folder that a line runs in; None when it is not known."""
    path = posixpath.normpath(cwd)
    return frozenset({"/" + path.lstrip("/")}) if path.startswith("/") else None


def shell_effects(command: str, cwd: str) -> Effects:
    """Every effect that `command`, run in the directory `cwd` of the sandbox, is seen or feared to have."""
    return explained(command, cwd).effects


@lru_cache(maxsize=64)
def explained(command: str, cwd: str) -> Found:
    """The same, with the parts of the command that have the effects. A call is asked about several times over."""
    from tools.commands.grammar import UnreadableError
    from tools.commands.scene import Scene  # with the parser: not needed to start Bridle
    from tools.commands.walk import Reader

    reader, scene = Reader(), Scene(folder(cwd), folder(cwd))
    try:
        reader.line(command, scene)
        reader.finish(scene)
    except (UnreadableError, RecursionError) as error:
        why = str(error) if isinstance(error, UnreadableError) else "is too deeply nested"
        cause = f"the line {why}"
        return Found(
            EVERY_EFFECT,
            tuple(Cause(e, command[:200], cause) for e in Effect if e is not Effect.READ),
            frozenset({None}),
            None,
        )
    found = reader.findings
    return Found(found.effects, found.causes, frozenset(found.emptied), found.installs, tuple(reader.commands))
