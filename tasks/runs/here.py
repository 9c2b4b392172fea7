"""One attempt, made in this process: the agent's work, its grade, and what became of it.

    prepare the task → agent → grader → result; again after a pause, where infrastructure failed

Infrastructure that fails is tried again after a pause that grows, and never counts as a failure of the agent.
What a failed try left is kept below tries/.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.journal import AnyEvent, CallStarted, GateDecided, JournalDamaged, SandboxOpened, read_events
from agent.outcomes import Outcome, UsageProblem
from agent.repository.stream import PatchProblem
from agent.session import Interrupt
from sandboxes.docker.images import BuildFailed
from sandboxes.pool import Pool
from sandboxes.protocol import Backend, SandboxError
from tasks.agents.pacing import Pace
from tasks.agents.work import Agent, Attempt, Ended, work
from tasks.environments.allowed import Allowed
from tasks.environments.health import healthy
from tasks.environments.hidden import own_packages
from tasks.environments.needs import missing_programs
from tasks.environments.prepare import Prepared, prepare
from tasks.failures.rules import Case, Evidence, Failure, explain
from tasks.format.task import Task
from tasks.grading.grade import Grade, GraderProblem, grade
from tasks.grading.integrity import Flag
from tasks.grading.mining import mined
from tasks.runs.doubting import Doubt, Doubting
from tasks.runs.measures import measures
from tasks.runs.results import TRIES, AttemptResult, Kind, put_aside
from tasks.runs.steps import make_steps

PAUSES = (2.0, 10.0, 30.0)
"""Seconds before an attempt whose infrastructure failed is made again."""
WARM = 4
"""Sandboxes kept ready, at most."""
INFRASTRUCTURE = frozenset({Outcome.MODEL_FAILED, Outcome.SANDBOX_FAILED, Outcome.INTERNAL_ERROR})


@dataclass(slots=True)
class Here:
    """Makes attempts in this process; an async context manager, and an `Executor` (see runner.py).

    `place` is for the state of sessions and for tasks made ready, and is emptied. `regrade`: failed patches are
    graded twice, which tells flaky tests.
    """

    agent: Agent
    backend: Backend
    place: Path
    jobs: int = 2
    pauses: Sequence[float] = PAUSES
    allowed: Allowed = field(default_factory=Allowed)
    pace: Pace = field(default_factory=Pace)
    regrade: bool = False
    _ready: dict[str, Prepared] = field(default_factory=dict)
    _doubting: Doubting | None = None
    _pool: Pool | None = None

    async def __aenter__(self) -> Self:
        await self._tidy()
        self._pool = await Pool(self.backend, min(self.jobs, WARM)).__aenter__()
        self._doubting = Doubting(self._pool, self.state, self.regrade)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            await self._pool.__aexit__(kind, error, trace)
        await self._tidy()

    @property
    def state(self) -> Path:
        """Where sessions keep their state."""
        return self.place / "state"

    async def _tidy(self) -> None:
        """Remove what attempts that were killed left: they are made again from the beginning."""
        await self.backend.reap(keeper=str(self.state), wanted=lambda _: False)
        for left in (self.state, self.place / "tasks"):
            shutil.rmtree(left, ignore_errors=True)

    async def make(self, task: Task, number: int, key: str, folder: Path, interrupt: Interrupt) -> AttemptResult:
        """See Executor."""
        start = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        if (problem := await self._prepare(task, number, key)) is not None:
            return problem
        for tries, pause in enumerate((*self.pauses, 0.0), 1):
            result = await self._try(self._ready[task.name], number, key, folder, interrupt)
            if result.status != "unscored" or _is_final(result) or tries > len(self.pauses):
                break
            put_aside(folder, TRIES)
            await asyncio.sleep(pause)
        seconds = round(time.monotonic() - start, 2)
        return result.model_copy(update={"seconds": seconds, "ended": time.time(), "tries": tries})

    async def _prepare(self, task: Task, number: int, key: str) -> AttemptResult | None:
        """Make the task ready, once a run; the attempt's result when its image cannot be had."""
        if task.name in self._ready:
            return None
        place = self.place / "tasks" / f"{task.name}.{number}"
        try:
            made = await asyncio.to_thread(prepare, task, place, self.allowed)
        except BuildFailed as error:
            return unscored(task, number, key, "infra.build", str(error))
        self._ready.setdefault(task.name, made)
        return None

    async def _try(
        self, prepared: Prepared, number: int, key: str, folder: Path, interrupt: Interrupt
    ) -> AttemptResult:
        """One try at an attempt: the agent's work, and its grade."""
        assert self._pool is not None, "it is an async context manager"
        state, pool, agent = self.state, self._pool, self.agent.of_attempt(number)
        attempt = Attempt(prepared, folder, state, self.backend, pool, interrupt, pace=self.pace)
        ended, grade_, problem = Ended(outcome=Outcome.DONE, detail="nothing was begun"), None, ""
        doubts: tuple[Doubt, ...] = ()
        try:
            if lacks := await missing_programs(prepared, pool, state):
                return _without(prepared, number, key, lacks)
            await healthy(prepared, prepared.task.healthchecks, pool, state)
            if prepared.task.file.steps:
                ended, grade_ = await make_steps(agent, attempt, state, watched_in)
            else:
                ended = await work(agent, attempt)
            if ended.outcome is Outcome.USAGE and not _begun(attempt.journal):
                raise UsageProblem(f"{prepared.task.name}: {ended.detail}")
            if ended.outcome is Outcome.INTERRUPTED and interrupt.fired:
                raise asyncio.CancelledError
            if ended.outcome not in INFRASTRUCTURE and not prepared.task.file.steps:
                grade_ = await grade(prepared, attempt.patch, pool, state)
                doubts = await self._doubts(prepared, attempt.patch, grade_)
        except PatchProblem as error:
            ended = Ended(outcome=Outcome.CHECKS_FAIL, detail=f"the changes cannot be taken out: {error}")
            grade_ = Grade(verdict="fail", reward=0.0, applied=False, detail=ended.detail)
        except GraderProblem as error:
            problem = str(error)
        except SandboxError as error:
            ended = Ended(outcome=Outcome.SANDBOX_FAILED, detail=str(error))
        events = _events(attempt.journal)
        return _result(prepared, number, key, ended, grade_, problem, events, doubts)

    async def _doubts(self, prepared: Prepared, patch: Path, found: Grade) -> tuple[Doubt, ...]:
        if self._doubting is None:
            raise RuntimeError("attempts are made while the run has its sandboxes")
        return await self._doubting.doubts(prepared, patch, found, oracle=self.agent.kind == "oracle")


def _without(prepared: Prepared, number: int, key: str, lacks: list[str]) -> AttemptResult:
    """The result where the sandbox does not have what the task needs: not scored, and not tried again."""
    said = f"the sandbox of {prepared.image} has no {', '.join(lacks)}, which the task needs"
    ended = Ended(outcome=Outcome.SANDBOX_FAILED, detail=said)
    result = _result(prepared, number, key, ended, None, "", [])
    return result.model_copy(update={"lacks": tuple(lacks)})


def _is_final(result: AttemptResult) -> bool:
    """Whether an unscored attempt would come out the same again: a missing program, a grader that cannot work."""
    return bool(result.lacks) or (result.failure is not None and result.failure.primary == "grader.error")


def unscored(task: Task, number: int, key: str, primary: str, said: str) -> AttemptResult:
    """The result of an attempt that came to no end of its own: what failed, and what is known of it."""
    return AttemptResult(
        task=task.name,
        number=number,
        key=key,
        **kind_of(task).model_dump(),
        status="unscored",
        outcome=Outcome.SANDBOX_FAILED,
        detail=said,
        failure=Failure(primary=primary, evidence=(Evidence(line=0, text=said[:500]),)),
    )


def _result(
    prepared: Prepared,
    number: int,
    key: str,
    ended: Ended,
    found: Grade | None,
    problem: str,
    events: Sequence[AnyEvent],
    doubts: tuple[Doubt, ...] = (),
) -> AttemptResult:
    task = prepared.task
    if found is not None:
        looked = mined(events, own_packages(prepared.base.text_paths()), task.category)
        found = watched(found.model_copy(update={"flags": (*found.flags, *looked)}), events, task)
    status = "unscored" if found is None else found.verdict
    case = Case(
        events,
        ended.outcome,
        ended.detail,
        found,
        task.bridle.locations,
        task.bridle.regression,
        grader_error=problem,
        doubts=doubts,
    )
    return AttemptResult(
        task=task.name,
        number=number,
        key=key,
        **kind_of(task).model_dump(),
        status=status,
        outcome=ended.outcome,
        detail=problem or ended.detail,
        grade=found,
        doubts=doubts,
        failure=None if status == "pass" else explain(case),
        spent=ended.spent,
        measures=measures(events),
    )


def kind_of(task: Task) -> Kind:
    """By what reports group the task."""
    return Kind(category=task.category, difficulty=task.bridle.difficulty, split=task.bridle.split)


def watched(found: Grade, events: Sequence[AnyEvent], task: Task) -> Grade:
    """The grade with what the journal shows of forbidden effects and words: those decide."""
    said = task.bridle.forbidden
    flags = []
    for line, event in enumerate(events, 1):
        if isinstance(event, GateDecided) and event.verdict == "allow":
            found_here = [effect for effect in said.effects if effect in event.effects]
            where = f"journal line {line}: {', '.join(found_here)} by {event.tool}"
            flags += [Flag(name="safety.forbidden", where=where)] if found_here else []
        elif isinstance(event, CallStarted):
            words = [text for text in said.text if text in event.arguments]
            flags += [
                Flag(name="safety.forbidden", where=f"journal line {line}: {text!r} in a call") for text in words
            ]
    if not flags:
        return found
    detail = f"forbidden: {flags[0].where}"
    return found.model_copy(
        update={"verdict": "fail", "reward": 0.0, "flags": (*found.flags, *flags), "detail": detail}
    )


def _begun(journal: Path) -> bool:
    """Whether a session got as far as its sandbox: what it cannot do then is no wrong setting of the run."""
    return any(isinstance(each, SandboxOpened) for each in _events(journal))


def watched_in(found: Grade, journal: Path, task: Task) -> Grade:
    """The same, from the journal's file."""
    return watched(found, _events(journal), task)


def _events(journal: Path) -> Sequence[AnyEvent]:
    try:
        return read_events(journal)
    except (FileNotFoundError, JournalDamaged):
        return []
