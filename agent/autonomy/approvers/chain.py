"""Several approvers as one: each answers or passes, and says what it thinks; the last one has to answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from agent.autonomy.answers import Answer, No, Pass
from agent.autonomy.gate import Question


class Link(Protocol):
    """One of a chain. Every `Approver` is one that never passes."""

    @property
    def name(self) -> str:
        """Who it is, for the journal."""

    async def ask(self, question: Question) -> Answer | Pass:
        """Answer, or pass. See `Approver.ask`."""


@runtime_checkable
class Closing(Protocol):
    """A link that holds something, such as a model."""

    async def close(self) -> None:
        """Let go of it."""


class Chain:
    """Asks its links in order; advice of the ones before is shown to the ones after, and goes into the journal."""

    def __init__(self, links: Sequence[Link]) -> None:
        self._links = tuple(links)

    @property
    def name(self) -> str:
        """Of the last, who answers what all others leave open."""
        return self._links[-1].name if self._links else "nobody"

    async def ask(self, question: Question) -> Answer:
        """The first answer; a no when there is none."""
        for link in self._links:
            said = await link.ask(question)
            if not isinstance(said, Pass):
                by = said.by or ("" if link is self._links[-1] else link.name)
                return replace(said, by=by, advice=said.advice or question.advice)
            if said.advice:
                question = replace(question, advice=(*question.advice, f"{link.name}: {said.advice}"))
        return No("nobody is there to ask", unattended=True, advice=question.advice)

    async def close(self) -> None:
        """Let go of what the links hold."""
        for link in self._links:
            if isinstance(link, Closing):
                await link.close()
