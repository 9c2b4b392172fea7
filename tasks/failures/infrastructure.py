"""What failed around an attempt: services and machines. Told apart by Bridle's own sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.outcomes import Outcome
from tasks.failures.found import Case, Found

_MODEL = {
    "oom": re.compile(r"killed by signal 9|out of memory$"),
    "network": re.compile(r"it cannot be reached|certificate that cannot be verified|is not an http\(s\) address"),
}
_SANDBOX = {
    "oom": re.compile(r"out of memory|cannot allocate memory|\bOOM", re.IGNORECASE),
    "build": re.compile(
        r"There is no image|could not be pulled|could not be built|cannot be the name of an image|the build of"
        r"|can only show the host's own toolchain, not the image|which the task needs"
    ),
    "network": re.compile(r"network|proxy on its loopback|a list of allowed hosts", re.IGNORECASE),
    "start": re.compile(
        r"does not start|neither a shell nor Python|has files in /workspace|cannot be made|cannot be limited"
        r"|no runtime|No python3|cannot be shown"
    ),
}
"""In this order; what is none of them is the engine, or a sandbox that went away."""


def infrastructure(case: Case) -> Iterator[Found]:
    """`infra.…`, with the last line of the journal."""
    last, words = len(case.events), case.detail
    if case.outcome is Outcome.MODEL_FAILED:
        yield Found(f"infra.{_kind(_MODEL, words) or 'provider'}", last, words)
    elif case.outcome is Outcome.SANDBOX_FAILED:
        yield Found(f"infra.{_kind(_SANDBOX, words) or 'daemon'}", last, words)
    elif case.outcome is Outcome.INTERNAL_ERROR:
        yield Found("infra.harness", last, words)


def _kind(patterns: dict[str, re.Pattern[str]], words: str) -> str | None:
    return next((name for name, pattern in patterns.items() if pattern.search(words)), None)
