"""Who answers what the gate asks: a person at a terminal, or nobody."""

from __future__ import annotations

import sys

from agent.autonomy.approvers.absent import AbsentApprover
from agent.autonomy.approvers.terminal import TerminalApprover
from agent.autonomy.gate import Approver

__all__ = ["AbsentApprover", "TerminalApprover", "default_approver"]


def default_approver() -> Approver:
    """The person at this process's terminal; nobody, when input or both outputs lead elsewhere.

    Questions go to standard error, so that standard output can be redirected.
    """
    if sys.stdin is not None and sys.stdin.isatty():
        for stream in (sys.stderr, sys.stdout):
            if stream is not None and stream.isatty():
                return TerminalApprover(stream)
    return AbsentApprover()
