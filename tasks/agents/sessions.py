"""An agent that is a session of Bridle's, on the task's repository."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

from agent.autonomy.approvers.compose import compose
from agent.autonomy.levels import Level
from agent.journal import AnyEvent
from agent.models.select import make_model
from agent.run import run as run_session
from agent.session import PatientApprover, Session, start_event
from agent.settings import Settings
from agent.store import Store, open_journal
from sandboxes.network.rules import Network
from sandboxes.protocol import WORKSPACE
from sandboxes.secrets import Secrets
from tasks.agents.pacing import PacedModel
from tasks.agents.work import Agent, Attempt, Ended
from tasks.environments import outside
from tasks.environments.hidden import Hiding
from tasks.environments.prepare import Prepared


class _Silent:
    """Nobody follows an attempt as it happens; its journal has it all."""

    def event(self, event: AnyEvent) -> None:
        """See Watcher."""

    def text(self, piece: str) -> None:
        """See Watcher."""

    def output(self, piece: bytes) -> None:
        """See Watcher."""

    def note(self, line: str) -> None:
        """See Watcher."""


def _network(network: Network) -> dict[str, Any]:
    """A network as the settings of a session have it; nothing for none, which is what they begin with."""
    if network.mode == "none":
        return {}
    return {"network": network.mode, "allow_hosts": tuple(map(str, network.hosts))}


def _told(prepared: Prepared) -> str:
    """The instruction, and what the task calls the folder that a session knows as the workspace."""
    words, workdir = prepared.task.instruction, prepared.workdir
    if workdir == WORKSPACE:
        return words
    same = "the task's commands run there" if workdir == "/" else f"it is the same folder as {WORKSPACE}"
    return f"{words}\n\n(The working folder of this task is {workdir}: {same}.)"


async def work_in_session(agent: Agent, attempt: Attempt) -> Ended:
    """A session of Bridle's on the task's repository, without anybody to ask."""
    prepared, task = attempt.prepared, attempt.prepared.task
    level = task.bridle.autonomy if task.bridle.autonomy is not None else Level.FULL
    limit = task.file.agent.timeout_sec
    options = {"autonomy": int(level), "image": prepared.image, **agent.options}
    if task.bridle.verify is not None:
        options.setdefault("verify", task.bridle.verify)
    options |= _network(prepared.spec("suite.work", attempt.state).network)
    options["max_time"] = min(float(options.get("max_time", limit)), limit)
    settings = Settings(**options)
    ask = attempt.model or (lambda: make_model(settings.model or "", base_url=settings.base_url))
    store, watch, told = Store(attempt.state), _Silent(), _told(prepared)
    folder = store.create()
    lock = folder.lock()
    journal = open_journal(folder, prepared.allowed.secrets())  # in the sandbox, and so never given to one command
    journal.append(start_event(folder, settings, told, prepared.repository), durable=True)

    def record(event: AnyEvent) -> None:
        journal.append(event)

    chain = compose(settings, folder.path, journal.events, record, watch.note, may_ask=False)
    session = Session(
        folder=folder,
        journal=journal,
        settings=settings,
        task=told,
        repository=prepared.repository,
        store=store,
        backend=Hiding(attempt.backend, prepared.spec("suite.work", attempt.state)),
        approver=PatientApprover(chain),
        watch=watch,
        make_model=lambda: PacedModel(ask(), attempt.pace),
        secrets=Secrets(),
        interrupt=attempt.interrupt,
        let_go=chain.close,
        taken=lambda sandbox: outside.take(prepared, sandbox, attempt.outside),
        opened=lambda sandbox: outside.fill(prepared, sandbox),
    )
    try:
        report = await run_session(session)
        if session.checkpoints is not None:
            await session.checkpoints.drop_all()
    finally:
        journal.close()
        await asyncio.to_thread(_keep, folder.path, attempt)
        os.close(lock)
    return Ended(outcome=report.outcome, detail=report.detail, spent=report.spent)


def _keep(session: Path, attempt: Attempt) -> None:
    """Move the session's record into the attempt's folder; the rest of the session goes."""
    attempt.patch.unlink(missing_ok=True)
    for name in ("journal.jsonl", "journal.head", "patch.diff", "error.txt"):
        if (session / name).is_file():
            shutil.copyfile(session / name, attempt.folder / name)
    if not attempt.patch.exists():
        attempt.patch.write_bytes(b"")
    shutil.rmtree(session, ignore_errors=True)
