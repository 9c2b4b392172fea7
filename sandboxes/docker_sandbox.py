"""One open sandbox in a Docker container."""

from __future__ import annotations

import posixpath
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import docker.errors

from sandboxes.channel import Channel
from sandboxes.engine import ENGINE_ERRORS, Engine, in_thread, lost_or_unavailable
from sandboxes.protocol import AGENT_GID, AGENT_UID, WORKSPACE, ExecResult, FileError
from sandboxes.runner_client import path_bytes
from sandboxes.tar_owner import with_owner


class Means(Protocol):
    """How commands run and files are reached inside: through the runner, or through the engine's exec."""

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
    ) -> ExecResult: ...

    async def read(self, path: str, *, max_bytes: int) -> bytes: ...

    async def write(self, path: str, data: bytes, *, expect: bytes | None, create_only: bool) -> None: ...


class DockerSandbox:
    """See `Sandbox` in the protocol."""

    def __init__(
        self, engine: Engine, container: str, name: str, shell: str, channel: Channel, means: Means
    ) -> None:
        self._engine = engine
        self._container = container
        self._name = name
        self._shell = shell
        self._channel = channel
        self._means = means

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
    ) -> ExecResult:
        return await self._means.exec(
            argv, cwd=cwd, env=env, stdin=stdin, timeout=timeout, max_output=max_output, on_output=on_output
        )

    async def read(self, path: str, *, max_bytes: int = 10 << 20) -> bytes:
        return await self._means.read(path, max_bytes=max_bytes)

    async def write(
        self, path: str, data: bytes, *, expect: bytes | None = None, create_only: bool = False
    ) -> None:
        await self._means.write(path, data, expect=expect, create_only=create_only)

    async def upload(self, archive: Path, target: str = WORKSPACE) -> None:
        if self._channel.ended.done():
            raise self._channel.lost()
        target = posixpath.join(WORKSPACE, target)
        if target != WORKSPACE:
            made = await self.exec(["mkdir", "-p", "--", path_bytes(target)], max_output=1000)
            if made.exit_code != 0:
                raise FileError("bad_path", target, made.output.text().strip())
        try:
            await in_thread(self._put, archive, target)
        except ENGINE_ERRORS as e:
            raise lost_or_unavailable(self._engine, self._name, e) from e

    def _put(self, archive: Path, target: str) -> None:
        with archive.open("rb") as f:
            self._engine.client().put_archive(self._container, target, with_owner(f, AGENT_UID, AGENT_GID))

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

    async def stop(self) -> None:
        self._channel.close("it was stopped")
        try:
            await in_thread(self._engine.client().kill, self._container)
        except docker.errors.APIError as e:
            if e.response is None or e.response.status_code not in (404, 409):  # gone, or not running
                raise lost_or_unavailable(self._engine, self._name, e) from e
        except ENGINE_ERRORS as e:
            raise lost_or_unavailable(self._engine, self._name, e) from e

    async def close(self) -> None:
        self._channel.close()
        try:
            await in_thread(self._engine.remove, self._container)
        except ENGINE_ERRORS as e:
            raise lost_or_unavailable(self._engine, self._name, e) from e


def open_archive(engine: Engine, container: str, path: str) -> tuple[Iterator[bytes], Callable[[], None]]:
    """The pieces of a tar stream of `path`, and how to end it early. Raises the SDK's errors."""
    pieces: Any
    pieces, _ = engine.client().get_archive(container, path)
    return pieces, pieces.close
