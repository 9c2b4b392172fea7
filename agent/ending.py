"""The end of a session: the patch, the check on exactly that patch, the approval, the branch, the report."""

from __future__ import annotations

import asyncio
import shutil
import time
from importlib.metadata import version

from agent.autonomy.gate import Gate
from agent.autonomy.levels import Level
from agent.budgets import spent
from agent.checks import in_words, run_check
from agent.journal import CheckRun, Delivered, PatchTaken, SessionEnded
from agent.opening import sandbox_spec
from agent.outcomes import Outcome, UsageProblem
from agent.repository.changes import Changes, take_out
from agent.repository.delivery import commit_message, deliver, delivered_before, slugify, stored_raw
from agent.repository.flags import flag
from agent.repository.ignored import IgnoreRules
from agent.repository.patch import write_patch, write_result_archive
from agent.repository.stream import PatchProblem
from agent.session import Report, Session
from agent.work import End
from agent.workspace import keep_workspace, open_workspace
from sandboxes.protocol import AGENT_GID, AGENT_UID, WORKSPACE, SandboxError
from tools.protocol import Preview

GAVE_UP_ASKING = frozenset({Outcome.STUCK, Outcome.BUDGET, Outcome.CHECKS_FAIL})
"""Endings that a refused call may have caused: with a refusal for want of a person, that is the outcome."""


async def take_patch(session: Session, end: End) -> tuple[End, Changes | None]:
    """The difference so far, kept as `patch.diff`; None when there is no sandbox to take it from."""
    sandbox, base = session.sandbox, session.base
    if sandbox is None or base is None:
        return end, None
    try:
        with IgnoreRules(session.repository) as ignored:
            stream = sandbox.download(WORKSPACE)
            spool = session.folder.path / "changes"
            changes = await take_out(stream, base, session.folder.base_archive, ignored, spool=spool)
        patch = await asyncio.to_thread(write_patch, changes, session.folder.patch)
    except PatchProblem as error:
        return _worse(end, Outcome.CHECKS_FAIL, f"the changes cannot be taken out: {error}"), None
    except SandboxError as error:
        return _worse(end, Outcome.SANDBOX_FAILED, f"the changes cannot be taken out: {error}"), None
    session.record(
        PatchTaken(
            outcome=end.outcome,
            detail=end.detail,
            summary=end.summary,
            files=patch.files,
            added=patch.added,
            removed=patch.removed,
            flagged=tuple(item.text() for item in flag(changes)),
            skipped=changes.skipped,
        )
    )
    return end, changes


async def check_and_deliver(session: Session, end: End, changes: Changes) -> tuple[End, Delivered | None]:
    """Check exactly the patch in a new sandbox, ask, and put it on a branch."""
    if session.settings.autonomy is Level.PLAN:
        return end, None
    if not changes:
        return End(Outcome.CHECKS_FAIL, "submitted without changing anything", end.summary), None
    try:
        check = await session.interrupt.guard(_fresh_check(session, changes))
    except SandboxError as error:
        return End(Outcome.SANDBOX_FAILED, str(error), end.summary), None
    except asyncio.CancelledError:
        return _interrupted(session, end), None
    if check is not None and not check.passed:
        words = (
            f"{in_words(check)} on the patch alone; does it need files that git ignores, or something installed?"
        )
        return End(Outcome.CHECKS_FAIL, words, end.summary), None
    return await _deliver(session, end, changes, check)


async def _fresh_check(session: Session, changes: Changes) -> CheckRun | None:
    """Run the verify command in a new sandbox that holds the base and the patch, and nothing else."""
    if session.check is None or session.base is None:
        return None
    archive = session.folder.path / "result.tar"
    try:
        await asyncio.to_thread(
            write_result_archive, session.folder.base_archive, changes, archive, uid=AGENT_UID, gid=AGENT_GID
        )
        spec = sandbox_spec(session, f"{session.folder.id}.check")
        sandbox = await open_workspace(session.backend, spec, archive, WORKSPACE)
        try:
            limit = session.settings.verify_timeout
            event = await run_check(sandbox, session.check, limit=limit, fresh=True)
        finally:
            await sandbox.close()
    finally:
        archive.unlink(missing_ok=True)
    session.record(event)
    return event


async def _deliver(
    session: Session, end: End, changes: Changes, check: CheckRun | None
) -> tuple[End, Delivered | None]:
    if session.base is None:
        raise RuntimeError("a patch has a base")
    flags = flag(changes)
    slug = slugify(title_of(session.task))
    verified = in_words(check) if check is not None else "not verified: no verify command is known"
    warnings = [*(item.text() for item in flags), *stored_raw(session.repository, changes)]
    shown = Preview(
        title=f"put the patch ({len(changes.changes)} changed files) on the new branch bridle/{slug}",
        diff=session.folder.patch.read_bytes().decode("utf-8", "replace"),
        detail="\n".join([verified, *(f"! {line}" for line in warnings)]),
    )
    gate = session.gate or Gate(session.settings.autonomy, session.approver, session.record)
    session.gate = gate
    try:
        ruling = await session.interrupt.guard(gate.review_delivery(shown))
    except asyncio.CancelledError:
        return _interrupted(session, end), None
    if ruling.quit:
        return End(Outcome.INTERRUPTED, "you ended the session at a question", end.summary), None
    if ruling.verdict != "allow":
        return End(Outcome.APPROVAL_NEEDED, f"the patch is not delivered: {ruling.reason}", end.summary), None
    message = commit_message(
        title_of(session.task),
        version=version("bridle"),
        verified=check.command if check is not None else None,
        flags=flags,
        session=session.folder.id,
    )
    archive = session.folder.base_archive
    try:
        done = await asyncio.to_thread(
            deliver, session.repository, session.base, changes, base_archive=archive, slug=slug, message=message
        )
    except (PatchProblem, UsageProblem) as error:
        return End(Outcome.USAGE, f"the patch is kept, but not delivered: {error}", end.summary), None
    event = Delivered(branch=done.branch, commit=done.commit)
    session.record(event)
    return end, event


def title_of(task: str) -> str:
    """The first line of the task that says something."""
    return next(line.strip() for line in task.splitlines() if line.strip())[:200]


def recover_delivery(session: Session) -> Delivered | None:
    """The delivery of an earlier run that was killed before it could journal it."""
    found = delivered_before(session.repository, session.folder.id)
    if found is None:
        return None
    event = Delivered(branch=found.branch, commit=found.commit)
    session.record(event)
    return event


async def report(session: Session, end: End, changes: Changes | None, branch: Delivered | None) -> Report:
    """Keep what the session needs to go on, journal its ending, and say how it went."""
    if session.gate is not None and session.gate.needed_approval and end.outcome in GAVE_UP_ASKING:
        end = End(Outcome.APPROVAL_NEEDED, f"{end.detail}; calls that needed approval were denied", end.summary)
    finished = branch is not None or (end.outcome is Outcome.DONE and session.settings.autonomy is Level.PLAN)
    resumable = not finished and session.base is not None
    if finished:
        session.folder.workspace.unlink(missing_ok=True)
        session.folder.base_archive.unlink(missing_ok=True)
    elif session.sandbox is not None:
        await _keep(session)
    session.journal.append(
        ended := SessionEnded(outcome=end.outcome, detail=end.detail, resumable=resumable), durable=True
    )
    session.watch.event(ended)
    flagged = tuple(item.text() for item in flag(changes)) if changes else ()
    shutil.rmtree(session.folder.path / "changes", ignore_errors=True)
    has_patch = bool(changes)
    return Report(
        session=session.folder.id,
        outcome=end.outcome,
        exit_code=end.outcome.exit_code,
        detail=end.detail,
        summary=end.summary,
        branch=branch.branch if branch else None,
        commit=branch.commit if branch else None,
        files=len(changes.changes) if changes else 0,
        flagged=flagged,
        patch=session.folder.patch if has_patch else None,
        resumable=resumable,
        spent=spent(session.journal.events),
        seconds=round(time.monotonic() - session.started, 1),
    )


async def _keep(session: Session) -> None:
    if session.sandbox is None:
        return
    try:
        await keep_workspace(session.sandbox, session.folder.workspace)
    except (SandboxError, OSError) as error:
        session.watch.note(f"the workspace could not be saved ({error}); the patch so far is what is kept")


def _worse(end: End, outcome: Outcome, detail: str) -> End:
    """A failure to take the patch ends a session that was done; other endings keep their own reason."""
    return End(outcome, detail, end.summary) if end.outcome is Outcome.DONE else end


def _interrupted(session: Session, end: End) -> End:
    if not session.interrupt.fired:
        raise asyncio.CancelledError
    return End(
        Outcome.INTERRUPTED,
        "interrupted; the patch is finished, and resuming goes on with its delivery",
        end.summary,
    )
