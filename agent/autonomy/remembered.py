"""The exact shape of a call: what "always" remembers where nothing wider is chosen.

Threat model: the agent knows which calls were approved and will try to make another one look the same. So a
shape holds exact texts, never prefixes or patterns, and paths in the very form in which the tools use them. A call
that could do more than what was approved never matches.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tools.paths import resolve

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


def _key(arguments: dict[str, Any], cwd: str) -> str:
    return json.dumps([arguments, cwd], sort_keys=True)
