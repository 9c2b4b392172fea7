"""A journal as a list of what the agent did: its calls with their results, its checks, its words.

A pure function of the events. Arguments and results are the model's and the agent's: they are only matched against
patterns that take linear time, cut to a bounded length first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from agent.journal import AnyEvent, CallFinished, CallStarted, CheckRun, GateDecided, ModelReplied

MAX_LOOKED = 20_000
"""Characters of a result that are looked at."""
_RUNNER = re.compile(
    r"\b(?:pytest|py\.test|unittest|nose2|tox|nox|ctest|go test|cargo test|npm (?:run )?test|yarn test|jest"
    r"|make (?:test|check))\b"
)
_AS_TEXT = re.compile(
    r"<tools?>|<tool_call|<function[ =]|<invoke\b"
    r"|[\"'](?:name|tool|function)[\"']\s*:\s*[\"'](?:shell|read|edit|write|search|process|git|submit)[\"']"
)
"""What calls look like where a model writes them into its text."""


Kind = Literal["ran", "bad", "denied", "cut", "words"]


class Turn(NamedTuple):
    """One thing that the agent did. `line` is where it begins, `end` where its result stands (0: none).

    `kind`: it ran; it was no call that can be made; it was denied; it was cut short; or it was words alone.
    """

    kind: Kind
    line: int
    end: int
    tool: str = ""
    arguments: str = ""
    effects: frozenset[str] = frozenset()
    ok: bool = False
    text: str = ""
    facts: Mapping[str, Any] = MappingProxyType({})
    reason: str = ""

    @property
    def given(self) -> dict[str, Any]:
        """The arguments; nothing where they are no object."""
        try:
            said = json.loads(self.arguments)
        except (ValueError, RecursionError):
            return {}
        return said if isinstance(said, dict) else {}

    @property
    def path(self) -> str:
        """The file that a call named, without the workspace in front."""
        return str(self.given.get("path") or "").removeprefix("/workspace/").removeprefix("./")

    @property
    def command(self) -> str:
        """The command line of a shell call."""
        return str(self.given.get("command") or "") if self.tool in ("shell", "check") else ""

    @property
    def edits(self) -> bool:
        """Whether it changed a file."""
        if self.kind != "ran":
            return False
        if self.tool in ("edit", "write"):
            return self.ok and self.facts.get("changed") is not False
        return self.tool == "shell" and bool(self.effects & {"write", "destroy"}) and "run" not in self.effects

    @property
    def runs(self) -> bool:
        """Whether it executed something, which may show if a change works."""
        return self.kind == "ran" and self.tool in ("shell", "check") and ("run" in self.effects or self.tests)

    @property
    def tests(self) -> bool:
        """Whether it ran tests."""
        return self.tool == "check" or (
            self.kind == "ran" and _RUNNER.search(self.command[:MAX_LOOKED]) is not None
        )

    @property
    def looks(self) -> bool:
        """Whether it only looked at something."""
        return (
            self.kind == "ran"
            and not self.edits
            and (self.tool in ("read", "search") or (self.tool == "shell" and self.effects <= {"read"}))
        )

    @property
    def as_text(self) -> bool:
        """Whether words are a call that was written as text."""
        return self.kind == "words" and _AS_TEXT.search(self.text[:MAX_LOOKED]) is not None


def turns(events: Sequence[AnyEvent]) -> list[Turn]:
    """What the agent did, in order."""
    found: list[Turn] = []
    begun: dict[str, tuple[int, str]] = {}
    ruled: dict[str, GateDecided] = {}
    asked: dict[str, tuple[int, str]] = {}
    for line, event in enumerate(events, 1):
        if isinstance(event, ModelReplied):
            asked |= {call.id: (line, call.arguments) for call in event.calls}
            if not event.calls:
                found.append(Turn("words", line, line, text=event.text, reason=event.finish))
        elif isinstance(event, GateDecided):
            ruled[event.call] = event
        elif isinstance(event, CallStarted):
            begun[event.call] = (line, event.arguments)
        elif isinstance(event, CallFinished):
            start, arguments = begun.get(event.call) or asked.get(event.call, (line, ""))
            begun.pop(event.call, None)
            found.append(_turn(event, ruled.pop(event.call, None), start, line, arguments))
        elif isinstance(event, CheckRun) and not event.fresh:
            facts = {"exit_code": event.exit_code, "ending": event.ending}
            arguments = json.dumps({"command": event.command})
            found.append(
                Turn("ran", line, line, "check", arguments, ok=event.passed, text=event.output, facts=facts)
            )
    for start, arguments in begun.values():  # it was under way when everything ended
        found.append(Turn("cut", start, 0, arguments=arguments))
    return found


def _turn(event: CallFinished, ruling: GateDecided | None, start: int, line: int, arguments: str) -> Turn:
    kind: Kind = "ran"
    if event.facts.get("denied"):
        kind = "denied"
    elif event.facts.get("interrupted"):
        kind = "cut"
    elif event.seconds is None:
        kind = "bad"
    effects = frozenset(ruling.effects) if ruling else frozenset()
    reason = ruling.reason or ruling.cause if ruling else ""
    return Turn(kind, start, line, event.tool, arguments, effects, event.ok, event.text, event.facts, reason)
