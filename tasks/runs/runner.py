"""A run: attempts side by side, each with a folder of its own; what is finished is not done again.

    tasks and attempts → those without a valid result → as many as fit → an executor makes each → result.json

An attempt's result is valid for the content of its task, the configuration of the agent and the version of Bridle.
Where attempts are made is the executor's: in this process (here.py), or on a Ray cluster (on_ray.py).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from agent.outcomes import UsageProblem
from agent.session import Interrupt
from sandboxes.protocol import Backend
from tasks.agents.pacing import Pace
from tasks.agents.work import Agent, check_fit
from tasks.environments.allowed import Allowed
from tasks.format.task import Task
from tasks.runs.here import PAUSES, Here, kind_of
from tasks.runs.limits import RunLimits
from tasks.runs.results import (
    OLD,
    AttemptResult,
    RunFile,
    attempt_folder,
    put_aside,
    read_result,
    write_result,
)
from tasks.runs.room import Room, promised_memory


class Executor(Protocol):
    """Where attempts are made."""

    async def make(self, task: Task, number: int, key: str, folder: Path, interrupt: Interrupt) -> AttemptResult:
        """Make attempt `number` at `task`, and leave its journal and patch in `folder`.

        `key` is what the result is valid for. When `interrupt` fires, or this is cancelled, the attempt ends
        without a result (CancelledError). Raises UsageProblem for what no attempt could mend.
        """


def _nobody(_: AttemptResult) -> None:
    """Nobody follows."""


@dataclass(slots=True)
class Run:
    """One run of a suite. `done` is called with each result, old ones too; `stop` ends it in good order.

    `regrade`: failed patches are graded twice, which tells flaky tests. `memory` bytes are what the sandboxes of
    attempts may be promised together. `executor` is by default this process.
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
    limits: RunLimits = field(default_factory=RunLimits)
    pace: Pace = field(default_factory=Pace)
    memory: int = field(default_factory=promised_memory)
    executor: AbstractAsyncContextManager[Executor] | None = None
    done: Callable[[AttemptResult], None] = _nobody
    results: list[AttemptResult] = field(default_factory=list)
    stopped: bool = False
    over: str = ""
    """Which limit of the run ended it, in words."""
    _keys: dict[str, str] = field(default_factory=dict)
    _interrupts: set[Interrupt] = field(default_factory=set)
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    def stop(self) -> None:
        """Begin nothing new, and end what is under way without a result."""
        self.stopped = True
        self._break_off()

    async def run(self) -> list[AttemptResult]:
        """Make the attempts that have no valid result yet; all results, by task and number.

        Raises UsageProblem.
        """
        check_fit(self.agent, self.tasks)
        self.out.mkdir(parents=True, exist_ok=True)
        lock = _lock(self.out)
        try:
            return await self._all()
        finally:
            os.close(lock)

    async def _all(self) -> list[AttemptResult]:
        about = self._about()
        self._keys = {task.name: about.key(task.name) for task in self.tasks}
        (self.out / "run.json").write_text(about.model_dump_json(indent=1))
        missing = [
            (task, n) for task in self.tasks for n in range(1, self.attempts + 1) if not self._known(task, n)
        ]
        self.over = self.limits.over(self.results)
        if missing and not self.over and not self.stopped:
            await self._make(missing)
        return sorted(self.results, key=lambda each: (each.task, each.number))

    async def _make(self, missing: list[tuple[Task, int]]) -> None:
        room = Room(self.jobs, self.memory)
        executor = self.executor or Here(
            self.agent, self.backend, self.out, self.jobs, self.pauses, self.allowed, self.pace, self.regrade
        )
        async with executor as ready:
            clock = None
            if self.limits.seconds is not None:
                clock = asyncio.get_running_loop().call_later(self.limits.seconds, self._late)
            self._running = {asyncio.create_task(self._one(task, n, room, ready)) for task, n in missing}
            ended = await asyncio.gather(*self._running, return_exceptions=True)
            if clock is not None:
                clock.cancel()
        for each in ended:
            if isinstance(each, BaseException) and not isinstance(each, asyncio.CancelledError):
                raise each

    async def _one(self, task: Task, number: int, room: Room, executor: Executor) -> None:
        async with room.place(task.file.environment.memory_bytes):
            if self.over:
                return
            folder, interrupt = attempt_folder(self.out, task.name, number), Interrupt()
            self._interrupts.add(interrupt)
            try:
                result = await executor.make(task, number, self._keys[task.name], folder, interrupt)
            finally:
                self._interrupts.discard(interrupt)
            await asyncio.to_thread(write_result, folder, result)
            self._note(result)
            self.over = self.over or self.limits.over(self.results)

    def _late(self) -> None:
        self.over = f"{self.limits.seconds:g} s have passed, the run's limit"
        self._break_off()

    def _break_off(self) -> None:
        for each in self._interrupts:
            each.fire()
        for task in self._running:
            task.cancel()

    def _about(self) -> RunFile:
        allowed = self.allowed.model_dump(mode="json") if self.allowed != Allowed() else {}
        return RunFile(
            agent=self.agent.model_dump(mode="json"),
            version=version("bridle"),
            attempts=self.attempts,
            tasks={task.name: task.hash for task in self.tasks},
            kinds={task.name: kind_of(task) for task in self.tasks},
            allowed=allowed,
        )

    def _known(self, task: Task, number: int) -> bool:
        """Whether there is a scored result that is still valid; what any other attempt left is kept aside."""
        folder = attempt_folder(self.out, task.name, number)
        found = read_result(folder)
        if found is not None and found.key == self._keys[task.name] and found.status != "unscored":
            self._note(found)
            return True
        put_aside(folder, OLD)
        return False

    def _note(self, result: AttemptResult) -> None:
        self.results.append(result)
        self.done(result)


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
