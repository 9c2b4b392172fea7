"""Short names for messages and tools, by which a recorded session is recognised when it is played again.

A fingerprint must hold when the same session runs a second time against a live sandbox, so what differs from
run to run is left out: how long a call took, the ids that services make up for calls, and, in text that quotes
what programs printed, the volatile tokens that `mask` names.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from agent.journal import ModelRequested
from agent.models.protocol import Message, Request, ToolSpec

_MASKS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        # 2026-01-31, 2026-01-31T12:34:56.789+01:00, and the time of day alone
        (r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?", "<date>"),
        (r"\b\d{1,2}:\d\d:\d\d(?:[.,]\d+)?", "<time>"),
        (r"\b0x[0-9a-fA-F]{4,}\b", "<address>"),
        # what tempfile, mktemp and pytest call their folders
        (r"(?<=/)tmp[a-zA-Z0-9_]{8}\b", "<temp>"),
        (r"(?<=/)tmp\.[a-zA-Z0-9]{6,}\b", "<temp>"),
        (r"\bpytest-of-[\w.-]+/pytest-\d+", "<temp>"),
        (r"(?i)\b(pid)([ =:]{1,2})\d+\b", r"\1\2<pid>"),
        # 0.12s, 1.2 s, 12 ms, 3 seconds
        (r"\b\d+(?:\.\d+)?(?: ?(?:ms|us|µs|ns|s|secs?)| seconds?)\b", "<duration>"),
        # pytest pads its rulers to the width of the screen, so a longer duration makes a shorter ruler
        (r"={4,}", "===="),
    )
)
_QUOTING_ROLES = frozenset({"tool", "user"})
"""Whose text may quote output of programs: results, and the failures that the repair strategy asks about."""


def mask(text: str) -> str:
    """`text` with the tokens that differ from run to run replaced: dates, times of day, hexadecimal addresses,
    temporary names, process ids, durations, and the length of rulers made of `=`."""
    for pattern, instead in _MASKS:
        text = pattern.sub(instead, text)
    return text


def message_fingerprint(message: Message) -> str:
    """16 hexadecimal digits naming what `message` says. Which call a result answers is known by its place."""
    return _digest(
        {
            "role": message.role,
            "content": mask(message.content) if message.role in _QUOTING_ROLES else message.content,
            "calls": [[call.name, call.arguments] for call in message.tool_calls],
        }
    )


def tools_fingerprint(tools: Sequence[ToolSpec]) -> str:
    """16 hexadecimal digits naming the tools, in order."""
    return _digest([tool.model_dump() for tool in tools])


def request_event(request: Request, known: int, model: str, purpose: str) -> ModelRequested:
    """The journal's event for `request`; its first `known` messages were part of earlier requests of `purpose`."""
    return ModelRequested(
        model=model,
        messages=len(request.messages),
        fingerprints=tuple(message_fingerprint(message) for message in request.messages[known:]),
        tools=tools_fingerprint(request.tools),
        temperature=request.temperature,
        purpose=purpose,
    )


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
