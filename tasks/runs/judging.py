"""How an attempt's work ended, and what it is worth: the same for a run and for an environment to learn in.

    fit → the agent's work → the grader's verdict, with what the journal shows → judged

What fails on the way is data, too: infrastructure is an ending, a grader that cannot work a problem, and neither
is a verdict.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from pathlib import Path

from agent.journal import AnyEvent, JournalDamaged, SandboxOpened, read_events
from agent.outcomes import Outcome, UsageProblem
from agent.repository.stream import PatchProblem
from sandboxes.protocol import Backend, SandboxError, SandboxUnavailable
from tasks.agents.work import Agent, Attempt, Ended, work
from tasks.environments.health import healthy
from tasks.environments.hidden import own_packages
from tasks.environments.needs import missing_programs
from tasks.environments.prepare import Prepared
from tasks.grading.grade import Grade, GraderProblem, grade
from tasks.grading.mining import mined
from tasks.grading.watching import unseen, watched

INFRASTRUCTURE = frozenset({Outcome.MODEL_FAILED, Outcome.SANDBOX_FAILED, Outcome.INTERNAL_ERROR})
"""Endings that say nothing of the agent."""


class Lacking(SandboxUnavailable):
    """The sandbox does not have `programs`, which the task needs."""

    def __init__(self, image: str, programs: list[str]) -> None:
        super().__init__(f"the sandbox of {image} has no {', '.join(programs)}, which the task needs")
        self.programs = tuple(programs)


@dataclass(frozen=True, slots=True)
class Judged:
    """An ending, and its grade: none where the infrastructure failed, or the grader could not work (`problem`)."""

    ended: Ended
    grade: Grade | None = None
    problem: str = ""
    lacks: tuple[str, ...] = ()


BEGUN = Judged(Ended(outcome=Outcome.DONE, detail="nothing was begun"))


async def fit(agent: Agent, prepared: Prepared, backend: Backend, keeper: Path) -> None:
    """See that the task can be worked on here, and judged. Raises Lacking, SandboxError, GraderProblem."""
    said, network = prepared.task.bridle.forbidden, prepared.spec("suite.work", keeper).network
    all_networks = network.mode == "full" and not agent.options  # a command with a model reaches that alone
    if hidden := unseen(said, own_loop=agent.own_loop, all_networks=all_networks):
        raise GraderProblem(
            f"{prepared.task.name} forbids effects that cannot be seen of an agent with a loop of its own "
            f"({', '.join(hidden)}), so it is not scored with this one"
        )
    if lacks := await missing_programs(prepared, backend, keeper):
        raise Lacking(prepared.image, lacks)
    await healthy(prepared, prepared.task.healthchecks, backend, keeper)


async def worked(agent: Agent, attempt: Attempt) -> Judged:
    """Let the agent work, without a grade. Raises UsageProblem for a setting with which nothing can begin."""
    return await settled(BEGUN, _work(agent, attempt))


async def _work(agent: Agent, attempt: Attempt) -> Judged:
    ended = await work(agent, attempt)
    check_begun(ended, attempt)
    return Judged(ended)


def check_begun(ended: Ended, attempt: Attempt) -> None:
    """Raises UsageProblem where a session could not begin; what it cannot do later is no wrong setting."""
    if ended.outcome is Outcome.USAGE and not _opened(attempt.journal):
        raise UsageProblem(f"{attempt.prepared.task.name}: {ended.detail}")


async def judge(so: Judged, attempt: Attempt, backend: Backend, keeper: Path) -> Judged:
    """What the work came to, with its grade where it can have one; a task with steps has its own already."""
    if so.grade or so.problem or so.ended.outcome in INFRASTRUCTURE or attempt.prepared.task.file.steps:
        return so
    return await settled(so, _graded(so, attempt, backend, keeper))


async def _graded(so: Judged, attempt: Attempt, backend: Backend, keeper: Path) -> Judged:
    return replace(so, grade=await score(attempt.prepared, attempt.patch, attempt.journal, backend, keeper))


async def score(prepared: Prepared, patch: Path, journal: Path, backend: Backend, keeper: Path) -> Grade:
    """The grade of a patch with what the journal of the work shows. Raises GraderProblem, SandboxError."""
    found = await grade(prepared, patch, backend, keeper)
    task, events = prepared.task, _events(journal)
    looked = mined(events, own_packages(prepared.base.text_paths()), task.category)
    return watched(found.model_copy(update={"flags": (*found.flags, *looked)}), events, task)


async def settled(so: Judged, part: Awaitable[Judged]) -> Judged:
    """What a part of an attempt came to, whatever failed in it; `so` is how things stood before."""
    try:
        return await part
    except PatchProblem as error:
        ended = Ended(outcome=Outcome.CHECKS_FAIL, detail=f"the changes cannot be taken out: {error}")
        return Judged(ended, Grade(verdict="fail", reward=0.0, applied=False, detail=ended.detail))
    except GraderProblem as error:
        return replace(so, problem=str(error))
    except SandboxError as error:
        lacks = error.programs if isinstance(error, Lacking) else ()
        return Judged(Ended(outcome=Outcome.SANDBOX_FAILED, detail=str(error)), lacks=lacks)


def _events(journal: Path) -> list[AnyEvent]:
    """The events that a verdict rests on. Raises GraderProblem where there are none to be read."""
    try:
        return read_events(journal)
    except (FileNotFoundError, JournalDamaged) as error:
        raise GraderProblem(
            f"the journal {journal} cannot be read, so nobody knows what was done: {error}"
        ) from error


def _opened(journal: Path) -> bool:
    """Whether a session got as far as its sandbox."""
    return journal.is_file() and any(isinstance(each, SandboxOpened) for each in _events(journal))
