"""How long it takes to save a sandbox's file state, to go back to it, and to open another sandbox from it.

Beside `docker commit`, and `docker run` of what was committed; mini-swe-agent and SWE-ReX have no such thing.
"""

from __future__ import annotations

from benchmarks.figures import Figure, figure
from benchmarks.harness import Bench

ROUNDS = 4
SIZES = {"little changed": (1, 10_000), "100 MB changed": (1000, 100_000)}
MUCH = (2000, 100_000)
ACTIONS = {"checkpoint": "save", "restore": "restore", "fork": "fork"}


def measure(bench: Bench) -> list[Figure]:
    """Times of each, with little changed since the last one, and with much; and of saving after much."""
    seconds: dict[tuple[str, str], list[float]] = {}
    with bench.opened() as contenders:
        able = [each for each in contenders if each.can("save")]
        for how, (count, size) in SIZES.items():
            for number in range(ROUNDS):
                for contender in able:
                    contender.do("change", folder=f"/tmp/{count}-{number}", count=count, size=size)
                    for what, action in ACTIONS.items():
                        answer = contender.do(action)
                        assert answer is not None
                        seconds.setdefault((f"{what}, {how}", contender.name), []).append(answer.seconds * 1e3)
                    contender.do("end_fork")
    seconds |= _after_much(bench)
    return [figure("checkpoints", what, name, "ms", times) for (what, name), times in seconds.items()]


def _after_much(bench: Bench) -> dict[tuple[str, str], list[float]]:
    """Little changed after 200 MB were written and saved, as a session does it: it goes on from what it saved."""
    seconds: dict[tuple[str, str], list[float]] = {}
    with bench.opened() as contenders:
        able = [each for each in contenders if each.can("save")]
        for contender in able:
            contender.do("change", folder="/tmp/much", count=MUCH[0], size=MUCH[1])
            contender.do("save")
            if contender.can("go_on"):
                contender.do("go_on")
        for number in range(ROUNDS):
            for contender in able:
                contender.do("change", folder=f"/tmp/{number}", count=1, size=10_000)
                answer = contender.do("save")
                assert answer is not None
                what = "checkpoint, little changed after 200 MB"
                seconds.setdefault((what, contender.name), []).append(answer.seconds * 1e3)
    return seconds
