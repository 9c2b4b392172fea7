"""What a turn costs, from prices that the user gives."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.models.protocol import Usage
from agent.outcomes import UsageProblem


class Prices(BaseModel):
    """US dollars for a million tokens. Cached input costs what other input does, unless `cached` is given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    cached: float | None = Field(default=None, ge=0, allow_inf_nan=False)


def parse_prices(text: str) -> Prices:
    """Prices from `IN/OUT` or `IN/CACHED/OUT`, such as `0.25/0.025/2`. Raises UsageProblem."""
    parts = text.split("/")
    try:
        match parts:
            case [asked, answered]:
                return Prices.model_validate({"input": asked, "output": answered})
            case [asked, cached, answered]:
                return Prices.model_validate({"input": asked, "cached": cached, "output": answered})
    except ValidationError:
        pass
    raise UsageProblem(f"{text!r} is no price: give dollars for a million tokens as IN/OUT or IN/CACHED/OUT")


def cost(usage: Usage, prices: Prices | None) -> float | None:
    """US dollars; None when the prices are not known. `usage.cached` tokens are among the input ones."""
    if prices is None:
        return None
    cached = min(usage.cached, usage.input)
    cached_price = prices.input if prices.cached is None else prices.cached
    dollars = (usage.input - cached) * prices.input + cached * cached_price + usage.output * prices.output
    return dollars / 1_000_000
