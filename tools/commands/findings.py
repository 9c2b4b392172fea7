"""The effects found so far, each with what caused it."""

from __future__ import annotations

from collections.abc import Iterable

from tools.protocol import EVERY_EFFECT, Cause, Effect, Effects

MAX_CAUSES = 40
"""Causes kept; effects are counted however many there are."""


class Findings:
    """Effects and their causes, in the order in which they were found.

    `emptied` are the folders, as patterns, of which everything may be deleted; None is one that is not known.
    `installs`: something is installed; None: it may be.
    """

    def __init__(self) -> None:
        self._effects: set[Effect] = set()
        self._causes: dict[Cause, bool] = {}
        self.emptied: set[str | None] = set()
        self.installs: bool | None = False

    def add(self, effects: Iterable[Effect], text: str, reason: str, *, general: bool = False) -> None:
        """Note that the sub-command `text` could have `effects`, and why.

        A `general` reason (deletes files) is not told beside one that says more (deletes build).
        """
        for effect in effects:
            self._effects.add(effect)
            if effect is not Effect.READ and len(self._causes) < MAX_CAUSES:
                self._causes.setdefault(Cause(effect, text, reason), general)

    def everything(self, text: str, reason: str) -> None:
        """Note that what `text` does cannot be told."""
        self.add(EVERY_EFFECT, text, reason)
        self.emptied.add(None)
        self.install(None)

    def install(self, sure: bool | None) -> None:
        """Note that something is installed, or (None) may be."""
        if self.installs is False or sure:
            self.installs = sure

    @property
    def effects(self) -> Effects:
        """All of them. Reading is not told beside anything else: no level that allows more asks about it."""
        if self._effects == EVERY_EFFECT:
            return EVERY_EFFECT
        return frozenset(self._effects - {Effect.READ}) or frozenset({Effect.READ})

    @property
    def causes(self) -> tuple[Cause, ...]:
        """In the order in which they were found; at least one for every effect but reading."""
        told = {(cause.effect, cause.text) for cause, general in self._causes.items() if not general}
        kept = [c for c, general in self._causes.items() if not general or (c.effect, c.text) not in told]
        return tuple(kept)
