"""One open bubblewrap sandbox: the first process with its channel, and the scratch folder that outlives it.

Threat model: the scratch folder's content is the agent's. The host neither lists nor opens it: archives are packed
and unpacked by a `tar` in a namespace of its own over the same folders, where a planted link leads nowhere that
the agent could not reach itself. What comes out of that is as untrusted as everything else from inside.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sandboxes.bubblewrap.cgroups import Group
from sandboxes.bubblewrap.namespace import View, start
from sandboxes.bubblewrap.scratch import kill_and_wait
from sandboxes.channel.arguments import path_bytes
from sandboxes.channel.channel import Channel
from sandboxes.channel.client import RunnerClient
from sandboxes.protocol import (
    WORKSPACE,
    ExecResult,
    FileError,
    Listing,
    ProcessInfo,
    ProcessOutput,
    PtySize,
    SandboxError,
    SandboxLost,
)
from sandboxes.saving import whole_archive
from sandboxes.threads import in_thread

PIECE = 1 << 18
NOT_THERE = 66
PACK = f"""
[ -e "$1/$2" ] || [ -L "$1/$2" ] || exit {NOT_THERE}
tar -c -f - -C "$1" -- "$2" || [ $? = 1 ]  # 1: a file changed while it was read
"""
UNPACK = 'mkdir -p -- "$1" && exec tar -x -f - -C "$1" -p --no-same-owner'
SEES_ALL = "CAP_DAC_READ_SEARCH"
"""For packing only: the agent may have taken its own right to read a file away."""


@dataclass(slots=True)
class First:
    """A sandbox's processes: bubblewrap itself, outside, and the first one inside (-1 for what is closed)."""

    outer: subprocess.Popen[bytes]
    group: Group
    notes: int
    pidfd: int = -1


class BubblewrapSandbox:
    """See `Sandbox` in the protocol."""

    def __init__(self, view: View, first: First, shell: str, channel: Channel) -> None:
        self._view, self._first, self._shell, self._channel = view, first, shell, channel
        self._means = RunnerClient(channel)
        self._one_at_a_time = asyncio.Lock()

    @property
    def name(self) -> str:
        return self._view.scratch.name

    @property
    def shell(self) -> str:
        return self._shell

    @property
    def covered(self) -> frozenset[str]:
        """Of memory, processes and processor those that are limited for all of it together."""
        return self._first.group.covered

    @property
    def pid(self) -> int:
        """The first process's number on the host."""
        info = Path(f"/proc/self/fdinfo/{self._first.pidfd}").read_text()
        return int(next(line for line in info.splitlines() if line.startswith("Pid:")).split()[1])

    async def exec(
        self,
        argv: Sequence[str | bytes],
        *,
        cwd: str = WORKSPACE,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout: float = 120.0,  # noqa: ASYNC109
        max_output: int = 65536,
        on_output: Callable[[bytes], None] | None = None,
        alone: bool = False,
    ) -> ExecResult:
        return await self._means.exec(
            argv,
            cwd=cwd,
            env=env,
            stdin=stdin,
            timeout=timeout,
            max_output=max_output,
            on_output=on_output,
            alone=alone,
        )

    async def start(
        self,
        argv: Sequence[str | bytes],
        *,
        cwd: str = WORKSPACE,
        env: Mapping[str, str] | None = None,
        pty: PtySize | None = None,
    ) -> int:
        return await self._means.background.start(argv, cwd=cwd, env=env, pty=pty)

    async def processes(self) -> list[ProcessInfo]:
        return await self._means.background.list()

    async def process_read(
        self, process: int, *, after: int = 0, wait: float = 0.0, max_bytes: int = 65536
    ) -> ProcessOutput:
        return await self._means.background.read(process, after=after, wait=wait, max_bytes=max_bytes)

    async def process_write(self, process: int, data: bytes, *, eof: bool = False) -> None:
        await self._means.background.write(process, data, eof=eof)

    async def process_stop(self, process: int, *, grace: float = 2.0) -> ProcessInfo:
        return await self._means.background.stop(process, grace=grace)

    async def read(self, path: str, *, max_bytes: int = 10 << 20) -> bytes:
        return await self._means.read(path, max_bytes=max_bytes)

    async def write(
        self,
        path: str,
        data: bytes,
        *,
        expect: bytes | None = None,
        create_only: bool = False,
        follow: bool = True,
    ) -> None:
        await self._means.write(path, data, expect=expect, create_only=create_only, follow=follow)

    async def resolve(self, path: str) -> str:
        return await self._means.resolve(path)

    async def list(self, path: str = WORKSPACE, *, max_entries: int = 10_000) -> Listing:
        return await self._means.list(path, max_entries=max_entries)

    async def upload(self, archive: Path, target: str = WORKSPACE) -> None:
        if self._channel.ended.done():
            raise self._channel.lost()
        await unpack(self._view, archive, target)

    async def download(self, path: str = WORKSPACE) -> AsyncIterator[bytes]:
        async for piece in pack(self._view, path):
            yield piece

    async def stop(self) -> None:
        self._channel.close("it was stopped")
        async with self._one_at_a_time:
            await in_thread(end, self._first, self.name)

    async def close(self) -> None:
        self._channel.close()
        async with self._one_at_a_time:
            await in_thread(end, self._first, self.name)
            await in_thread(self._view.scratch.remove)


def end(first: First, name: str) -> None:
    """End every process of a sandbox. Blocks; harmless when they have ended. Raises SandboxError."""
    try:
        if first.pidfd >= 0:
            kill_and_wait(first.pidfd, name)
    finally:
        first.outer.kill()
        first.outer.wait()
        for fd in (first.pidfd, first.notes):
            if fd >= 0:
                os.close(fd)
        first.pidfd = first.notes = -1
    first.group.remove()


async def unpack(view: View, archive: Path, target: str) -> None:
    """Unpack an archive of the host's making below `target`. Raises FileError, SandboxError, SandboxLost."""
    path_bytes(target)
    target = posixpath.join(WORKSPACE, target)
    with archive.open("rb") as source:
        code, said = await _run(view, ["sh", "-c", UNPACK, "sh", target], source.fileno())
    if code != 0:
        raise FileError("no_space" if "No space" in said else "bad_path", target, said)


async def pack(view: View, path: str) -> AsyncIterator[bytes]:
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
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
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
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


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


async def _last_words(process: asyncio.subprocess.Process) -> str:
    """The last line of standard error, however long all of it is."""
    assert process.stderr is not None
    tail = b""
    while piece := await process.stderr.read(PIECE):
        tail = (tail + piece)[-2000:]
    return (tail.decode("utf-8", "replace").strip().splitlines() or [""])[-1][:300]


def notes_of(first: First) -> str:
    """What bubblewrap or the runner wrote to standard error: the last line."""
    with contextlib.suppress(OSError):
        os.set_blocking(first.notes, False)
        text = os.read(first.notes, 1 << 16).decode("utf-8", "replace").strip()
        return (text.splitlines() or [""])[-1][:300]
    return ""
