"""The conversation as the model sees it: a pure function of the journal, kept up to date event by event."""

from __future__ import annotations

from collections.abc import Iterable

from agent.journal import AnyEvent, CallFinished, ModelReplied, ModelRequested, UserMessage
from agent.models.protocol import Message, ToolCall
from agent.standing import standing

TURN = "turn"
"""The purpose of model requests that belong to the conversation; others stand alone."""


class Conversation:
    """Messages in order. `known` of them were part of an earlier request already. What was undone is not there.

    `calls` is the number of calls in the last reply.
    """

    def __init__(self, events: Iterable[AnyEvent] = ()) -> None:
        self.messages: list[Message] = []
        self.known = 0
        self.calls = 0
        self._purpose = TURN
        self._open: dict[str, ToolCall] = {}
        for event in standing(events):
            self.add(event)

    def add(self, event: AnyEvent) -> None:
        """Take one more event of the journal into account."""
        if isinstance(event, UserMessage):
            self.messages.append(Message(role=event.role, content=event.text))
        elif isinstance(event, ModelRequested):
            self._purpose = event.purpose
            if event.purpose == TURN:
                self.known = event.messages
        elif isinstance(event, ModelReplied) and self._purpose == TURN:
            self.messages.append(Message(role="assistant", content=event.text, tool_calls=event.calls))
            self._open = {call.id: call for call in event.calls}
            self.calls = len(event.calls)
        elif isinstance(event, CallFinished):
            self._open.pop(event.call, None)
            # What says that it was interrupted is Bridle's own word, as is what was never begun.
            seconds = None if event.facts.get("interrupted") else event.seconds
            self.messages.append(
                Message(role="tool", content=event.text, tool_call_id=event.call, seconds=seconds)
            )

    def unanswered(self) -> list[ToolCall]:
        """Calls of the last reply that have no result yet; no request is valid until they have one."""
        return list(self._open.values())
