"""What a project's tests are worth before any bug is put in: those that pass twice, and what they reach."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from agent.outcomes import UsageProblem
from tasks.making.observing import Lab, Observed, Version
from tasks.making.storing import acceptable

BASELINE_SECONDS = 900.0
"""The tests of the project as it is may take so long, while the lines they reach are noted."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Tests that pass twice, those of each line, and how long all take."""

    tests: tuple[str, ...]
    left_out: int
    seconds: float
    lines: dict[str, dict[int, frozenset[str]]]
    imported: dict[str, frozenset[int]]
    """Lines that the import reaches: any test may depend on them."""


async def measure(lab: Lab, step: Callable[[str, int, int], None]) -> Baseline:
    """Run the tests as they are, twice. Raises UsageProblem when none passes, SandboxError."""
    step("tests as they are", 0, 2)
    (first,) = await lab.run([Version()], seconds=BASELINE_SECONDS, trace=True)
    step("tests as they are", 1, 2)
    (second,) = await lab.run([Version()], seconds=BASELINE_SECONDS, seed=1)
    both = [test for test, seen in first.tests.items() if seen.result == "passed" and seen.times == 1]
    stable = [test for test in both if test in second.tests and second.tests[test].result == "passed"]
    stable = [test for test in stable if acceptable(test)]
    if not stable:
        why = first.problem or first.ending or _first_failure(first) or "none was found"
        raise UsageProblem(
            f"no test of {lab.project.origin.name} passes in the sandbox ({why}): its requirements have to be"
            " in the toolchain, so activate an environment that has them, and pytest"
        )
    numbers = ["", *first.tests]
    good = set(stable)
    lines, imported = {}, {}
    for path, found in first.lines.items():
        if lab.project.may_change(path) and path in lab.project.files:
            named = {line: _named(numbers, reached) for line, reached in found.items()}
            lines[path] = {line: tests & good for line, tests in named.items() if tests & good}
            imported[path] = frozenset(line for line, tests in named.items() if "" in tests)
    return Baseline(tuple(stable), len(first.tests) - len(stable), second.seconds, lines, imported)


def _named(names: Sequence[str], numbers: Iterable[int]) -> frozenset[str]:
    return frozenset(names[number] for number in numbers if number < len(names))


def _first_failure(seen: Observed) -> str:
    return next((f"{test} {each.result}" for test, each in seen.tests.items() if each.result != "passed"), "")
