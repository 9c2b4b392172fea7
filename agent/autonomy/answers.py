"""What can be answered to a question of the gate, and what ends a session for want of an answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agent.asked import AlwaysScope
from agent.autonomy.levels import Level
from agent.autonomy.proposals import Proposal


@dataclass(frozen=True, slots=True)
class Said:
    """Base of all answers. `by` is who gave it, where that is not the approver that was asked; `advice` is what
    others had said to the question.
    """

    by: str = field(default="", kw_only=True)
    advice: tuple[str, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True, slots=True)
class Yes(Said):
    """Run it."""


@dataclass(frozen=True, slots=True)
class No(Said):
    """Do not run it; the model reads `reason`. `unattended`: nobody was there to say so."""

    reason: str = ""
    unattended: bool = False


@dataclass(frozen=True, slots=True)
class Always(Said):
    """Yes, and to what `proposal` covers, for this session, an hour, or in this repository.

    Without a proposal: to the exact shape of the call.
    """

    proposal: Proposal | None = None
    scope: AlwaysScope = "session"


@dataclass(frozen=True, slots=True)
class Edit(Said):
    """Yes, with these arguments instead; asked again if the edited call could do more than what was shown."""

    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SetLevel(Said):
    """Move the slider, then judge the call again."""

    level: Level


@dataclass(frozen=True, slots=True)
class Quit(Said):
    """End the session; the call does not run."""


Answer = Yes | No | Always | Edit | SetLevel | Quit


@dataclass(frozen=True, slots=True)
class Pass:
    """No answer: the next in the chain is asked, and shown `advice`, one line, if there is any."""

    advice: str = ""


class ApprovalNeeded(Exception):
    """The session stops here, because going on needs an approval that nobody is there to give.

    `summary` says more, in lines. Raised by an approver, it leaves the call undecided, so that it does not run.
    """

    def __init__(self, detail: str, summary: str = "") -> None:
        super().__init__(detail)
        self.summary = summary
