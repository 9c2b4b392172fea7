"""What a session is: the things handed in, what it has opened so far, how it is interrupted, what it reports."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from agent.autonomy.answers import Answer
from agent.autonomy.gate import Approver, Gate, Question
from agent.autonomy.rules import Placed
from agent.budgets import Spent
from agent.checkpoints import Checkpoints
from agent.journal import AnyEvent, Journal, LevelChanged, SandboxOpened, SessionResumed, SessionStarted
from agent.models.protocol import Model, Reply, Request
from agent.outcomes import Outcome
from agent.repository.base import Base
from agent.repository.source import Repository
from agent.settings import Settings
from agent.steering import Steering
from agent.store import SessionFolder, Store
from agent.verification import Verification
from agent.work import Watcher
from sandboxes.network.outside import Outside
from sandboxes.pool import Pool
from sandboxes.protocol import Backend, Sandbox, SandboxSpec
from sandboxes.secrets import Secrets

T = TypeVar("T")


class Report(BaseModel):
    """What a session came to; `--json` prints it. `seconds` are of this run, `spent` of the whole session.

    `question` waits for `bridle approve`. `plan` is the file with the plan that it ended in.
    """

    model_config = ConfigDict(frozen=True)

    session: str
    outcome: Outcome
    exit_code: int
    detail: str
    backend: str = ""
    summary: str = ""
    branch: str | None = None
    commit: str | None = None
    files: int = 0
    flagged: tuple[str, ...] = ()
    patch: Path | None = None
    plan: Path | None = None
    resumable: bool = True
    question: str | None = None
    spent: Spent = Spent()
    seconds: float = 0.0


class Interrupt:
    """Ctrl-C, made orderly: the first one ends what is under way, and the work is kept."""

    def __init__(self) -> None:
        self.fired = False
        self._task: asyncio.Future[Any] | None = None

    def fire(self) -> None:
        """Cancel what is guarded, now and for the rest of the session."""
        self.fired = True
        if self._task is not None:
            self._task.cancel()

    async def guard(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`, which `fire` can cancel. Raises CancelledError."""
        task: asyncio.Future[T] = asyncio.ensure_future(work)
        self._task = task
        if self.fired:
            task.cancel()
        try:
            return await task
        finally:
            self._task = None


class PatientApprover:
    """An approver whose waiting for a person does not count towards the session's time limit."""

    def __init__(self, approver: Approver) -> None:
        self.approver = approver
        self.limit: asyncio.Timeout | None = None

    @property
    def name(self) -> str:
        """Who answers."""
        return self.approver.name

    async def ask(self, question: Question) -> Answer:
        """Ask, with the clock stopped meanwhile."""
        return await self.patiently(self.approver.ask(question))

    async def patiently(self, person: Awaitable[T]) -> T:
        """Await a person, with the clock stopped meanwhile."""
        limit, asked = self.limit, asyncio.get_running_loop().time()
        ends = limit.when() if limit is not None else None
        if limit is None or ends is None:
            return await person
        limit.reschedule(None)
        try:
            return await person
        finally:
            limit.reschedule(ends + asyncio.get_running_loop().time() - asked)


class LateModel:
    """A model that is made when it is first asked: a session that only delivers asks none."""

    def __init__(self, name: str, make: Callable[[], Model]) -> None:
        self.name = name
        self._make = make
        self._made: Model | None = None

    async def complete(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        """See Model. Raises ModelError, UsageProblem."""
        self._made = self._made or self._make()
        return await self._made.complete(request, on_text)

    async def close(self) -> None:
        """See Model."""
        if self._made is not None:
            await self._made.close()


async def _nothing() -> None:
    """What is let go of where the approver holds nothing."""


async def _only_the_patch(_: Sandbox) -> None:
    """What else is put into or taken out of a sandbox where only the repository counts."""


@dataclass(slots=True)
class Session:
    """Everything one session needs, handed in; and what it has opened so far. `let_go` closes the approver.

    `safe` says that the sandbox holds nothing which is not saved or delivered. `outside` is how hosts are reached,
    by default this machine's own way. `rules` are those of the files; what the user says meanwhile comes on top.
    """

    folder: SessionFolder
    journal: Journal
    settings: Settings
    task: str
    repository: Repository
    store: Store
    backend: Backend
    approver: PatientApprover
    watch: Watcher
    make_model: Callable[[], Model]
    secrets: Secrets = field(default_factory=Secrets)
    interrupt: Interrupt = field(default_factory=Interrupt)
    steering: Steering = field(default_factory=Steering)
    outside: Outside | None = None
    others: Sequence[Backend] = ()
    """Backends that are not in use, but may have leftovers."""
    rules: tuple[Placed, ...] = ()
    image: str = ""
    base: Base | None = None
    sandbox: Sandbox | None = None
    gate: Gate | None = None
    verification: Verification | None = None
    checkpoints: Checkpoints | None = None
    spares: Pool | None = None
    check: SandboxSpec | None = None
    model: Model | None = None
    safe: bool = True
    let_go: Callable[[], Awaitable[None]] = _nothing
    taken: Callable[[Sandbox], Awaitable[object]] = _only_the_patch
    """Called each time the patch was taken, for what lies outside the workspace."""
    opened: Callable[[Sandbox], Awaitable[object]] = _only_the_patch
    """Called once a new sandbox is filled, for what the repository does not hold."""
    started: float = field(default_factory=time.monotonic)

    def record(self, event: AnyEvent) -> None:
        """Journal an event that belongs to no conversation, and show it."""
        self.watch.event(self.journal.append(event))


def start_event(folder: SessionFolder, settings: Settings, task: str, repository: Repository) -> SessionStarted:
    """The first line of a journal."""
    return SessionStarted(
        session=folder.id,
        version=version("bridle"),
        task=task,
        repository=str(repository.root),
        options=settings.model_dump(mode="json", exclude_none=True),
    )


def last_opening(events: Sequence[AnyEvent]) -> SandboxOpened | None:
    """The latest sandbox of a session: what a resumed one goes on with."""
    return next((event for event in reversed(events) if isinstance(event, SandboxOpened)), None)


def options_of(events: Sequence[AnyEvent]) -> dict[str, Any]:
    """The settings a session last ran with; where the slider was moved down since, that holds."""
    options: dict[str, Any] = {}
    for event in events:
        if isinstance(event, SessionStarted | SessionResumed):
            options = dict(event.options)
        elif isinstance(event, LevelChanged):
            options["autonomy"] = min(options.get("autonomy", event.after), event.after)
    return options
