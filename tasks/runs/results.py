"""What a run leaves behind: a folder an attempt, each with its result, its patch and its journal.

OUT/run.json                        agent, version, tasks
OUT/attempts/TASK/N/result.json     how it went (written last, so its absence means unfinished)
OUT/attempts/TASK/N/journal.jsonl   what happened
OUT/attempts/TASK/N/patch.diff      what was delivered
OUT/attempts/TASK/N/tries/          the same of each try whose infrastructure failed
OUT/attempts/TASK/N/old/            the same of attempts that are no longer the run's, such as another agent's
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.budgets import Spent
from agent.outcomes import Outcome, UsageProblem
from tasks.failures.found import Failure
from tasks.grading.grade import Grade
from tasks.runs.measures import Measures

TRIES, OLD = "tries", "old"
"""Folders of an attempt for what was there before it."""


class AttemptResult(BaseModel):
    """One attempt. `status` is `unscored` where infrastructure or the grader failed: that is no zero.

    `lacks` are programs that the task needs and the sandbox does not have; then nothing was tried.
    `seconds` are all that it took, pauses and grader included; it was over at `ended`, in seconds since the epoch.
    `doubts` speak against the task itself: `task.broken` or `task.flaky`, and why.
    """

    model_config = ConfigDict(frozen=True)

    task: str
    number: int
    key: str
    category: str = "other"
    difficulty: str = "medium"
    split: str = "public"
    status: Literal["pass", "fail", "unscored"]
    outcome: Outcome
    detail: str = ""
    lacks: tuple[str, ...] = ()
    grade: Grade | None = None
    doubts: tuple[tuple[str, str], ...] = ()
    failure: Failure | None = None
    spent: Spent = Spent()
    measures: Measures = Measures()
    seconds: float = 0.0
    ended: float = 0.0
    tries: int = 1


class Kind(BaseModel):
    """By what reports group a task."""

    model_config = ConfigDict(frozen=True)

    category: str = "other"
    difficulty: str = "medium"
    split: str = "public"


class RunFile(BaseModel):
    """run.json: what the attempts of a folder have in common. `tasks` are content hashes by name.

    `allowed` is what the tasks might have of the world outside; empty for nothing.
    """

    model_config = ConfigDict(frozen=True)

    agent: dict[str, object]
    version: str
    attempts: int
    tasks: dict[str, str]
    kinds: dict[str, Kind] = {}
    allowed: dict[str, object] = {}

    def key(self, task: str) -> str:
        """What a result of a task of the run has to be valid for."""
        about = {**self.agent, "allowed": self.allowed} if self.allowed else self.agent
        return attempt_key(self.tasks[task], about, self.version)


def attempt_key(task_hash: str, agent: dict[str, object], version: str) -> str:
    """What an attempt's result is valid for: this task's content, this agent's configuration, this harness."""
    text = json.dumps([task_hash, agent, version], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def attempt_folder(out: Path, task: str, number: int) -> Path:
    """Where an attempt's files are; `number` counts from 1."""
    return out / "attempts" / task / str(number)


def read_result(folder: Path) -> AttemptResult | None:
    """The result of an attempt; None for one that is unfinished. Raises UsageProblem for one that is damaged."""
    path = folder / "result.json"
    try:
        return AttemptResult.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise UsageProblem(f"{path} is no result of an attempt: remove it to have it made again") from error


def put_aside(folder: Path, name: str) -> None:
    """Keep what an attempt or a try left below `name` in its folder, in a folder with the next number.

    No journal is ever removed or written over. What is below OLD stays there, and a try leaves those before it.
    """
    staying = {name, OLD}
    left = [path for path in folder.iterdir() if path.name not in staying] if folder.is_dir() else []
    if not left:
        return
    taken = [int(path.name) for path in (folder / name).glob("*") if path.name.isdecimal()]
    kept = folder / name / str(max(taken, default=0) + 1)
    kept.mkdir(parents=True)
    for path in left:
        path.replace(kept / path.name)


def write_result(folder: Path, result: AttemptResult) -> None:
    """Write a result whole or not at all."""
    part = folder / "result.json.part"
    part.write_text(result.model_dump_json(indent=1))
    part.replace(folder / "result.json")


def read_run_file(out: Path) -> RunFile:
    """run.json of a run's folder. Raises UsageProblem for a folder that is no run."""
    path = out / "run.json"
    try:
        return RunFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageProblem(f"{out} is no run: give the --out folder of `bridle suite run`") from error
    except ValidationError as error:
        raise UsageProblem(f"{path} says nothing of a run: give the --out folder of `bridle suite run`") from error


def read_run(out: Path) -> list[AttemptResult]:
    """All results of a run, by task and number. Raises UsageProblem for a folder that is no run."""
    if not (out / "run.json").is_file():
        raise UsageProblem(f"{out} is no run: give the --out folder of `bridle suite run`")
    numbered = [path for path in (out / "attempts").glob("*/*") if path.name.isdecimal()]
    folders = sorted(numbered, key=lambda path: (path.parent.name, int(path.name)))
    return [result for folder in folders if (result := read_result(folder)) is not None]


def by_task(results: Iterable[AttemptResult]) -> dict[str, tuple[int, int]]:
    """Passed and scored attempts of each task that has scored ones."""
    counts: dict[str, tuple[int, int]] = {}
    for each in results:
        if each.status != "unscored":
            passed, scored = counts.get(each.task, (0, 0))
            counts[each.task] = (passed + (each.status == "pass"), scored + 1)
    return counts
