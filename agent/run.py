"""One session, from the user's words to a branch.

    reap → take in → sandbox, model → strategy → patch → fresh check → approval → branch → report

Whatever ends it, the work is kept: the patch so far and, when the session can go on, the sandbox's workspace.
"""

from __future__ import annotations

import asyncio
import traceback

from agent import loop
from agent.ending import check_and_deliver, recover_delivery, report, take_patch
from agent.journal import AnyEvent, Delivered, ModelReplied, PatchTaken, UserMessage
from agent.models.protocol import ContextOverflow, ModelError
from agent.opening import begin_conversation, make_work, open_sandbox, reap, strategy_of
from agent.outcomes import Outcome, UsageProblem
from agent.repository.changes import Changes
from agent.session import Report, Session
from agent.strategies import repair
from agent.work import End
from sandboxes.protocol import SandboxError


async def run(session: Session) -> Report:
    """Start a session, or go on with one whose journal has events already.

    An ending is a Report, never an exception. Model and sandbox are gone when this returns.
    """
    changes: Changes | None = None
    branch: Delivered | None = None
    ready = finished_before(session.journal.events)
    if ready is not None and (branch := recover_delivery(session)) is not None:
        return await report(session, ready, None, branch)
    try:
        end = await work_to_the_end(session)
        end, changes = await take_patch(session, end)
        if end.outcome is Outcome.DONE and changes is not None:
            end, branch = await check_and_deliver(session, end, changes)
        return await report(session, end, changes, branch)
    finally:
        if session.model is not None:
            await session.model.close()
        if session.sandbox is not None:
            await session.sandbox.close()


async def work_to_the_end(session: Session) -> End:
    """Prepare and run the strategy; every way it can end becomes an End."""
    try:
        return await session.interrupt.guard(_prepare_and_run(session))
    except ContextOverflow as error:
        return End(Outcome.BUDGET, str(error))
    except ModelError as error:
        return End(Outcome.MODEL_FAILED, str(error))
    except SandboxError as error:
        return End(Outcome.SANDBOX_FAILED, str(error))
    except UsageProblem as error:
        return End(Outcome.USAGE, str(error))
    except asyncio.CancelledError:
        if not session.interrupt.fired:
            raise
        return End(Outcome.INTERRUPTED, "interrupted")
    except Exception as error:  # noqa: BLE001 -- the session's outermost boundary: the work is kept, the error told
        _write_traceback(session, error)
        return End(
            Outcome.INTERNAL_ERROR, f"{type(error).__name__}: {error} (see {session.folder.path}/error.txt)"
        )


async def _prepare_and_run(session: Session) -> End:
    await reap(session)
    ready = finished_before(session.journal.events)
    repairing = strategy_of(session) == "repair"
    sandbox, has_git = await open_sandbox(session, from_base=repairing and ready is None)
    if ready is not None:
        return ready
    work = make_work(session, sandbox)
    if not repairing:
        begin_conversation(session, work, has_git)
    try:
        async with asyncio.timeout(session.settings.max_time) as limit:
            session.approver.limit = limit
            return await (repair.run(work) if repairing else loop.run(work))
    except TimeoutError:
        if not limit.expired():
            raise
        return End(Outcome.BUDGET, f"{session.settings.max_time:g} s have passed, the limit of --max-time")
    finally:
        session.approver.limit = None
        loop.backfill(work)


def _write_traceback(session: Session, error: Exception) -> None:
    text = "".join(traceback.format_exception(error))
    (session.folder.path / "error.txt").write_text(text)


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
