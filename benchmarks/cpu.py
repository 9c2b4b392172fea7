"""How much processor time a thousand commands cost, all who take part counted: the engine's daemons, what stands
between them and the container, everything inside it, and the process that asked with all it started.

The daemons work for whoever asks: while others use the same engine, that is counted, too.
"""

from __future__ import annotations

import time

from benchmarks import proc
from benchmarks.figures import Figure, figure
from benchmarks.harness import Bench, Contender

ROUNDS = 5
OURS, PEERS = 200, 20
"""Commands a round."""


def measure(bench: Bench) -> list[Figure]:
    """Milliseconds of processor time for 1,000 commands, counted over fewer of the peers'."""
    found: dict[str, list[float]] = {}
    with bench.opened() as contenders:
        for _ in range(ROUNDS):
            for contender in contenders:
                count = OURS if contender.is_ours else PEERS
                found.setdefault(contender.name, []).append(_cost(contender, count) / count * 1000 * 1e3)
    return [figure("cpu", "processor time of 1,000 commands", name, "ms", cost) for name, cost in found.items()]


def _cost(contender: Contender, count: int) -> float:
    """Seconds of processor time that so many commands cost."""
    first = contender.do("first")
    assert first is not None
    time.sleep(0.2)  # what came before is over
    before = proc.processor_seconds(_part(contender, first.value))
    for _ in range(count):
        contender.do("noop")
    time.sleep(0.1)  # the last command is reaped
    return proc.processor_seconds(_part(contender, first.value)) - before


def _part(contender: Contender, first: int) -> set[int]:
    """Every process that takes part. `first` is the container's first one."""
    daemons = set() if contender.name == "bridle, bubblewrap" else proc.daemons()
    return daemons | proc.tree(contender.pid, proc.shim(first))
