"""Tar archives of a sandbox's files, packed and unpacked in a namespace of its own.

Threat model: the scratch folder's content is the agent's. The host does not walk it here: a `tar` does, in a
namespace over the same folders, where a planted link leads nowhere that the agent could not reach itself. What
comes out of that is as untrusted as everything else from inside.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
import signal
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

from sandboxes.bubblewrap.namespace import View, start
from sandboxes.channel.arguments import path_bytes
from sandboxes.protocol import WORKSPACE, FileError, SandboxError, SandboxLost
from sandboxes.saving import whole_archive

PIECE = 1 << 18
NOT_THERE = 66
PACK = f"""
[ -e "$1/$2" ] || [ -L "$1/$2" ] || exit {NOT_THERE}
tar -c -f - -C "$1" -- "$2" || [ $? = 1 ]  # 1: a file changed while it was read
"""
UNPACK = 'mkdir -p -- "$1" && exec tar -x -f - -C "$1" -p --no-same-owner'
SEES_ALL = "CAP_DAC_READ_SEARCH"
"""For packing only: the agent may have taken its own right to read a file away."""


async def unpack(view: View, archive: Path, target: str) -> None:
    """Unpack an archive of the host's making below `target`. Raises FileError, SandboxError, SandboxLost."""
    path_bytes(target)
    target = posixpath.join(WORKSPACE, target)
    with archive.open("rb") as source:
        code, said = await _run(view, ["sh", "-c", UNPACK, "sh", target], source.fileno())
    if code != 0:
        raise FileError("no_space" if "No space" in said else "bad_path", target, said)


async def pack(view: View, path: str) -> AsyncGenerator[bytes, None]:
    """The tar stream of `path`. Raises FileError, SandboxError, SandboxLost."""
    path_bytes(path)
    folder, name = posixpath.split(posixpath.normpath(posixpath.join(WORKSPACE, path)))
    view = replace(view, writable=False)
    process = await _spawn(
        view, ["sh", "-c", PACK, "sh", folder, name or "."], subprocess.DEVNULL, subprocess.PIPE, (SEES_ALL,)
    )
    assert process.stdout is not None
    words = asyncio.ensure_future(_last_words(process))
    try:
        while piece := await process.stdout.read(PIECE):
            yield piece
        said, code = await words, await process.wait()
    finally:
        words.cancel()
        await asyncio.wait({words})
        await _end(process)
    if code == NOT_THERE:
        raise FileError("not_found", path)
    if code != 0:
        raise SandboxError(f"{path} of sandbox {view.scratch.name} could not be packed: {said or code}.")


async def save(pieces: AsyncIterator[bytes], target: Path) -> None:
    """Write an archive to a file, whole or not at all.

    Raises OSError when it cannot be written, SandboxError when it is broken or too large.
    """
    with whole_archive(target) as take:
        async for piece in pieces:
            take(piece)


async def _run(view: View, command: Sequence[str], stdin: int) -> tuple[int, str]:
    """Run a command in a namespace of its own: its exit code, and the end of what it said went wrong."""
    process = await _spawn(view, command, stdin, subprocess.DEVNULL)
    try:
        said = await _last_words(process)
        return await process.wait(), said
    finally:
        await _end(process)


async def _spawn(
    view: View, command: Sequence[str], stdin: int, stdout: int, capabilities: Sequence[str] = ()
) -> asyncio.subprocess.Process:
    if not view.scratch.files.is_dir():
        raise SandboxLost(f"The sandbox {view.scratch.name} is gone.")
    begun = start(replace(view, shown=()), command, capabilities=capabilities)
    try:
        return await asyncio.create_subprocess_exec(
            *begun.argv, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, pass_fds=begun.fds, env={}
        )
    finally:
        begun.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill a process that has not ended, and wait for it.

    Not by its own method, which would take the exit code away from who waits for it. What it has written is read
    to the end: without that, asyncio waits for ever.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    for stream in (process.stdout, process.stderr):
        while stream is not None and await stream.read(PIECE):
            pass
    await process.wait()


async def _last_words(process: asyncio.subprocess.Process) -> str:
    """The last line of standard error, however long all of it is."""
    assert process.stderr is not None
    tail = b""
    while piece := await process.stderr.read(PIECE):
        tail = (tail + piece)[-2000:]
    return (tail.decode("utf-8", "replace").strip().splitlines() or [""])[-1][:300]
