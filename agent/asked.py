"""The events of what people are asked and say: questions that wait, answers, advice, and what not to do."""

from __future__ import annotations

from typing import Any, Literal

from agent.event import Event
from agent.models.protocol import Usage

QuestionAnswerKind = Literal["yes", "always", "no"]


class QuestionAsked(Event):
    """A question waits for `bridle approve`: all of what a person has to see, and all that an answer is bound to.

    `id` names this asking; `digest` is the hash of what would run and of what was shown. `arguments` is JSON.
    `title`, `detail`, `diff` and `causes` (effect, part of the call, reason) are the preview. `wait`: the session
    stays open for the answer, for at most `timeout` seconds; otherwise it ends, and goes on when it is resumed.
    """

    type: Literal["question.asked"] = "question.asked"
    id: str
    digest: str
    call: str
    tool: str
    arguments: str
    effects: tuple[str, ...]
    because: tuple[str, ...]
    cause: str
    causes: tuple[tuple[str, str, str], ...] = ()
    level: int
    title: str
    detail: str = ""
    diff: str = ""
    cwd: str = ""
    always: str = ""
    note: str = ""
    advice: tuple[str, ...] = ()
    listed: bool = False
    insist: str = ""
    same: int = 1
    wait: bool = False
    timeout: float | None = None


class QuestionAnswered(Event):
    """A person answered a waiting question. It counts once, and for what has this `digest` alone."""

    type: Literal["question.answered"] = "question.answered"
    id: str
    digest: str
    answer: QuestionAnswerKind
    by: str
    reason: str = ""
    seconds: float = 0.0


AlwaysScope = Literal["session", "hour", "repository"]


class AlwaysGranted(Event):
    """A person said "always". `tool` and `key` are the exact shape, or `rule` is what is covered, as in a file.

    Calls that it covers run unasked where they have no more than `effects`: for the rest of the session, until
    `until` (seconds since the epoch), or, as the rule `label` in the user's state, in this repository.
    """

    type: Literal["always.granted"] = "always.granted"
    call: str
    tool: str
    words: str
    key: str = ""
    rule: dict[str, Any] | None = None
    effects: tuple[str, ...]
    scope: AlwaysScope = "session"
    until: float | None = None
    label: str = ""


class AdviceGiven(Event):
    """What a model that reviews calls answered, word for word, before anything was made of it."""

    type: Literal["advice.given"] = "advice.given"
    call: str
    by: str
    text: str
    usage: Usage = Usage()


class ConstraintHeard(Event):
    """The user said what the agent must not do; from now on `rule`, which refuses, holds it to that.

    `rule` is a rule as in a file. `applied` is false where the user, asked about it, did not mean it so; `by`
    says who settled that.
    """

    type: Literal["constraint.heard"] = "constraint.heard"
    said: str
    rule: dict[str, Any]
    applied: bool
    by: str
