"""The paths and hosts that a call names, for the person who is asked about it.

What a program does by itself is not in the call and not here; where words of the call are not known, `unsaid`.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.autonomy.calls import Call, Part
from sandboxes.protocol import WORKSPACE
from tools.protocol import Effect

CHANGING = frozenset({Effect.WRITE, Effect.DESTROY, Effect.OUTSIDE})


class Touched(NamedTuple):
    """What a call names: paths (in the workspace, from there) and hosts. `unsaid`: there may be more."""

    paths: tuple[str, ...]
    hosts: tuple[str, ...]
    unsaid: bool


def touched(call: Call) -> Touched:
    """What the parts that do more than read name. A pure function."""
    paths: dict[str, None] = {}
    hosts: dict[str, None] = {}
    unsaid = False
    for part in call.parts:
        hosts.update(dict.fromkeys(part.hosts))
        if part.effects <= {Effect.READ}:
            continue
        unsaid = unsaid or part.open
        for place in part.places:
            path = place.path.removeprefix(f"{WORKSPACE}/")
            if part.command is None or _looks_like_a_path(path, part):
                paths[path] = None
    return Touched(tuple(paths), tuple(hosts), unsaid)


def _looks_like_a_path(path: str, part: Part) -> bool:
    """Any word may name a file. Those of a command that changes files do; of others, those that look like it."""
    return bool(part.effects & CHANGING) or "/" in path or "." in path
