"""The audit of a session: every decision with what led to it, totals by level, and whether the record is whole.

A pure function of the journal and its head. What was undone by rewinding was decided all the same, and counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.asked import QuestionAnswered, QuestionAsked
from agent.chain import Checked
from agent.journal import AnyEvent, GateDecided, LevelChanged, ModelReplied


@dataclass(frozen=True, slots=True)
class Decision:
    """One ruling of the gate. `arguments` is JSON: those the model gave, or those a person made of them.

    `seconds` is what was waited for answers, also while no process of the session was there.
    """

    number: int
    time: float
    call: str
    tool: str
    arguments: str
    effects: tuple[str, ...]
    level: int
    verdict: str
    cause: str
    by: str
    answers: tuple[str, ...]
    seconds: float
    shown: str
    reason: str
    advice: tuple[str, ...]
    edited: bool


@dataclass(slots=True)
class Totals:
    """Decisions at one level; `waited` is in seconds."""

    level: int
    asked: int = 0
    allowed: int = 0
    denied: int = 0
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class Audit:
    """All of it. `open` are the ids of questions that were asked and neither answered nor decided."""

    session: str
    chain: Checked
    decisions: tuple[Decision, ...]
    totals: tuple[Totals, ...]
    moves: tuple[tuple[int, int], ...]
    open: tuple[str, ...]


def audit(session: str, events: Iterable[AnyEvent], chain: Checked) -> Audit:
    """Read the events once and put together what was decided."""
    reader = _Reader()
    for event in events:
        reader.take(event)
    decisions = tuple(reader.decided())
    return Audit(session, chain, decisions, _totals(decisions), tuple(reader.moves), tuple(reader.open.values()))


@dataclass(slots=True)
class _Reader:
    arguments: dict[str, str] = field(default_factory=dict)
    rulings: list[tuple[GateDecided, str]] = field(default_factory=list)
    moves: list[tuple[int, int]] = field(default_factory=list)
    asked: dict[str, str] = field(default_factory=dict)
    waited: dict[str, float] = field(default_factory=dict)
    open: dict[tuple[str, str], str] = field(default_factory=dict)

    def take(self, event: AnyEvent) -> None:
        match event:
            case ModelReplied():
                self.arguments.update((call.id, call.arguments) for call in event.calls)
            case QuestionAsked():
                self.open[event.call, event.tool] = event.id
                self.asked[event.call] = event.id
                self.arguments.setdefault(event.call, event.arguments)
            case QuestionAnswered():
                self.waited[event.id] = event.seconds
                self.open = {key: each for key, each in self.open.items() if each != event.id}
            case GateDecided():
                self.open.pop((event.call, event.tool), None)
                seconds = max(event.seconds, self.waited.pop(self.asked.get(event.call, ""), 0.0))
                event = event.model_copy(update={"seconds": seconds})
                self.rulings.append((event, event.edited_arguments or self.arguments.get(event.call, "")))
            case LevelChanged():
                self.moves.append((event.before, event.after))
            case _:
                pass

    def decided(self) -> Iterable[Decision]:
        for index, (event, arguments) in enumerate(self.rulings):
            yield Decision(
                number=index + 1,
                time=event.time,
                call=event.call,
                tool=event.tool,
                arguments=arguments,
                effects=event.effects,
                level=event.level,
                verdict=event.verdict,
                cause=event.cause,
                by=event.by,
                answers=event.answers,
                seconds=event.seconds,
                shown=event.shown,
                reason=event.reason,
                advice=event.advice,
                edited=event.edited_arguments is not None,
            )


def _totals(decisions: Iterable[Decision]) -> tuple[Totals, ...]:
    by_level: dict[int, Totals] = {}
    for each in decisions:
        total = by_level.setdefault(each.level, Totals(each.level))
        total.asked += bool(each.answers)
        total.allowed += each.verdict == "allow"
        total.denied += each.verdict == "deny"
        total.waited = round(total.waited + each.seconds, 3)
    return tuple(by_level[level] for level in sorted(by_level))
