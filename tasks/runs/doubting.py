"""What speaks against the task itself when an attempt at it failed: a verdict is only as good as the tests.

Asked for failed attempts alone. The tests are run on the untouched files, once a task and run, and only when tests
fail that are said to pass there; the same patch is graded again only on request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sandboxes.protocol import Backend
from tasks.environments.prepare import Prepared
from tasks.grading.grade import Grade, grade

Doubt = tuple[str, str]
"""`task.broken` or `task.flaky`, and why."""


@dataclass(slots=True)
class Doubting:
    """Grades tasks again to see if they can be believed. `regrade`: every patch that fails is graded once more."""

    backend: Backend
    keeper: Path
    regrade: bool = False
    _untouched: dict[str, Grade] = field(default_factory=dict)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def doubts(self, prepared: Prepared, patch: Path, found: Grade, *, oracle: bool) -> tuple[Doubt, ...]:
        """What there is to say against the task. Raises GraderProblem, SandboxError."""
        if found.verdict == "pass" or not found.applied:
            return ()
        failing = [each.id for each in found.tests if each.result != "passed"]
        doubts: list[Doubt] = []
        if self.regrade and not found.flags:
            doubts += differing(found, await grade(prepared, patch, self.backend, self.keeper))
        if oracle and not doubts:
            doubts.append(("task.broken", f"its own solution does not pass: {found.detail}"))
        if suspects := set(failing) & set(prepared.task.bridle.regression):
            doubts += _bad_from_the_start(await self._before(prepared), suspects)
        return tuple(doubts)

    async def _before(self, prepared: Prepared) -> Grade:
        """How the tests come out before anybody worked on the task."""
        name = prepared.task.name
        async with self._one_at_a_time:
            if name not in self._untouched:
                nothing = prepared.archive.with_name("nothing.diff")
                nothing.write_bytes(b"")
                self._untouched[name] = await grade(prepared, nothing, self.backend, self.keeper)
        return self._untouched[name]


def differing(first: Grade, second: Grade) -> Sequence[Doubt]:
    """What two grades of one patch say against the task."""
    for one, two in zip(first.tests, second.tests, strict=True):
        if one.result != two.result:
            return [("task.flaky", f"graded twice, {one.id} was {one.result}, then {two.result}")]
    if (first.verdict, first.rewards) != (second.verdict, second.rewards):
        return [("task.flaky", f"graded twice: {first.detail}, then {second.detail}")]
    return []


def _bad_from_the_start(before: Grade, suspects: set[str]) -> Sequence[Doubt]:
    if before.ending != "exited":  # tests that were stopped, on a busy machine perhaps, say nothing one by one
        return []
    bad = sorted(each.id for each in before.tests if each.id in suspects and each.result != "passed")
    return (
        [("task.broken", f"{bad[0]} is said to pass before, and does not on the untouched files")] if bad else []
    )
