"""The journal: the append-only record of a session, one JSON event a line.

Everything else (the conversation, cost, resume, the report of an ending) is a pure function of these events.
An event is appended and flushed before its effect is acted on, so what a killed session was about to do is
known. A torn last line (one without its newline) is expected and survived; damage anywhere else is an error
that names the line. One process at a time writes a journal: the session folder's lock sees to that.

Threat model: the file holds text of the model and of the agent's commands. It is only ever parsed as JSON into
the fixed types below. It lies outside the sandbox, readable by its owner only. No text, however broken, may
make an event impossible to write or a written one impossible to read: halves of surrogate pairs are replaced.
The values of a session's secrets are masked here, once for all that is made of events: the record, what the model
is told, and what is shown.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from agent import chain
from agent.asked import AdviceGiven, AlwaysGranted, ConstraintHeard, QuestionAnswered, QuestionAsked
from agent.event import Event
from agent.models.protocol import Tokens, ToolCall, Usage
from agent.network_events import NetworkFinished, NetworkRequested
from agent.outcomes import Outcome
from agent.texts import masked, without_surrogates
from sandboxes.secrets import Secrets


class SessionStarted(Event):
    """The first line: what was asked, of whom, with which limits."""

    type: Literal["session.started"] = "session.started"
    session: str
    version: str
    task: str
    repository: str
    options: dict[str, Any]


class SessionResumed(Event):
    """Another process goes on with the session.

    `saved_workspace` says whether the files of the workspace came back, `checkpoint` with which all others did.
    """

    type: Literal["session.resumed"] = "session.resumed"
    version: str
    options: dict[str, Any]
    saved_workspace: bool
    checkpoint: int | None = None


class SandboxOpened(Event):
    """A sandbox is ready and holds the workspace."""

    type: Literal["sandbox.opened"] = "sandbox.opened"
    run_id: str
    name: str
    image: str
    backend: str
    seconds: float
    network: str = "none"
    runtime: str = ""
    """The OCI runtime that was asked for; empty for the engine's own choice."""


class CheckpointMade(Event):
    """The sandbox's whole file state was saved, and `before` what: `task`, `remark`, `resume`, `end` or a call.

    `number` counts the session's checkpoints. `id`, `run_id` and `run_number` say which of the backend's it is;
    `bytes` is what it takes of the disk.
    """

    type: Literal["checkpoint.made"] = "checkpoint.made"
    number: int
    before: str
    id: str
    run_id: str
    run_number: int
    bytes: int
    seconds: float


class SessionRewound(Event):
    """The user took the session back to a checkpoint: what came between it and this line no longer counts."""

    type: Literal["session.rewound"] = "session.rewound"
    to: int


class UserMessage(Event):
    """Text put into the conversation that is not the model's: the task, steering, a nudge of the harness.

    `meanwhile`: the user said it while the agent worked.
    """

    type: Literal["message"] = "message"
    role: Literal["system", "user"]
    text: str
    by: Literal["user", "harness"] = "harness"
    meanwhile: bool = False


class ModelRequested(Event):
    """A model turn begins. `fingerprints` are those of the messages new since the last request."""

    type: Literal["model.requested"] = "model.requested"
    model: str
    messages: int
    fingerprints: tuple[str, ...]
    tools: str
    temperature: float | None = None
    purpose: str = "turn"


class ModelReplied(Event):
    """A whole reply arrived. Recording and replaying sessions needs no more than this and the request."""

    type: Literal["model.replied"] = "model.replied"
    text: str
    calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    finish: str = "stop"
    model: str = ""
    retries: int = 0
    estimated: bool = False
    cost: float | None = None
    seconds: float = 0.0
    tokens: Tokens | None = None


class GateDecided(Event):
    """What the gate said to a call, why, who answered, how long that took and what they were shown.

    `answers` are the kinds of answers that led there, in order (`setlevel`, then `yes`); `seconds` is the time
    spent waiting for them. `edited_arguments` is the JSON text of what a person made of the call. `advice` is what
    others, who did not decide, said to it. `counted`: it is one of the denials that stop a session.
    """

    type: Literal["gate.decided"] = "gate.decided"
    call: str
    tool: str
    effects: tuple[str, ...]
    level: int
    verdict: Literal["allow", "deny"]
    cause: str
    by: str
    seconds: float = 0.0
    shown: str = ""
    reason: str = ""
    edited_arguments: str | None = None
    answers: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    counted: bool = False


class LevelChanged(Event):
    """The slider moved."""

    type: Literal["level.changed"] = "level.changed"
    before: int
    after: int


class CallStarted(Event):
    """An allowed call is about to run, with these arguments (a person may have edited them)."""

    type: Literal["call.started"] = "call.started"
    call: str
    tool: str
    arguments: str


class CallFinished(Event):
    """The result of a call, as the model sees it. Errors of arguments have no CallStarted before them."""

    type: Literal["call.finished"] = "call.finished"
    call: str
    tool: str
    ok: bool
    text: str
    facts: dict[str, Any] = Field(default_factory=dict)
    seconds: float | None = None
    submitted: bool = False


class AttemptMade(Event):
    """A proposal of the repair strategy: which file, the new text's hash, and whether the checks passed."""

    type: Literal["repair.attempted"] = "repair.attempted"
    number: int
    path: str
    target: str
    temperature: float
    problem: str = ""
    passed: bool = False


class CheckRun(Event):
    """The verify command ran: inside the working sandbox, or (`fresh`) in a new one on the exact patch."""

    type: Literal["check.run"] = "check.run"
    command: str
    exit_code: int | None
    ending: str
    passed: bool
    output: str
    seconds: float
    fresh: bool = False


class PatchTaken(Event):
    """The difference between what was handed in and what the engine handed out, and how the work had ended."""

    type: Literal["patch.taken"] = "patch.taken"
    outcome: Outcome
    detail: str
    summary: str = ""
    files: int
    added: int
    removed: int
    flagged: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


class Delivered(Event):
    """The patch is on a branch of the user's repository."""

    type: Literal["delivered"] = "delivered"
    branch: str
    commit: str


class SessionEnded(Event):
    """How it ended; `resumable` says whether `bridle resume` can go on."""

    type: Literal["session.ended"] = "session.ended"
    outcome: Outcome
    detail: str
    resumable: bool


AnyEvent = Annotated[
    SessionStarted
    | SessionResumed
    | SandboxOpened
    | NetworkRequested
    | NetworkFinished
    | CheckpointMade
    | SessionRewound
    | UserMessage
    | ModelRequested
    | ModelReplied
    | AdviceGiven
    | QuestionAsked
    | QuestionAnswered
    | AlwaysGranted
    | GateDecided
    | ConstraintHeard
    | LevelChanged
    | CallStarted
    | CallFinished
    | AttemptMade
    | CheckRun
    | PatchTaken
    | Delivered
    | SessionEnded,
    Field(discriminator="type"),
]
_EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


class JournalDamaged(Exception):
    """A line that is not the last cannot be read; the message names file and line."""


class Journal:
    """Appends events to a file and keeps them in memory, in order. Each line is chained to the one before."""

    def __init__(self, path: Path, secrets: Secrets | None = None) -> None:
        """Open `path`, reading what is there. A torn last line is cut off before anything is added.

        The values of `secrets` are masked in whatever is added. Raises JournalDamaged, OSError.
        """
        self.path = path
        self._secrets = secrets or Secrets()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "rb+", buffering=0)
        try:
            os.fchmod(self._file.fileno(), 0o600)
            data = path.read_bytes()
            self.events, self._size = _read(path, data)
            self._chain = chain.last_hash(data[: self._size])
            os.ftruncate(self._file.fileno(), self._size)
        except BaseException:
            self._file.close()
            raise

    def append(self, event: AnyEvent, *, durable: bool = False) -> AnyEvent:
        """Add one event; it has left this process when this returns.

        `durable`, and whatever a person answered: it is on the disk then, and the head says that it is there.
        Returns it as it was written, without the values of secrets: what follows from it is made of that.

        When it cannot be written whole (disk full), nothing of it stays and OSError names the journal.
        """
        if self._secrets and (fields := masked(event.model_dump(), self._secrets, _is_event)) is not None:
            event = _EVENT.validate_python(fields)
        body, event = _body(event)
        line, link = chain.seal(self._chain, body)
        descriptor = self._file.fileno()
        try:
            written = 0
            while written < len(line):
                written += os.pwrite(descriptor, line[written:], self._size + written)
            if durable or _weighs(event):
                os.fsync(descriptor)
                self._write_head(link)
        except BaseException as error:
            os.ftruncate(descriptor, self._size)
            if isinstance(error, OSError):
                raise OSError(
                    error.errno, f"the journal cannot be written: {error.strerror}", str(self.path)
                ) from error
            raise
        self._size += len(line)
        self._chain = link
        self.events.append(event)
        return event

    def _write_head(self, link: str) -> None:
        head = os.open(chain.head_path(self.path), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            chain.write_head(head, len(self.events) + 1, link)
        finally:
            os.close(head)

    def close(self) -> None:
        """Close the file; safe to repeat."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_events(path: Path) -> list[AnyEvent]:
    """All whole events of a journal, which may be in use. Raises JournalDamaged, FileNotFoundError."""
    return _read(path, path.read_bytes())[0]


def _is_event(fields: dict[str, Any]) -> bool:
    try:
        _EVENT.validate_python(fields)
    except ValidationError:
        return False
    return True


def _weighs(event: AnyEvent) -> bool:
    """Whether an event has to survive a power cut, and its absence to show: whatever a person decided."""
    return isinstance(event, LevelChanged | QuestionAsked | QuestionAnswered | AlwaysGranted) or (
        isinstance(event, GateDecided) and bool(event.answers)
    )


def _body(event: AnyEvent) -> tuple[bytes, AnyEvent]:
    """The event as JSON, and the event as that will be read."""
    try:
        return event.model_dump_json().encode(), event
    except PydanticSerializationError:
        # A model's JSON or a file's name can hold half a surrogate pair, which UTF-8 cannot.
        event = _EVENT.validate_python(without_surrogates(event.model_dump()))
        return event.model_dump_json().encode(), event


def _read(path: Path, data: bytes) -> tuple[list[AnyEvent], int]:
    """The events and the length in bytes of the part that is whole."""
    events: list[AnyEvent] = []
    whole = 0
    for line in chain.lines_of(data):
        if not line.endswith(b"\n"):
            break
        try:
            events.append(_EVENT.validate_json(chain.opened(line)[0]))
        except ValidationError as error:
            number, problem = len(events) + 1, error.errors()[0]["msg"]
            raise JournalDamaged(f"{path}, line {number}, is not an event: {problem}") from error
        whole += len(line)
    return events, whole
