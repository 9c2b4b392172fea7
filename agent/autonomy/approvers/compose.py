"""Who is asked in a session, in which order.

    earlier answers → policy file → reviewing model → program → the terminal, `bridle approve`, or nobody

Each answers or passes the question on. What the model thinks is shown to whoever comes after it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from agent.autonomy.answers import Answer, No
from agent.autonomy.approvers import AbsentApprover, default_approver
from agent.autonomy.approvers.chain import Chain, Link
from agent.autonomy.approvers.judge import JudgeApprover
from agent.autonomy.approvers.later import StopApprover, WaitApprover
from agent.autonomy.approvers.policy import PolicyApprover, PolicyFile, read_policy
from agent.autonomy.approvers.program import ProgramApprover
from agent.autonomy.approvers.terminal import Pause
from agent.autonomy.gate import Approver, Question
from agent.autonomy.pending import Recorded
from agent.journal import AnyEvent, SessionStarted, UserMessage
from agent.models.select import make_model
from agent.settings import Settings

TERMINAL_SECONDS = 3600.0
"""How long a question at the terminal waits where nobody set a limit: a lunch. Then it is kept."""
WAIT_SECONDS = 86400.0
"""How long one waits for an answer from elsewhere, likewise; then it is a no."""


class Timed:
    """A person at the terminal, who has `seconds` for each question; then it is a no, or `after` is asked."""

    def __init__(self, approver: Approver, seconds: float, after: Approver | None = None) -> None:
        self._approver = approver
        self._seconds = seconds
        self._after = after

    @property
    def name(self) -> str:
        """Who answers."""
        return self._approver.name

    async def ask(self, question: Question) -> Answer:
        """Ask, and say no when the time is up."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._approver.ask(question)
        except TimeoutError:
            if self._after is not None:
                return await self._after.ask(question)
            return No(f"nobody answered within {self._seconds:g} s", unattended=True)


def compose(
    settings: Settings,
    folder: Path,
    events: Sequence[AnyEvent],
    record: Callable[[AnyEvent], None],
    note: Callable[[str], None],
    *,
    may_ask: bool = True,
    pause: Pause = contextlib.nullcontext,
) -> Chain:
    """The approvers of a session whose folder and journal these are. `may_ask`: the terminal may be asked at.

    Raises UsageProblem when what the settings name is not there, or cannot be believed.
    """
    links: list[Link] = [Recorded(events)]
    policy = PolicyFile()
    if settings.policy is not None:
        policy = read_policy(Path(settings.policy))
        links.append(PolicyApprover(policy, Path(settings.policy).name))
    if (name := settings.judge) is not None:
        make = partial(make_model, name, base_url=settings.base_url, on_retry=note)
        make()  # a wrong name or a missing key shows before the session begins
        links.append(JudgeApprover(name, make, partial(user_words, events), record, powers=policy.judge))
    if settings.approver_cmd is not None:
        links.append(ProgramApprover(settings.approver_cmd, folder.name, timeout=settings.approval_timeout))
    links.append(_last(settings, folder, record, note, may_ask=may_ask, pause=pause))
    return Chain(links)


def user_words(events: Sequence[AnyEvent]) -> str:
    """What the user has said: the task, and what they said since. Nothing of the harness, nothing of the agent."""
    said = [event.task for event in events if isinstance(event, SessionStarted)]
    said += [e.text for e in events if isinstance(e, UserMessage) and e.by == "user" and e.text not in said]
    return "\n\n".join(said)


def _last(
    settings: Settings,
    folder: Path,
    record: Callable[[AnyEvent], None],
    note: Callable[[str], None],
    *,
    may_ask: bool,
    pause: Pause,
) -> Approver:
    """Who has to answer: the person at the terminal, the person who is not there, or nobody."""
    if settings.on_ask == "stop":
        return StopApprover(record)
    if settings.on_ask == "wait":
        return WaitApprover(folder, record, note, timeout=settings.approval_timeout or WAIT_SECONDS)
    approver = default_approver(pause) if may_ask and settings.on_ask != "deny" else AbsentApprover()
    if isinstance(approver, AbsentApprover):
        return approver
    if settings.approval_timeout is None:
        return Timed(approver, TERMINAL_SECONDS, StopApprover(record))
    return Timed(approver, settings.approval_timeout)
