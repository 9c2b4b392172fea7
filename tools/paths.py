"""Paths as the model writes them: absolute, or below the workspace; and what writing to them could do.

Threat model: the path is the model's text. Effects are found from the spelled path alone, normalised, because
the gate asks before anything runs. A symbolic link could make the path lead elsewhere than it says, so just
before a write the real place is looked up and the write refused if it has effects that were not claimed. (What
the agent's own processes change between that look and the write, they could equally have written themselves.)
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


# Prints the deepest existing folder of $1 as spelled and as it really is, or, for a link, where it leads.
_REAL = """
p=$1
while [ ! -d "$p" ] && [ ! -L "$p" ]; do p=${p%/*}; p=${p:-/}; done
if [ -d "$p" ]; then real=$(cd -P -- "$p" && pwd -P && echo .); real=${real%??}
else real=$(readlink -f -- "$p" && echo .); real=${real%??}; fi
printf '%s\\0%s' "$p" "$real"
"""


async def check_write(sandbox: Sandbox, path: str) -> None:
    """Raise FileError `bad_path` if links make the absolute `path` lead where a write has other effects."""
    result = await sandbox.exec([sandbox.shell, "-c", _REAL, "sh", path], cwd="/", timeout=20, max_output=20_000)
    spelled, _, real = result.output.head.decode("utf-8", "surrogateescape").partition("\0")
    place = real + path[len(spelled.rstrip("/")) :]
    if result.exit_code == 0 and real.startswith("/") and path.startswith(spelled):
        if write_effects(posixpath.normpath(place)) <= write_effects(path):
            return
        raise FileError(
            "bad_path", shown(path), f"a symbolic link leads to {one_line(place)}: name that path itself"
        )
    raise FileError("bad_path", shown(path), "it goes through a symbolic link that leads nowhere")


def explain(error: FileError) -> str:
    """A file error as a sentence that tells the model how to go on."""
    how = {
        "not_found": "no such file",
        "is_directory": "is a directory",
        "not_a_file": "is not a regular file (a device, socket or pipe)",
        "permission": "permission denied: the sandbox user may not do this",
        "too_large": "is too large for this tool: use the search tool, or shell: sed -n '1,200p' PATH",
        "changed": "was changed by something else in the meantime: read it again, then repeat",
        "exists": "exists already",
        "no_space": "no space left on the sandbox's disk: delete what you do not need",
    }
    path = one_line(shown(error.path) if error.path.startswith("/") else error.path, 500)
    return f"{path}: {how[error.problem]}" if error.problem in how else one_line(str(error), 500)
