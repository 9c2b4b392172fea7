"""What a Dockerfile needs from outside, found by reading it: the images it begins from, and what it would
download.

A build without a network still has two ways out, since the engine itself goes there: an image that is not there
is pulled, and `ADD` of an address is fetched. So both are looked for before such a build begins.

Threat model: the text is a task author's. It is read as data, and what is not understood is left to the builder,
which then fails: the commands of a build have no network at all.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")
_ADDRESS = re.compile(r"(?:https?|ftp|git|ssh)://|git@", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Needs:
    """Images by name, in order and once each, and addresses that `ADD` would fetch."""

    images: tuple[str, ...]
    addresses: tuple[str, ...]


def needs(text: str) -> Needs:
    """What the Dockerfile `text` needs that is neither in it nor in its folder."""
    images: dict[str, None] = {}
    addresses: dict[str, None] = {}
    arguments: dict[str, str] = {}
    stages: set[str] = set()
    for name, rest in _instructions(text):
        words = _words(rest)
        flags = [word for word in words if word.startswith("--")]
        plain = [word for word in words if not word.startswith("--")]
        if name == "ARG" and not stages:
            for word in plain:
                key, _, value = word.partition("=")
                arguments[key] = value
        elif name == "FROM" and plain:
            _image(_expanded(plain[0], arguments), stages, images)
            stages.add(plain[2].lower() if len(plain) > 2 and plain[1].upper() == "AS" else "")
        elif name in ("COPY", "ADD"):
            for flag in flags:
                if flag.startswith("--from=") and not flag.removeprefix("--from=").isdecimal():
                    _image(_expanded(flag.removeprefix("--from="), arguments), stages, images)
            found = [word.strip('[]",') for word in plain[:-1]] if name == "ADD" else []
            addresses |= dict.fromkeys(word for word in found if _ADDRESS.match(word))
    return Needs(tuple(images), tuple(addresses))


def _image(name: str, stages: set[str], images: dict[str, None]) -> None:
    if name.lower() not in stages and name.lower() != "scratch":
        images[name] = None


def _expanded(text: str, arguments: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        return arguments.get(found[1] or found[3]) or found[2] or ""

    return _VARIABLE.sub(value, text)


def _words(rest: str) -> list[str]:
    try:
        return shlex.split(rest)
    except ValueError:
        return rest.split()


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """Name and rest of each instruction, continued lines joined, comments left out."""
    whole = ""
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            continue
        whole += line.rstrip()
        if whole.endswith("\\"):
            whole = whole[:-1]
            continue
        name, _, rest = whole.strip().partition(" ")
        whole = ""
        if name:
            yield name.upper(), rest.strip()
    name, _, rest = whole.strip().partition(" ")
    if name:
        yield name.upper(), rest.strip()
