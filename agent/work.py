"""What a strategy works with: the task, the model, the tools, the sandbox, the gate and the journal.

A strategy sees nothing else. Every change of state goes through `record`, journal first.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from agent.autonomy.gate import Gate
from agent.budgets import Budgets, Spent, exceeded, reviews, spent
from agent.checkpoints import Checkpoints
from agent.context.conversation import TURN, Conversation
from agent.journal import AnyEvent, CheckRun, Journal, ModelReplied, UserMessage
from agent.models.fingerprint import request_event
from agent.models.prices import Prices, cost
from agent.models.profiles import Profile
from agent.models.protocol import Model, Reply, Request, ToolCall, ToolSpec
from agent.outcomes import Outcome
from agent.standing import standing
from agent.steering import Steering
from agent.verification import Verification
from sandboxes.secrets import Secrets
from tools.protocol import Tool, Workbench
from tools.registry import describe


class End(NamedTuple):
    """How a strategy ended. `summary` is the agent's own account of what it did."""

    outcome: Outcome
    detail: str
    summary: str = ""


class Watcher(Protocol):
    """Whoever follows a session as it happens: the terminal, or nobody."""

    def event(self, event: AnyEvent) -> None:
        """An event that has just been journalled."""

    def text(self, piece: str) -> None:
        """A piece of the model's text; an empty one means that the text starts again."""

    def output(self, piece: bytes) -> None:
        """What a running command has just printed. For the eye only: bounded, and the result has it again."""

    def note(self, line: str) -> None:
        """Something that the user should know and that is no event."""


def _nothing() -> None:
    """What follows a submission where nothing has to be made ready."""


async def _unheard(_: str) -> None:
    """What follows the user's words where they make no rules."""


@dataclass(slots=True)
class Work:
    """One session at work. `submitted` is called when the model says that it is done, before that is checked;
    `heard` with what the user says meanwhile.

    `greeting` is said to the model once the calls have results that waited for an answer when the session stopped.
    """

    task: str
    journal: Journal
    conversation: Conversation
    model: Model
    profile: Profile
    prices: Prices | None
    tools: dict[str, Tool]
    bench: Workbench
    gate: Gate
    budgets: Budgets
    verification: Verification | None
    checkpoints: Checkpoints
    planning: bool
    watch: Watcher
    submitted: Callable[[], None] = _nothing
    heard: Callable[[str], Awaitable[None]] = _unheard
    greeting: UserMessage | None = None
    steering: Steering = field(default_factory=Steering)
    want_tokens: bool = False
    specs: tuple[ToolSpec, ...] = field(init=False)
    used: Spent = field(init=False)
    _counted: int = field(init=False)

    def __post_init__(self) -> None:
        described = map(describe, self.tools.values())
        self.specs = tuple(
            ToolSpec(name=each.name, description=each.description, parameters=each.parameters)
            for each in described
        )
        self.used = spent(standing(self.journal.events))
        self._counted = len(self.journal.events)

    @property
    def check(self) -> str | None:
        """The verify command, if there is one."""
        return self.verification.command if self.verification else None

    def record(self, event: AnyEvent) -> AnyEvent:
        """Journal an event, then let it take effect, as it was journalled, on the conversation and the screen."""
        event = self.journal.append(event)
        self.conversation.add(event)
        if isinstance(event, ModelReplied):
            self.used = self.used.plus(event)
        self.watch.event(event)
        return event

    def over_budget(self) -> str | None:
        """Which budget is used up, in words."""
        self.used = reviews(self.used, self.journal.events[self._counted :])
        self._counted = len(self.journal.events)
        return exceeded(self.budgets, self.used)

    async def listen(self) -> bool:
        """Put what the user said meanwhile into the conversation; was there anything?"""
        text = await self.steering.heard()
        if not text:
            return False
        await self.checkpoints.make("remark")
        self.record(UserMessage(role="user", text=text, by="user", meanwhile=True))
        await self.heard(text)
        return True

    def left_open(self) -> Reply | None:
        """The calls of the last reply that have no result yet; None when all have."""
        calls = self.conversation.unanswered()
        return Reply(calls=tuple(calls)) if calls else None

    def greet(self) -> None:
        """Say the greeting, if it has not been said."""
        if self.greeting is not None:
            self.record(self.greeting)
            self.greeting = None

    async def turn(self) -> Reply:
        """The model's next turn in the conversation."""
        request = Request(
            messages=tuple(self.conversation.messages),
            tools=self.specs,
            temperature=self.profile.temperature,
            max_output_tokens=self.profile.max_output_tokens,
        )
        return await self.ask(request, purpose=TURN, known=self.conversation.known)

    async def ask(self, request: Request, *, purpose: str, known: int = 0) -> Reply:
        """Ask the model; journalled before and after. Raises ModelError.

        What is no part of the journalled conversation may quote files: secrets are masked in it here.
        """
        if purpose != TURN:
            request = _masked(request, self.bench.secrets)
        request = request.model_copy(update={"want_tokens": self.want_tokens})
        self.record(request_event(request, known, self.model.name, purpose))
        start = time.monotonic()
        reply = await self.model.complete(request, self.watch.text)
        calls = _unique(reply.calls)
        self.record(
            ModelReplied(
                text=reply.text,
                calls=calls,
                usage=reply.usage,
                finish=reply.finish,
                model=reply.model,
                retries=reply.retries,
                estimated=reply.estimated,
                cost=cost(reply.usage, self.prices),
                seconds=round(time.monotonic() - start, 3),
                tokens=reply.tokens,
            )
        )
        return reply.model_copy(update={"calls": calls})

    async def verify(self) -> CheckRun | None:
        """Run the verify command in the working sandbox; None when there is none. Raises CheckDenied."""
        if self.verification is None:
            return None
        return await self.verification.run(self.gate, self.tools["shell"], self.bench, self.record)


def _masked(request: Request, secrets: Secrets) -> Request:
    if not secrets:
        return request
    messages = (each.model_copy(update={"content": secrets.mask(each.content)}) for each in request.messages)
    return request.model_copy(update={"messages": tuple(messages)})


def _unique(calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
    """The calls with ids that differ: some services repeat them, or send none."""
    seen: set[str] = set()
    out = []
    for number, call in enumerate(calls):
        fresh = call if call.id and call.id not in seen else call.model_copy(update={"id": f"{call.id}#{number}"})
        seen.add(fresh.id)
        out.append(fresh)
    return tuple(out)
