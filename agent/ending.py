"""The end of a session: the patch, the check on exactly that patch, the approval, the branch, the report."""

from __future__ import annotations

import asyncio
import shutil
import time
from importlib.metadata import version
from typing import NamedTuple

from agent import loop
from agent.autonomy.levels import Level
from agent.autonomy.patches import on_changes
from agent.autonomy.pending import pending
from agent.budgets import spent
from agent.checks import in_words
from agent.constraints import hear
from agent.context.data import as_data
from agent.journal import CheckRun, Delivered, PatchTaken, SessionEnded
from agent.opening import check_spec
from agent.outcomes import Outcome, UsageProblem
from agent.plans import plan_file, planned
from agent.repository.changes import Changes, take_out
from agent.repository.delivery import commit_message, deliver, delivered_before, slugify, stored_raw
from agent.repository.flags import flag
from agent.repository.ignored import IgnoreRules
from agent.repository.leaks import leaked
from agent.repository.patch import write_patch, write_result_archive
from agent.repository.stream import PatchProblem
from agent.session import Report, Session
from agent.standing import END, standing
from agent.verification import CheckDenied
from agent.work import End
from agent.workspace import keep_workspace, open_workspace
from sandboxes.protocol import AGENT_GID, AGENT_UID, WORKSPACE, Sandbox, SandboxError, SandboxLost
from tools.protocol import Preview, Workbench
from tools.shell import Shell

GAVE_UP_ASKING = frozenset({Outcome.STUCK, Outcome.BUDGET, Outcome.CHECKS_FAIL})
"""Endings that a refused call may have caused: with a refusal for want of a person, that is the outcome."""

MAX_TOLD = 10
"""Paths that are named when a patch changes what a rule keeps."""


class Judged(NamedTuple):
    """Where the work stands. `remark` is for the model: why its finished patch was not delivered."""

    end: End
    changes: Changes | None = None
    branch: Delivered | None = None
    remark: str | None = None


async def take_patch(session: Session, end: End) -> Changes:
    """The difference so far, kept as `patch.diff`. Raises SandboxError, PatchProblem, UsageProblem, OSError."""
    sandbox, base = session.sandbox, session.base
    if sandbox is None or base is None:
        raise RuntimeError("a session that has worked has a sandbox")
    with IgnoreRules(session.repository) as ignored:
        stream = sandbox.download(WORKSPACE)
        spool = session.folder.path / "changes"
        changes = await take_out(stream, base, session.folder.base_archive, ignored, spool=spool)
    await session.taken(sandbox)
    patch = await asyncio.to_thread(write_patch, changes, session.folder.patch)
    flagged = await asyncio.to_thread(_flags, session, changes)
    session.record(
        PatchTaken(
            outcome=end.outcome,
            detail=end.detail,
            summary=end.summary,
            files=patch.files,
            added=patch.added,
            removed=patch.removed,
            flagged=tuple(flagged),
            skipped=changes.skipped,
        )
    )
    return changes


async def check_and_deliver(session: Session, end: End, changes: Changes) -> Judged:
    """Check exactly the patch in a new sandbox, ask, and put it on a branch."""
    if session.settings.autonomy is Level.PLAN:
        return Judged(end, changes)
    if not changes:
        missing = End(Outcome.CHECKS_FAIL, "submitted without changing anything", end.summary)
        return Judged(missing, changes, remark=f"Not accepted: {missing.detail}. Make the change, then submit.")
    if kept := touched(changes, session):
        missing = End(Outcome.CHECKS_FAIL, f"the patch changes what a rule keeps: {kept}", end.summary)
        return Judged(missing, changes, remark=f"Not accepted: {missing.detail}. Undo that, then submit again.")
    try:
        check = await _fresh_check(session, changes)
    except CheckDenied as denied:
        if denied.quit:
            return Judged(End(Outcome.INTERRUPTED, loop.QUIT, end.summary), changes)
        words = f"the verify command was not allowed to run: {denied}"
        return Judged(End(Outcome.CHECKS_FAIL, words, end.summary), changes)
    if check is not None and not check.passed:
        words = f"{in_words(check)} on the patch alone"
        remark = (
            f"Not accepted: {words}, in a new sandbox that holds the repository and your patch and nothing else. "
            f"Files that git ignores and things you installed are not part of the patch.\n\n"
            f"{as_data(check.output, 'the verify command')}"
        )
        return Judged(End(Outcome.CHECKS_FAIL, words, end.summary), changes, remark=remark)
    return await _deliver(session, end, changes, check)


def touched(changes: Changes, session: Session) -> str:
    """What of the patch a rule refuses, in words; "" if nothing."""
    rules = session.gate.rules if session.gate is not None else ()
    found = [each.sentence for each in on_changes(paths_of(changes), rules) if each.kind == "deny"]
    more = f"; and {len(found) - MAX_TOLD} more" if len(found) > MAX_TOLD else ""
    return "; ".join(found[:MAX_TOLD]) + more


def paths_of(changes: Changes) -> list[tuple[str, bool]]:
    """The paths of a patch, and whether each is deleted."""
    return [(change.path.decode("utf-8", "replace"), change.new is None) for change in changes.changes]


async def _fresh_check(session: Session, changes: Changes) -> CheckRun | None:
    """Run the verify command in a new sandbox that holds the base and the patch, and nothing else."""
    if session.verification is None or session.gate is None:
        return None
    archive = session.folder.path / "result.tar"
    base_archive = session.folder.base_archive
    try:
        await asyncio.to_thread(write_result_archive, base_archive, changes, archive, uid=AGENT_UID, gid=AGENT_GID)
        backend = session.spares or session.backend
        sandbox = await open_workspace(backend, check_spec(session), archive, WORKSPACE)
        try:
            bench = Workbench(sandbox, live=session.watch.output, secrets=session.secrets)
            return await session.verification.run(session.gate, Shell(), bench, session.record, fresh=sandbox)
        finally:
            await sandbox.close()
    finally:
        archive.unlink(missing_ok=True)


async def _deliver(session: Session, end: End, changes: Changes, check: CheckRun | None) -> Judged:
    if session.base is None or session.gate is None:
        raise RuntimeError("a patch has a base, and a gate to pass")
    flags = flag(changes)
    leaks = await asyncio.to_thread(leaked, changes, session.secrets)
    title = session.secrets.mask(title_of(session.task))
    slug = slugify(title)
    verified = in_words(check) if check is not None else "not verified: no verify command is known"
    raw = await asyncio.to_thread(stored_raw, session.repository, changes)
    rules = session.gate.rules
    asked = tuple(found.sentence for found in on_changes(paths_of(changes), rules) if found.kind == "ask")
    warnings = [*leaks, *asked, *(item.text() for item in flags), *raw]
    shown = Preview(
        title=f"put the patch ({len(changes.changes)} changed files) on a new branch, bridle/{slug}",
        diff=session.folder.patch.read_bytes().decode("utf-8", "replace"),
        detail="\n".join([verified, *(f"! {line}" for line in warnings)]),
    )
    guards = tuple(item.guarded for item in flags if item.guarded)
    ruling = await session.gate.review_delivery(shown, insist="; ".join([*leaks, *asked]), guards=guards)
    if ruling.quit:
        return Judged(End(Outcome.INTERRUPTED, loop.QUIT, end.summary), changes)
    if ruling.verdict != "allow":
        refused = End(Outcome.APPROVAL_NEEDED, f"the patch is not delivered: {ruling.reason}", end.summary)
        remark = f"The user does not take the patch: {ruling.said}" if ruling.said else None
        await hear(session, ruling.said)
        return Judged(refused, changes, remark=remark)
    message = commit_message(
        title,
        version=version("bridle"),
        verified=check.command if check is not None else None,
        flags=flags,
        session=session.folder.id,
    )
    # Once begun it is finished: a branch without its record would be delivered twice.
    making = asyncio.create_task(_make_branch(session, changes, slug, message))
    try:
        return Judged(end, changes, await asyncio.shield(making))
    except asyncio.CancelledError:
        return Judged(end, changes, await making)


def _flags(session: Session, changes: Changes) -> list[str]:
    """What deserves a second look, in words."""
    return [*leaked(changes, session.secrets), *(item.text() for item in flag(changes))]


async def _make_branch(session: Session, changes: Changes, slug: str, message: str) -> Delivered:
    if session.base is None:
        raise RuntimeError("a patch has a base")
    archive = session.folder.base_archive
    try:
        done = await asyncio.to_thread(
            deliver, session.repository, session.base, changes, base_archive=archive, slug=slug, message=message
        )
    except PatchProblem as error:
        raise UsageProblem(f"the patch is kept, but cannot be delivered: {error}") from error
    if done.found is not None:
        session.watch.note(f"your uncommitted changes are a commit of their own below it, {done.found[:12]}")
    event = Delivered(branch=done.branch, commit=done.commit)
    session.record(event)
    return event


def title_of(task: str) -> str:
    """The first line of the task that says something."""
    return next(line.strip() for line in task.splitlines() if line.strip())[:200]


async def recover_delivery(session: Session) -> Delivered | None:
    """The delivery of an earlier run that was killed before it could journal it."""
    found = await asyncio.to_thread(delivered_before, session.repository, session.folder.id)
    if found is None:
        return None
    event = Delivered(branch=found.branch, commit=found.commit)
    session.record(event)
    return event


async def report(session: Session, judged: Judged) -> Report:
    """Keep what the session needs to go on, journal its ending, and say how it went."""
    end, changes, branch, _ = judged
    if session.gate is not None and session.gate.needed_approval and end.outcome in GAVE_UP_ASKING:
        end = End(Outcome.APPROVAL_NEEDED, f"{end.detail}; what needed approval was denied", end.summary)
    finished = branch is not None
    plan = plan_file(session.folder) if planned(standing(session.journal.events)) else None
    if plan is not None:
        plan.write_text(f"{session.secrets.mask(end.summary).strip()}\n")
    if finished:
        session.safe = True
        session.folder.workspace.unlink(missing_ok=True)
        session.folder.base_archive.unlink(missing_ok=True)
        if session.checkpoints is not None:
            await session.checkpoints.drop_all()
    elif session.sandbox is not None:
        await _keep(session, session.sandbox)
    ended = SessionEnded(outcome=end.outcome, detail=end.detail, resumable=not finished)
    session.watch.event(session.journal.append(ended, durable=True))
    lines = await asyncio.to_thread(_flags, session, changes) if changes else []
    flagged = tuple(map(session.secrets.mask, lines))
    shutil.rmtree(session.folder.path / "changes", ignore_errors=True)
    return Report(
        session=session.folder.id,
        outcome=end.outcome,
        exit_code=end.outcome.exit_code,
        detail=session.secrets.mask(end.detail),
        backend=session.backend.name,
        summary=session.secrets.mask(end.summary),
        branch=branch.branch if branch else None,
        commit=branch.commit if branch else None,
        files=len(changes.changes) if changes else 0,
        flagged=flagged,
        patch=session.folder.patch if changes else None,
        plan=plan,
        question=next((each.asked.id for each in reversed(pending(session.journal.events))), None),
        resumable=not finished,
        spent=spent(session.journal.events),
        seconds=round(time.monotonic() - session.started, 1),
    )


async def _keep(session: Session, sandbox: Sandbox) -> None:
    """Save the workspace; where that fails the sandbox stays, stopped, for the next start to save."""
    try:
        if session.checkpoints is not None:
            await session.checkpoints.make(END)
        await keep_workspace(sandbox, session.folder.workspace)
        session.safe = True
    except SandboxLost as error:
        session.watch.note(f"the workspace could not be saved ({error}); the patch so far is what is kept")
    except (SandboxError, OSError) as error:
        session.watch.note(f"the workspace could not be saved yet ({error}); the next start tries again")
