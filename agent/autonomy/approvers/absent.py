"""The approver for when nobody is there: pipelines, redirected input, background jobs."""

from __future__ import annotations

from agent.autonomy.answers import Answer, No
from agent.autonomy.gate import Question


class AbsentApprover:
    """Denies whatever is asked; the gate's `needed_approval` then says that a person was missed."""

    name = "nobody"

    async def ask(self, question: Question) -> Answer:
        """Deny."""
        return No("nobody is there to ask", unattended=True)
