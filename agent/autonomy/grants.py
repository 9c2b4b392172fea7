"""What the person has said "always" to: a function of the journal, so that a resumed session has it again.

A grant covers calls of one exact shape, or those that one rule covers, with no more effects than were approved. It
holds for the rest of the session, for an hour by the clock, or in the repository, as a rule in the user's state
(`own.py`). What was said after a checkpoint that the session was taken back to no longer counts.

Threat model: a grant turns a question into a yes and does nothing else. The gate looks here only where no rule
refuses or asks, nothing guards the call, and the level asks. Two grants are never added up. A grant whose event
was masked matches nothing: the call is asked about.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from agent.asked import AlwaysGranted
from agent.autonomy.calls import Call, describe
from agent.autonomy.proposals import Proposal, covers
from agent.autonomy.remembered import Shape, shape_of
from agent.autonomy.rules import Rule
from agent.journal import AnyEvent, CallFinished, GateDecided, ModelReplied
from agent.standing import standing
from sandboxes.protocol import WORKSPACE
from tools.protocol import Effect, Effects

HOUR = 3600.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One "always". `until` is in seconds since the epoch; None: as long as the session lasts."""

    words: str
    effects: Effects
    shape: tuple[str, str] | None = None
    rule: Rule | None = None
    until: float | None = None

    def matches(self, shape: Shape, call: Call) -> bool:
        """Does it cover a call whose own shape this is?"""
        if self.shape is not None:
            return self.shape == (shape.tool, shape.key) and call.effects <= self.effects
        return self.rule is not None and covers(self.rule, call, self.effects)


class Grants:
    """The grants that hold. `clock` tells seconds since the epoch."""

    def __init__(self, events: Iterable[AnyEvent] = (), clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._grants: list[Grant] = []
        for event in standing(events):
            # What holds for the repository is read from the user's state, where it may have been taken back.
            if isinstance(event, AlwaysGranted) and event.scope != "repository":
                self.take(event)

    def take(self, event: AlwaysGranted) -> None:
        """Let a grant hold. One that cannot be read any more does not."""
        try:
            rule = Rule.model_validate(event.rule) if event.rule is not None else None
            effects = frozenset(map(Effect, event.effects))
        except (ValidationError, ValueError):
            return
        shape = (event.tool, event.key) if event.key else None
        self._grants.append(Grant(event.words, effects, shape, rule, event.until))

    def covering(self, shape: Shape, call: Call) -> Grant | None:
        """A grant that covers the call."""
        now = self._clock()
        held = (each for each in self._grants if each.until is None or now < each.until)
        return next((each for each in held if each.matches(shape, call)), None)

    def until(self) -> float:
        """When an hour from now is over."""
        return self._clock() + HOUR


def would_have_matched(proposal: Proposal, effects: Effects, events: Sequence[AnyEvent]) -> tuple[int, int]:
    """How many of the session's calls that were ruled on so far a proposal covers, and how many there were."""
    rule = None if proposal.shape is not None else proposal.rule
    exact = None if proposal.shape is None else (proposal.shape.tool, proposal.shape.key)
    grant = Grant(proposal.words, effects, exact, rule)
    calls = past_calls(events)
    return sum(grant.matches(shape, call) for shape, call in calls), len(calls)


def past_calls(events: Iterable[AnyEvent]) -> list[tuple[Shape, Call]]:
    """The model's calls that the gate ruled on, each as it was made, in order."""
    found: dict[str, tuple[Shape, Call]] = {}
    made: dict[str, str] = {}
    cwd = WORKSPACE
    for event in standing(events):
        if isinstance(event, ModelReplied):
            made = {call.id: call.arguments for call in event.calls}
        elif isinstance(event, CallFinished) and isinstance(where := event.facts.get("cwd"), str):
            cwd = where
        elif isinstance(event, GateDecided) and event.call in made:
            arguments = _read(event.edited_arguments or made[event.call])
            effects = frozenset(map(Effect, event.effects))
            call = describe(event.tool, arguments, effects, cwd)
            found[event.call] = (shape_of(event.tool, arguments, cwd), call)
    return list(found.values())


def _read(text: str) -> dict[str, object]:
    try:
        read = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return {name: value for name, value in read.items() if value is not None} if isinstance(read, dict) else {}
