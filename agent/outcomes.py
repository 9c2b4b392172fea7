"""How a session ends: one of a closed list, each with its exit code."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """The ending of a session; `exit_code` is what the command returns to its caller."""

    DONE = "done"
    INTERNAL_ERROR = "internal_error"
    USAGE = "usage"
    CHECKS_FAIL = "checks_fail"
    BUDGET = "budget"
    APPROVAL_NEEDED = "approval_needed"
    STUCK = "stuck"
    MODEL_FAILED = "model_failed"
    SANDBOX_FAILED = "sandbox_failed"
    INTERRUPTED = "interrupted"

    @property
    def exit_code(self) -> int:
        """The process exit code: see docs/outcomes.md."""
        return EXIT_CODES[self]


EXIT_CODES: dict[Outcome, int] = {
    Outcome.DONE: 0,
    Outcome.INTERNAL_ERROR: 1,
    Outcome.USAGE: 2,
    Outcome.CHECKS_FAIL: 3,
    Outcome.BUDGET: 4,
    Outcome.APPROVAL_NEEDED: 5,
    Outcome.STUCK: 6,
    Outcome.MODEL_FAILED: 7,
    Outcome.SANDBOX_FAILED: 8,
    Outcome.INTERRUPTED: 130,
}


class UsageProblem(Exception):
    """A wrong input or configuration: one clear sentence naming the input and the way out (exit 2)."""
