"""One open bubblewrap sandbox: the first process with its channel, and the scratch folder that outlives it.

Threat model: the scratch folder's content is the agent's. The host touches it in two ways only: see `archives` for
what goes in and out, and `tree` for how it is saved and brought back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from sandboxes.bubblewrap import checkpoints
from sandboxes.bubblewrap.archives import pack, unpack
from sandboxes.bubblewrap.checkpoints import Makers
from sandboxes.bubblewrap.first import First, end
from sandboxes.bubblewrap.namespace import View
from sandboxes.bubblewrap.tree import Known
from sandboxes.channel.channel import Channel
from sandboxes.channel.client import RunnerClient
from sandboxes.ownership import this_owner
from sandboxes.protocol import (
    GIVEN,
    WORKSPACE,
    Checkpoint,
    ExecResult,
    Listing,
    ProcessInfo,
    ProcessOutput,
    PtySize,
    Sandbox,
    SandboxLost,
    SandboxSpec,
)
from sandboxes.threads import in_thread


class BubblewrapSandbox:
    """See `Sandbox` in the protocol."""

    def __init__(
        self,
        view: View,
        first: First,
        shell: str,
        channel: Channel,
        spec: SandboxSpec,
        known: Known,
        open_another: Callable[[SandboxSpec], Awaitable[BubblewrapSandbox]],
        *,
        apart: bool,
    ) -> None:
        """`known`: which of its files a saved state has already."""
        self._view, self._first, self._shell, self._channel = view, first, shell, channel
        self._means = RunnerClient(channel)
        self._spec, self._known, self._open_another = spec, known, open_another
        self._apart = apart
        begun = spec.checkpoint
        self._checkpoints = begun.number if begun is not None and begun.run_id == spec.run_id else 0
        self._closed = False
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
    def apart(self) -> bool:
        """Is the runner another user than the commands?"""
        return self._apart

    @property
    def pid(self) -> int:
        """The first process's number on the host; 0 when it lives no more."""
        return self._first.pid

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

    async def give(self, archive: Path) -> None:
        if self._channel.ended.done():
            raise self._channel.lost()
        await unpack(replace(self._view, giving=True), archive, GIVEN)

    async def download(self, path: str = WORKSPACE) -> AsyncIterator[bytes]:
        async with aclosing(pack(self._view, path)) as pieces:
            async for piece in pieces:
                yield piece

    def adopt(self, run_id: str) -> None:
        self._spec = replace(self._spec, run_id=run_id)

    async def checkpoint(self, label: str = "") -> Checkpoint:
        async with self._one_at_a_time:
            return await self._save(label)

    async def restore(self, checkpoint: Checkpoint) -> None:
        async with self._one_at_a_time:
            if self._closed:
                raise SandboxLost(f"The sandbox {self.name} is gone: it was closed.")
            new = await self._open_another(replace(self._spec, checkpoint=checkpoint, workspace=None))
            old_view, old_first = self._view, self._first
            self._channel.close("it went back to a checkpoint")
            self._view, self._first, self._shell, self._channel = new._view, new._first, new._shell, new._channel
            self._means, self._spec, self._known = new._means, new._spec, new._known
            await in_thread(end, old_first, old_view.scratch.name)
            await in_thread(old_view.scratch.remove)

    async def go_on_from(self, checkpoint: Checkpoint) -> bool:
        return False  # they cost what changed since the last one

    async def fork(self, run_id: str, checkpoint: Checkpoint | None = None) -> Sandbox:
        async with self._one_at_a_time:
            start = checkpoint or await self._save("fork")
        try:
            return await self._open_another(replace(self._spec, run_id=run_id, checkpoint=start, workspace=None))
        finally:
            if checkpoint is None:
                await in_thread(checkpoints.drop, self._home, start)

    @property
    def _home(self) -> Path:
        return self._view.scratch.folder.parent

    async def _save(self, label: str) -> Checkpoint:
        if not self._view.scratch.files.is_dir():
            raise SandboxLost(f"The sandbox {self.name} is gone.")
        self._checkpoints += 1
        about = Makers(
            self._spec.run_id,
            self._spec.keeper,
            self._checkpoints,
            label,
            requests=self._channel.last,
            owner=this_owner(),
        )
        made, self._known = await in_thread(
            checkpoints.save,
            self._home,
            self._view.scratch,
            self._known,
            about,
            groups=self._first.group.folders,
            first=self._first.pid,
        )
        return made

    async def stop(self) -> None:
        self._channel.close("it was stopped")
        async with self._one_at_a_time:
            await in_thread(end, self._first, self.name)

    async def close(self) -> None:
        self._closed = True
        self._channel.close()
        async with self._one_at_a_time:
            self._channel.close()  # of what a restore under way has put in its place
            await in_thread(end, self._first, self.name)
            await in_thread(self._view.scratch.remove)
