"""Approvers for a person who is not at this terminal: the question is journalled whole, for `bridle approve`.

`StopApprover` then ends the session; it goes on when it is resumed. `WaitApprover` keeps it open until the answer
comes (`mailbox.py`) or the time is up, which is a no.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from agent.asked import QuestionAsked
from agent.autonomy import mailbox
from agent.autonomy.answers import Answer, ApprovalNeeded, No
from agent.autonomy.gate import Question
from agent.autonomy.pending import as_answer, asked_event
from agent.journal import AnyEvent
from tools.text import one_line

POLL_SECONDS = 0.5


class StopApprover:
    """Ends the session at the first question."""

    name = "nobody"

    def __init__(self, record: Callable[[AnyEvent], None]) -> None:
        """`record` journals."""
        self._record = record

    async def ask(self, question: Question) -> Answer:
        """Journal the question, and raise ApprovalNeeded."""
        asked = asked_event(question)
        self._record(asked)
        raise ApprovalNeeded(f"question {asked.id} waits for an answer: {_words(asked)}")


class WaitApprover:
    """Keeps the session open until somebody answers from elsewhere. The gate asks one question at a time."""

    name = "nobody"

    def __init__(
        self,
        folder: Path,
        record: Callable[[AnyEvent], None],
        note: Callable[[str], None],
        *,
        timeout: float | None = None,
    ) -> None:
        """`folder` is the session's; `timeout` is in seconds, None waits for ever."""
        self._folder = folder
        self._record = record
        self._note = note
        self._timeout = timeout

    async def ask(self, question: Question) -> Answer:
        """Journal the question and wait."""
        asked = asked_event(question, wait=True, timeout=self._timeout)
        mailbox.clear(self._folder)
        self._record(asked)
        self._note(f"waiting for an answer to {_words(asked)}; give it with: bridle approve {self._folder.name}")
        try:
            async with asyncio.timeout(self._timeout):
                return await self._answer(asked)
        except TimeoutError:
            return No(f"nobody answered within {self._timeout:g} s", unattended=True)
        finally:
            mailbox.clear(self._folder)

    async def _answer(self, asked: QuestionAsked) -> Answer:
        while True:
            answer, problem = mailbox.take(self._folder, asked)
            if problem:
                self._note(f"not taken as an answer: {problem}")
            if answer is not None:
                self._record(answer)
                return as_answer(answer)
            await asyncio.sleep(POLL_SECONDS)


def _words(asked: QuestionAsked) -> str:
    return f"`{one_line(f'{asked.tool} {asked.title}', 100)}` ({asked.cause})"
