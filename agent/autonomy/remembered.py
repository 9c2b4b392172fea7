"""What "always" remembers: the narrowest shape of a call, for this session, with the effects that were approved.

Threat model: the agent knows which calls were approved and will try to make another one look the same. So a
shape holds exact texts, never prefixes or patterns, and paths in the very form in which the tools use them. A call
that could do more than what was approved never matches.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tools.paths import resolve
from tools.protocol import Effects

_NOT_PART_OF_A_COMMAND = frozenset({"timeout"})


class Shape(NamedTuple):
    """What two calls must share to count as the same. `words` completes "always allow …" for a person."""

    tool: str
    key: str
    words: str


def shape_of(tool: str, arguments: dict[str, Any], cwd: str) -> Shape:
    """The narrowest useful shape of a call made in directory `cwd`.

    shell: the same command (and whatever else it is given, but for the time limit) in the same directory.
    edit, write: the same path. git: the same action. Any other tool: the same arguments in the same directory.
    """
    match tool, arguments:
        case "shell", {"command": str()}:
            kept = {name: value for name, value in arguments.items() if name not in _NOT_PART_OF_A_COMMAND}
            return Shape(tool, _key(kept, cwd), "exactly this command in this directory")
        case (("edit" | "write"), {"path": str(path)}):
            return Shape(tool, _key({"path": resolve(path)}, ""), f"`{tool}` on {path}")
        case "git", {"action": str(action)}:
            return Shape(tool, _key({"action": action}, ""), f"`git` with the action {action}")
        case _:
            return Shape(tool, _key(arguments, cwd), f"`{tool}` with exactly these arguments in this directory")


class Remembered:
    """The shapes that a person said "always" to. Empty at the start of a session, and again after a resume."""

    def __init__(self) -> None:
        self._approved: dict[tuple[str, str], list[Effects]] = {}

    def add(self, shape: Shape, effects: Effects) -> None:
        """Remember that calls of this shape with no more than `effects` were approved."""
        self._approved.setdefault((shape.tool, shape.key), []).append(effects)

    def matches(self, shape: Shape, effects: Effects) -> bool:
        """Whether one approval of this shape covers every one of `effects`."""
        return any(effects <= approved for approved in self._approved.get((shape.tool, shape.key), ()))


def _key(arguments: dict[str, Any], cwd: str) -> str:
    return json.dumps([arguments, cwd], sort_keys=True)
