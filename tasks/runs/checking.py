"""Proving a task: the oracle passes, doing nothing fails, regrades agree, no cheat is accepted, and none of the
task's own wrong solutions is either. Of its tests some that failed before have to prove that it was solved."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from agent.outcomes import UsageProblem
from sandboxes.protocol import Backend
from tasks.agents.work import Agent
from tasks.environments.allowed import Allowed
from tasks.environments.prepare import prepare
from tasks.format.task import Task
from tasks.grading.by_ids import proofs
from tasks.grading.delivery import write_tree
from tasks.grading.grade import GraderProblem
from tasks.runs.copies import copies
from tasks.runs.results import AttemptResult, attempt_folder
from tasks.runs.runner import Run
from tasks.runs.steps import regrade


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


@dataclass(frozen=True, slots=True)
class _Means:
    """Where the attempts are made, how many at a time, what tasks may use, and where they are kept."""

    backend: Backend
    out: Path
    jobs: int
    allowed: Allowed


async def check(
    tasks: Sequence[Task],
    cheats: Mapping[str, str],
    backend: Backend,
    out: Path,
    jobs: int,
    *,
    wrong: bool = True,
    regrades: int = 1,
    allowed: Allowed | None = None,
    values: bool = True,
) -> list[Checked]:
    """Check each task, with its `wrong` solutions or without; what the runs left is below `out`.

    `cheats` are scripts by name.

    The oracle's patch is graded `regrades` times more. `values` says that tests have to compare plain values, too:
    for tasks whose tests were written for them. Raises UsageProblem, SandboxError.
    """
    means = _Means(backend, out, jobs, allowed or Allowed())
    if without := next((task for task in tasks if task.solution is None), None):
        raise UsageProblem(f"{without.folder}/solution/solve.sh: a task is checked with a solution, and has none")
    oracle = await _run(Agent(kind="oracle"), tasks, means, "oracle")
    left_out = {name: result.detail for name, result in oracle.items() if result.lacks}
    missing = [
        Checked(task=task.name, problems=(), left_out=left_out[task.name])
        for task in tasks
        if task.name in left_out
    ]
    tasks = [task for task in tasks if task.name not in left_out]
    nop = await _run(Agent(kind="nop"), tasks, means, "nop")
    again = await _again(tasks, oracle, means, regrades)
    refused = await _refused(tasks, means) if wrong else {}
    tried = await _tried(tasks, cheats, means)
    checked = []
    for task in tasks:
        problems = [
            *await _unproven(task, oracle[task.name], means, values=values),
            *_not(oracle[task.name], "pass", "the oracle"),
            *_not(nop[task.name], "fail", "doing nothing"),
            *again[task.name],
            *refused.get(task.name, ()),
        ]
        for name, results in tried.items():
            problems += _not(results[task.name], "fail", f"the cheat {name}")
        flags = {name: _flags(results[task.name]) for name, results in tried.items()}
        suspected = [f"the solution looks like cheating: {each}" for each in _flags(oracle[task.name])]
        shown = await copies(task, backend, out / "look" / task.name, means.allowed)
        notes = (*task.notes, *suspected, *shown)
        checked.append(Checked(task=task.name, problems=tuple(problems), notes=notes, flags=flags))
    return [*checked, *missing]


async def _tried(
    tasks: Sequence[Task], cheats: Mapping[str, str], means: _Means
) -> dict[str, dict[str, AttemptResult]]:
    """What became of each cheat on each task."""
    if not cheats or not tasks:
        return {}
    agent = Agent(kind="cheats", scripts=tuple(cheats.items()))
    results = await _all(agent, tasks, means, "cheats", len(cheats))
    tried: dict[str, dict[str, AttemptResult]] = {name: {} for name in cheats}
    for each in results:
        tried[agent.scripts[each.number - 1][0]][each.task] = each
    return tried


async def _run(agent: Agent, tasks: Sequence[Task], means: _Means, name: str) -> dict[str, AttemptResult]:
    return {each.task: each for each in await _all(agent, tasks, means, name)}


async def _all(
    agent: Agent, tasks: Sequence[Task], means: _Means, name: str, attempts: int = 1
) -> list[AttemptResult]:
    run = Run(
        tasks=tasks,
        agent=agent,
        backend=means.backend,
        out=means.out / name,
        attempts=attempts,
        jobs=means.jobs,
        allowed=means.allowed,
    )
    return await run.run()


def _not(result: AttemptResult, wanted: str, who: str) -> list[str]:
    if result.status == wanted:
        return []
    said = result.grade.detail if result.grade else result.detail
    flags = ", ".join(_flags(result))
    return [f"{who} comes out as {result.status}: {said}" + (f" ({flags})" if flags else "")]


async def _unproven(task: Task, solved: AttemptResult, means: _Means, *, values: bool) -> list[str]:
    """What is wrong with a task whose tests cannot tell who solved it from who forges their results.

    Tests that lie in the workspace are as their repository has them: there an assertion that can be turned round
    is enough.
    """
    if not task.bridle.expected or solved.grade is None:
        return []
    found = proofs(task, await _sources(task, means))
    if not found:
        return ["no test fails before the work: one that is in `expected` and not in `regression` has to"]
    names = ", ".join(each.partition("::")[2] for each in found)
    if not any(found.values()):
        return [f"nothing can be turned round in the tests that fail before the work: a forger passes {names}"]
    if "value" in found.values() or not values or task.bridle.tests == "workspace":
        return []
    where = "in its body or by what it hands to a helper of its file"
    return [f"no test that fails before the work compares with a plain value, {where}: {names}"]


async def _sources(task: Task, means: _Means) -> Mapping[str, str]:
    """The Python files of a task's tests; of those in the workspace as they are when it is graded."""
    if task.bridle.tests != "workspace":
        files = {name: path for name, path in task.tests.items() if path.suffix == ".py"}
        return {name: path.read_text("utf-8", "replace") for name, path in files.items()}
    patch = attempt_folder(means.out / "oracle", task.name, 1) / "patch.diff"
    folder = means.out / "proof" / task.name
    prepared = await asyncio.to_thread(prepare, task, folder, means.allowed)
    return (await asyncio.to_thread(write_tree, prepared, patch, folder / "tree.tar")).sources


def _flags(result: AttemptResult) -> tuple[str, ...]:
    return tuple(sorted({flag.name for flag in result.grade.flags})) if result.grade else ()


async def _refused(tasks: Sequence[Task], means: _Means) -> dict[str, list[str]]:
    """What is wrong with each task by its own wrong solutions: those that pass."""
    problems: dict[str, list[str]] = {task.name: [] for task in tasks}
    for number in range(max((len(task.wrong) for task in tasks), default=0)):
        tried = [task for task in tasks if number < len(task.wrong)]
        results = await _run(Agent(kind="wrong", number=number), tried, means, f"wrong-{number}")
        for task in tried:
            problems[task.name] += _not(results[task.name], "fail", f"wrong/{task.wrong[number].name}")
    return problems


async def _again(
    tasks: Sequence[Task], first: dict[str, AttemptResult], means: _Means, times: int
) -> dict[str, list[str]]:
    """Grade the oracle's patches again: a task whose verdict changes is flaky."""
    gate = asyncio.Semaphore(means.jobs)

    async def one(task: Task) -> list[str]:
        async with gate:
            return await _differs(task, first[task.name], means, times)

    return dict(zip((task.name for task in tasks), await asyncio.gather(*map(one, tasks)), strict=True))


async def _differs(task: Task, first: AttemptResult, means: _Means, times: int) -> list[str]:
    if first.grade is None or not times:
        return []
    folder = attempt_folder(means.out / "oracle", task.name, 1)
    prepared = await asyncio.to_thread(prepare, task, means.out / "again" / task.name, means.allowed)
    for number in range(2, times + 2):
        try:
            again = await regrade(prepared, folder, means.backend, means.out / "oracle" / "state")
        except GraderProblem as error:
            return [f"grade {number} could not be made: {error}"]
        if (again.verdict, again.rewards) != (first.grade.verdict, first.grade.rewards):
            return [
                f"grades of one patch differ: {first.grade.detail} at first, {again.detail} as number {number}"
            ]
    return []
