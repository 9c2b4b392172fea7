"""Tasks with steps: each is an attempt of its own on what the one before it left, and all of them make one grade.

    tree so far + the step's workdir/ → setup.sh → agent → grade → enough? → tree so far

A step's agent begins in a fresh sandbox with a fresh conversation. What goes on from step to step is the tree
that was graded, in which tests and their configuration are the task's, and what was changed outside the
workspace; processes and what tools leave behind do not.

OUT/attempts/TASK/N/steps/NAME/     journal.jsonl, patch.diff of each step; setup/ the same of its setup.sh
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from agent.budgets import Spent
from agent.outcomes import Outcome
from agent.repository.stream import PatchProblem
from sandboxes.protocol import Backend
from tasks.agents.work import Agent, Attempt, Ended, work
from tasks.environments.health import healthy
from tasks.environments.prepare import Prepared, prepare_step
from tasks.format.tables import Step
from tasks.format.task import Task
from tasks.grading.delivery import write_tree
from tasks.grading.grade import Grade, GraderProblem, grade
from tasks.grading.verdict import StepGrade
from tasks.runs.judging import score

SETUP = "setup.sh"
_SETUP = f"if command -v bash >/dev/null; then exec bash ./{SETUP}; else exec sh ./{SETUP}; fi"
ENDED_WELL = frozenset({Outcome.DONE, Outcome.CHECKS_FAIL, Outcome.BUDGET, Outcome.STUCK, Outcome.APPROVAL_NEEDED})
"""Endings of an agent's work that are graded."""


@dataclass(slots=True)
class _Walk:
    """What is the same for all steps of an attempt; without an agent, what it left is graded again."""

    agent: Agent | None
    attempt: Attempt
    backend: Backend
    keeper: Path
    place: Path


class _So(NamedTuple):
    """Where things stand between two steps: the tree, and what was changed outside the workspace."""

    before: Prepared
    tree: Path
    carried: Path | None


async def make_steps(agent: Agent, attempt: Attempt, keeper: Path) -> tuple[Ended, Grade | None]:
    """Make the steps of a task, as far as they are to be made. No grade where the infrastructure failed.

    Raises GraderProblem, SandboxError, PatchProblem, UsageProblem.
    """
    shutil.rmtree(attempt.folder / "steps", ignore_errors=True)
    return await _walk(_Walk(agent, attempt, attempt.pool, keeper, attempt.folder / "work"))


async def regrade(prepared: Prepared, folder: Path, backend: Backend, keeper: Path) -> Grade:
    """Grade once more what an attempt left in its folder. Raises GraderProblem, SandboxError."""
    if not prepared.task.file.steps:
        return await grade(prepared, folder / "patch.diff", backend, keeper)
    attempt = Attempt(prepared, folder, keeper, backend, backend)
    walk = _Walk(None, attempt, backend, keeper, prepared.archive.parent / "steps")
    _, found = await _walk(walk)
    if found is None:
        raise GraderProblem(f"{folder}/steps holds no step to grade again")
    return found


async def _walk(walk: _Walk) -> tuple[Ended, Grade | None]:
    prepared = walk.attempt.prepared
    so, grades, steps = _So(prepared, prepared.archive, None), [], []
    spent, ended = Spent(), Ended(outcome=Outcome.DONE, detail="no step was made")
    try:
        for task, step in zip(prepared.task.steps, prepared.task.file.steps, strict=True):
            if walk.agent is None and not (walk.attempt.folder / "steps" / step.name).is_dir():
                break
            ready = await _ready(walk, task, so)
            mine = replace(walk.attempt, prepared=ready, folder=walk.attempt.folder / "steps" / step.name)
            if walk.agent is not None:
                await healthy(ready, task.healthchecks, walk.backend, walk.keeper)
                mine.folder.mkdir(parents=True, exist_ok=True)
                ended = await work(walk.agent, mine)
                spent = _sum(spent, ended.spent)
                _keep(walk.attempt, mine)
                if ended.outcome not in ENDED_WELL:
                    return ended.model_copy(update={"spent": spent}), None
            found = await score(ready, mine.patch, mine.journal, walk.backend, walk.keeper)
            grades.append(found)
            steps.append(_step_grade(step, found))
            if not steps[-1].met:
                break
            so = await _after(walk, mine, ready)
        whole = _together(prepared.task, grades, steps) if steps else None
        return ended.model_copy(update={"spent": spent}), whole
    finally:
        await asyncio.to_thread(shutil.rmtree, walk.place, ignore_errors=True)


async def _ready(walk: _Walk, task: Task, so: _So) -> Prepared:
    """The step made ready, its setup.sh included. Raises GraderProblem when that fails."""
    place, more = walk.place / task.step, task.workdir
    ready = await asyncio.to_thread(prepare_step, so.before, task, so.tree, place, more, so.carried)
    _not_first(ready, so)
    if SETUP not in more:
        return ready
    folder = walk.attempt.folder / "steps" / task.step / "setup"
    setup = replace(walk.attempt, prepared=ready, folder=folder)
    if walk.agent is not None:
        folder.mkdir(parents=True)
        ended = await work(Agent(kind="script", command=_SETUP), setup)
        if ended.detail != "exit code 0":
            raise GraderProblem(f"the {SETUP} of step {task.step} of {task.name} ends with {ended.detail}")
    so = await _after(walk, setup, _all_editable(ready))
    made = await asyncio.to_thread(
        prepare_step, ready, task, so.tree, walk.place / f"{task.step}.ready", {}, so.carried
    )
    _not_first(made, so)
    return made


def _not_first(ready: Prepared, so: _So) -> None:
    """That its tests fail before anything is done is not asked of a step that follows another one."""
    if so.before.task.step:
        ready.archive.with_name("base-fails").touch()


def _all_editable(ready: Prepared) -> Prepared:
    """For what the task's own script changes: nothing of that is put back."""
    said = ready.task.bridle.model_copy(update={"editable": ("*",)})
    return replace(ready, task=replace(ready.task, file=ready.task.file.model_copy(update={"bridle": said})))


async def _after(walk: _Walk, made: Attempt, ready: Prepared) -> _So:
    """What the next one begins with. Raises GraderProblem for a patch that cannot be put on."""
    tree = walk.place / f"{made.folder.parent.name}.{made.folder.name}.tar"
    try:
        await asyncio.to_thread(write_tree, ready, made.patch, tree)
    except PatchProblem as error:
        raise GraderProblem(f"the step {ready.task.step} cannot be gone on from: {error}") from error
    return _So(ready, tree, made.outside if made.outside.is_file() else ready.carried)


def _keep(attempt: Attempt, mine: Attempt) -> None:
    """The attempt's own journal is the last step's, and its patch is those of all steps, one after another."""
    if mine.journal.is_file():
        shutil.copyfile(mine.journal, attempt.journal)
    first = mine.prepared.task.step == attempt.prepared.task.file.steps[0].name
    with attempt.patch.open("wb" if first else "ab") as file:
        file.write(mine.patch.read_bytes())


def _step_grade(step: Step, found: Grade) -> StepGrade:
    rewards, least = found.rewards, step.min_reward
    wanted = least if isinstance(least, dict) else {} if least is None else {"reward": least}
    missed = [
        f"{key} {rewards.get(key, 'missing')} < {floor:g}"
        for key, floor in wanted.items()
        if not _meets(rewards, key, floor)
    ]
    detail = f"{found.detail}; {', '.join(missed)}: no further step" if missed else found.detail
    return StepGrade(name=step.name, reward=found.reward, rewards=rewards, met=not missed, detail=detail)


def _meets(rewards: dict[str, float], key: str, floor: float) -> bool:
    return key in rewards and rewards[key] >= floor


def _together(task: Task, grades: Sequence[Grade], steps: Sequence[StepGrade]) -> Grade:
    """One grade of those that were made, by the task's strategy; a pass needs every step to be made."""
    last = grades[-1]
    rewards = last.rewards
    if task.file.multi_step_reward_strategy == "mean":
        keys = dict.fromkeys(key for each in grades for key in each.rewards)
        rewards = {key: sum(each.rewards.get(key, 0.0) for each in grades) / len(grades) for key in keys}
    said = task.bridle
    mean = sum(rewards.values()) / len(rewards) if rewards else 0.0
    reward = rewards.get(said.reward, 0.0) if said.reward is not None else rewards.get("reward", mean)
    whole = len(steps) == len(task.file.steps) and steps[-1].met
    flags = tuple(dict.fromkeys(flag for each in grades for flag in each.flags))
    forged = any(each.verdict == "fail" and each.flags and each.reward == 0.0 for each in grades)  # in any step
    good = whole and not forged and bool(rewards) and reward >= said.pass_reward
    return last.model_copy(
        update={
            "verdict": "pass" if good else "fail",
            "reward": reward,
            "rewards": rewards,
            "flags": flags,
            "put_back": tuple(dict.fromkeys(path for each in grades for path in each.put_back)),
            "touched": tuple(dict.fromkeys(path for each in grades for path in each.touched)),
            "applied": all(each.applied for each in grades),
            "detail": "; ".join(f"{each.name}: {each.detail}" for each in steps),
            "steps": tuple(steps),
        }
    )


def _sum(one: Spent, other: Spent) -> Spent:
    cost = None if one.cost is None and other.cost is None else (one.cost or 0.0) + (other.cost or 0.0)
    return Spent(
        steps=one.steps + other.steps,
        input_tokens=one.input_tokens + other.input_tokens,
        cached_tokens=one.cached_tokens + other.cached_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cost=cost,
    )
