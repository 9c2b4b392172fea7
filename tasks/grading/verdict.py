"""What a grade is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict

from sandboxes.protocol import Sandbox
from tasks.grading.integrity import Flag
from tasks.grading.junit import TestResult

Verdict = Literal["pass", "fail"]
Open = Callable[[], Awaitable[Sandbox]]
"""Opens a fresh grading sandbox with the tree to grade."""


class GraderProblem(Exception):
    """The grader itself could not do its work: the attempt is not scored."""


class GraderAttacked(Exception):
    """The sandbox broke under the tests with the agent's changes, and not without them: the attempt has failed."""


class StepGrade(BaseModel):
    """What one step of a task came to. `met` says that the steps after it could be made."""

    model_config = ConfigDict(frozen=True)

    name: str
    reward: float
    rewards: dict[str, float] = {}
    met: bool = True
    detail: str = ""


class Grade(BaseModel):
    """What an attempt's patch is worth. `reward` is from 0 to 1 in most tasks; a pass is a whole one.

    `ending` is how the tests' process ended; `output` its last words; `touched` the paths that the patch changes.
    `steps` are those that were made, of a task with steps.
    """

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    reward: float
    rewards: dict[str, float] = {}
    tests: tuple[TestResult, ...] = ()
    flags: tuple[Flag, ...] = ()
    put_back: tuple[str, ...] = ()
    touched: tuple[str, ...] = ()
    applied: bool = True
    ending: str = ""
    detail: str = ""
    output: str = ""
    steps: tuple[StepGrade, ...] = ()
