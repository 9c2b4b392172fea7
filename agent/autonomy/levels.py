"""The slider: six levels, nine effects, one table, one pure function.

Threat model: the effects come from a tool that may have been handed anything; a call with no effects at all is
treated as having every one, so that forgetting to claim fails closed.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, NamedTuple

from tools.protocol import EVERY_EFFECT, Effect, Effects

Verdict = Literal["allow", "ask", "deny"]


class Level(IntEnum):
    """A stop on the slider; a higher one never asks where a lower one does not."""

    PLAN = 0
    ASK = 1
    EDIT = 2
    CONTAINED = 3
    TRUSTED = 4
    FULL = 5

    @property
    def label(self) -> str:
        """The name used on the command line."""
        return self.name.lower()


DEFAULT_LEVEL = Level.CONTAINED

_READ = frozenset({Effect.READ})
ALLOWED: dict[Level, Effects] = {
    Level.PLAN: _READ,
    Level.ASK: _READ,
    Level.EDIT: _READ | {Effect.WRITE},
    Level.CONTAINED: _READ | {Effect.WRITE, Effect.RUN, Effect.HISTORY},
    Level.TRUSTED: _READ | {Effect.WRITE, Effect.RUN, Effect.HISTORY, Effect.DESTROY},
    Level.FULL: EVERY_EFFECT,
}
"""What each level allows without asking. See `allowed` for a sandbox that reaches the hosts of a list alone."""


class Decision(NamedTuple):
    """What the table says, and which effects made it say so."""

    verdict: Verdict
    because: Effects


def allowed(level: Level, *, listed: bool = False) -> Effects:
    """What `level` allows without asking. `listed`: the network is a list of hosts that the user gave."""
    return ALLOWED[level] | {Effect.NETWORK} if listed and level >= Level.TRUSTED else ALLOWED[level]


def decide(level: Level, effects: Effects, *, listed: bool = False) -> Decision:
    """What `level` says to a call with `effects`: the strictest verdict any of them gets."""
    beyond = (effects or EVERY_EFFECT) - allowed(level, listed=listed)
    if not beyond:
        return Decision("allow", effects)
    return Decision("deny" if level is Level.PLAN else "ask", beyond)


def parse_level(text: str) -> Level:
    """A level from its number or name. Raises ValueError with a sentence naming the choices."""
    for level in Level:
        if text.strip().lower() in {level.label, str(int(level))}:
            return level
    choices = ", ".join(f"{int(level)} {level.label}" for level in Level)
    raise ValueError(f"no autonomy level {text!r}: choose one of {choices}")
