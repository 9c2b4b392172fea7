"""What a rule finds, and what it is shown: the journal's lines, and what the grader said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from agent.journal import AnyEvent
from agent.outcomes import Outcome
from tasks.grading.grade import Grade


class Evidence(BaseModel):
    """A line of the journal, counted from 1 (0: of the grader), and what it shows."""

    model_config = ConfigDict(frozen=True)

    line: int
    text: str


class Failure(BaseModel):
    """Why an attempt failed: one primary cause, what else was seen, and evidence for each, in this order."""

    model_config = ConfigDict(frozen=True)

    primary: str
    tags: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()


class Found(NamedTuple):
    """A cause, the line that shows it (0: the grader's), and what stands there."""

    name: str
    line: int
    text: str


class Case(NamedTuple):
    """What there is to judge by.

    `locations` are the files a solution changes, `regression` ids that passed before. `doubts` is what speaks
    against the task itself: names (`task.broken`, `task.flaky`) and reasons.
    """

    events: Sequence[AnyEvent]
    outcome: Outcome
    detail: str
    grade: Grade | None
    locations: tuple[str, ...] = ()
    regression: tuple[str, ...] = ()
    grader_error: str = ""
    doubts: tuple[tuple[str, str], ...] = ()

    @property
    def touched(self) -> tuple[str, ...]:
        """The paths that were changed and not put back."""
        return () if self.grade is None else tuple(p for p in self.grade.touched if p not in self.grade.put_back)

    @property
    def failed(self) -> tuple[str, ...]:
        """The expected tests that did not pass."""
        return () if self.grade is None else tuple(each.id for each in self.grade.tests if each.result != "passed")
