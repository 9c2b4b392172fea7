"""What a tool is: a name, an argument model, its effects, a preview for people, and a run.

Threat model: arguments are the model's text and results are the agent's files and output. Effects are what the
gate decides on, so a tool claims every effect its arguments could have; when it cannot tell, it claims more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from pydantic import BaseModel, ConfigDict, model_validator

from sandboxes.protocol import WORKSPACE, Sandbox
from sandboxes.secrets import Secrets


class Effect(StrEnum):
    """What a call can do to the world; see docs/autonomy.md."""

    READ = "read"
    WRITE = "write"
    RUN = "run"
    DESTROY = "destroy"
    HISTORY = "history"
    NETWORK = "network"
    OUTSIDE = "outside"
    DELIVER = "deliver"
    SECRET = "secret"  # noqa: S105 -- a name


Effects = frozenset[Effect]
EVERY_EFFECT: Effects = frozenset(Effect)
WORSE_THAN_RUN: Effects = frozenset(
    {Effect.DESTROY, Effect.NETWORK, Effect.DELIVER, Effect.HISTORY, Effect.OUTSIDE}
)
"""What is worth saying of code besides that it runs."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a call is claimed to have an effect: the part of it that could, as it is written, and a short reason."""

    effect: Effect
    text: str
    reason: str


class Arguments(BaseModel):
    """Base of every tool's argument model: unknown fields are refused, and the schema says so.

    Models write `null` for what they leave open: an optional field then takes its default. Text that is no
    valid Unicode (lone surrogates out of JSON escapes) is refused here, once for all tools.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _settle(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        optional = {name for name, spec in cls.model_fields.items() if not spec.is_required()}
        return {name: value for name, value in raw.items() if value is not None or name not in optional}

    @model_validator(mode="after")
    def _unicode(self) -> Self:
        try:
            everything = "".join(text for value in self.__dict__.values() for text in _texts(value))
            everything.encode()
        except UnicodeEncodeError as error:
            raise ValueError("the text holds a lone surrogate, which is no character: leave it out") from error
        return self


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


class Talk(NamedTuple):
    """A background process that can be typed to: the line that started it, where, and all that was typed."""

    command: str
    cwd: str
    text: str = ""


@dataclass(slots=True)
class Workbench:
    """What tools work on: the sandbox and the little state that lasts from call to call.

    `live` is given the output of a command as it comes, for a person to follow; it is not the result. `seen` is up
    to which byte the model has seen the output of each background process. `secrets` are the session's: their
    values are masked in every result, and some of them can be given to a command.
    """

    sandbox: Sandbox
    cwd: str = WORKSPACE
    live: Callable[[bytes], None] | None = None
    seen: dict[int, int] = field(default_factory=dict)
    talks: dict[int, Talk] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=Secrets)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a person is shown before deciding: a line, a unified diff for edits, where its effects come from.

    `before` is the text that a whole file's new one takes the place of; None where it is not known, or is no text.
    """

    title: str
    diff: str = ""
    detail: str = ""
    causes: tuple[Cause, ...] = ()
    before: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What goes back to the model. `ok` is False for errors the model should react to.

    `facts` are machine-readable details for the journal (exit code, path, counts); JSON values only.
    `submitted` is set by the one tool that says the work is done.
    """

    text: str
    ok: bool = True
    facts: dict[str, Any] = field(default_factory=dict)
    submitted: bool = False


class Tool(Protocol):
    """One tool. `run` raises SandboxLost when the sandbox is gone; every other failure is a ToolResult."""

    name: ClassVar[str]
    description: ClassVar[str]
    arguments: ClassVar[type[Arguments]]

    def effects(self, args: Any, bench: Workbench) -> Effects:
        """Every effect this call could have. Pure: it asks nothing of the sandbox."""

    async def preview(self, args: Any, bench: Workbench) -> Preview:
        """What a person should see of this call before it runs. Changes nothing."""

    async def run(self, args: Any, bench: Workbench) -> ToolResult:
        """Do it."""
