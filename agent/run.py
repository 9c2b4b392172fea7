"""One session, from the user's words to a branch.

    reap → take in → sandbox, model → strategy → patch → fresh check → approval → branch → report
                                         ↑                      │           │
                                         └── what was wrong ────┴───────────┘

Whatever ends it, the work is kept: the patch so far and, when the session can go on, the sandbox's workspace. The
sandbox is removed only once the work is delivered or saved; otherwise it is stopped, and the next start saves it.
"""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Coroutine
from typing import Any, TypeVar

from agent import loop
from agent.autonomy.answers import ApprovalNeeded
from agent.constraints import UserQuit
from agent.ending import Judged, check_and_deliver, recover_delivery, report, take_patch
from agent.journal import AnyEvent, ModelReplied, PatchTaken, UserMessage
from agent.models.protocol import ContextOverflow, ModelError
from agent.network import NetworkDenied
from agent.opening import prepare, prepare_check, strategy_of
from agent.outcomes import Outcome, UsageProblem
from agent.plans import planned
from agent.repository.stream import PatchProblem
from agent.session import Report, Session
from agent.standing import standing
from agent.strategies import repair
from agent.work import End, Work
from sandboxes.protocol import SandboxError

MAX_ROUNDS = 4
"""How often the model is told why its finished patch was not delivered, before that ends the session."""
T = TypeVar("T")


async def run(session: Session) -> Report:
    """Start a session, or go on with one whose journal has events already.

    An ending is a Report, never an exception. Model and sandbox are gone when this returns.
    """
    try:
        judged = await _to_the_end(session)
        return await report(session, judged)
    finally:
        await _close(session)


async def _to_the_end(session: Session) -> Judged:
    """Work until the patch is delivered, or something ends it."""
    events = standing(session.journal.events)
    ready = None if planned(events) else finished_before(events)
    if ready is not None:
        found = await _bounded(session, recover_delivery(session))
        if isinstance(found, End):
            return Judged(found)
        if found is not None:
            return Judged(ready, branch=found)
    work = await _bounded(session, prepare(session, finished=ready is not None))
    if isinstance(work, End):
        return Judged(work)
    for _ in range(MAX_ROUNDS):
        end = await _bounded(session, _strategy(session, work)) if ready is None else ready
        ready = None
        loop.backfill(work)
        judged = await _judge(session, end)
        if judged.remark is None:
            return judged
        await _bounded(session, work.checkpoints.make("remark"))
        work.record(UserMessage(role="user", text=judged.remark))
        if strategy_of(session) == "repair":
            return judged
    return judged


async def _judge(session: Session, end: End) -> Judged:
    """Take the patch, whatever the end, and deliver it if the work is done."""
    if end.outcome is Outcome.DONE:
        prepare_check(session)
    # Not interruptible: taking the patch is what keeps the work.
    taken = await _bounded(session, take_patch(session, end), guarded=False)
    if isinstance(taken, End):
        return Judged(taken if end.outcome is Outcome.DONE else end)
    if end.outcome is not Outcome.DONE:
        return Judged(end, taken)
    judged = await _bounded(session, check_and_deliver(session, end, taken))
    return Judged(judged, taken) if isinstance(judged, End) else judged


async def _strategy(session: Session, work: Work) -> End:
    try:
        async with asyncio.timeout(session.settings.max_time) as limit:
            session.approver.limit = limit
            return await (repair.run(work) if strategy_of(session) == "repair" else loop.run(work))
    except TimeoutError:
        if not limit.expired():
            raise
        return End(Outcome.BUDGET, f"{session.settings.max_time:g} s have passed, the limit of --max-time")
    finally:
        session.approver.limit = None


async def _bounded(session: Session, part: Coroutine[Any, Any, T], *, guarded: bool = True) -> T | End:
    """Await a part of the session; every way it can fail becomes an End."""
    try:
        return await (session.interrupt.guard(part) if guarded else part)
    except ContextOverflow as error:
        return End(Outcome.BUDGET, str(error))
    except ModelError as error:
        return End(Outcome.MODEL_FAILED, str(error))
    except SandboxError as error:
        return End(Outcome.SANDBOX_FAILED, str(error))
    except NetworkDenied as error:
        if error.quit:
            return End(Outcome.INTERRUPTED, loop.QUIT)
        return End(Outcome.APPROVAL_NEEDED, f"the sandbox is not opened to the whole network: {error}")
    except UserQuit:
        return End(Outcome.INTERRUPTED, loop.QUIT)
    except ApprovalNeeded as error:
        return End(Outcome.APPROVAL_NEEDED, str(error), error.summary)
    except PatchProblem as error:
        return End(Outcome.CHECKS_FAIL, f"the changes cannot be taken out: {error}")
    except UsageProblem as error:
        return End(Outcome.USAGE, str(error))
    except asyncio.CancelledError:
        if not session.interrupt.fired:
            raise
        return End(Outcome.INTERRUPTED, "interrupted")
    except Exception as error:  # noqa: BLE001 -- the session's outermost boundary: the work is kept, the error told
        text = session.secrets.mask("".join(traceback.format_exception(error)))
        with contextlib.suppress(OSError):  # the disk may be what failed; the sentence below still says so
            (session.folder.path / "error.txt").write_text(text)
        return End(
            Outcome.INTERNAL_ERROR, f"{type(error).__name__}: {error} (see {session.folder.path}/error.txt)"
        )


async def _close(session: Session) -> None:
    """Let go of the model and the sandbox. A sandbox whose work is not safe yet is only stopped."""
    try:
        await session.let_go()
        if session.model is not None:
            await session.model.close()
        if session.spares is not None:
            await session.spares.close()
    finally:
        if (sandbox := session.sandbox) is not None:
            try:
                await (sandbox.close() if session.safe else sandbox.stop())
            except SandboxError as error:
                session.watch.note(f"the sandbox could not be ended: {error}")


def finished_before(events: list[AnyEvent]) -> End | None:
    """How the work ended, when an earlier run finished it and only checking and delivery are left."""
    end = None
    for event in events:
        if isinstance(event, PatchTaken):
            done = event.outcome is Outcome.DONE
            end = End(event.outcome, event.detail, event.summary) if done else None
        elif isinstance(event, ModelReplied | UserMessage):
            end = None
    return end
