"""When to stop: a model that is refused again and again is not left to probe what else it could get.

A person's own no at the terminal is not counted: they are there, and can quit. What `plan` refuses, which no
approval could change, ends no row, and counts towards all. A call that is allowed ends a row; nothing ends the
count, which a resumed session takes from the journal.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.journal import AnyEvent, GateDecided

MAX_ROW = 3
"""Denials in a row that stop a session."""
MAX_ALL = 10
"""Denials in a session that stop it."""


class Denials:
    """What was refused so far: a line each, with the reason."""

    def __init__(self, events: Iterable[AnyEvent] = ()) -> None:
        """`events` are the journal's, of earlier runs."""
        counted = [event for event in events if isinstance(event, GateDecided) and event.counted]
        self._lines = [_line(event.tool, event.reason) for event in counted]
        self._row = 0

    def allowed(self) -> None:
        """A call was allowed: the row is over."""
        self._row = 0

    def denied(self, call: str, reason: str, *, in_row: bool = True) -> str:
        """A call was refused; the reason to stop now, or "" to go on."""
        self._lines.append(_line(call, reason))
        self._row += in_row
        if self._row >= MAX_ROW:
            return f"{self._row} calls in a row were not allowed"
        if len(self._lines) >= MAX_ALL:
            return f"{len(self._lines)} calls were not allowed"
        return ""

    @property
    def summary(self) -> str:
        """Which calls, and why."""
        return "\n".join(self._lines[-MAX_ALL:])


def _line(call: str, reason: str) -> str:
    return f"not allowed: {call}: {reason}"
