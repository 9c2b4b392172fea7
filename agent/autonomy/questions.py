"""What is asked about a call, and who answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from agent.autonomy.answers import Answer
from agent.autonomy.calls import Call
from agent.autonomy.levels import Level
from agent.autonomy.proposals import Proposal
from agent.models.protocol import ToolCall
from tools.protocol import Effects, Preview


@dataclass(frozen=True, slots=True)
class Question:
    """What an approver is asked. Everything but `because`, `cause`, `level` and `note` may be the model's text.

    `because` are the effects that made the gate ask, `cause` says why in words, and `by` what decided so: `table`,
    `guarded` or the label of a rule. `always` says what "always" would
    remember ("" where it would remember nothing). `note` says why the same call is asked about again. `listed`:
    the network is a list of hosts. `insist` says why a person is asked whatever the level; neither a policy nor a
    model may say yes then. `advice` are lines of others who were asked before, and may be a model's text.
    `proposals` are what "always" could mean, the narrowest first, and `history` says how many of the calls so far
    each would have matched, and of how many. `described`: the call in its parts. `same`: the model makes this very
    call so often in this turn, and the answer is for all of them.
    """

    call: ToolCall
    tool: str
    arguments: dict[str, Any]
    effects: Effects
    because: Effects
    cause: str
    level: Level
    preview: Preview
    cwd: str
    always: str = ""
    note: str = ""
    listed: bool = False
    by: str = "table"
    insist: str = ""
    advice: tuple[str, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    history: Callable[[Proposal], tuple[int, int]] | None = None
    described: Call | None = None
    same: int = 1


class Approver(Protocol):
    """Whoever answers what the gate asks."""

    @property
    def name(self) -> str:
        """Goes into the journal as the one who answered."""

    async def ask(self, question: Question) -> Answer:
        """Answer one question. An exception, or a cancellation, leaves the call undecided, so it does not run."""
