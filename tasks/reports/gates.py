"""What a pipeline is told: the exit code of a run, and a sentence for each thing that is not as asked for."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from tasks.reports.comparison import Compared, verdict_words
from tasks.reports.summary import Summary

FINISHED, INCOMPARABLE, BELOW, OVER, UNSCORED, INTERRUPTED = 0, 2, 3, 4, 8, 130


class Gates(BaseModel):
    """What was asked for. Rates are fractions of 1, and of what was measured, not of an interval's bound."""

    model_config = ConfigDict(frozen=True)

    min_pass_rate: float | None = None
    min_coverage: float | None = None
    max_regressions: int | None = None


class Ending(BaseModel):
    """The exit code, and why it is not 0."""

    model_config = ConfigDict(frozen=True)

    code: int
    problems: tuple[str, ...]


def ending(
    summary: Summary,
    compared: Compared | None,
    gates: Gates,
    *,
    stopped: bool = False,
    over: str = "",
    incomparable: str = "",
) -> Ending:
    """130 when the run was stopped; 4 when a limit of the run ended it, which `over` says; 8 when too little was
    scored; 3 when it is not as good as was asked for.

    Against a baseline, a run that is worse ends with 3, and one with more regressions than are allowed; 2 when the
    baseline says nothing of it, for the reason given as `incomparable`.
    """
    unscored, below = tuple(_unscored(summary, gates)), tuple(_below(summary, compared, gates))
    ended, other = (over,) if over else (), (incomparable,) if incomparable else ()
    found = {OVER: ended, UNSCORED: unscored, BELOW: below, INCOMPARABLE: other}
    code = INTERRUPTED if stopped else next((each for each, problems in found.items() if problems), FINISHED)
    return Ending(code=code, problems=(*ended, *unscored, *below, *other))


def _unscored(summary: Summary, gates: Gates) -> Iterator[str]:
    if not summary.scored:
        yield f"none of {summary.planned} attempts could be scored"
    elif gates.min_coverage is not None and summary.coverage.value < gates.min_coverage:
        yield f"{summary.coverage.text()} could be scored, under --min-coverage {gates.min_coverage:g}"


def _below(summary: Summary, compared: Compared | None, gates: Gates) -> Iterator[str]:
    if gates.min_pass_rate is not None and summary.rate.value < gates.min_pass_rate:
        yield f"{summary.rate.text()} pass, under --min-pass-rate {gates.min_pass_rate:g}"
    if compared is None:
        return
    if compared.overall.verdict == "worse":
        yield verdict_words(compared, "against the baseline, this run is")
    found = compared.regressions
    if gates.max_regressions is not None and len(found) > gates.max_regressions:
        names = ", ".join(each.task for each in found[:10])
        yield f"{len(found)} regressions, over --max-regressions {gates.max_regressions}: {names}"
