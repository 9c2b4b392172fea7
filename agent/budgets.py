"""Budgets: how much a session may use, and how much it has used, computed from the journal."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from agent.asked import AdviceGiven
from agent.journal import AnyEvent, ModelReplied


class Budgets(BaseModel):
    """Limits of one session; None is no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_steps: int | None = Field(default=100, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_cost: float | None = Field(default=None, ge=0)
    max_time: float | None = Field(default=None, gt=0)

    def tightened(self, other: Budgets) -> Budgets:
        """The stricter of both, limit by limit."""
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in Budgets.model_fields}
        return Budgets(
            **{name: min((v for v in pair if v is not None), default=None) for name, pair in pairs.items()}
        )


class Spent(BaseModel):
    """What a session has used: model turns, tokens (input and output), US dollars."""

    model_config = ConfigDict(frozen=True)

    steps: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def plus(self, reply: ModelReplied) -> Spent:
        """With one more model turn."""
        cost = self.cost if reply.cost is None else (self.cost or 0.0) + reply.cost
        return Spent(
            steps=self.steps + 1,
            input_tokens=self.input_tokens + reply.usage.input,
            cached_tokens=self.cached_tokens + reply.usage.cached,
            output_tokens=self.output_tokens + reply.usage.output,
            cost=cost,
        )

    def reviewed(self, advice: AdviceGiven) -> Spent:
        """With what a reviewing model took; that is no turn."""
        usage = advice.usage
        return self.model_copy(
            update={
                "input_tokens": self.input_tokens + usage.input,
                "cached_tokens": self.cached_tokens + usage.cached,
                "output_tokens": self.output_tokens + usage.output,
            }
        )


def reviews(used: Spent, events: Iterable[AnyEvent]) -> Spent:
    """With what the reviewing model took in these events."""
    for event in events:
        if isinstance(event, AdviceGiven):
            used = used.reviewed(event)
    return used


def spent(events: Iterable[AnyEvent]) -> Spent:
    """What the events add up to."""
    total = Spent()
    for event in events:
        if isinstance(event, ModelReplied):
            total = total.plus(event)
        elif isinstance(event, AdviceGiven):
            total = total.reviewed(event)
    return total


def exceeded(budgets: Budgets, used: Spent) -> str | None:
    """Which budget is used up, in words, or None. Time is watched elsewhere, as it passes."""
    if budgets.max_steps is not None and used.steps >= budgets.max_steps:
        return f"{used.steps} model turns, the limit of --max-steps"
    if budgets.max_tokens is not None and used.tokens >= budgets.max_tokens:
        return f"{used.tokens} tokens, over --max-tokens {budgets.max_tokens}"
    if budgets.max_cost is not None and (used.cost or 0.0) >= budgets.max_cost:
        return f"${used.cost or 0.0:.4f}, over --max-cost {budgets.max_cost:g}"
    return None
