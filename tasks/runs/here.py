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
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.journal import AnyEvent, JournalDamaged, read_events
from agent.outcomes import Outcome
from agent.session import Interrupt
from sandboxes.docker.images import BuildFailed
from sandboxes.pool import Pool
from sandboxes.protocol import Backend, SandboxError
from tasks.agents.pacing import Pace
from tasks.agents.work import Agent, Attempt
from tasks.environments.allowed import Allowed
from tasks.environments.prepare import Prepared, prepare
from tasks.failures.rules import Case, Evidence, Failure, explain
from tasks.format.task import Task
from tasks.grading.grade import Grade, GraderProblem
from tasks.runs.doubting import Doubt, Doubting
from tasks.runs.judging import BEGUN, Judged, check_begun, fit, judge, settled, worked
from tasks.runs.measures import measures
from tasks.runs.results import TRIES, AttemptResult, Kind, put_aside
from tasks.runs.steps import make_steps

PAUSES = (2.0, 10.0, 30.0)
"""Seconds before an attempt whose infrastructure failed is made again."""
WARM = 4
"""Sandboxes kept ready, at most."""


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
        result = result.model_copy(update={"seconds": seconds, "ended": time.time(), "tries": tries})
        return AttemptResult.model_validate(self.allowed.secrets().mask_all(result.model_dump()))

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
        so = await settled(BEGUN, self._work(agent, attempt))
        if so.ended.outcome is Outcome.INTERRUPTED and interrupt.fired:
            raise asyncio.CancelledError
        so = await judge(so, attempt, pool, state)
        doubts: tuple[Doubt, ...] = ()
        if so.grade is not None and not prepared.task.file.steps:
            try:
                doubts = await self._doubts(prepared, attempt.patch, so.grade)
            except (GraderProblem, SandboxError) as error:
                so = replace(so, problem=f"whether the task can be believed could not be seen: {error}")
        return _result(prepared, number, key, so, _events(attempt.journal), doubts)

    async def _work(self, agent: Agent, attempt: Attempt) -> Judged:
        """Raises GraderProblem, SandboxError, PatchProblem, UsageProblem."""
        await fit(agent, attempt.prepared, attempt.pool, self.state)
        if attempt.prepared.task.file.steps:
            ended, found = await make_steps(agent, attempt, self.state)
            check_begun(ended, attempt)
            return Judged(ended, found)
        return await worked(agent, attempt)

    async def _doubts(self, prepared: Prepared, patch: Path, found: Grade) -> tuple[Doubt, ...]:
        if self._doubting is None:
            raise RuntimeError("attempts are made while the run has its sandboxes")
        return await self._doubting.doubts(prepared, patch, found, oracle=self.agent.kind == "oracle")


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
    so: Judged,
    events: Sequence[AnyEvent],
    doubts: tuple[Doubt, ...],
) -> AttemptResult:
    task, ended, found = prepared.task, so.ended, so.grade
    status = "unscored" if found is None else found.verdict
    case = Case(
        events,
        ended.outcome,
        ended.detail,
        found,
        task.bridle.locations,
        task.bridle.regression,
        grader_error=so.problem,
        doubts=doubts,
    )
    return AttemptResult(
        task=task.name,
        number=number,
        key=key,
        **kind_of(task).model_dump(),
        status=status,
        outcome=ended.outcome,
        detail=so.problem or ended.detail,
        lacks=so.lacks,
        grade=found,
        doubts=doubts,
        failure=None if status == "pass" else explain(case),
        spent=ended.spent,
        measures=measures(events),
    )


def kind_of(task: Task) -> Kind:
    """By what reports group the task."""
    return Kind(category=task.category, difficulty=task.bridle.difficulty, split=task.bridle.split)


def _events(journal: Path) -> Sequence[AnyEvent]:
    try:
        return read_events(journal)
    except (FileNotFoundError, JournalDamaged):
        return []
