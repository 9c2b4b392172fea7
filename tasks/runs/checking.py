"""Proving a task: the oracle passes, doing nothing fails, two grades agree, and no cheat is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from agent.outcomes import UsageProblem
from sandboxes.protocol import Backend
from tasks.agents.work import Agent
from tasks.environments.prepare import prepare
from tasks.format.task import Task
from tasks.grading.grade import GraderProblem, grade
from tasks.runs.results import AttemptResult, attempt_folder
from tasks.runs.runner import Run


class Checked(BaseModel):
    """What was found of one task; `problems` is empty for a task that can be believed."""

    model_config = ConfigDict(frozen=True)

    task: str
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    flags: dict[str, tuple[str, ...]] = {}
    """The flags that each cheat raised."""


async def check(
    tasks: Sequence[Task], cheats: Sequence[Path], backend: Backend, out: Path, jobs: int
) -> list[Checked]:
    """Check each task; what the runs left is below `out`. Raises UsageProblem, SandboxError."""
    if without := next((task for task in tasks if task.solution is None), None):
        raise UsageProblem(f"{without.folder}/solution/solve.sh: a task is checked with a solution, and has none")
    oracle = await _run(Agent(kind="oracle"), tasks, backend, out / "oracle", jobs)
    nop = await _run(Agent(kind="nop"), tasks, backend, out / "nop", jobs)
    tried = {}
    for cheat in cheats:
        agent = Agent(kind="script", command=cheat.read_text(encoding="utf-8"))
        tried[cheat.stem] = await _run(agent, tasks, backend, out / f"cheat-{cheat.stem}", jobs)
    checked = []
    for task in tasks:
        problems = [
            *_not(oracle[task.name], "pass", "the oracle"),
            *_not(nop[task.name], "fail", "doing nothing"),
            *await _again(task, oracle[task.name], backend, out),
        ]
        for name, results in tried.items():
            problems += _not(results[task.name], "fail", f"the cheat {name}")
        flags = {name: _flags(results[task.name]) for name, results in tried.items()}
        checked.append(Checked(task=task.name, problems=tuple(problems), notes=task.notes, flags=flags))
    return checked


async def _run(
    agent: Agent, tasks: Sequence[Task], backend: Backend, out: Path, jobs: int
) -> dict[str, AttemptResult]:
    run = Run(tasks=tasks, agent=agent, backend=backend, out=out, jobs=jobs)
    return {each.task: each for each in await run.run()}


def _not(result: AttemptResult, wanted: str, who: str) -> list[str]:
    if result.status == wanted:
        return []
    said = result.grade.detail if result.grade else result.detail
    flags = ", ".join(_flags(result))
    return [f"{who} comes out as {result.status}: {said}" + (f" ({flags})" if flags else "")]


def _flags(result: AttemptResult) -> tuple[str, ...]:
    return tuple(sorted({flag.name for flag in result.grade.flags})) if result.grade else ()


async def _again(task: Task, first: AttemptResult, backend: Backend, out: Path) -> list[str]:
    """Grade the oracle's patch once more: a task whose verdict changes is flaky."""
    if first.grade is None:
        return []
    patch = attempt_folder(out / "oracle", task.name, 1) / "patch.diff"
    prepared = prepare(task, out / "again" / task.name)
    try:
        second = await grade(prepared, patch, backend, out / "oracle" / "state")
    except GraderProblem as error:
        return [f"a second grade could not be made: {error}"]
    same = (second.verdict, second.rewards) == (first.grade.verdict, first.grade.rewards)
    return [] if same else [f"two grades of one patch differ: {first.grade.detail}, then {second.detail}"]
