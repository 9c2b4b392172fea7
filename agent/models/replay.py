"""A model that answers from a recorded session, and only what was asked in it.

Threat model: the recording is a journal, parsed as such. A request that differs from the recorded one is
refused; nothing is guessed, nothing is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from agent.journal import AnyEvent, ModelReplied, ModelRequested, read_events
from agent.models.fingerprint import message_fingerprint, tools_fingerprint
from agent.models.protocol import Message, ModelError, Reply, Request


class ReplayMismatch(ModelError):
    """The request is not the one that was recorded at this place."""


class Turn(NamedTuple):
    """One recorded turn: the fingerprints of all messages of the request, the request, and what came back."""

    messages: tuple[str, ...]
    request: ModelRequested
    reply: ModelReplied


class ReplayModel:
    """Plays the turns of the journal at `path`, in order; implements `agent.models.protocol.Model`."""

    def __init__(self, path: Path) -> None:
        """Raises FileNotFoundError, JournalDamaged."""
        self._path = path
        self._turns = recorded_turns(read_events(path))
        self._played = 0

    @property
    def name(self) -> str:
        return f"replay:{self._path}"

    async def complete(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        """The recorded reply to this very request. Raises ReplayMismatch."""
        if self._played == len(self._turns):
            raise ReplayMismatch(
                f"{self._path} holds {len(self._turns)} turns, and one more was asked: record again"
            )
        turn = self._turns[self._played]
        if difference := _difference(turn, request):
            raise ReplayMismatch(
                f"turn {self._played + 1} is not the one recorded in {self._path}: {difference}; record again"
            )
        self._played += 1
        if on_text and turn.reply.text:
            on_text(turn.reply.text)
        return Reply.model_validate(turn.reply.model_dump(include=set(Reply.model_fields)))

    async def close(self) -> None:
        """Nothing to free."""


def recorded_turns(events: Sequence[AnyEvent]) -> list[Turn]:
    """The answered requests of a journal. One that was never answered (a kill, a failure) is no turn."""
    turns: list[Turn] = []
    chains: dict[str, tuple[str, ...]] = {}
    asked: ModelRequested | None = None
    for event in events:
        if isinstance(event, ModelRequested):
            known = event.messages - len(event.fingerprints)
            chains[event.purpose] = chains.get(event.purpose, ())[:known] + event.fingerprints
            asked = event
        elif isinstance(event, ModelReplied) and asked is not None:
            turns.append(Turn(chains[asked.purpose], asked, event))
            asked = None
    return turns


def _difference(turn: Turn, request: Request) -> str | None:
    """What differs first, in words."""
    for number, (recorded, message) in enumerate(zip(turn.messages, request.messages, strict=False), start=1):
        if recorded != message_fingerprint(message):
            return f"message {number} differs, now {_beginning(message)}"
    if len(request.messages) != len(turn.messages):
        return f"it has {len(request.messages)} messages instead of {len(turn.messages)}"
    if tools_fingerprint(request.tools) != turn.request.tools:
        return "the tools differ"
    if request.temperature != turn.request.temperature:
        return f"the temperature is {request.temperature} instead of {turn.request.temperature}"
    return None


def _beginning(message: Message) -> str:
    calls = ", ".join(call.name for call in message.tool_calls)
    text = " ".join(message.content.split())[:80] or f"calls {calls}"
    return f"{message.role} {text!r}"
