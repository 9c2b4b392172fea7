"""One open sandbox in a Docker container."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, ParamSpec, Protocol, TypeVar

import docker.errors

from sandboxes.channel.arguments import path_bytes
from sandboxes.channel.background import Background
from sandboxes.channel.channel import Channel
from sandboxes.docker import checkpoints
from sandboxes.docker.container import one_folder
from sandboxes.docker.engine import ENGINE_ERRORS, Engine, lost_or_unavailable
from sandboxes.docker.tar_owner import with_owner
from sandboxes.ownership import this_owner
from sandboxes.protocol import (
    AGENT_GID,
    AGENT_UID,
    GIVEN,
    WORKSPACE,
    Checkpoint,
    ExecResult,
    FileChange,
    FileError,
    Listing,
    ProcessInfo,
    ProcessOutput,
    PtySize,
    Sandbox,
    SandboxLost,
    SandboxSpec,
)
from sandboxes.threads import in_thread

P = ParamSpec("P")
T = TypeVar("T")


_KINDS: tuple[Literal["modified", "added", "deleted"], ...] = ("modified", "added", "deleted")


class Means(Protocol):
    """How commands run and files are reached inside: through the runner, or through the engine's exec."""

    @property
    def background(self) -> Background: ...

    def standstill(self) -> AbstractAsyncContextManager[None]:
        """Nothing is started that could not be while the container is paused."""

    async def exec(
        self,
        argv: Sequence[str | bytes],
        *,
        cwd: str,
        env: Mapping[str, str] | None,
        stdin: bytes,
        timeout: float,  # noqa: ASYNC109
        max_output: int,
        on_output: Callable[[bytes], None] | None,
        alone: bool,
    ) -> ExecResult: ...

    async def read(self, path: str, *, max_bytes: int) -> bytes: ...

    async def write(
        self, path: str, data: bytes, *, expect: bytes | None, create_only: bool, follow: bool
    ) -> None: ...

    async def resolve(self, path: str) -> str: ...

    async def list(self, path: str, *, max_entries: int) -> Listing: ...


class DockerSandbox:
    """See `Sandbox` in the protocol."""

    def __init__(
        self,
        engine: Engine,
        container: str,
        name: str,
        shell: str,
        channel: Channel,
        means: Means,
        spec: SandboxSpec,
        open_another: Callable[[SandboxSpec], Awaitable[DockerSandbox]],
    ) -> None:
        self._engine = engine
        self._container = container
        self._name = name
        self._shell = shell
        self._channel = channel
        self._means = means
        self._spec = spec
        self._open_another = open_another
        self._checkpoints = _last_number(spec)
        self._closed = False
        self._one_at_a_time = asyncio.Lock()

    @property
    def name(self) -> str:
        return self._name

    @property
    def shell(self) -> str:
        return self._shell

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
        target = posixpath.join(WORKSPACE, target)
        if target != WORKSPACE:
            made = await self.exec(["mkdir", "-p", "--", path_bytes(target)], max_output=1000)
            if made.exit_code != 0:
                raise FileError("bad_path", target, made.output.text().strip())
        await self._ask_engine(self._put, archive, target, (AGENT_UID, AGENT_GID))

    async def give(self, archive: Path) -> None:
        if self._channel.ended.done():
            raise self._channel.lost()
        await self._ask_engine(self._give, archive)

    def _give(self, archive: Path) -> None:
        self._engine.client().put_archive(self._container, "/", one_folder(GIVEN))
        self._put(archive, GIVEN, (0, 0))

    def _put(self, archive: Path, target: str, owner: tuple[int, int]) -> None:
        with archive.open("rb") as f:
            self._engine.client().put_archive(self._container, target, with_owner(f, *owner))

    async def download(self, path: str = WORKSPACE) -> AsyncIterator[bytes]:
        path_bytes(path)
        path = posixpath.join(WORKSPACE, path)
        try:
            pieces, close = await in_thread(open_archive, self._engine, self._container, path)
        except docker.errors.NotFound as e:
            if "No such container" in str(e):
                raise lost_or_unavailable(self._engine, self._name, e) from e
            raise FileError("not_found", path) from e
        except ENGINE_ERRORS as e:
            raise lost_or_unavailable(self._engine, self._name, e) from e
        try:
            while (piece := await in_thread(next, pieces, None)) is not None:
                yield piece
        except ENGINE_ERRORS as e:
            raise lost_or_unavailable(self._engine, self._name, e) from e
        finally:
            close()

    async def changed(self) -> Sequence[FileChange]:
        """See `TellsChanges` in the protocol."""
        found = await self._ask_engine(self._engine.client().diff, self._container)
        return [FileChange(str(each["Path"]), _KINDS[each["Kind"]]) for each in found or ()]

    def adopt(self, run_id: str) -> None:
        self._spec = replace(self._spec, run_id=run_id)

    async def stop(self) -> None:
        self._channel.close("it was stopped")
        try:
            await in_thread(self._engine.client().kill, self._container)
        except docker.errors.APIError as e:
            if e.response is None or e.response.status_code not in (404, 409):  # gone, or not running
                raise lost_or_unavailable(self._engine, self._name, e) from e
        except ENGINE_ERRORS as e:
            raise lost_or_unavailable(self._engine, self._name, e) from e

    async def checkpoint(self, label: str = "") -> Checkpoint:
        async with self._one_at_a_time:
            return await self._save(label)

    async def restore(self, checkpoint: Checkpoint) -> None:
        async with self._one_at_a_time:
            if self._closed:
                raise SandboxLost(f"The sandbox {self._name} is gone: it was closed.")
            new = await self._open_another(replace(self._spec, checkpoint=checkpoint, workspace=None))
            old, from_checkpoint = self._container, self._spec.checkpoint
            self._channel.close("it went back to a checkpoint")
            self._container, self._name, self._shell = new._container, new._name, new._shell
            self._channel, self._means, self._spec = new._channel, new._means, new._spec
            await self._remove(old, from_checkpoint)

    async def go_on_from(self, checkpoint: Checkpoint) -> bool:
        if await self._means.background.list() or not await self._ask_engine(self._is_idle):
            return False
        try:
            if (await self.list("/dev/shm", max_entries=1)).entries:  # noqa: S108 -- the sandbox's
                return False
        except FileError:
            return False
        await self.restore(checkpoint)
        return True

    def _is_idle(self) -> bool:
        """Does nothing run but what is there from the start, and are all its files in its own layer? Blocks.

        What a command calls itself is its own choice: one that takes the runner's name is ended.
        """
        client = self._engine.client()
        state = client.inspect_container(self._container)
        if any(each["Type"] == "volume" for each in state["Mounts"]):
            return False
        found = client.top(self._container, ps_args="-eo pid,uid,args")["Processes"]
        first = [rest for pid, *rest in found if int(pid) == state["State"]["Pid"]]
        return bool(first) and all(rest == first[0] for _, *rest in found)

    async def fork(self, run_id: str, checkpoint: Checkpoint | None = None) -> Sandbox:
        async with self._one_at_a_time:
            start = checkpoint or await self._save("fork")
        try:
            return await self._open_another(replace(self._spec, run_id=run_id, checkpoint=start, workspace=None))
        finally:
            if checkpoint is None:  # the engine keeps what the other one stands on
                await self._ask_engine(checkpoints.drop, self._engine, start)

    async def _save(self, label: str) -> Checkpoint:
        self._checkpoints += 1
        async with self._means.standstill():
            return await self._ask_engine(
                checkpoints.save,
                self._engine,
                self._container,
                run_id=self._spec.run_id,
                keeper=self._spec.keeper,
                owner=this_owner(),
                number=self._checkpoints,
                label=label,
                requests=self._channel.last,
                largest=self._spec.limits.saved_bytes,
            )

    async def close(self) -> None:
        self._closed = True
        self._channel.close()
        async with self._one_at_a_time:
            self._channel.close()
            await self._remove(self._container, self._spec.checkpoint)

    async def _remove(self, container: str, checkpoint: Checkpoint | None) -> None:
        """Remove a container, and what it began with if only the container still needed it."""
        await self._ask_engine(self._engine.remove, container)
        if checkpoint is not None:
            await self._ask_engine(checkpoints.sweep, self._engine, checkpoint.run_id)

    async def _ask_engine(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await in_thread(function, *args, **kwargs)
        except ENGINE_ERRORS as e:
            raise lost_or_unavailable(self._engine, self._name, e) from e


def _last_number(spec: SandboxSpec) -> int:
    """The number of the run's last checkpoint, as far as the spec tells."""
    begun = spec.checkpoint
    return begun.number if begun is not None and begun.run_id == spec.run_id else 0


def open_archive(engine: Engine, container: str, path: str) -> tuple[Iterator[bytes], Callable[[], None]]:
    """The pieces of a tar stream of `path`, and how to end it early. Raises the SDK's errors."""
    pieces: Any
    pieces, _ = engine.client().get_archive(container, path)
    return pieces, pieces.close
