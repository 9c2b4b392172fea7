"""Who answers what the gate asks: a person at a terminal, or nobody."""

from __future__ import annotations

import contextlib
import sys

from agent.autonomy.approvers.absent import AbsentApprover
from agent.autonomy.approvers.terminal import Pause, TerminalApprover
from agent.autonomy.gate import Approver

__all__ = ["AbsentApprover", "TerminalApprover", "default_approver"]


def default_approver(pause: Pause = contextlib.nullcontext) -> Approver:
    """The person at this process's terminal; nobody, when input or both outputs lead elsewhere.

    Questions go to standard error, so that standard output can be redirected. `pause` keeps others from reading
    the terminal meanwhile.
    """
    if sys.stdin is not None and sys.stdin.isatty():
        for stream in (sys.stderr, sys.stdout):
            if stream is not None and stream.isatty():
                return TerminalApprover(stream, pause)
    return AbsentApprover()
