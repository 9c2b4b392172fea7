"""A run's report as data: what `--json` prints, with a schema; the page and the other files are made of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from agent.outcomes import UsageProblem
from tasks.reports.baseline import Baseline, baseline_of
from tasks.reports.comparison import Compared, compare_runs
from tasks.reports.gates import Ending, Gates, ending
from tasks.reports.reading import LoadedRun
from tasks.reports.summary import AtLevel, Summary, flags_of, levels, summarise
from tasks.runs.measures import Measures
from tasks.runs.results import AttemptResult


class AttemptRow(BaseModel):
    """An attempt in short; all of it is in the run's folder. `why` is the primary cause of a failure."""

    model_config = ConfigDict(frozen=True)

    task: str
    number: int
    category: str
    difficulty: str
    split: str
    status: Literal["pass", "fail", "unscored"]
    outcome: str
    detail: str
    why: str | None
    tags: tuple[str, ...]
    flags: tuple[str, ...]
    steps: int
    tokens: int
    cost: float | None
    seconds: float
    measures: Measures


class SuiteReport(Summary):
    """One run. `compared` is the run against the baseline, where one was given; `stale` results do not count."""

    format: Literal["bridle.suite-report/1"] = "bridle.suite-report/1"
    agent: str
    version: str
    stale: int
    ending: Ending
    compared: Compared | None
    results: list[AttemptRow]


class SuiteReports(BaseModel):
    """Several runs, and success by level over all of them. `alike`: they have the same tasks, unchanged."""

    model_config = ConfigDict(frozen=True)

    format: Literal["bridle.suite-reports/1"] = "bridle.suite-reports/1"
    reports: list[SuiteReport]
    levels: list[AtLevel]
    alike: bool


SCHEMAS: dict[str, type[BaseModel]] = {
    "report": SuiteReport,
    "reports": SuiteReports,
    "comparison": Compared,
    "baseline": Baseline,
}
"""What `bridle suite schema` can print."""


def report_of(
    run: LoadedRun,
    *,
    baseline: Baseline | None = None,
    gates: Gates = Gates(),  # noqa: B008 -- it is frozen
    stopped: bool = False,
    over: str = "",
) -> SuiteReport:
    """The report of a run. A baseline that it cannot be compared with is told in its ending."""
    summary = summarise(run)
    compared, incomparable = None, ""
    if baseline is not None and summary.scored:
        try:
            compared = compare_runs(baseline, baseline_of(run), ("the baseline", "this run"))
        except UsageProblem as problem:
            incomparable = str(problem)
    return SuiteReport(
        **{name: getattr(summary, name) for name in Summary.model_fields},
        agent=run.name,
        version=run.file.version,
        stale=run.stale,
        ending=ending(summary, compared, gates, stopped=stopped, over=over, incomparable=incomparable),
        compared=compared,
        results=[_row(each) for each in run.results],
    )


def reports_of(runs: Sequence[LoadedRun]) -> SuiteReports:
    """The reports of several runs."""
    alike = all(run.file.tasks == runs[0].file.tasks for run in runs)
    return SuiteReports(reports=[report_of(run) for run in runs], levels=levels(runs), alike=alike)


def _row(result: AttemptResult) -> AttemptRow:
    return AttemptRow(
        task=result.task,
        number=result.number,
        category=result.category,
        difficulty=result.difficulty,
        split=result.split,
        status=result.status,
        outcome=str(result.outcome),
        detail=result.detail[:500],
        why=result.failure.primary if result.failure else None,
        tags=result.failure.tags if result.failure else (),
        flags=tuple(flags_of(result)),
        steps=result.spent.steps,
        tokens=result.spent.tokens,
        cost=result.spent.cost,
        seconds=result.seconds,
        measures=result.measures,
    )


def schema(name: str) -> dict[str, Any]:
    """The JSON schema of a document by its short name, a key of SCHEMAS."""
    made = SCHEMAS[name].model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def schema_text(name: str) -> str:
    """The schema as it is printed, and kept in docs/schemas/."""
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"
