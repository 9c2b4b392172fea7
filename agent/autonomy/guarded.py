"""What is never allowed silently, whatever the level or a rule says.

Below level 5 a person is asked, each time, even where a rule allows it; at level 5 it is allowed, journalled and
shown. The delivery of files that tools on the user's machine trust is such a thing too: see `flags.py`.

Threat model: a rule is written for the ordinary case and the agent looks for the other one. Where a deletion's
target is not known, it may be the worst one. What a program does by itself is not seen here: nothing of the
user's is in the sandbox, and a changed `bridle.toml` is shown again before it is delivered.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from agent.autonomy.calls import HOME, Call
from sandboxes.protocol import WORKSPACE
from tools.protocol import Effect

HOMES = frozenset({"/", "/home", "/root", HOME, WORKSPACE})
"""Folders that are not deleted silently, nor anything above them."""
CONFIGURATION = "bridle.toml"


def guarded(call: Call) -> tuple[str, ...]:
    """Why a call is never allowed silently, in clauses; nothing for most calls. A pure function."""
    return tuple(dict.fromkeys(_reasons(call)))


def _reasons(call: Call) -> Iterator[str]:
    yield from call.guards
    if call.tool == "network":
        yield "it widens what the sandbox reaches to the whole network"
    # A call whose effects cannot be told claims each of them; it hands out a secret only if it names one.
    if Effect.SECRET in call.effects and call.arguments.get("secrets"):
        yield "it hands a secret's value to a command"
    for part in call.parts:
        if part.effects <= {Effect.READ}:
            continue
        for place in part.places:
            if place.role in {"read", "none"}:
                continue
            if place.path == f"{WORKSPACE}/{CONFIGURATION}":
                yield f"it may change {CONFIGURATION}, which says what Bridle may do"
            elif _is_bridles_own(place.path):
                yield "it may change Bridle's own settings or records"
    for folder in sorted(call.emptied, key=str):
        if folder is None:
            yield "it deletes a folder whose name is not in the command"
        elif any(_holds(folder, home) for home in HOMES):
            yield f"it may delete all of {'the workspace' if folder == WORKSPACE else folder}"


def _holds(pattern: str, place: str) -> bool:
    """May a folder of that pattern be the place, or one above it?"""
    outer, inner = pattern.split("/"), place.split("/")
    outer = outer[:-1] if outer[-1] == "" else outer
    return len(outer) <= len(inner) and all(map(fnmatchcase, inner, outer))


def _is_bridles_own(path: str) -> bool:
    return any(f"/{place}/bridle" in path for place in (".config", ".local/state", ".local/share", ".cache"))
