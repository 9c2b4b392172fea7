"""Agents that are a script or a command line: run in a sandbox of the task, and what they changed is taken."""

from __future__ import annotations

import asyncio
import shutil
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from agent.budgets import Spent
from agent.journal import (
    CallFinished,
    CallStarted,
    Journal,
    PatchTaken,
    SandboxOpened,
    SessionEnded,
    SessionStarted,
)
from agent.models.protocol import ModelError
from agent.network import recorded
from agent.outcomes import Outcome, UsageProblem
from agent.repository.changes import take_out
from agent.repository.ignored import IgnoreRules
from agent.repository.patch import write_patch
from agent.settings import Settings
from agent.workspace import open_workspace, set_up_git
from sandboxes.network.outside import Egress, News
from sandboxes.network.rules import Network
from sandboxes.protocol import WORKSPACE, Backend, Sandbox, SandboxSpec
from tasks.agents.pacing import Pace
from tasks.agents.work import Agent, Attempt, Ended
from tasks.environments import outside
from tools.protocol import Effect

if TYPE_CHECKING:
    from tasks.agents.gateway import Gateway

MAX_OUTPUT = 32768
_PLACE = "/tmp/task"  # noqa: S108 -- inside


async def work_by_script(agent: Agent, attempt: Attempt) -> Ended:
    """Run the agent's script, its command or the task's solution. Raises SandboxError, PatchProblem."""
    with _journal(attempt, agent) as journal:
        if agent.kind == "nop":
            attempt.patch.write_bytes(b"")
            ended = Ended(outcome=Outcome.DONE, detail="did nothing")
        else:
            try:
                ended = await _in_sandbox(agent, attempt, journal)
            except ModelError as error:
                ended = Ended(outcome=Outcome.MODEL_FAILED, detail=str(error))
        journal.append(SessionEnded(outcome=ended.outcome, detail=ended.detail, resumable=False), durable=True)
    return ended


def _journal(attempt: Attempt, agent: Agent) -> Journal:
    for left in (attempt.journal, attempt.journal.with_suffix(".head")):
        left.unlink(missing_ok=True)  # of a try that is made again
    journal = Journal(attempt.journal, attempt.prepared.allowed.secrets())
    task = attempt.prepared.task
    journal.append(
        SessionStarted(
            session=f"{task.name}/{attempt.folder.name}",
            version=version("bridle"),
            task=task.instruction,
            repository=str(attempt.prepared.repository.root),
            options={"agent": agent.kind},
        )
    )
    return journal


async def _in_sandbox(agent: Agent, attempt: Attempt, journal: Journal) -> Ended:
    """Run a script or a command line in a sandbox of the task, then take what it changed."""
    prepared, task = attempt.prepared, attempt.prepared.task
    async with (
        _model(agent, journal, attempt.pace) as gateway,
        _sandbox(agent, attempt, journal, gateway) as sandbox,
    ):
        argv = await _argv(agent, attempt, sandbox)
        said = _script(agent) or (" ".join(argv) if agent.kind == "command" else f"the {agent.kind} solution")
        journal.append(CallStarted(call="agent", tool="shell", arguments=said))
        env = {"BRIDLE_TASK": f"{_PLACE}/instruction.md", **(gateway.environment if gateway else {})}
        if agent.kind in ("oracle", "wrong"):
            table = f"{task.folder / 'task.toml'}: solution.env"
            env |= prepared.allowed.filled(table, task.file.solution.env)
            env["BRIDLE_SOLUTION"] = f"{_PLACE}/solution/solve.sh"
        limit = task.file.agent.timeout_sec
        result = await sandbox.exec(argv, cwd=prepared.workdir, env=env, timeout=limit, max_output=MAX_OUTPUT)
        facts = {"exit_code": result.exit_code, "ending": result.ending}
        journal.append(
            CallFinished(
                call="agent",
                tool="shell",
                ok=result.exit_code == 0,
                text=result.output.text(),
                facts=facts,
                seconds=round(result.seconds, 3),
            )
        )
        await sandbox.stop()
        stream = sandbox.download(WORKSPACE)
        with IgnoreRules(prepared.repository) as rules:
            spool = attempt.folder / "changes"
            ignored = (
                rules if prepared.made is None else _nothing
            )  # an image's folder is no repository to its task
            changes = await take_out(stream, prepared.base, prepared.archive, ignored, spool=spool)
        patch = await asyncio.to_thread(write_patch, changes, attempt.patch)
        await outside.take(prepared, sandbox, attempt.outside)
        shutil.rmtree(spool, ignore_errors=True)
        outcome, detail = Outcome.DONE, f"exit code {result.exit_code}"
        if result.ending == "timeout":
            outcome, detail = Outcome.BUDGET, f"{limit:g} s have passed, the task's limit"
        elif gateway is not None:
            outcome, detail = await _ended(gateway, detail)
        journal.append(
            PatchTaken(outcome=outcome, detail=detail, files=patch.files, added=patch.added, removed=patch.removed)
        )
    return Ended(outcome=outcome, detail=detail, spent=gateway.spent if gateway else Spent())


async def _ended(gateway: Gateway, detail: str) -> tuple[Outcome, str]:
    """How the work of a command with a model ended; `detail` says how the command did."""
    if gateway.over:
        return Outcome.BUDGET, f"the budget is used up: {gateway.over}"
    await gateway.settle()
    match gateway.last.kind:
        case "answered":
            return Outcome.DONE, detail
        case "too_long":
            return Outcome.BUDGET, gateway.last.words
        case "refused":
            return Outcome.DONE, f"{detail}; the last request was refused: {gateway.last.words}"
        case "failed":
            return Outcome.MODEL_FAILED, gateway.last.words


def _nothing(_: bytes) -> bool:
    """Nothing is ignored."""
    return False


@asynccontextmanager
async def _model(agent: Agent, journal: Journal, pace: Pace) -> AsyncIterator[Gateway | None]:
    """The model of a command that is given one."""
    if not agent.options:
        yield None
        return
    from tasks.agents.gateway import gateway_for  # with the client of a service, which takes a second to import

    async with gateway_for(Settings(**agent.options), journal, pace) as gateway:
        yield gateway


@asynccontextmanager
async def _sandbox(
    agent: Agent, attempt: Attempt, journal: Journal, gateway: Gateway | None
) -> AsyncIterator[Sandbox]:
    prepared = attempt.prepared
    spec, source = _reach(agent, attempt, journal, gateway)
    sandbox = await open_workspace(source, spec, prepared.archive, WORKSPACE)
    try:
        journal.append(
            SandboxOpened(
                run_id=spec.run_id,
                name=sandbox.name,
                image=spec.image,
                backend=attempt.pool.name,
                seconds=0.0,
                network=str(spec.network),
            )
        )
        await set_up_git(sandbox, prepared.base, None)
        await outside.fill(prepared, sandbox)
        yield sandbox
    finally:
        await sandbox.close()


def _reach(
    agent: Agent, attempt: Attempt, journal: Journal, gateway: Gateway | None
) -> tuple[SandboxSpec, Backend]:
    """What the agent's sandbox reaches, and where it comes from; what is asked for there is journalled.

    Where the task forbids the network, its sandbox has a way out that leads nowhere: so it shows who tries.
    """
    spec = attempt.prepared.spec("suite.work", attempt.state)
    network, egress = (gateway.network, gateway.egress) if gateway else (spec.network, Egress())
    forbidden = Effect.NETWORK in attempt.prepared.task.bridle.forbidden.effects
    if agent.own_loop and forbidden and network.mode == "none":
        network = Network("allowlist")
    if network.mode != "allowlist":
        return spec, attempt.pool
    egress = replace(egress, on_news=partial(_record, journal, spec.run_id, tuple(egress.served)))
    return replace(spec, network=network, egress=egress), attempt.backend


def _record(journal: Journal, run_id: str, own: tuple[str, ...], news: News) -> None:
    """Journal what was asked of the way out, but not the requests to the model, which are turns there."""
    if news.host.lower() not in own and not isinstance(journal.events[-1], SessionEnded):
        journal.append(recorded(run_id, news))


async def _argv(agent: Agent, attempt: Attempt, sandbox: Sandbox) -> list[str]:
    """The command to run, with what it needs brought in."""
    task = attempt.prepared.task
    await sandbox.write(f"{_PLACE}/instruction.md", task.instruction.encode())
    if agent.kind == "command":
        return [sandbox.shell, "-c", agent.command]
    if script := _script(agent):
        await sandbox.write(f"{_PLACE}/script.sh", script.encode())
        return [sandbox.shell, f"{_PLACE}/script.sh"]
    if task.solution is None:
        raise UsageProblem(f"{task.folder}/solution/solve.sh: there is none, so the oracle cannot work")
    kit = attempt.folder / "solution.tar"
    with tarfile.open(kit, "w") as tar:
        tar.add(task.solution.parent, "solution")
    try:
        await sandbox.upload(kit, _PLACE)
    finally:
        kit.unlink()
    if agent.kind == "wrong":
        await sandbox.write(f"{_PLACE}/script.sh", task.wrong[agent.number].read_bytes())
        return [sandbox.shell, f"{_PLACE}/script.sh"]
    return [sandbox.shell, f"{_PLACE}/solution/solve.sh"]


def _script(agent: Agent) -> str:
    """The text of an agent that is a script; else nothing."""
    if agent.kind == "cheats":
        return agent.scripts[agent.number][1]
    return agent.command if agent.kind == "script" else ""
