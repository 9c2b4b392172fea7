"""A file of answers: what a person who will not be there has decided beforehand, by tool, effects and paths.

    [[answer]]
    say = "no"                   # yes, no, or ask (somebody else)
    tool = "shell"               # one, or a list; left out: any
    effects = ["network"]        # see below
    paths = ["docs/*"]           # shell patterns below the workspace; `*` crosses folders
    reason = "no network here"   # read by the model

    [judge]                      # what the model that reviews (--judge) may decide alone
    may_deny = true
    may_approve = ["write", "run"]

A no or an ask matches a call that has any of its effects; a yes matches only where it names every effect of the
call, and, with paths, only a call on one path that is known and matches. The strictest match counts: no, ask, yes.

Threat model: the file is the user's; one that others could write is refused, and so is anything in it that is not
understood. It is read once, before the session begins. The agent's calls are matched as data: their paths are
normalised as the tools normalise them. What only a person may allow (a question that insists) gets no yes here.
"""

from __future__ import annotations

import os
import stat
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from agent.autonomy.answers import Answer, No, Pass, Yes
from agent.autonomy.gate import Question
from agent.outcomes import UsageProblem
from sandboxes.protocol import WORKSPACE
from tools.paths import is_below, resolve
from tools.protocol import Effect, Effects

MAX_BYTES = 64 << 10
"""Bytes of a policy file."""
NEVER_BY_A_MODEL = frozenset({Effect.DELIVER, Effect.OUTSIDE, Effect.DESTROY, Effect.NETWORK, Effect.SECRET})
"""What no reviewing model can approve, whatever the policy says."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Strict):
    """One entry of the file. Empty `tools`, `effects` and `paths` do not narrow it."""

    say: Literal["yes", "no", "ask"]
    tools: tuple[str, ...] = Field(default=(), alias="tool")
    effects: frozenset[Effect] = frozenset()
    paths: tuple[str, ...] = ()
    reason: str = Field(default="", max_length=500)

    @field_validator("tools", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _a_yes_is_narrow(self) -> Rule:
        if self.say == "yes" and not self.effects:
            raise ValueError("a yes has to name the effects that it covers")
        return self

    def matches(self, question: Question) -> bool:
        """Whether this entry is about the call."""
        if self.tools and question.tool not in self.tools:
            return False
        if self.effects:
            covers = question.effects <= self.effects if self.say == "yes" else question.effects & self.effects
            if not covers:
                return False
        return not self.paths or self._on_a_path(question)

    def _on_a_path(self, question: Question) -> bool:
        path = question.arguments.get("path")
        if not isinstance(path, str):
            return False
        whole = resolve(path)
        if not is_below(whole, WORKSPACE):
            return False
        inside = whole.removeprefix(WORKSPACE).lstrip("/")
        return any(fnmatchcase(inside, pattern) for pattern in self.paths)


class JudgePowers(_Strict):
    """What a reviewing model may decide without a person."""

    may_deny: bool = False
    may_approve: frozenset[Effect] = frozenset()

    @field_validator("may_approve")
    @classmethod
    def _bounded(cls, effects: Effects) -> Effects:
        if never := effects & NEVER_BY_A_MODEL:
            raise ValueError(f"a model cannot be allowed to approve {', '.join(sorted(never))}")
        return effects


class PolicyFile(_Strict):
    """The whole file."""

    answers: tuple[Rule, ...] = Field(default=(), alias="answer")
    judge: JudgePowers = JudgePowers()


class PolicyApprover:
    """Answers from a policy, and passes what it says nothing about."""

    def __init__(self, policy: PolicyFile, name: str) -> None:
        self._policy = policy
        self.name = f"policy {name}"

    async def ask(self, question: Question) -> Answer | Pass:
        """The strictest answer that matches."""
        matching = [rule for rule in self._policy.answers if rule.matches(question)]
        for say in ("no", "ask", "yes"):
            for rule in matching:
                if rule.say == say:
                    return self._answer(rule, question)
        return Pass()

    def _answer(self, rule: Rule, question: Question) -> Answer | Pass:
        if rule.say == "no":
            return No(rule.reason, by=self.name)
        if rule.say == "ask" or question.insist:
            return Pass(rule.reason)
        return Yes(by=self.name)


def read_policy(path: Path) -> PolicyFile:
    """The policy in a file. Raises UsageProblem with a sentence for every reason not to believe it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UsageProblem(f"the policy {path} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UsageProblem(f"the policy {path} is not a regular file")
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
            raise UsageProblem(f"the policy {path} could have been written by others: it has to be yours alone")
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UsageProblem(f"the policy {path} is larger than {MAX_BYTES >> 10} KiB")
    try:
        return PolicyFile.model_validate(tomllib.loads(data.decode("utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageProblem(f"the policy {path} is wrong: {place or 'file'}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise UsageProblem(f"the policy {path} is not TOML in UTF-8: {str(error)[:300]}") from error
