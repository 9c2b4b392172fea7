"""How long until a sandbox is there, the image being present; and until its first command has ended.

What counts as ready differs: with the docker command and mini-swe-agent it is a container that was started, with
Bridle and SWE-ReX one that has answered. The second figure is the same for all.
"""

from __future__ import annotations

from benchmarks.figures import Figure, figure
from benchmarks.harness import Bench, Contender

ROUNDS = 6
POOL = "bridle, from the pool"


def measure(bench: Bench) -> list[Figure]:
    """Times of opening, and of opening with a first command."""
    ready: dict[str, list[float]] = {}
    first: dict[str, list[float]] = {}
    pooled = bench.fresh(POOL)
    for number in range(-1, ROUNDS):
        for contender in (*bench.contenders, pooled):
            contender.do("prepare")
            opened, commanded = _open(contender)
            contender.do("close")
            if number >= 0:
                ready.setdefault(contender.name, []).append(opened * 1e3)
                first.setdefault(contender.name, []).append((opened + commanded) * 1e3)
    pooled.do("end")
    found = [figure("ready", "ready", name, "ms", times) for name, times in ready.items()]
    found += [figure("ready", "ready, and a first command", name, "ms", times) for name, times in first.items()]
    return found


def _open(contender: Contender) -> tuple[float, float]:
    opened, commanded = contender.do("open"), contender.do("noop")
    assert opened is not None
    assert commanded is not None
    return opened.seconds, commanded.seconds
