"""How long after it was printed output is seen: a program prints the time every 10 ms, whoever receives it looks.

mini-swe-agent and SWE-ReX hand output over when the command has ended; for them it is how long that took.
"""

from __future__ import annotations

from benchmarks.figures import Figure, figure
from benchmarks.harness import Bench

ROUNDS = 2
LINES, PAUSE = 100, 0.01
ACTIONS = {"output seen after": "stream", "output of a terminal seen after": "stream_terminal"}


def measure(bench: Bench) -> list[Figure]:
    """Delays of every line."""
    delays: dict[tuple[str, str], list[float]] = {}
    with bench.opened() as contenders:
        for _ in range(ROUNDS):
            for contender in contenders:
                for what, action in ACTIONS.items():
                    if (answer := contender.do(action, lines=LINES, pause=PAUSE)) is not None:
                        assert len(answer.value) == LINES
                        delays.setdefault((what, contender.name), []).extend(answer.value)
    return [figure("stream", what, name, "ms", each) for (what, name), each in delays.items()]
