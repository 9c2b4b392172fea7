"""Commands and files through the resident runner."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from sandboxes.channel.arguments import (
    UnusableArgument,
    argument_bytes,
    checked_timeout,
    environment_bytes,
    not_startable,
    path_bytes,
)
from sandboxes.channel.background import RunnerBackground
from sandboxes.channel.channel import Channel
from sandboxes.channel.file_replies import FILE_SECONDS, MAX_PATH, listing_bytes, parse_listing, parse_path
from sandboxes.channel.frames import Exit, Plain, Ready, encode
from sandboxes.channel.tunnels import Tunnels
from sandboxes.network import egress
from sandboxes.network.tls import BUNDLE
from sandboxes.protocol import (
    SPILL_DIR,
    Ending,
    ExecResult,
    FileError,
    Limits,
    Listing,
    Output,
    SandboxSpec,
    SandboxUnavailable,
)

LISTEN_SECONDS = 20.0
NOT_STARTED_BYTES = 2048
"""Room for the reason why a command could not be started, however small the output limit is."""


class RunnerClient:
    """See `Sandbox` in the protocol for what the methods promise."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.background = RunnerBackground(channel)

    def standstill(self) -> AbstractAsyncContextManager[None]:
        """Nothing has to wait while everything inside is paused: requests do so in the stream."""
        return contextlib.nullcontext()

    async def exec(
        self,
        argv: Sequence[str | bytes],
        *,
        cwd: str,
        env: Mapping[str, str] | None,
        stdin: bytes,
        timeout: float,  # noqa: ASYNC109 -- enforced inside
        max_output: int,
        on_output: Callable[[bytes], None] | None,
        alone: bool,
    ) -> ExecResult:
        begun = time.monotonic()
        try:
            words = argument_bytes(argv)
        except UnusableArgument as e:
            return not_startable(str(e))
        header = {
            "op": "exec",
            "argv": [word.decode("latin-1") for word in words],
            "cwd": path_bytes(cwd).decode("latin-1"),
            "env": {k.decode("latin-1"): v.decode("latin-1") for k, v in environment_bytes(env).items()},
            "timeout": checked_timeout(timeout),
            "limit": max_output,
            "live": on_output is not None,
            "alone": alone,
        }
        pending = self._channel.open_request(cwd, max(max_output, NOT_STARTED_BYTES), on_output)
        end = await self._channel.ask(pending, header, stdin, timeout)
        assert isinstance(end, Exit)  # ask() has checked
        data = bytes(pending.data)
        spill = f"{SPILL_DIR}/{pending.number}.log" if end.dropped and end.spilled else None
        output = Output(data[: end.head], data[end.head :], end.dropped, spill)
        ending: Ending = "exited" if end.ending == "cancelled" else end.ending
        code = None if ending in ("timeout", "disk_full") else end.code
        return ExecResult(code, ending, output, time.monotonic() - begun)

    async def read(self, path: str, *, max_bytes: int) -> bytes:
        header = {"op": "read", "path": path_bytes(path).decode("latin-1"), "limit": max_bytes}
        pending = self._channel.open_request(path, max_bytes)
        await self._channel.ask(pending, header, b"", FILE_SECONDS)
        return bytes(pending.data)

    async def write(
        self, path: str, data: bytes, *, expect: bytes | None, create_only: bool, follow: bool
    ) -> None:
        header = {
            "op": "write",
            "path": path_bytes(path).decode("latin-1"),
            "expect": None if expect is None else len(expect),
            "create_only": create_only,
            "follow": follow,
        }
        pending = self._channel.open_request(path, 0)
        await self._channel.ask(pending, header, (expect or b"") + data, FILE_SECONDS)

    async def resolve(self, path: str) -> str:
        header = {"op": "resolve", "path": path_bytes(path).decode("latin-1")}
        pending = self._channel.open_request(path, MAX_PATH)
        await self._channel.ask(pending, header, b"", FILE_SECONDS)
        with self._channel.checking():
            return parse_path(bytes(pending.data))

    async def list(self, path: str, *, max_entries: int) -> Listing:
        header = {"op": "list", "path": path_bytes(path).decode("latin-1"), "most": max_entries}
        pending = self._channel.open_request(path, listing_bytes(max_entries))
        await self._channel.ask(pending, header, b"", FILE_SECONDS)
        with self._channel.checking():
            return parse_listing(bytes(pending.data), max_entries)


async def open_way_out(channel: Channel, hello: Ready | Plain, spec: SandboxSpec) -> None:
    """Give a fresh sandbox its way out, where the spec asks for one; without it the channel is closed.

    Raises SandboxUnavailable, SandboxLost.
    """
    if spec.network.mode != "allowlist":
        return
    try:
        await _listen(channel, hello, spec)
    except BaseException:
        channel.close()
        raise


async def _listen(channel: Channel, hello: Ready | Plain, spec: SandboxSpec) -> None:
    if isinstance(hello, Plain):
        raise SandboxUnavailable(
            f"The image {spec.image} has no Python 3.6 or newer, which a list of allowed hosts needs; "
            "name another image, or use --network none."
        )
    proxy = egress.Proxy(spec.network, spec.egress)
    channel.tunnels = Tunnels(channel.send_raw, proxy.serve)
    pending = channel.open_request("", 0)
    try:
        await channel.ask(pending, {"op": "listen", "port": egress.PORT}, b"", LISTEN_SECONDS)
    except FileError as e:
        raise SandboxUnavailable(
            f"The image {spec.image} has no place for a proxy on its loopback{e}; use --network none."
        ) from e
    certificates = await asyncio.to_thread(proxy.certificates)
    if certificates is not None:
        client = RunnerClient(channel)
        remove = ["rm", "-rf", "--", BUNDLE]  # a checkpoint may hold anything there
        await client.exec(
            remove, cwd="/", env=None, stdin=b"", timeout=20, max_output=1000, on_output=None, alone=False
        )
        await client.write(BUNDLE, certificates, expect=None, create_only=False, follow=False)


async def tell_limits(channel: Channel, limits: Limits) -> None:
    """What the runner itself has to watch over. Raises SandboxLost."""
    header = {"op": "limits", "id": 0, "disk_bytes": limits.disk_bytes, "files": limits.files}
    await channel.send_raw(encode(header))
