"""Answering a question that waits: finding it, and bringing the answer to its session, whether that runs or not.

A session that nobody works on gets the answer into its journal, under its lock, and uses it when it is resumed.
One that is open and waits gets it through its folder (`autonomy/mailbox.py`) and journals it itself.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass

from agent.asked import QuestionAnswered, QuestionAnswerKind, QuestionAsked
from agent.autonomy import mailbox
from agent.autonomy.pending import pending
from agent.journal import AnyEvent, JournalDamaged, read_events
from agent.outcomes import UsageProblem
from agent.store import SessionFolder, Store, is_locked, open_journal, why_not_resumable

TAKEN_SECONDS = 10.0
"""How long an open session may take to take an answer; it looks twice a second."""
_QUESTION = re.compile(r"[0-9a-f]{8}")
_MARK = b'"type":"question.asked"'


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question of a session that has no answer yet. `live`: the session is open."""

    session: str
    task: str
    asked: QuestionAsked
    live: bool


def open_questions(store: Store) -> list[OpenQuestion]:
    """All questions that wait, of all sessions, oldest session first. Sessions that cannot be read have none."""
    return [each for name in store.ids() for each in _of(SessionFolder(store.sessions / name))]


def find_question(store: Store, name: str) -> OpenQuestion:
    """The question called `name`, or the only one of the session called so. Raises UsageProblem."""
    if _QUESTION.fullmatch(name):
        found = [each for each in open_questions(store) if each.asked.id == name]
        if not found:
            raise UsageProblem(f"no open question {name}; `bridle approve` lists those there are")
        return found[-1]
    folder = store.find(name)
    found = _of(folder)
    if not found:
        raise UsageProblem(f"session {folder.id} has no open question; `bridle approve` lists those there are")
    if len(found) > 1:
        names = ", ".join(each.asked.id for each in found)
        raise UsageProblem(f"session {folder.id} has {len(found)} open questions: name one of {names}")
    return found[0]


def give(store: Store, question: OpenQuestion, kind: QuestionAnswerKind, reason: str = "") -> bool:
    """Answer; True when the session is open and has gone on with it.

    Raises UsageProblem when the question is not what was seen any more, or nobody takes the answer; OSError.
    """
    asked = question.asked
    if kind == "always" and not asked.always:
        raise UsageProblem("this is asked every time, so that nothing could be remembered: answer --yes or --no")
    answer = QuestionAnswered(
        id=asked.id,
        digest=asked.digest,
        answer=kind,
        by=who(),
        reason=reason,
        seconds=max(0.0, round(time.time() - asked.time, 3)),
    )
    folder = SessionFolder(store.sessions / question.session)
    if is_locked(folder) and asked.wait:
        _hand_over(folder, answer)
        return True
    lock = folder.lock()
    try:
        with open_journal(folder) as journal:
            if not _waits(journal.events, asked):
                raise UsageProblem(
                    f"question {asked.id} is not open any more: `bridle approve` lists those that are"
                )
            journal.append(answer, durable=True)
    finally:
        os.close(lock)
    return False


def who() -> str:
    """Who answers at this command line, for the journal."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


def _of(folder: SessionFolder) -> list[OpenQuestion]:
    try:
        if _MARK not in folder.journal.read_bytes():
            return []
        events = read_events(folder.journal)
    except (FileNotFoundError, JournalDamaged):
        return []
    if why_not_resumable(events) is not None:
        return []
    task = str(getattr(events[0], "task", ""))
    live = is_locked(folder)
    return [OpenQuestion(folder.id, task, each.asked, live) for each in pending(events) if each.answer is None]


def _waits(events: Iterable[AnyEvent], asked: QuestionAsked) -> bool:
    return any(each.asked == asked and each.answer is None for each in pending(events))


def _hand_over(folder: SessionFolder, answer: QuestionAnswered) -> None:
    """Leave the answer for the open session, and see that it is taken."""
    try:
        place = mailbox.put(folder.path, answer)
    except mailbox.AlreadyAnswered as error:
        raise UsageProblem(f"{error}, which the session is about to take") from error
    deadline = time.monotonic() + TAKEN_SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.2)
        taken = (each for each in read_events(folder.journal) if isinstance(each, QuestionAnswered))
        if any(each.id == answer.id for each in taken):
            return
    place.unlink(missing_ok=True)
    raise UsageProblem(
        f"session {folder.id} is open and did not take the answer: question {answer.id} does not wait any more"
    )
