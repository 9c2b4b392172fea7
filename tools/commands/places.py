"""What reading, writing or deleting at a place could do, where the place is a word of which not all may be known.

Threat model: a place counts as inside only if no value of its holes leads out. Symbolic links that an earlier call
left are not seen from here; whoever made them to lead outside was asked about it then.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable, Iterator

from tools.commands.text import Part, Text
from tools.paths import write_effects
from tools.protocol import Effect

HOME = "/home/agent"
Folders = frozenset[str] | None
"""The folders a command may be running in; None: any."""

_NOWHERE = re.compile(r"/dev/(null|stdin|stdout|stderr|tty|zero|full|u?random|fd/\d+)|/proc/self/fd/\d+")
_KERNEL = re.compile(r"/(dev|proc|sys)(/|$)")
_TOLD = re.compile(
    r"/proc/(cpuinfo|meminfo|loadavg|uptime|version|stat|filesystems|mounts|self/(status|mounts|mountinfo|cgroup|limits))"
    r"|/sys/fs/cgroup(/[\w.]+)*|/proc/sys/kernel/[\w/]+"
)
_NETWORK = re.compile(r"/dev/(tcp|udp)/")
UNKNOWN_PLACE = frozenset({Effect.WRITE, Effect.OUTSIDE, Effect.RUN, Effect.HISTORY})

# Holes inside a path that is normalised as text.
_NAME, _BELOW, _STEM, _GLOBS = "\ue000", "\ue001", "\ue002", {"*": "\ue003", "?": "\ue004", "[": "\ue005"}
_HOLES = {"name": _NAME, "maybe": _NAME, "below": _BELOW, "stem": _STEM}
_MAX_SPELLINGS = 16
_AT_THE_ROOT = re.compile(
    rf"/+(bin|boot|dev|etc|home|lib\w*|media|mnt|opt|proc|root|run|s?bin|srv|sys|tmp|usr|var|workspace|[{''.join(_GLOBS.values())}].*)(/|$)"
)
"""The folders at the root of the file system; nobody but root makes others."""

_MATCHED = {_BELOW: "*", _STEM: "*", "\ue003": "*", "\ue004": "?", "\ue005": "["}
_CLASS = re.compile("\ue005\\[:[^/]*:\\]\\]")
_FOLDER = """
    src tests docs lib app build dist node_modules main.py setup.py utils.py README.md CHANGELOG.md LICENSE
    Makefile Dockerfile package.json pyproject.toml tsconfig.json index.js server.ts main.c main.go Cargo.toml
    data examples scripts config assets vendor
    .git .github .gitignore .venv .env .cache .tox .vscode .idea .config
"""
"""What folders hold, for telling whether a pattern is about all of it."""


def writing(text: Text, folders: Folders) -> frozenset[Effect]:
    """What writing to the place could do, without `destroy`."""
    if _NETWORK.match(text.prefix):
        return frozenset({Effect.NETWORK})
    places = list(_places(text, folders))
    if not places:
        return UNKNOWN_PLACE
    return frozenset[Effect]().union(*(_writing_at(place) for place in places))


def reading(text: Text, folders: Folders) -> frozenset[Effect]:
    """What reading at the place could do: devices and the kernel's files can block, or do more than be read."""
    found = {Effect.READ}
    if _NETWORK.match(text.prefix):
        return frozenset({Effect.NETWORK})
    if not text.wild:
        for place in _places(text, folders):
            if _KERNEL.match(place) and (
                place == "/dev/tty" or not (_NOWHERE.fullmatch(place) or _TOLD.fullmatch(place))
            ):
                found.add(Effect.OUTSIDE)
    return frozenset(found)


def emptied(text: Text, folders: Folders) -> Iterator[str | None]:
    """The folders, as patterns, that are gone or empty once what the word stands for is deleted; None: any."""
    found = False
    for place in _places(text, folders):
        found = True
        components = place.split("/")[1:]
        while components and _is_most(components[-1]):
            components.pop()
        yield "/" + "/".join(map(_pattern, components))
    if not found:
        yield None


def is_most(pattern: str) -> bool:
    """Does a pattern match a good part of the names that a folder holds, or of its hidden ones?"""
    names = _FOLDER.split()
    hidden = [name for name in names if name.startswith(".")]
    visible = [name for name in names if name not in hidden]
    return any(4 * len(fnmatch.filter(each, pattern)) >= len(each) for each in (visible, hidden))


def _is_most(component: str) -> bool:
    return any(hole in component for hole in _MATCHED) and is_most(_pattern(component.replace(_NAME, "n")))


def may_match(text: Text, names: Iterable[str]) -> bool:
    """Could the pattern in a word match one of these names?"""
    return any(fnmatch.filter(names, _pattern(spelled)) for spelled in _spellings(text) or [_STEM])


def _pattern(component: str) -> str:
    """A component as a pattern of the kind that Python knows."""
    found = _CLASS.sub("?", component)
    found = re.sub(r"[*?[]", lambda sign: f"[{sign[0]}]", found).replace("\ue005^", "\ue005!")
    return "".join(_MATCHED.get(char, char) for char in found.replace(_NAME, "*"))


def leads_out(text: Text, folders: Folders) -> bool:
    """Does the word, if it is a path at all, lead out of the workspace and /tmp?"""
    if text.wild or not _looks_like_path(text):
        return False
    return any(Effect.OUTSIDE in _writing_at(place) for place in _places(text, folders))


def is_inside(folders: Folders) -> bool:
    """Is a command that runs in one of these folders at home there?"""
    return folders is not None and all(Effect.OUTSIDE not in write_effects(folder) for folder in folders)


def moved(text: Text, folders: Folders) -> Folders:
    """Where `cd` to that word leads."""
    found = frozenset(_places(text, folders))
    stays = not text.many and all(part.kind in {"opt", "maybe", "stem"} for part in text.parts)  # `cd ""`
    return (found | folders if folders is not None else None) if found and stays else found or None


def _looks_like_path(text: Text) -> bool:
    first = text.prefix
    parts = (first or "").split("/")
    return (first.startswith(("/", "~")) and first != "/" * len(first)) or ".." in parts or first == "/"


def _places(text: Text, folders: Folders) -> Iterator[str]:
    """Every normalised absolute path it may stand for, holes as private characters; none: it may be anywhere."""
    if text.wild:
        return
    spellings = _spellings(text)
    if any(re.search(f"[{_BELOW}{_STEM}][^/]*/+\\.\\.(/|$)", spelled) for spelled in spellings):
        return  # from a place that is not known, up
    for whole in dict.fromkeys(whole for spelled in spellings for whole in _climbing(spelled)):
        if whole.startswith("/"):
            yield _normal(whole)
        elif folders is None:
            return
        else:
            for folder in folders:
                yield _normal(posixpath.join(folder, whole))


def _spellings(text: Text) -> list[str]:
    """Every spelling of the word, holes as private characters; none: too many.

    What stands first in it may be nothing, which makes a path of the root of what follows.
    """
    found, cut, first = [""], list[str](), True
    for part in text.parts:
        pieces = [_spelling(part), ""] if part.kind in {"maybe", "opt"} else [_spelling(part)]
        first &= part.kind in {"opt", "stem", "below"}
        if first:
            pieces, cut = pieces[:1], ["", "/"]  # the last name of the root is a slash
        else:
            cut = [each + piece for each in cut for piece in pieces]
        found = [each + piece for each in found for piece in pieces]
        if len(found) + len(cut) > _MAX_SPELLINGS:
            return []
    return [*found, *(each for each in cut if each.strip("/") and _may_be_there(each))]


def _may_be_there(path: str) -> bool:
    return not path.startswith("/") or _AT_THE_ROOT.match(_normal(path)) is not None


def _spelling(part: Part) -> str:
    if part.kind in {"lit", "opt"}:
        return part.text
    return _GLOBS.get(part.text, _STEM) if part.kind == "glob" else _HOLES[part.kind]


def _normal(path: str) -> str:
    return "/" + posixpath.normpath(path).lstrip("/")


def _climbing(path: str) -> Iterable[str]:
    """The path, and with `..` for each component that could be it (`.*` matches it, a stem may be it)."""
    components = path.split("/")
    could = [_climbs(component.rpartition(_BELOW)[2]) for component in components]
    if not any(could):
        return [path]
    return [path, "/".join(".." if up else each for up, each in zip(could, components, strict=True))]


def _climbs(name: str) -> bool:
    holes = _STEM + "".join(_GLOBS.values())
    return not name.strip("." + holes) and (_STEM in name or (name.startswith(".") and not name.isascii()))


def _writing_at(place: str) -> frozenset[Effect]:
    if _NOWHERE.fullmatch(place):
        return frozenset()
    if _NETWORK.match(place):
        return frozenset({Effect.NETWORK})
    found = set(write_effects(place))
    for component in place.split("/"):
        hidden = component.startswith((_STEM, _BELOW)) or (component.startswith(".") and not component.isascii())
        pattern = component
        for char, hole in _GLOBS.items():
            pattern = pattern.replace(hole, "?" if char == "?" else "*")
        pattern = pattern.replace(_STEM, "*").replace(_BELOW, "*").replace(_NAME, "*")
        # A hook or a configuration has no suffix: a path below that ends in one is none of them.
        if hidden and (fnmatch.fnmatch(".git", pattern) or component == _BELOW):
            found |= {Effect.RUN, Effect.HISTORY}
    return frozenset(found)
