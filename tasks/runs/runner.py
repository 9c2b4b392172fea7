"""A run: attempts side by side, each with a folder of its own; what is finished is not done again.

    tasks and attempts → those without a valid result → at most `jobs` at a time → agent → grader → result.json

An attempt's result is valid for the content of its task, the configuration of the agent and the version of Bridle.
Infrastructure that fails is tried again after a pause that grows, and never counts as a failure of the agent.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from agent.journal import AnyEvent, CallStarted, GateDecided, JournalDamaged, SandboxOpened, read_events
from agent.outcomes import Outcome, UsageProblem
from agent.repository.stream import PatchProblem
from agent.session import Interrupt
from sandboxes.docker.images import BuildFailed
from sandboxes.pool import Pool
from sandboxes.protocol import Backend, SandboxError
from tasks.agents.work import Agent, Attempt, Ended, work
from tasks.environments.allowed import Allowed
from tasks.environments.health import healthy
from tasks.environments.needs import missing_programs
from tasks.environments.prepare import Prepared, prepare
from tasks.failures.rules import Case, Evidence, Failure, explain
from tasks.format.task import Task
from tasks.grading.grade import Grade, GraderProblem, grade
from tasks.grading.integrity import Flag
from tasks.runs.doubting import Doubt, Doubting
from tasks.runs.measures import measures
from tasks.runs.results import (
    AttemptResult,
    Kind,
    RunFile,
    attempt_folder,
    attempt_key,
    read_result,
    write_result,
)
from tasks.runs.steps import make_steps

PAUSES = (2.0, 10.0, 30.0)
"""Seconds before an attempt whose infrastructure failed is made again."""
INFRASTRUCTURE = frozenset({Outcome.MODEL_FAILED, Outcome.SANDBOX_FAILED, Outcome.INTERNAL_ERROR})


def _nobody(_: AttemptResult) -> None:
    """Nobody follows."""


@dataclass(slots=True)
class Run:
    """One run of a suite. `done` is called with each result, old ones too; `stop` ends it in good order.

    `regrade`: failed patches are graded twice, which tells flaky tests.
    """

    tasks: Sequence[Task]
    agent: Agent
    backend: Backend
    out: Path
    attempts: int = 1
    jobs: int = 2
    pauses: Sequence[float] = PAUSES
    allowed: Allowed = field(default_factory=Allowed)
    regrade: bool = False
    done: Callable[[AttemptResult], None] = _nobody
    results: list[AttemptResult] = field(default_factory=list)
    interrupts: set[Interrupt] = field(default_factory=set)
    stopped: bool = False
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _ready: dict[str, Prepared] = field(default_factory=dict)
    _doubting: Doubting | None = None

    def stop(self) -> None:
        """Begin nothing new, and end what is under way without a result."""
        self.stopped = True
        for each in self.interrupts:
            each.fire()
        for task in self._running:
            task.cancel()

    async def run(self) -> list[AttemptResult]:
        """Make the attempts that have no valid result yet; all results, by task and number."""
        self.out.mkdir(parents=True, exist_ok=True)
        lock = _lock(self.out)
        try:
            return await self._all()
        finally:
            os.close(lock)

    async def _all(self) -> list[AttemptResult]:
        self._begin()
        missing = [
            (task, n) for task in self.tasks for n in range(1, self.attempts + 1) if not self._known(task, n)
        ]
        state = self.out / "state"
        await self._tidy(state)
        gate = asyncio.Semaphore(self.jobs)
        async with Pool(self.backend, min(self.jobs, 4)) as pool:
            self._doubting = Doubting(pool, state, self.regrade)
            self._running = {asyncio.create_task(self._one(task, n, gate, pool)) for task, n in missing}
            ended = await asyncio.gather(*self._running, return_exceptions=True)
        for each in ended:
            if isinstance(each, BaseException) and not isinstance(each, asyncio.CancelledError):
                raise each
        await self._tidy(state)
        shutil.rmtree(self.out / "tasks", ignore_errors=True)
        return sorted(self.results, key=lambda each: (each.task, each.number))

    async def _tidy(self, state: Path) -> None:
        """Remove what attempts that were killed left: they are made again from the beginning."""
        await self.backend.reap(keeper=str(state), wanted=lambda _: False)
        shutil.rmtree(state, ignore_errors=True)

    def _begin(self) -> None:
        hashes = {task.name: task.hash for task in self.tasks}
        about = RunFile(
            agent=self.agent.model_dump(mode="json"),
            version=version("bridle"),
            attempts=self.attempts,
            tasks=hashes,
            kinds={task.name: _kind(task) for task in self.tasks},
        )
        (self.out / "run.json").write_text(about.model_dump_json(indent=1))

    def _key(self, task: Task) -> str:
        about = self.agent.model_dump(mode="json")
        if self.allowed != Allowed():
            about["allowed"] = self.allowed.model_dump(mode="json")
        return attempt_key(task.hash, about, version("bridle"))

    def _known(self, task: Task, number: int) -> bool:
        """Whether there is a scored result that is still valid; any other goes."""
        folder = attempt_folder(self.out, task.name, number)
        found = read_result(folder)
        if found is not None and found.key == self._key(task) and found.status != "unscored":
            self._note(found)
            return True
        shutil.rmtree(folder, ignore_errors=True)
        return False

    def _note(self, result: AttemptResult) -> None:
        self.results.append(result)
        self.done(result)

    async def _one(self, task: Task, number: int, gate: asyncio.Semaphore, pool: Pool) -> None:
        async with gate:
            start = time.monotonic()
            folder = attempt_folder(self.out, task.name, number)
            folder.mkdir(parents=True, exist_ok=True)
            if (problem := await self._prepare(task, number)) is not None:
                await asyncio.to_thread(write_result, folder, problem)
                self._note(problem)
                return
            for tries, pause in enumerate((*self.pauses, 0.0), 1):
                result = await self._try(self._ready[task.name], number, folder, pool)
                if result.status != "unscored" or result.lacks or tries > len(self.pauses):
                    break
                await asyncio.sleep(pause)
            seconds = round(time.monotonic() - start, 2)
            result = result.model_copy(update={"seconds": seconds, "ended": time.time(), "tries": tries})
            await asyncio.to_thread(write_result, folder, result)
            self._note(result)

    async def _prepare(self, task: Task, number: int) -> AttemptResult | None:
        """Make the task ready, once a run; the attempt's result when its image cannot be had."""
        if task.name in self._ready:
            return None
        place = self.out / "tasks" / f"{task.name}.{number}"
        try:
            made = await asyncio.to_thread(prepare, task, place, self.allowed)
        except BuildFailed as error:
            return not_begun(task, number, self._key(task), error)
        self._ready.setdefault(task.name, made)
        return None

    async def _try(self, prepared: Prepared, number: int, folder: Path, pool: Pool) -> AttemptResult:
        """One try at an attempt: the agent's work, and its grade."""
        state, interrupt = self.out / "state", Interrupt()
        attempt = Attempt(prepared, folder, state, self.backend, pool, interrupt)
        self.interrupts.add(interrupt)
        ended, grade_, problem = Ended(outcome=Outcome.DONE, detail="nothing was begun"), None, ""
        doubts: tuple[Doubt, ...] = ()
        try:
            if lacks := await missing_programs(prepared, pool, state):
                return self._without(prepared, number, lacks)
            await healthy(prepared, prepared.task.healthchecks, pool, state)
            if prepared.task.file.steps:
                ended, grade_ = await make_steps(self.agent, attempt, state, watched_in)
            else:
                ended = await work(self.agent, attempt)
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
        finally:
            self.interrupts.discard(interrupt)
        events = _events(attempt.journal)
        return _result(prepared, number, self._key(prepared.task), ended, grade_, problem, events, doubts)

    async def _doubts(self, prepared: Prepared, patch: Path, found: Grade) -> tuple[Doubt, ...]:
        if self._doubting is None:
            raise RuntimeError("attempts are made while the run has its sandboxes")
        return await self._doubting.doubts(prepared, patch, found, oracle=self.agent.kind == "oracle")

    def _without(self, prepared: Prepared, number: int, lacks: list[str]) -> AttemptResult:
        """The result where the sandbox does not have what the task needs: not scored, and not tried again."""
        said = f"the sandbox of {prepared.image} has no {', '.join(lacks)}, which the task needs"
        ended = Ended(outcome=Outcome.SANDBOX_FAILED, detail=said)
        result = _result(prepared, number, self._key(prepared.task), ended, None, "", [])
        return result.model_copy(update={"lacks": tuple(lacks)})


def _lock(out: Path) -> int:
    """Hold the run's folder for this process. Raises UsageProblem when another one does."""
    descriptor = os.open(out / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UsageProblem(
            f"another process works on the run {out}: wait until it ends, or give another --out"
        ) from error
    return descriptor


def not_begun(task: Task, number: int, key: str, error: BuildFailed) -> AttemptResult:
    """The result of an attempt at a task whose image cannot be had: not scored."""
    return AttemptResult(
        task=task.name,
        number=number,
        key=key,
        **_kind(task).model_dump(),
        status="unscored",
        outcome=Outcome.SANDBOX_FAILED,
        detail=str(error),
        failure=Failure(primary="infra.build", evidence=(Evidence(line=0, text=str(error)[:500]),)),
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
    found = None if found is None else watched(found, events, task)
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
        **_kind(task).model_dump(),
        status=status,
        outcome=ended.outcome,
        detail=problem or ended.detail,
        grade=found,
        doubts=doubts,
        failure=None if status == "pass" else explain(case),
        spent=ended.spent,
        measures=measures(events),
    )


def _kind(task: Task) -> Kind:
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
