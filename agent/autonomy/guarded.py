"""What is never allowed silently, whatever the level or a rule says.

Below level 5 a person is asked, each time, even where a rule allows it; at level 5 it is allowed, journalled and
shown. The delivery of files that tools on the user's machine trust is such a thing too: see `flags.py`.

Threat model: a rule is written for the ordinary case and the agent looks for the other one. Where a deletion's
target is not known, it may be the worst one. What a program does by itself is not seen here: nothing of the
user's is in the sandbox, and a changed `bridle.toml` is shown again before it is delivered.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.autonomy.calls import HOME, Call, Part
from agent.autonomy.commands.line import Command
from sandboxes.protocol import WORKSPACE
from tools.paths import is_below
from tools.protocol import Effect

HOMES = frozenset({"/", "/home", "/root", HOME, WORKSPACE})
"""Folders that are not deleted silently, nor anything above them."""
CONFIGURATION = "bridle.toml"
_DELETERS = frozenset({"rm", "rmdir", "shred", "unlink", "srm", "rimraf", "trash"})
_BELOW = ("*", ".[!.]*", ".*", "..?*", "**", "{*,.*}")


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
        if Effect.DESTROY in part.effects and part.command is not None and _deletes(part.command):
            yield from _deleted(part)


def _is_bridles_own(path: str) -> bool:
    return any(f"/{place}/bridle" in path for place in (".config", ".local/state", ".local/share", ".cache"))


def _deletes(command: Command) -> bool:
    """Does it delete whole folders?"""
    words = [word.text for word in command.words[1:]]
    if command.name in _DELETERS:
        # Without -r, rm leaves folders alone; what it deletes in one, it does file by file.
        return command.name != "rm" or any(
            word.startswith("--r")
            or (word.startswith("-") and not word.startswith("--") and set(word) & set("rR"))
            for word in words
        )
    if command.name == "find":
        return "-delete" in words or bool({"rm", "-exec", "-execdir"} & set(words))
    return command.name in {"mv", "rsync"} or command.name is None


_NARROWS = frozenset({"-name", "-iname", "-path", "-ipath", "-wholename", "-regex", "-iregex"})


def _is_narrowed(command: Command) -> bool:
    """Does `find` look for certain names only?"""
    pairs = zip(command.words[1:], command.words[2:], strict=False)
    return command.name == "find" and any(
        option.text in _NARROWS
        and value.known
        and value.text.strip("*?./")
        and not {"-o", "-not", "!"} & _texts(command)
        for option, value in pairs
    )


def _texts(command: Command) -> set[str]:
    return {word.text for word in command.words if word.known}


def _deleted(part: Part) -> Iterator[str]:
    if part.command is not None and _is_narrowed(part.command):
        return
    for place in part.places:
        path = place.path
        if place.glob:
            folder, _, last = path.rpartition("/")
            path = (folder or "/") if last in _BELOW else path
        if path in HOMES or any(is_below(each, path) for each in HOMES):
            yield f"it may delete all of {'the workspace' if path == WORKSPACE else path}"
    command = part.command
    words = command.words[1:] if command is not None else ()
    if any(word.kind == "hole" and not word.text.strip("/") for word in words):
        yield "it deletes a folder whose name is not in the command"
    if command is not None and command.name == "find" and not part.places:
        yield "it may delete all of the folder it works in"
