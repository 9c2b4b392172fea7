"""A command that prints 200 MB: how long it takes, and by how much the process that runs it grows at most."""

from __future__ import annotations

from benchmarks.figures import Figure, figure
from benchmarks.harness import Bench, Failed

ROUNDS = 2


def measure(bench: Bench) -> list[Figure]:
    """Time and memory, each time in a new process that has done nothing else."""
    seconds: dict[str, list[float]] = {}
    growth: dict[str, list[float]] = {}
    names = [contender.name for contender in bench.contenders]
    for _ in range(ROUNDS):
        for name in list(names):
            contender = bench.fresh(name)
            contender.do("open")
            contender.do("noop")
            try:
                answer = contender.do("flood")
            except Failed as e:
                bench.missing[f"{name}, 200 MB of output"] = str(e)
                names.remove(name)
                continue
            contender.do("close")
            contender.end()
            assert answer is not None
            seconds.setdefault(name, []).append(answer.seconds * 1e3)
            growth.setdefault(name, []).append(answer.growth / 1e6)
    found = [figure("output", "200 MB of output", name, "ms", times) for name, times in seconds.items()]
    memory = "host memory for 200 MB of output"
    return found + [figure("output", memory, name, "MB", sizes) for name, sizes in growth.items()]
