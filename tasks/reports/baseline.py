"""A baseline: what of a run is needed to compare with it, small enough to be kept in a repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.outcomes import UsageProblem
from tasks.reports.reading import LoadedRun, load_run, tallies

MAX_BYTES = 16 << 20


class BaselineTask(BaseModel):
    """A task's content and how it went. `planned` attempts, of them scored, of them passed."""

    model_config = ConfigDict(frozen=True)

    hash: str
    category: str = "other"
    planned: int = Field(ge=0)
    scored: int = Field(ge=0)
    passed: int = Field(ge=0)

    @model_validator(mode="after")
    def _add_up(self) -> BaselineTask:
        if not self.passed <= self.scored <= self.planned:
            raise ValueError("passed is at most scored, and scored at most planned")
        return self


class Baseline(BaseModel):
    """A run, as far as comparing goes."""

    model_config = ConfigDict(frozen=True)

    format: Literal["bridle.suite-baseline/1"] = "bridle.suite-baseline/1"
    agent: str
    version: str
    attempts: int = Field(ge=1)
    tasks: dict[str, BaselineTask]


def baseline_of(run: LoadedRun) -> Baseline:
    """The run as a baseline."""
    return Baseline(
        agent=run.name,
        version=run.file.version,
        attempts=run.file.attempts,
        tasks={
            each.task: BaselineTask(
                hash=run.file.tasks[each.task],
                category=each.kind.category,
                planned=each.planned,
                scored=each.scored,
                passed=each.passed,
            )
            for each in tallies(run)
        },
    )


def read_baseline(path: Path) -> Baseline:
    """The baseline in a file, or made of a run's folder. Raises UsageProblem."""
    if path.is_dir():
        return baseline_of(load_run(path))
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageProblem(f"{path} is larger than any baseline: give one that --write-baseline wrote")
        return Baseline.model_validate_json(path.read_bytes())
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"])) or "the whole"
        raise UsageProblem(
            f"{path} is no baseline ({field}: {problem['msg']}): give a file that --write-baseline wrote, "
            "or the --out folder of a run"
        ) from error
    except OSError as error:
        raise UsageProblem(
            f"the baseline {path} cannot be read ({error.strerror}): give a file that --write-baseline wrote, "
            "or the --out folder of a run"
        ) from error


def write_baseline(path: Path, baseline: Baseline) -> None:
    """A line a task, so that a change shows as such in a diff."""
    fields = baseline.model_dump(mode="json")
    tasks = fields.pop("tasks")
    head = json.dumps(fields)[:-1]
    body = ",\n".join(f"  {json.dumps(name)}: {json.dumps(tasks[name])}" for name in sorted(tasks))
    path.write_text(f'{head}, "tasks": {{\n{body}\n}}}}\n', encoding="utf-8")
