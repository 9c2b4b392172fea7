"""How many attempts at a task a minute: a model that answers at once, twenty commands, and the task's tests.

Bridle does here what it does in every run: a copy taken in, a session with its journal, the patch taken out by the
engine, and the grader's runs in a sandbox that never ran the agent. The others are what people write by hand: a
container an attempt, a `docker exec` for each command, and the tests run in that same container.
"""

from __future__ import annotations

from benchmarks.figures import Figure, figure
from benchmarks.harness import Bench

ROUNDS = 3
ATTEMPTS, JOBS = 8, 2
COMMANDS = 20


def measure(bench: Bench) -> list[Figure]:
    """Attempts a minute, `JOBS` at a time."""
    found: dict[str, list[float]] = {}
    for number in range(-1, ROUNDS):
        for contender in bench.contenders:
            if not contender.can("attempts"):
                continue
            done = contender.do("attempts", count=ATTEMPTS, jobs=JOBS, commands=COMMANDS)
            assert done is not None
            if number >= 0:
                found.setdefault(contender.name, []).append(ATTEMPTS / done.seconds * 60)
    return [figure("suite", "attempts", name, "/min", rates) for name, rates in found.items()]
