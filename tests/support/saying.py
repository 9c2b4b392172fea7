"""An approver for tests."""

from __future__ import annotations

from agent.autonomy.answers import Answer as Said
from agent.autonomy.gate import Question


class Saying:
    """An approver with one answer to everything."""

    name = "saying"

    def __init__(self, answer: Said) -> None:
        self.answer = answer
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Said:
        self.asked.append(question)
        return self.answer
