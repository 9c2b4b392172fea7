"""What a whole run may take. When it has, nothing new is begun, and what there is is reported."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from tasks.runs.results import AttemptResult


class RunLimits(BaseModel):
    """Limits of one run over all its attempts; None is no limit. Dollars, tokens, seconds."""

    model_config = ConfigDict(frozen=True)

    cost: float | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0)

    def over(self, results: Iterable[AttemptResult]) -> str:
        """Which limit the finished attempts have used up, in words; empty when none. Time is not counted here."""
        results = list(results)
        cost = sum(each.spent.cost or 0.0 for each in results)
        tokens = sum(each.spent.tokens for each in results)
        if self.cost is not None and cost >= self.cost:
            return f"the run has cost ${cost:.2f}, and its limit is ${self.cost:.2f}"
        if self.tokens is not None and tokens >= self.tokens:
            return f"the run has used {tokens} tokens, and its limit is {self.tokens}"
        return ""
