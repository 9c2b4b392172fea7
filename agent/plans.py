"""The plan that a session at level `plan` ends in: the user may change it, and go on with it at another level.

It is a file of the session's folder, `plan.md`, which the user may edit until the session goes on; what it says
then is told to the model as the user's words, and journalled with them. Nothing in a sandbox can reach it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agent.autonomy.levels import Level
from agent.journal import AnyEvent, ModelReplied, PatchTaken, SessionResumed, SessionStarted, UserMessage
from agent.outcomes import Outcome
from agent.store import SessionFolder

MAX_CHARACTERS = 100_000
AGREED = "I agree to this plan. You may change files now: carry it out, then submit.\n\n{plan}"


def plan_file(folder: SessionFolder) -> Path:
    """Where the session's plan is."""
    return folder.path / "plan.md"


def planned(events: Iterable[AnyEvent]) -> bool:
    """Whether the session's work ended in a plan, and nothing was said since."""
    level, found = -1, False
    for event in events:
        if isinstance(event, SessionStarted | SessionResumed):
            level = event.options.get("autonomy", -1)
        elif isinstance(event, PatchTaken):
            found = level == Level.PLAN and event.outcome is Outcome.DONE
        elif isinstance(event, ModelReplied | UserMessage):
            found = False
    return found


def agreed(folder: SessionFolder) -> str:
    """The plan as the user left it, cut to a bound. Raises OSError; "" where there is none."""
    try:
        return plan_file(folder).read_text(errors="replace").strip()[:MAX_CHARACTERS]
    except FileNotFoundError:
        return ""
