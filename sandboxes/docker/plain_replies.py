"""What the shell scripts of a sandbox without Python say of themselves, parsed without trust.

Threat model: these control lines come on a stream of their own, but whatever runs inside may forge them. A forged
one is a lie about the forger's own command; it is never an exception, and never more memory than MAX_CONTROL.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator

from sandboxes.channel.packets import PacketParser

MAX_CONTROL = 16384
"""How many bytes of control lines are kept of a call; what comes after is left out."""
NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
NOT_TOLD = 137
"""The exit code of a command whose script ended without telling one: something killed it."""


class Packets:
    """The engine's stream of one exec: packets of standard output (1) and error (2), as they come."""

    def __init__(self, sock: socket.socket, early: bytes) -> None:
        self._sock, self._early = sock, early

    async def send(self, data: bytes) -> None:
        """Everything for standard input, then its end. A command that does not read it is no error."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            await loop.sock_sendall(self._sock, data)
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    async def __aiter__(self) -> AsyncIterator[tuple[int, bytes]]:
        loop, parser = asyncio.get_running_loop(), PacketParser()
        data = self._early or await loop.sock_recv(self._sock, 1 << 16)
        while data:
            for kind, part in parser.feed(data):
                yield kind, bytes(part)
            data = await loop.sock_recv(self._sock, 1 << 16)

    def close(self) -> None:
        self._sock.close()


class Control:
    """The control lines of one call, each a word and its values."""

    def __init__(self) -> None:
        self.said = b""

    def add(self, data: bytes | memoryview) -> None:
        """More of the stream."""
        self.said += data[: MAX_CONTROL - len(self.said)]

    def values(self, word: str, *, last: bool = False) -> list[str] | None:
        """What stands in the first (or last) whole line that begins with `word`; None when there is none."""
        lines = self.said.decode("utf-8", "replace").split("\n")[:-1]
        for line in reversed(lines) if last else lines:
            first, *values = line.split(" ")
            if first == word:
                return values
        return None

    def root(self) -> int:
        """The process below which the command runs; 0 when that is not known."""
        numbers = _numbers(self.values("pid"))
        return numbers[0] if numbers else 0

    def end(self) -> tuple[int, bool]:
        """A command's exit code, and whether the kernel killed something for want of memory meanwhile."""
        numbers = _numbers(self.values("exit"))
        code, before, after = numbers if len(numbers) == 3 else (NOT_TOLD, 0, 0)
        code = min(code, 255)
        return code, code != 0 and after > before

    def script_end(self) -> int:
        """The exit code of a script of ours, the last thing said, after what programs complain; 1 without one."""
        numbers = _numbers(self.values("exit", last=True))
        return min(numbers[0], 255) if numbers else 1


def _numbers(values: list[str] | None) -> list[int]:
    values = values or []
    return [int(value) for value in values] if all(map(NUMBER.fullmatch, values)) else []
