"""When a model that makes the same calls over and over counts as stuck; waiting for a running process is no such.

Results that differ only in what differs from run to run (durations, addresses, temporary names) are the same where
the calls follow each other with nothing between; else a change in between may be what is being tried.

Both are bounded: a model may wait for a process that prints nothing new for MAX_WAITS looks or MAX_WAIT_SECONDS,
whichever comes first.
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from agent.models.fingerprint import mask
from agent.models.protocol import ToolCall
from tools.protocol import ToolResult

MAX_REPEATS = 5
"""The same call with the same result, this often among the last REPEAT_WINDOW calls, counts as stuck."""
REPEAT_WINDOW = 12
MAX_WAITS = 50
"""Looks in a row that show nothing new; a pause between two looks counts as one."""
MAX_WAIT_SECONDS = 3600.0
_PAUSE = re.compile(r"\s*sleep\s+\d+(\.\d+)?[smh]?\s*")


class Repetition:
    """Watches the calls of one session as they end."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._recent: deque[str] = deque(maxlen=REPEAT_WINDOW)
        self._last = ""
        self._row = 0
        self._seen: set[str] = set()
        self._waits = 0
        self._since = 0.0

    def stuck(self, call: ToolCall, result: ToolResult) -> str | None:
        """Take note of a call and its result; why the session is stuck, if it is."""
        same = f"{call.name}\0{call.arguments}\0{result.text}"
        if _waits(call, result):
            return self._wait(same)
        self._seen.clear()
        self._recent.append(same)
        alike = f"{call.name}\0{call.arguments}\0{mask(result.text)}"
        self._row = self._row + 1 if alike == self._last else 1
        self._last = alike
        if self._recent.count(same) >= MAX_REPEATS or self._row >= MAX_REPEATS:
            return f"the model made the same `{call.name}` call {MAX_REPEATS} times over"
        return None

    def _wait(self, same: str) -> str | None:
        now = self._clock()
        if same not in self._seen:  # news
            self._seen.add(same)
            self._waits, self._since = 0, now
        self._waits += 1
        if self._waits > MAX_WAITS:
            return f"the model looked {MAX_WAITS} times at a process that printed nothing new"
        if now - self._since >= MAX_WAIT_SECONDS:
            minutes = MAX_WAIT_SECONDS / 60
            return f"the model waited {minutes:g} minutes for a process that printed nothing new"
        return None


def _waits(call: ToolCall, result: ToolResult) -> bool:
    """Is this a look at a process that runs, or a pause?"""
    if call.name not in ("process", "shell"):
        return False
    try:
        arguments: Any = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return False
    if not isinstance(arguments, dict):
        return False
    if call.name == "shell":
        return _PAUSE.fullmatch(str(arguments.get("command"))) is not None
    looks = [result.facts, *result.facts.get("processes", [])]
    return arguments.get("action") in ("read", "list") and any(each.get("status") == "running" for each in looks)
