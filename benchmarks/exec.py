"""How long a command takes in a sandbox that is up: alone, and while other sandboxes compute."""

from __future__ import annotations

from benchmarks.figures import Figure, figure
from benchmarks.harness import Bench

ROUNDS = 30
BUSY_ROUNDS = 30
BUSY = 8


def measure(bench: Bench) -> list[Figure]:
    """Commands that do nothing, and that start bash as a login shell, as agents often do."""
    with bench.opened() as contenders:
        actions = {"no-op command": "noop", "`bash -lc true`": "bash"}
        found = bench.interleaved("exec", ROUNDS, actions)
        found += _sessions(bench)
        busy = bench.fresh("busy")
        busy.do("begin", count=BUSY)
        for contender in contenders:
            contender.do("noop")
        found += bench.interleaved("exec", BUSY_ROUNDS, {f"no-op command, {BUSY} busy sandboxes": "noop"})
        busy.do("close")
    return found


def _sessions(bench: Bench) -> list[Figure]:
    """SWE-ReX has a second way, which its agent uses: a bash that goes on living."""
    times = []
    for contender in bench.contenders:
        if contender.do("begin_session") is None:
            continue
        for _ in range(ROUNDS):
            answer = contender.do("session")
            assert answer is not None
            times.append(answer.seconds * 1e3)
    if not times:
        return []
    return [figure("exec", "no-op command", "swe-rex session", "ms", times)]
