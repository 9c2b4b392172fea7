"""Levels and effects in words, for questions, refusals and docs/autonomy.md."""

from __future__ import annotations

from agent.autonomy.levels import Level, allowed, decide
from tools.protocol import Effect, Effects

EFFECT_WORDS: dict[Effect, str] = {
    Effect.READ: "read files, list, search",
    Effect.WRITE: "create or edit files in the workspace",
    Effect.RUN: "run a program whose effects are not known",
    Effect.DESTROY: "delete or overwrite what nothing else holds",
    Effect.HISTORY: "change the git history in the sandbox",
    Effect.NETWORK: "reach a host over the network",
    Effect.OUTSIDE: "touch files outside the workspace",
    Effect.DELIVER: "change the user's own repository",
    Effect.SECRET: "hand a secret's value to a command",
}
"""What each effect means, to follow "it could"."""


def in_order(effects: Effects) -> list[Effect]:
    """The effects in the order of the table, so that the same set always reads the same."""
    return [effect for effect in Effect if effect in effects]


def names(effects: Effects) -> str:
    """`read, write`: the names of the effects, or `nothing`."""
    return ", ".join(in_order(effects)) or "nothing"


def level_words(level: Level) -> str:
    """`level 3 contained`."""
    return f"level {int(level)} {level.label}"


def could(effects: Effects) -> str:
    """What a call with these effects could do: `reach a host over the network (network)`."""
    return "; ".join(f"{EFFECT_WORDS[effect]} ({effect})" for effect in in_order(effects))


def cause(level: Level, because: Effects) -> str:
    """The cell of the table that stopped a call, in words."""
    does = "refuses" if level is Level.PLAN else "asks before"
    return f"{level_words(level)} {does} a call that could {could(because)}"


def explain(level: Level, effects: Effects, *, listed: bool = False) -> str:
    """Why a call with `effects` is asked about at `level`, and which level would not ask."""
    because = decide(level, effects, listed=listed).because
    free = next(each for each in Level if decide(each, effects, listed=listed).verdict == "allow")
    return (
        f"{level_words(level).capitalize()} allows without asking: {names(allowed(level, listed=listed))}. "
        f"This call could also {could(because)}. "
        f"The lowest level that would not ask is {int(free)} {free.label}, "
        f"which allows: {names(allowed(free, listed=listed))}."
    )
