"""Paths as the model writes them: absolute, or below the workspace; and what writing to them could do.

Threat model: the path is the model's text. Effects are found from the spelled path alone, normalised, because
the gate asks before anything runs. A symbolic link could make the path lead elsewhere than it says, so before a
write the real place is looked up, once, and refused if it has effects that were not claimed. The write then goes
to that place and follows no link, so that a process which swaps a folder for a link in between has it fail: the
gate has allowed this write, not one somewhere else.
"""

from __future__ import annotations

import posixpath
from typing import Annotated

from pydantic import AfterValidator

from sandboxes.protocol import WORKSPACE, FileError, Sandbox
from tools.protocol import Effect, Effects
from tools.text import one_line


def _checked(path: str) -> str:
    if not path.strip():
        raise ValueError("the path is empty")
    if "\0" in path:
        raise ValueError("a path cannot hold a NUL character")
    if len(path.encode(errors="replace")) > 4000:
        raise ValueError("the path is longer than 4000 bytes")
    if any(len(name.encode(errors="replace")) > 255 for name in path.split("/")):
        raise ValueError("a name in the path is longer than 255 bytes")
    return path


FilePath = Annotated[str, AfterValidator(_checked)]
"""A path argument: not empty, no NUL, not absurdly long."""


def resolve(path: str, base: str = WORKSPACE) -> str:
    """The absolute, normalised path; relative ones lie below `base`. What is claimed and what is used agree."""
    whole = posixpath.normpath(posixpath.join(base, path))
    return "/" + whole.lstrip("/")


def shown(path: str) -> str:
    """An absolute path as people and models read it: relative to the workspace when it lies there."""
    inside = path != WORKSPACE and is_below(path, WORKSPACE)
    return one_line(posixpath.relpath(path, WORKSPACE) if inside else path, 500)


def is_below(path: str, folder: str) -> bool:
    """Is the absolute, normalised `path` the `folder` or in it?"""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def write_effects(path: str) -> Effects:
    """What writing to the absolute, normalised `path` could do.

    Git runs programs that its folder names (hooks, filters, fsmonitor), so writing there is as good as running.
    """
    effects = {Effect.WRITE}
    if ".git" in path.lower().split("/"):
        effects |= {Effect.RUN, Effect.HISTORY}
    in_tmp = is_below(path, "/tmp") and not is_below(path, "/tmp/.bridle")  # noqa: S108 -- inside the sandbox
    if not (is_below(path, WORKSPACE) or in_tmp):
        effects.add(Effect.OUTSIDE)
    return frozenset(effects)


async def find(sandbox: Sandbox, path: str) -> str:
    """The real place of the absolute `path`, to be written with `put`: what is at stake is decided here, once.

    Raises FileError: `bad_path` if links make the path lead where a write has effects that it does not spell out,
    or nowhere.
    """
    place = await sandbox.resolve(path)
    if write_effects(place) <= write_effects(path):
        return place
    raise FileError("bad_path", path, f"a symbolic link leads to {one_line(place)}: name that path itself")


async def put(sandbox: Sandbox, place: str, data: bytes, *, old: bytes | None) -> None:
    """Write to a place that `find` found, and nowhere else, if it still holds `old` (None: if nothing is there).

    Raises FileError; nothing was written then. `bad_path`: the way there has become another.
    """
    try:
        await sandbox.write(place, data, expect=old, create_only=old is None, follow=False)
    except FileError as error:
        if error.problem not in {"bad_path", "not_found"}:
            raise
        why = one_line(error.detail) or "a folder on the way is gone"
        text = f"has changed since it was looked up ({why}); nothing was written: see what moves it, then repeat"
        raise FileError("bad_path", place, text) from error


def explain(error: FileError) -> str:
    """A file error as a sentence that tells the model how to go on."""
    how = {
        "not_found": "no such file",
        "is_directory": "is a directory",
        "not_a_file": "is not a regular file (a device, socket or pipe)",
        "permission": "permission denied: the sandbox user may not do this",
        "too_large": "is too large for this tool: use the search tool, or shell: sed -n '1,200p' PATH",
        "changed": "was changed by something else in the meantime: read it again, then repeat",
        "exists": "was made by something else in the meantime: read it, then repeat",
        "no_space": "no space left on the sandbox's disk: delete what you do not need",
    }
    path = one_line(shown(error.path) if error.path.startswith("/") else error.path, 500)
    return f"{path}: {how.get(error.problem) or one_line(error.detail, 500) or error.problem.replace('_', ' ')}"
