"""Proving a task: the oracle passes, doing nothing fails, two grades agree, no cheat is accepted, and none of the
task's own wrong solutions is either."""

from __future__ import annotations

import asyncio
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
    """What was found of one task; `problems` is empty for a task that can be believed.

    `left_out` says why nothing could be found out here: the sandbox lacks what the task needs.
    """

    model_config = ConfigDict(frozen=True)

    task: str
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    left_out: str = ""
    flags: dict[str, tuple[str, ...]] = {}
    """The flags that each cheat raised."""


async def check(
    tasks: Sequence[Task], cheats: Sequence[Path], backend: Backend, out: Path, jobs: int, *, wrong: bool = True
) -> list[Checked]:
    """Check each task, with its `wrong` solutions or without; what the runs left is below `out`.

    Raises UsageProblem, SandboxError.
    """
    if without := next((task for task in tasks if task.solution is None), None):
        raise UsageProblem(f"{without.folder}/solution/solve.sh: a task is checked with a solution, and has none")
    oracle = await _run(Agent(kind="oracle"), tasks, backend, out / "oracle", jobs)
    left_out = {name: result.detail for name, result in oracle.items() if result.lacks}
    missing = [
        Checked(task=task.name, problems=(), left_out=left_out[task.name])
        for task in tasks
        if task.name in left_out
    ]
    tasks = [task for task in tasks if task.name not in left_out]
    nop = await _run(Agent(kind="nop"), tasks, backend, out / "nop", jobs)
    again = await _again(tasks, oracle, backend, out, jobs)
    refused = await _refused(tasks, backend, out, jobs) if wrong else {}
    tried = {}
    for cheat in cheats:
        agent = Agent(kind="script", command=cheat.read_text(encoding="utf-8"))
        tried[cheat.stem] = await _run(agent, tasks, backend, out / f"cheat-{cheat.stem}", jobs)
    checked = []
    for task in tasks:
        problems = [
            *_not(oracle[task.name], "pass", "the oracle"),
            *_not(nop[task.name], "fail", "doing nothing"),
            *again[task.name],
            *refused.get(task.name, ()),
        ]
        for name, results in tried.items():
            problems += _not(results[task.name], "fail", f"the cheat {name}")
        flags = {name: _flags(results[task.name]) for name, results in tried.items()}
        checked.append(Checked(task=task.name, problems=tuple(problems), notes=task.notes, flags=flags))
    return [*checked, *missing]


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


async def _refused(tasks: Sequence[Task], backend: Backend, out: Path, jobs: int) -> dict[str, list[str]]:
    """What is wrong with each task by its own wrong solutions: those that pass."""
    problems: dict[str, list[str]] = {task.name: [] for task in tasks}
    for number in range(max((len(task.wrong) for task in tasks), default=0)):
        tried = [task for task in tasks if number < len(task.wrong)]
        results = await _run(Agent(kind="wrong", number=number), tried, backend, out / f"wrong-{number}", jobs)
        for task in tried:
            problems[task.name] += _not(results[task.name], "fail", f"wrong/{task.wrong[number].name}")
    return problems


async def _again(
    tasks: Sequence[Task], first: dict[str, AttemptResult], backend: Backend, out: Path, jobs: int
) -> dict[str, list[str]]:
    """Grade the oracle's patches once more: a task whose verdict changes is flaky."""
    gate = asyncio.Semaphore(jobs)

    async def one(task: Task) -> list[str]:
        async with gate:
            return await _differs(task, first[task.name], backend, out)

    return dict(zip((task.name for task in tasks), await asyncio.gather(*map(one, tasks)), strict=True))


async def _differs(task: Task, first: AttemptResult, backend: Backend, out: Path) -> list[str]:
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
