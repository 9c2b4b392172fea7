"""A task as an environment to learn in: `reset`, `step`, `reward`.

    reset() → the first request → step(reply) → the next request … → done → reward()

The policy takes the model's place in an ordinary session: the same loop, tools, gate, budgets and journal, and the
same judgement as in a run of the suite (tasks/runs/judging.py), what the task forbids included. So what is learned
here is what the harness does, and an episode's journal can be exported, explained and audited like any other.

Threat model: the policy's replies are a model's, and as untrusted as any.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.models.protocol import Message, ModelError, Reply, Request, ToolSpec
from agent.outcomes import Outcome, UsageProblem
from sandboxes.protocol import Backend
from tasks.agents.work import Agent, Attempt
from tasks.environments.allowed import Allowed
from tasks.environments.prepare import Prepared, prepare
from tasks.format.task import Task
from tasks.grading.grade import Grade
from tasks.runs.judging import Judged, fit, judge, worked

NAME = "policy"
"""What the model of an episode is called in its journal."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a step led to: the whole conversation, of which the last `new` messages came since the last reply.

    When `done`, there is nothing more to answer: `outcome` says how the session ended.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    new: int
    done: bool
    outcome: Outcome | None = None
    detail: str = ""


class TaskEnvironment:
    """One task, in episodes one after the other; an async context manager. Side by side, each has its folder.

    `settings` are those of a session: `autonomy`, `max_steps`, `max_tokens`, and so on. Time counts as in any
    session, the policy's thinking included: the task's `agent.timeout_sec` is its limit.
    """

    def __init__(
        self, task: Task, backend: Backend, folder: Path, *, allowed: Allowed | None = None, **settings: Any
    ) -> None:
        """`folder` is for the episodes' journals and patches; what is in it from an earlier one is removed.

        `allowed` is what of the world outside the task may have, by default nothing.
        """
        self._task, self._backend, self._folder = task, backend, folder
        settings = {"strategy": "loop", **settings, "model": NAME}
        self._agent = Agent(kind="bridle", options=settings)
        self._allowed = allowed or Allowed()
        self._prepared: Prepared | None = None
        self._attempt: Attempt | None = None
        self._policy = _Policy()
        self._session: asyncio.Task[Judged] | None = None
        self._seen = 0
        self._judged: Judged | None = None

    async def reset(self) -> Step:
        """Begin an episode; one under way is given up.

        Raises UsageProblem; SandboxError, also where the sandbox is not what the task needs.
        """
        if self._task.file.steps:
            raise UsageProblem(f"{self._task.name} has steps, and an episode is one session: choose another task")
        await self._give_up()
        if self._prepared is None:
            self._prepared = await asyncio.to_thread(prepare, self._task, self._folder / "task", self._allowed)
        place = self._folder / "episode"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        self._policy, self._seen, self._judged = _Policy(), 0, None
        await fit(self._agent, self._prepared, self._backend, self._keeper)
        self._attempt = Attempt(
            self._prepared, place, self._keeper, self._backend, self._backend, model=lambda: self._policy
        )
        self._session = asyncio.create_task(worked(self._agent, self._attempt))
        return await self._next()

    async def step(self, reply: Reply) -> Step:
        """Answer the last request. Raises RuntimeError where there is none: before `reset`, or after `done`."""
        if self._session is None or not self._policy.asked:
            raise RuntimeError("there is nothing to answer: call reset() first, and no step() after done")
        self._policy.answer(reply)
        return await self._next()

    async def reward(self) -> float | None:
        """What the episode's work is worth, as a run of the suite would have it; None where that has no verdict.

        Before `done`, the work so far is what is graded, and the episode is over. Raises RuntimeError before
        `reset`.
        """
        if self._session is None or self._attempt is None:
            raise RuntimeError("there is nothing to grade: call reset() first")
        if self._judged is None or self._judged.grade is None:
            self._judged = await judge(await self._end(), self._attempt, self._backend, self._keeper)
        return self.grade.reward if self.grade else None

    @property
    def grade(self) -> Grade | None:
        """All that the grader found, after `reward`."""
        return self._judged.grade if self._judged else None

    @property
    def _keeper(self) -> Path:
        return self._folder / "state"

    @property
    def journal(self) -> Path:
        """The last episode's journal, there once it is over."""
        return self._folder / "episode" / "journal.jsonl"

    async def close(self) -> None:
        """End what is under way; safe to repeat."""
        await self._give_up()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _next(self) -> Step:
        """Wait until the session asks, or ends."""
        session = self._session
        assert session is not None
        asking = asyncio.create_task(self._policy.requested.wait())
        try:
            await asyncio.wait({asking, session}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asking.cancel()
        request = self._policy.request
        if self._policy.asked and request is not None:
            new, self._seen = len(request.messages) - self._seen, len(request.messages) + 1
            return Step(request.messages, request.tools, new, done=False)
        ended = (await session).ended
        last = (request.messages, request.tools) if request is not None else ((), ())
        return Step(*last, 0, done=True, outcome=ended.outcome, detail=ended.detail)

    async def _end(self) -> Judged:
        """The session's end; one that waits for the policy is interrupted, and its work kept."""
        assert self._session is not None
        assert self._attempt is not None
        if not self._session.done():
            self._attempt.interrupt.fire()
        return await self._session

    async def _give_up(self) -> None:
        if self._session is not None:
            with suppress(UsageProblem):  # a session that could not begin, as was told when it did not
                await self._end()
            self._session = None


class _Policy:
    """The model of an episode: each request waits for an answer from outside."""

    def __init__(self) -> None:
        self.request: Request | None = None
        self.requested = asyncio.Event()
        self._answer: asyncio.Future[Reply] | None = None

    @property
    def name(self) -> str:
        """See Model."""
        return NAME

    @property
    def asked(self) -> bool:
        """Whether a request waits."""
        return self._answer is not None and not self._answer.done()

    async def complete(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        """See Model."""
        self.request, self._answer = request, asyncio.get_running_loop().create_future()
        self.requested.set()
        reply = await self._answer
        if on_text and reply.text:
            on_text(reply.text)
        return reply

    def answer(self, reply: Reply) -> None:
        """Answer the request that waits."""
        if self._answer is None or self._answer.done():
            raise ModelError("no request waits for an answer")
        self.requested.clear()
        self._answer.set_result(reply)

    async def close(self) -> None:
        """See Model."""
