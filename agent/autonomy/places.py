"""Patterns of paths, as in .gitignore, held against what a call names.

Threat model: the paths are the model's, written to miss a pattern. They come here absolute and normalised. A
pattern for names that the shell fills in fits where it could; deleting a folder fits what may lie below it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from pathspec import GitIgnoreSpec

from agent.autonomy.calls import Place
from agent.autonomy.commands.shapes import Certainty
from sandboxes.protocol import WORKSPACE
from tools.paths import is_below

MAX_STARS = 4
"""Of one name in a pattern: more of them take too long to compare."""
_WILD = re.compile(r"[*?\[\\]")


class Places:
    """Compiled patterns: those from the workspace's root, and (with //) those from the root of the sandbox."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Raises ValueError for what is no pattern."""
        whole: list[str] = []
        inside: list[str] = []
        for pattern in patterns:
            if pattern.lstrip("!").startswith("#") or not pattern.strip("! "):
                raise ValueError(f"{pattern!r} is no pattern of paths")
            if any(len(part.split("*")) > MAX_STARS + 1 for part in pattern.split("/")) or pattern.count("**") > 2:
                raise ValueError(
                    f"{pattern!r} has too many * in it: up to {MAX_STARS} in a name, and two times **"
                )
            negated, rest = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
            (whole if rest.startswith("//") else inside).append(
                negated + (rest[1:] if rest.startswith("//") else rest)
            )
        self.excepts = any(pattern.startswith("!") for pattern in (*whole, *inside))
        """Whether some paths are excepted."""
        self._whole = GitIgnoreSpec.from_lines(whole)
        self._inside = GitIgnoreSpec.from_lines(inside)
        self._starts = [
            *(posixpath.join(WORKSPACE, start) for start in map(_start, _meant(inside)) if start is not None),
            *(f"/{start}" for start in map(_start, _meant(whole)) if start is not None),
        ]
        names = [pattern.strip("/") for pattern in _meant(inside) if _start(pattern) is None]
        self._anywhere = bool(names)
        self._names = [name for name in names if not _WILD.search(name)]
        self._wild = len(self._names) < len(names)

    def holds(self, place: Place) -> bool:
        """Does the pattern hold for exactly this path?"""
        return not place.glob and self._matches(place.path)

    def fits(self, place: Place, *, destroys: bool) -> Certainty:
        """Is it a path that the patterns are about? `destroys`: what is below it goes with it."""
        if self._matches(place.path):
            return Certainty.YES
        if place.glob and self._may_become(place.path):
            return Certainty.MAYBE
        above = any(is_below(start, place.path) for start in self._starts) or (
            self._anywhere and is_below(WORKSPACE, place.path)
        )
        return Certainty.MAYBE if destroys and above else Certainty.NO

    def _matches(self, path: str) -> bool:
        for spec, root in ((self._inside, WORKSPACE), (self._whole, "/")):
            if path == root or not is_below(path, root):
                continue
            name = path[len(root) :].lstrip("/")
            as_folder = spec.check_file(f"{name}/").include
            # It may be a folder; what is said of one goes first.
            if spec.match_file(name) if as_folder is None else as_folder:
                return True
        return False

    def _may_become(self, pattern: str) -> bool:
        """May a pattern for names be filled in with a path that is meant?"""
        wanted = pattern.split("/")
        if self._wild or any(fnmatchcase(name, want) for name in self._names for want in wanted if want):
            return True
        for start in self._starts:
            parts = start.split("/")
            if all(fnmatchcase(part, want) for part, want in zip(parts, wanted, strict=False)):
                return True
        return False


def _meant(patterns: list[str]) -> list[str]:
    """Without the exceptions."""
    return [pattern for pattern in patterns if not pattern.startswith("!")]


def _start(pattern: str) -> str | None:
    """The beginning of an anchored pattern that has no wildcard; None for one that holds at any depth."""
    if "/" not in pattern.rstrip("/"):
        return None
    parts = pattern.strip("/").split("/")
    plain = []
    for part in parts:
        if _WILD.search(part):
            break
        plain.append(part)
    return "/".join(plain)
