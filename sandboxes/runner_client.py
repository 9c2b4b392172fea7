"""Commands and files through the resident runner, and the checks of arguments that every way of running shares."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence

from sandboxes import egress
from sandboxes.channel import Channel
from sandboxes.frames import Exit, Plain, Ready
from sandboxes.protocol import SPILL_DIR, Ending, ExecResult, FileError, Output, SandboxSpec, SandboxUnavailable
from sandboxes.tunnels import Tunnels

FILE_SECONDS = 60.0
LISTEN_SECONDS = 20.0
NOT_STARTED_BYTES = 2048
"""Room for the reason why a command could not be started, however small the output limit is."""
MAX_SECONDS = 30 * 86400.0


class RunnerClient:
    """See `Sandbox` in the protocol for what the methods promise."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

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
        }
        pending = self._channel.open_request(cwd, max(max_output, NOT_STARTED_BYTES), on_output)
        end = await self._channel.ask(pending, header, stdin, timeout)
        assert isinstance(end, Exit)  # ask() has checked
        data = bytes(pending.data)
        spill = f"{SPILL_DIR}/{pending.number}.log" if end.dropped and end.spilled else None
        output = Output(data[: end.head], data[end.head :], end.dropped, spill)
        ending: Ending = "exited" if end.ending == "cancelled" else end.ending
        code = None if ending == "timeout" else end.code
        return ExecResult(code, ending, output, time.monotonic() - begun)

    async def read(self, path: str, *, max_bytes: int) -> bytes:
        header = {"op": "read", "path": path_bytes(path).decode("latin-1"), "limit": max_bytes}
        pending = self._channel.open_request(path, max_bytes)
        await self._channel.ask(pending, header, b"", FILE_SECONDS)
        return bytes(pending.data)

    async def write(self, path: str, data: bytes, *, expect: bytes | None, create_only: bool) -> None:
        header = {
            "op": "write",
            "path": path_bytes(path).decode("latin-1"),
            "expect": None if expect is None else len(expect),
            "create_only": create_only,
        }
        pending = self._channel.open_request(path, 0)
        await self._channel.ask(pending, header, (expect or b"") + data, FILE_SECONDS)


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
    channel.tunnels = Tunnels(channel.send_raw, egress.Proxy(spec.network, spec.egress).serve)
    pending = channel.open_request("", 0)
    try:
        await channel.ask(pending, {"op": "listen", "port": egress.PORT}, b"", LISTEN_SECONDS)
    except FileError as e:
        raise SandboxUnavailable(
            f"The image {spec.image} has no place for a proxy on its loopback{e}; use --network none."
        ) from e


class UnusableArgument(Exception):
    """An argument no command could be given."""


def argument_bytes(argv: Sequence[str | bytes]) -> list[bytes]:
    """The words of a command. Raises ValueError when there are none, UnusableArgument for one that cannot be."""
    if not argv:
        raise ValueError("a command needs at least one word")
    words = []
    for word in argv:
        try:
            data = word if isinstance(word, bytes) else os.fsencode(word)
        except UnicodeEncodeError:
            raise UnusableArgument("an argument is not valid text") from None
        if b"\0" in data:
            raise UnusableArgument("an argument contains a zero byte")
        words.append(data)
    if not words[0]:
        raise UnusableArgument("the command's name is empty")
    return words


def not_startable(reason: str) -> ExecResult:
    """The result of a command that could not be started, whatever the sandbox."""
    return ExecResult(126, "exited", Output(f"bridle: cannot be started: {reason}\n".encode()), 0.0)


def path_bytes(path: str) -> bytes:
    """A path as the sandbox takes it. Raises FileError for one that cannot be."""
    try:
        data = os.fsencode(path)
    except UnicodeEncodeError:
        raise FileError("bad_path", repr(path), "is not valid text") from None
    if not data or b"\0" in data:
        raise FileError("bad_path", repr(path), "is empty or contains a zero byte")
    return data


def environment_bytes(env: Mapping[str, str] | None) -> dict[bytes, bytes]:
    """Environment variables as bytes. Raises ValueError for names or values that cannot be."""
    pairs = {os.fsencode(name): os.fsencode(value) for name, value in (env or {}).items()}
    for name, value in pairs.items():
        if not name or b"=" in name or b"\0" in name + value:
            raise ValueError(f"no environment variable can be called {name!r} or hold a zero byte")
    return pairs


def checked_timeout(seconds: float) -> float:
    """Seconds, brought below what clocks can take. Raises ValueError when not above zero."""
    if not seconds > 0 or math.isnan(seconds):
        raise ValueError("a timeout must be above zero")
    return min(seconds, MAX_SECONDS)
