"""Questions that wait for a person, and their answers: a pure function of the journal.

    asked (journalled whole) → the session ends, or waits → `bridle approve` → answered → the same question again

Threat model: an answer was given to what was shown, and to nothing else. So it is bound to a hash over the call,
its arguments, its effects, its directory and the whole preview, and is used only where exactly that is asked
again, at a level that is no lower, with files and a reach that are those of the question. Whatever differs is
asked anew. It lasts until the call has run or was refused, or until the model has said something else.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agent.asked import QuestionAnswered, QuestionAsked
from agent.autonomy.answers import Always, Answer, No, Pass, Yes
from agent.autonomy.gate import Question
from agent.autonomy.levels import Level
from agent.autonomy.words import in_order
from agent.context.conversation import TURN
from agent.journal import (
    AnyEvent,
    CallFinished,
    CallStarted,
    Delivered,
    GateDecided,
    ModelReplied,
    ModelRequested,
    SandboxOpened,
    SessionResumed,
    SessionStarted,
)
from agent.models.protocol import ToolCall
from agent.standing import standing
from tools.protocol import Cause, Effect, Preview

MAX_KEPT = 1_000_000
"""Characters of a preview's detail and of its diff that go into the journal; the hash is over all of them."""
OF_THE_SESSION = frozenset({"network", "verify"})
"""Questions that are about the whole session and not about one turn of it."""
REACH = ("network", "allow_hosts", "runtime", "secrets", "inject")
"""Settings that decide what a call can reach."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A question without a ruling, and its answer, if there is one already."""

    asked: QuestionAsked
    answer: QuestionAnswered | None = None


def digest(question: Question) -> str:
    """The hash of what would run, and of what was shown of it."""
    bound: dict[str, Any] = {
        "call": question.call.id,
        "tool": question.tool,
        "arguments": question.arguments,
        "effects": [str(effect) for effect in in_order(question.effects)],
        "cwd": question.cwd,
        "listed": question.listed,
        "insist": question.insist,
        "preview": [question.preview.title, question.preview.detail, question.preview.diff],
        "causes": _causes(question.preview),
    }
    return hashlib.sha256(json.dumps(bound, sort_keys=True).encode()).hexdigest()


def asked_event(question: Question, *, wait: bool = False, timeout: float | None = None) -> QuestionAsked:
    """The question as the journal keeps it, with a name of its own."""
    return QuestionAsked(
        id=secrets.token_hex(4),
        digest=digest(question),
        call=question.call.id,
        tool=question.tool,
        arguments=json.dumps(question.arguments),
        effects=tuple(map(str, in_order(question.effects))),
        because=tuple(map(str, in_order(question.because))),
        cause=question.cause,
        causes=_causes(question.preview),
        level=int(question.level),
        title=question.preview.title,
        detail=_kept(question.preview.detail),
        diff=_kept(question.preview.diff),
        cwd=question.cwd,
        always=question.always,
        note=question.note,
        advice=question.advice,
        listed=question.listed,
        insist=question.insist,
        same=question.same,
        wait=wait,
        timeout=timeout,
    )


def as_question(asked: QuestionAsked) -> Question:
    """The question as it is shown to the person who answers it later."""
    return Question(
        call=ToolCall(id=asked.call, name=asked.tool, arguments=asked.arguments),
        tool=asked.tool,
        arguments=json.loads(asked.arguments),
        effects=frozenset(map(Effect, asked.effects)),
        because=frozenset(map(Effect, asked.because)),
        cause=asked.cause,
        level=Level(asked.level),
        preview=Preview(
            asked.title,
            diff=asked.diff,
            detail=asked.detail,
            causes=tuple(Cause(Effect(effect), text, reason) for effect, text, reason in asked.causes),
        ),
        cwd=asked.cwd,
        always=asked.always,
        note=asked.note,
        listed=asked.listed,
        insist=asked.insist,
        same=asked.same,
        advice=asked.advice,
    )


def pending(events: Iterable[AnyEvent]) -> list[Waiting]:
    """The questions that still count and were not ruled on, oldest first."""
    reader = _Reader()
    for event in standing(events):
        reader.take(event)
    return list(reader.waiting.values())


class Recorded:
    """Answers what a person has answered since it was asked; passes everything else on."""

    name = "an earlier answer"

    def __init__(self, events: Sequence[AnyEvent]) -> None:
        """`events` are the journal's, and grow with it."""
        self._events = events

    async def ask(self, question: Question) -> Answer | Pass:
        """The answer that was given to exactly this question, if there is one."""
        bound = digest(question)
        for each in pending(self._events):
            fits = each.asked.digest == bound and question.level >= each.asked.level
            if fits and each.answer is not None:
                return replace(as_answer(each.answer), advice=each.asked.advice)
        return Pass()


def as_answer(answered: QuestionAnswered) -> Yes | No | Always:
    """What the gate makes of an answer that came later."""
    match answered.answer:
        case "yes":
            return Yes(by=answered.by)
        case "always":
            return Always(by=answered.by)
        case "no":
            return No(answered.reason, by=answered.by)


class _Reader:
    """Goes through the events and keeps what waits, by its hash: what is asked again takes its earlier place."""

    def __init__(self) -> None:
        self.waiting: dict[str, Waiting] = {}
        self._purpose = TURN
        self._of_turns: set[str] = set()
        self._reach: tuple[Any, ...] = ()
        self._where: tuple[str, str, str] | None = None

    def take(self, event: AnyEvent) -> None:
        match event:
            case QuestionAsked():
                self.waiting[event.digest] = Waiting(event)
            case QuestionAnswered():
                there = self.waiting.get(event.digest)
                if there is not None and there.asked.id == event.id and there.answer is None:
                    self.waiting[event.digest] = Waiting(there.asked, event)
            case GateDecided(verdict="deny") | CallStarted() | CallFinished():
                self._drop(lambda asked: asked.call == event.call)
            case Delivered():
                self._drop(lambda asked: asked.call == "delivery")
            case ModelRequested():
                self._purpose = event.purpose
            case ModelReplied() if self._purpose == TURN:
                self._of_turns = {call.id for call in event.calls}
                self._drop(lambda asked: asked.call not in OF_THE_SESSION)
            case SessionStarted():
                self._reach = _reach(event)
            case SessionResumed():
                self._resumed(event)
            case SandboxOpened():
                where = (event.backend, event.image, event.network)
                if self._where is not None and self._where != where:
                    self._unanswer(lambda asked: True)
                self._where = where
            case _:
                pass

    def _resumed(self, event: SessionResumed) -> None:
        """What another run begins with: an answer does not hold for other files, or for another reach."""
        if self._reach != (reach := _reach(event)):
            self._unanswer(lambda asked: True)
        elif not event.saved_workspace:
            self._unanswer(lambda asked: asked.call in self._of_turns)
        self._reach = reach

    def _drop(self, which: Callable[[QuestionAsked], bool]) -> None:
        self.waiting = {key: each for key, each in self.waiting.items() if not which(each.asked)}

    def _unanswer(self, which: Callable[[QuestionAsked], bool]) -> None:
        """Leave the questions in their place, so that their calls are asked about again, without their answers."""
        for key, each in self.waiting.items():
            if which(each.asked):
                self.waiting[key] = Waiting(each.asked)


def _reach(event: SessionStarted | SessionResumed) -> tuple[Any, ...]:
    return tuple(json.dumps(event.options.get(name)) for name in REACH)


def _causes(preview: Preview) -> tuple[tuple[str, str, str], ...]:
    return tuple((str(cause.effect), cause.text, cause.reason) for cause in preview.causes)


def _kept(text: str) -> str:
    left_out = len(text) - MAX_KEPT
    return text if left_out <= 0 else f"{text[:MAX_KEPT]}\n[{left_out} more characters]"
