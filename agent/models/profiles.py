"""What a model is good at."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

LOCAL = "local"
"""The name of the embedded model."""

REPLAY = "replay:"
"""What the name of a recorded session begins with; its path follows."""

LOCAL_CONTEXT = 8192
"""Tokens. Reading a full context of this size takes the embedded model about two minutes on two cores."""


class Profile(NamedTuple):
    """One model's profile. `context_tokens` is None where only the service knows; so is `temperature`."""

    strategy: Literal["loop", "repair"]
    context_tokens: int | None = None
    temperature: float | None = None
    max_output_tokens: int | None = None


_LOCAL = Profile("repair", context_tokens=LOCAL_CONTEXT, temperature=0.0, max_output_tokens=3072)
_OTHERS = Profile("loop")


def profile_for(model_name: str) -> Profile:
    """The embedded model cannot drive a shell, but it can return a corrected file; the others get the tools.

    A recording has the profile of the model that was recorded. Raises FileNotFoundError, JournalDamaged.
    """
    if model_name.startswith(REPLAY):
        model_name = _recorded_model(Path(model_name.removeprefix(REPLAY)))
    return _LOCAL if model_name == LOCAL else _OTHERS


def _recorded_model(path: Path) -> str:
    from agent.journal import ModelRequested, read_events

    return next((event.model for event in read_events(path) if isinstance(event, ModelRequested)), "")
