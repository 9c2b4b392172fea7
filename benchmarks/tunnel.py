"""How much passes between a sandbox and an allowed host on this machine; and the same without a sandbox."""

from __future__ import annotations

from benchmarks.figures import Figure, figure
from benchmarks.harness import Bench

ROUNDS = 3
SIZE = 100 << 20
WAYS = {"bridle": "through", "no sandbox": "direct"}


def measure(bench: Bench) -> list[Figure]:
    """Megabytes a second, each way."""
    found: dict[tuple[str, str], list[float]] = {}
    tunnel = bench.fresh("tunnel")
    tunnel.do("open")
    for _ in range(ROUNDS):
        for what in ("down", "up"):
            for name, action in WAYS.items():
                answer = tunnel.do(action, what=what, size=SIZE)
                assert answer is not None
                found.setdefault((f"100 MiB {what} through the proxy", name), []).append(SIZE / 1e6 / answer.value)
    tunnel.do("close")
    return [figure("tunnel", what, name, "MB/s", rates) for (what, name), rates in found.items()]
