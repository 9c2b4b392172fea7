"""When to stop: a model that is refused again and again is not left to probe what else it could get.

A person's own no at the terminal is not counted (they are there, and can quit), nor is what `plan` refuses, which
no approval could change. A call that is allowed ends a row; nothing but a new run of the session ends the count.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_ROW = 3
"""Denials in a row that stop a session."""
MAX_ALL = 10
"""Denials in one run of a session that stop it."""


@dataclass(slots=True)
class Denials:
    """What was refused so far: a line each, with the reason."""

    lines: list[str] = field(default_factory=list)
    row: int = 0

    def allowed(self) -> None:
        """A call was allowed: the row is over."""
        self.row = 0

    def denied(self, call: str, reason: str) -> str:
        """A call was refused; the reason to stop now, or "" to go on."""
        self.lines.append(f"not allowed: {call}: {reason}")
        self.row += 1
        if self.row >= MAX_ROW:
            return f"{self.row} calls in a row were not allowed"
        if len(self.lines) >= MAX_ALL:
            return f"{len(self.lines)} calls were not allowed"
        return ""

    @property
    def summary(self) -> str:
        """Which calls, and why."""
        return "\n".join(self.lines[-MAX_ALL:])
