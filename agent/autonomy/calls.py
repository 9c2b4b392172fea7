"""A call, described for rules: its parts, and for each part its command, effects, paths and hosts.

A shell line has a part for each simple command and each file that a redirection writes; any other call is one
part.

Threat model: everything here stems from the model. Two readers take a line apart, which share little: what either
finds, holds. The whole has every effect worse than running that a part has of which each word is known; the parts
together never have fewer than the whole, and what no part explains is counted to each of them. Paths and hosts are
those that stand in the call; where a word's value is not known, `open` says so. What a program reads or writes by
itself is not seen here; what the patch changes is judged again when it is delivered.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agent.autonomy.commands.inner import every_command
from agent.autonomy.commands.line import ANYTHING, Command, Line, Word
from agent.autonomy.roles import Role, roles
from agent.autonomy.words import in_order
from sandboxes.protocol import WORKSPACE
from tools.paths import resolve, write_effects
from tools.protocol import EVERY_EFFECT, WORSE_THAN_RUN, Cause, Effect, Effects
from tools.shell_effects import explained, shell_effects

HOME = "/home/agent"
MAX_PLACES = 2000
MAX_JUDGED = 32 << 10
"""Characters of parts whose effects are found one by one; what is beyond has those of the whole line."""


@dataclass(frozen=True, slots=True)
class Place:
    """An absolute, normalised path that a part names; `glob`: a pattern for such paths. `role`: what is done."""

    path: str
    glob: bool = False
    role: Role = "changed"


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of a call is and could do. `open`: it may name paths and hosts that do not stand in it.
    `moved`: it may not run in the workspace's root.
    """

    effects: Effects
    command: Command | None = None
    places: tuple[Place, ...] = ()
    hosts: tuple[str, ...] = ()
    open: bool = False
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A call as rules see it. `parts` is never empty. `guards`: why it is never allowed silently, see guarded.
    `cwd` is the directory it runs in. `emptied` are the folders, as patterns, of which it may delete everything;
    None is one that is not known. `installs`: it installs packages; None: it may. `besides` are commands that only
    the reader of effects found; they make rules stricter, never laxer. `causes` are those of effects that it did
    not find.
    """

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    effects: Effects = EVERY_EFFECT
    parts: tuple[Part, ...] = ()
    guards: tuple[str, ...] = ()
    cwd: str = WORKSPACE
    emptied: frozenset[str | None] = frozenset()
    installs: bool | None = False
    besides: tuple[Part, ...] = ()
    causes: tuple[Cause, ...] = ()


def describe(tool: str, arguments: Mapping[str, Any], effects: Effects, cwd: str) -> Call:
    """Take a call apart. `effects` are what its tool claims; `cwd` is where it would run. Never raises."""
    effects = effects or EVERY_EFFECT
    emptied: frozenset[str | None] = frozenset()
    installs: bool | None = False
    besides: tuple[Part, ...] = ()
    more: tuple[Cause, ...] = ()
    match tool, arguments:
        case "shell", {"command": str(line)}:
            parts, besides, more = _of_line(line, cwd)
            emptied, installs = _in_all(line, cwd, parts)
        case "process", {"action": "write", "input": str(text)}:
            # It may be read by a shell, or by anything else.
            parts, besides, more = _of_line(text, cwd)
            parts = [replace(part, open=True) for part in parts]
            emptied, installs = _in_all(text, "", parts)  # in whichever folder the process is by now
        case "git", {"action": "commit"}:
            parts = [Part(effects, Command(tuple(map(Word, ("git", "commit")))), _listed(arguments))]
        case _:
            named = arguments.get("path")
            places = (Place(resolve(named)),) if isinstance(named, str) and named else ()
            parts = [Part(effects, None, (*places, *_listed(arguments)))]
    effects |= {cause.effect for cause in more}
    return Call(tool, arguments, effects, _settled(parts, effects), (), cwd, emptied, installs, besides, more)


def _beyond(parts: Iterable[Part], judged: Iterable[tuple[str, ...]]) -> tuple[Cause, ...]:
    """What is worse than running in parts of known words that were not `judged` where they stand."""
    found: list[Cause] = []
    for part in parts:
        words = part.command.words if part.command is not None else ()
        if words and all(word.kind in {"known", "glob"} for word in words):
            # Where a line moves, what is outside depends on where it is by then.
            worse = part.effects & (WORSE_THAN_RUN - {Effect.OUTSIDE} if part.moved else WORSE_THAN_RUN)
            text = " ".join(word.text for word in words)
            if tuple(word.text for word in words) not in judged:
                found += [Cause(effect, text[:200], "could, as a line of its own") for effect in in_order(worse)]
    return tuple(found)


def _in_all(line: str, cwd: str, parts: list[Part]) -> tuple[frozenset[str | None], bool | None]:
    """What the line may delete all of, and whether it installs; with what a part of it does, wherever it runs."""
    found = explained(line, cwd)
    emptied, installs = set(found.emptied), found.installs
    budget = MAX_JUDGED
    for part in parts:
        command = part.command
        if command is None or part.effects <= {Effect.READ, Effect.WRITE} or len(command.text) > budget:
            continue
        budget -= len(command.text)
        alone = explained(command.text, "")
        emptied |= alone.emptied - {None}
        installs = True if alone.installs else installs
    return frozenset(emptied), installs


def _listed(arguments: Mapping[str, Any]) -> tuple[Place, ...]:
    paths = arguments.get("paths")
    return (
        tuple(Place(resolve(path)) for path in paths if isinstance(path, str)) if isinstance(paths, list) else ()
    )


def _settled(parts: list[Part], effects: Effects) -> tuple[Part, ...]:
    """The parts with effects that agree with those of the whole."""
    explained = frozenset[Effect]().union(*(part.effects for part in parts))
    rest = effects - explained
    known = effects | {Effect.READ}  # which no tool names beside other effects
    settled = tuple(replace(part, effects=(part.effects & known) | rest) for part in parts)
    return settled or (Part(effects, open=True),)


def _of_line(line: str, cwd: str) -> tuple[list[Part], tuple[Part, ...], tuple[Cause, ...]]:
    """The parts of a line; commands that only the reader of effects found in it; effects that it did not find."""
    found = every_command(line)
    parts = _parts(found, cwd)
    known = {tuple(word.text for word in command.words) for command in found.commands}
    whole = explained(line, cwd)
    others = [Command(tuple(map(Word, words))) for words in whole.commands if words not in known]
    others += [ANYTHING] if whole.effects == EVERY_EFFECT else []
    more = (cause for cause in _beyond(parts, whole.commands) if cause.effect not in whole.effects)
    return parts, tuple(Part(EVERY_EFFECT, each) for each in others), tuple(more)


def _parts(found: Line, cwd: str) -> list[Part]:
    folders, lost = _folders(found.commands, cwd)
    moved = lost or folders != [WORKSPACE]
    parts = []
    budget = MAX_JUDGED
    for command in found.commands:
        budget -= len(command.text)
        effects = shell_effects(command.text, cwd) if command.text and budget > 0 else EVERY_EFFECT
        named = list(roles(command))
        places = tuple(place for word, role in named for place in _places(word, folders, role))[:MAX_PLACES]
        hosts = tuple(dict.fromkeys(host for word in command.words[1:] for host in _hosts(word, effects)))
        holes = command.name is None or any(word.kind == "hole" and role != "none" for word, role in named)
        unknown = holes or (lost and any(place.role != "none" for place in places))
        parts.append(Part(effects, command, places, hosts, open=unknown, moved=moved))
    for word in found.writes:
        places = tuple(_places(word, folders, "changed"))
        effects = frozenset[Effect]().union(*(write_effects(place.path) for place in places)) or EVERY_EFFECT
        parts.append(Part(effects, None, places, open=word.kind == "hole" or lost, moved=moved))
    return parts


def _folders(commands: tuple[Command, ...], cwd: str) -> tuple[list[str], bool]:
    """The folders the line may work in, and whether there may be others."""
    folders, lost = [cwd], False
    for command in commands:
        if command.name not in {"cd", "pushd", "popd"}:
            continue
        target = next((word for word in command.words[1:] if not word.text.startswith("-")), None)
        if target is None or not target.known or len(folders) > 20:
            lost = True
        else:
            folders += [new for old in tuple(folders) if (new := _at(target.text, old)) not in folders]
    return folders, lost


def _at(path: str, folder: str) -> str:
    if path == "~" or path.startswith("~/"):
        path = HOME + path[1:]
    return "/" + posixpath.normpath(posixpath.join(folder, path)).lstrip("/")


_OPTION_VALUE = re.compile(r"-{1,2}[\w-]+=(.*)", re.DOTALL)


def _places(word: Word, folders: list[str], role: Role) -> Iterator[Place]:
    """Every path that a word may be; what is `below` a folder comes as a pattern."""
    text = word.text
    if word.kind == "hole" or not text or "\0" in text:
        return
    if value := _OPTION_VALUE.fullmatch(text):
        text = value[1]
    elif text.startswith("-"):
        return
    if len(text) > 4096 or any(len(name) > 255 for name in text.split("/")):
        return  # no file has such a name
    for folder in folders:
        path = _at(text, folder)
        if word.kind == "below":
            yield Place(path.rstrip("/") + "/?**", True, role)
        else:
            yield Place(path, word.kind == "glob", role)


_URL = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^/@\s]*@)?([^/:@\s]+)", re.IGNORECASE)
_REMOTE = re.compile(r"(?:[\w.-]+@)([\w.-]+):")
_NAME = re.compile(r"(?:[\w-]+\.)+[A-Za-z]{2,}(?=[:/]|$)")


def _hosts(word: Word, effects: Effects) -> Iterator[str]:
    """The hosts in a word; a bare name counts where the command could use the network."""
    if word.kind == "hole" and not word.text:
        return
    finders: list[Callable[[str], list[str]]] = [_URL.findall, _REMOTE.findall]
    found = [host for find in finders for host in find(word.text)]
    if not found and Effect.NETWORK in effects and (name := _NAME.match(word.text)):
        found = [name[0]]
    for host in found:
        yield host.lower().rstrip(".")
