"""The ways to run commands that are compared, each driven in a process of its own (see `serve`).

All have the same methods, as far as they can do the thing at all; the process answers null for the others. Each
works over the same image and the same read-only folders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FLOOD = 200_000_000
FLOOD_COMMAND = f"yes {'x' * 79} | head -c {FLOOD}"
CHANGE = 'mkdir -p "$1" && for n in $(seq "$2"); do head -c "$3" /dev/urandom > "$1/$n" || exit 1; done'
"""A shell script: so many files of so many bytes in a folder, all of them new."""
TICKER = """
import sys, time
for _ in range(int(sys.argv[1])):
    print(time.monotonic_ns(), flush=True)
    time.sleep(float(sys.argv[2]))
"""
"""Prints the clock that every container of a machine shares, again and again."""
OURS = ("bridle", "bridle, bubblewrap")
PEERS = ("docker exec", "docker SDK", "mini-swe-agent", "swe-rex")


def make(name: str, setup: dict[str, Any]) -> Any:
    """A contender by name. Raises ImportError when its package is not there."""
    return _makers()[name](setup)


def _makers() -> dict[str, Callable[[dict[str, Any]], Any]]:
    def ours(kind: str) -> Callable[[dict[str, Any]], Any]:
        def build(setup: dict[str, Any]) -> Any:
            from benchmarks.contenders import ours

            return getattr(ours, kind)(setup)

        return build

    def peer(kind: str) -> Callable[[dict[str, Any]], Any]:
        def build(setup: dict[str, Any]) -> Any:
            from benchmarks.contenders import peers

            return getattr(peers, kind)(setup)

        return build

    return {
        "bridle": ours("Docker"),
        "bridle, bubblewrap": ours("Bubblewrap"),
        "bridle, from the pool": ours("Pooled"),
        "busy": ours("Busy"),
        "tunnel": ours("Tunnel"),
        "docker exec": peer("Cli"),
        "docker SDK": peer("Sdk"),
        "mini-swe-agent": peer("MiniSweAgent"),
        "swe-rex": peer("SweRex"),
    }


class Ticks:
    """How long after they were printed TICKER's lines arrive, in milliseconds."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self._rest = b""

    def feed(self, data: bytes, now: int) -> None:
        """Bytes that arrived at `now`, in nanoseconds of the monotonic clock."""
        *lines, self._rest = (self._rest + data).replace(b"\r\n", b"\n").split(b"\n")
        self.delays += [(now - int(line)) / 1e6 for line in lines]
