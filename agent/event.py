"""What every event of a journal has in common."""

from __future__ import annotations

import time

from pydantic import BaseModel, ConfigDict, Field


class Event(BaseModel):
    """Base of all events. `time` is seconds since the epoch; unknown fields of newer versions are kept."""

    model_config = ConfigDict(frozen=True, extra="allow", ser_json_inf_nan="strings")

    time: float = Field(default_factory=time.time)
