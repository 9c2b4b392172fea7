"""What is resident in an idle sandbox after its first commands: all processes inside, seen from the host."""

from __future__ import annotations

from benchmarks import proc
from benchmarks.figures import Figure, figure
from benchmarks.harness import Bench


def measure(bench: Bench) -> list[Figure]:
    """Megabytes: shared pages in parts where that can be read, and in full."""
    found = []
    with bench.opened() as contenders:
        for contender in contenders:
            first = contender.do("first")
            assert first is not None
            inside = proc.tree(first.value)
            full = proc.resident(inside) / 1e6
            parts = proc.memory(inside)
            share = full if parts is None else parts / 1e6
            note = "shared pages in full" if parts is None else ""
            found.append(figure("memory", "resident in an idle sandbox", contender.name, "MB", [share], note))
            found.append(figure("memory", "the same, shared pages in full", contender.name, "MB", [full]))
    return found
