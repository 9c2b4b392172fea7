"""The beginning of a session: reap, take in, open the sandbox, make the model, begin the conversation."""

from __future__ import annotations

import asyncio
import time
from importlib.metadata import version
from pathlib import Path

from agent import loop
from agent.autonomy.gate import Gate
from agent.autonomy.levels import ALLOWED, Level
from agent.checks import find_check, import_path
from agent.context.conversation import Conversation
from agent.context.prompts import render
from agent.journal import CallFinished, SandboxOpened, SessionResumed, UserMessage
from agent.models.prices import parse_prices
from agent.models.profiles import profile_for
from agent.repository.base import Base
from agent.repository.inside import history_bundle
from agent.repository.intake import take_in
from agent.session import Session
from agent.work import Work
from agent.workspace import DEFAULT_IMAGE, open_workspace, set_up_git
from sandboxes.protocol import AGENT_GID, AGENT_UID, WORKSPACE, Sandbox, SandboxSpec
from tools.protocol import Workbench
from tools.registry import default_tools

RESUMED = "The session was interrupted and goes on now in a new sandbox. {files} Background processes are gone."
FILES_BACK = "The files of the workspace are as they were."
FILES_LOST = "The files could not be saved: the workspace is as it was at the start, so make your changes again."


async def reap(session: Session) -> None:
    """Remove what dead owners left; the work of their sessions is saved into the sessions' folders."""
    for gone in await session.backend.reap(session.store.save_to):
        kept = "; its work is kept" if gone.saved else ""
        session.watch.note(f"removed sandbox {gone.name}, whose owner is dead{kept}")


async def open_sandbox(session: Session, *, from_base: bool) -> tuple[Sandbox, bool]:
    """Open the sandbox and fill it: with the base, or what an earlier run left. The flag says if it has git."""
    start = time.monotonic()
    base = session.base = await _take_in(session)
    session.check = _find_check(session, base)
    resuming = any(isinstance(event, SandboxOpened) for event in session.journal.events)
    saved = session.folder.workspace.exists() and not from_base
    if resuming:
        options = session.settings.model_dump(mode="json", exclude_none=True)
        session.record(SessionResumed(version=version("bridle"), options=options, saved_workspace=saved))
    number = sum(isinstance(event, SandboxOpened) for event in session.journal.events)
    spec = sandbox_spec(session, f"{session.folder.id}.w{number}")
    if saved:
        sandbox = session.sandbox = await open_workspace(session.backend, spec, session.folder.workspace, "/")
    else:
        sandbox = session.sandbox = await open_workspace(
            session.backend, spec, session.folder.base_archive, WORKSPACE
        )
        bundle = await _bundle(session)
        problem = await set_up_git(sandbox, base, bundle)
        if problem is not None:
            session.watch.note(problem)
    seconds = round(time.monotonic() - start, 3)
    session.record(
        SandboxOpened(
            run_id=spec.run_id, name=sandbox.name, image=spec.image, backend=session.backend.name, seconds=seconds
        )
    )
    return sandbox, (await sandbox.exec(["git", "--version"])).exit_code == 0


async def _take_in(session: Session) -> Base:
    folder = session.folder
    if folder.base_manifest.exists():
        return Base.model_validate_json(folder.base_manifest.read_bytes())
    base = await asyncio.to_thread(take_in, session.repository, folder.base_archive, uid=AGENT_UID, gid=AGENT_GID)
    part = folder.base_manifest.with_suffix(".part")
    part.write_text(base.model_dump_json())
    part.replace(folder.base_manifest)
    for note in base.notes:
        session.watch.note(note)
    return base


async def _bundle(session: Session) -> Path | None:
    if not session.settings.history:
        return None
    target = session.folder.path / "history.bundle"
    await asyncio.to_thread(history_bundle, session.repository, target)
    return target


def _find_check(session: Session, base: Base) -> str | None:
    if session.settings.autonomy is Level.PLAN:
        return None
    return session.settings.verify or find_check(session.repository.root, base.text_paths())


def sandbox_spec(session: Session, run_id: str) -> SandboxSpec:
    """What kind of sandbox this session works in."""
    paths = session.base.text_paths() if session.base else []
    return SandboxSpec(
        run_id=run_id, image=session.settings.image or DEFAULT_IMAGE, env={"PYTHONPATH": import_path(paths)}
    )


def strategy_of(session: Session) -> str:
    """The strategy that was asked for, else the one the model's profile says."""
    return session.settings.strategy or profile_for(session.settings.model or "").strategy


def make_work(session: Session, sandbox: Sandbox) -> Work:
    """What the strategy works with."""
    settings = session.settings
    name = settings.model or ""
    if session.model is None:
        raise RuntimeError("a session with work to do has a model")
    gate = session.gate = Gate(settings.autonomy, session.approver, session.record)
    return Work(
        task=session.task,
        journal=session.journal,
        conversation=Conversation(session.journal.events),
        model=session.model,
        profile=profile_for(name),
        prices=parse_prices(settings.price) if settings.price else None,
        tools=default_tools(),
        bench=Workbench(sandbox, _last_cwd(session)),
        gate=gate,
        budgets=settings.budgets,
        check=session.check,
        check_seconds=settings.verify_timeout,
        watch=session.watch,
    )


def _last_cwd(session: Session) -> str:
    """Where the shell was when an earlier run stopped."""
    for event in reversed(session.journal.events):
        if isinstance(event, CallFinished) and isinstance(cwd := event.facts.get("cwd"), str):
            return cwd
    return WORKSPACE


def begin_conversation(session: Session, work: Work, has_git: bool) -> None:
    """The system prompt and the task; on resume, the last results and what happened."""
    loop.backfill(work)
    if work.conversation.messages:
        files = FILES_BACK if session.folder.workspace.exists() else FILES_LOST
        work.record(UserMessage(role="user", text=RESUMED.format(files=files)))
        return
    level = session.settings.autonomy
    prompt = render(
        "system.md.j2",
        workspace=WORKSPACE,
        has_git=has_git,
        check=session.check,
        level=int(level),
        allowed=", ".join(sorted(ALLOWED[level])),
    )
    work.record(UserMessage(role="system", text=prompt))
    work.record(UserMessage(role="user", text=session.task, by="user"))
