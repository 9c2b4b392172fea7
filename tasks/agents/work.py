"""The agents that a suite can be run with. Each leaves a patch and a journal in the attempt's folder.

    oracle            the task's own solution
    nop               does nothing
    script:FILE       a shell script of yours, run in the sandbox (a cheat, for example)
    cheat:NAME        a script that tries to be graded as if it had solved the task; `cheats` is all of them
    command:LINE      a command line, run in the sandbox; BRIDLE_TASK names the file with the instruction
    bridle            a session of Bridle's, with any model, strategy and level
    wrong             one of the task's own wrong solutions (for `bridle suite check`)

Threat model: whatever an agent did in its sandbox is its own affair. Its processes are stopped before its files
are taken, through the backend, as delivery takes them; nothing else of the sandbox is used.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tarfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from agent.autonomy.approvers.compose import compose
from agent.autonomy.levels import Level
from agent.budgets import Spent
from agent.journal import (
    AnyEvent,
    CallFinished,
    CallStarted,
    Journal,
    PatchTaken,
    SandboxOpened,
    SessionEnded,
    SessionStarted,
)
from agent.models.profiles import profile_for
from agent.models.protocol import Model, ModelError
from agent.models.select import default_model_name, make_model
from agent.outcomes import Outcome, UsageProblem
from agent.repository.changes import take_out
from agent.repository.ignored import IgnoreRules
from agent.repository.patch import write_patch
from agent.run import run as run_session
from agent.session import Interrupt, PatientApprover, Session, start_event
from agent.settings import Settings, load
from agent.store import Store, open_journal
from agent.workspace import open_workspace, set_up_git
from sandboxes.network.rules import Network
from sandboxes.protocol import WORKSPACE, Backend, Sandbox
from sandboxes.secrets import Secrets
from tasks.agents.cheats import cheat, cheats
from tasks.agents.gateway import Gateway, gateway_for
from tasks.agents.pacing import Pace, PacedModel
from tasks.environments import outside
from tasks.environments.hidden import Hiding
from tasks.environments.prepare import Prepared
from tasks.format.task import Task

MAX_OUTPUT = 32768
_PLACE = "/tmp/task"  # noqa: S108 -- inside
_OF_A_MODEL = {"model", "base_url", "price", "max_steps", "max_tokens", "max_cost"}
"""Settings that a command takes: its requests go to that model, within those limits."""
Kind = Literal["oracle", "nop", "script", "command", "bridle", "wrong", "cheats"]


class Agent(BaseModel):
    """Which agent, and everything about it that its results depend on."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    command: str = ""
    options: dict[str, Any] = {}
    number: int = 0
    """Which of a task's wrong solutions, or of the cheats."""
    scripts: tuple[tuple[str, str], ...] = ()
    """The cheats, by name: each attempt is made by the next one."""

    @property
    def name(self) -> str:
        """What reports call it."""
        said = self.command.split()[0] if self.kind == "command" else ""
        return " ".join(filter(None, (self.kind, said, str(self.options.get("model", "")))))

    def of_attempt(self, number: int) -> Agent:
        """Who makes the attempt with that number, counted from 1: with several scripts, each the next."""
        return self.model_copy(update={"number": (number - 1) % len(self.scripts)}) if self.scripts else self


class Ended(BaseModel):
    """How an agent's work ended."""

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    detail: str
    spent: Spent = Spent()


@dataclass(slots=True)
class Attempt:
    """What an agent works with: a task made ready, a folder of its own, and where sandboxes come from.

    `pool` hands out sandboxes for scripts; a session's own come from `backend`, and its state is below `state`.
    """

    prepared: Prepared
    folder: Path
    state: Path
    backend: Backend
    pool: Backend
    interrupt: Interrupt = field(default_factory=Interrupt)
    model: Callable[[], Model] | None = None
    """What makes the model, where that is not one that the agent's settings name."""
    pace: Pace = field(default_factory=Pace)
    """How often the model may be asked, by all attempts that share it."""

    @property
    def patch(self) -> Path:
        """What was delivered."""
        return self.folder / "patch.diff"

    @property
    def outside(self) -> Path:
        """What was changed outside the workspace, where that is graded, too."""
        return self.folder / "outside.tar"

    @property
    def journal(self) -> Path:
        """What happened."""
        return self.folder / "journal.jsonl"


def parse_agent(text: str, options: dict[str, Any]) -> Agent:
    """The agent called `text`; `options` are settings of sessions. Raises UsageProblem."""
    kind, _, rest = text.partition(":")
    given = {name: value for name, value in options.items() if value is not None}
    if kind == "bridle" and not rest:
        said = _settings(given)
        if "autonomy" not in given:
            said.pop("autonomy")  # then a task may name its own
        return Agent(kind="bridle", options=said)
    if kind == "command" and rest and given.keys() <= _OF_A_MODEL:
        return Agent(kind="command", command=rest, options=_settings(given) if given else {})
    if given:
        raise UsageProblem(f"--{min(given.keys()).replace('_', '-')} is for --agent bridle, and not for {text}")
    if kind in ("oracle", "nop") and not rest:
        return Agent(kind="oracle" if kind == "oracle" else "nop")
    if text == "cheats":
        return Agent(kind="cheats", scripts=tuple(cheats().items()))
    if kind == "cheat" and rest:
        return Agent(kind="cheats", scripts=((rest, cheat(rest)),))
    if kind == "script" and rest:
        try:
            return Agent(kind="script", command=Path(rest).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageProblem(f"the script {rest} cannot be read: {error}") from error
    raise UsageProblem(f"no agent {text!r}: give oracle, nop, bridle, command:LINE, script:FILE or cheats")


def check_fit(agent: Agent, tasks: Iterable[Task]) -> None:
    """Whether the agent can work on all of these tasks at all. Raises UsageProblem, which names one that does not
    fit, and the way out.
    """
    if agent.kind != "bridle" or agent.options.get("verify"):
        return
    model = str(agent.options.get("model", ""))
    strategy = agent.options.get("strategy") or profile_for(model).strategy
    without = [task.name for task in tasks if task.bridle.verify is None]
    if strategy == "repair" and without:
        raise UsageProblem(
            f"the strategy repair, which is the model {model}'s own, works from a command that fails, and "
            f"{without[0]} names none in bridle.verify: choose tasks that do, or give --strategy loop"
        )


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    """The settings that results depend on, the model's name among them. Raises UsageProblem."""
    settings = load(given)
    model = settings.model or default_model_name()
    make_model(model, base_url=settings.base_url)  # a wrong name or a missing key shows before the run begins
    return settings.model_copy(update={"model": model}).model_dump(mode="json", exclude_none=True)


async def work(agent: Agent, attempt: Attempt) -> Ended:
    """Let the agent work on the task. Raises SandboxError where no sandbox could be had, PatchProblem."""
    if agent.kind == "bridle":
        return await _session(agent, attempt)
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
    journal = Journal(attempt.journal)
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
    async with _model(agent, journal, attempt.pace) as gateway, _sandbox(attempt, journal, gateway) as sandbox:
        argv = await _argv(agent, attempt, sandbox)
        said = _script(agent) or (" ".join(argv) if agent.kind == "command" else f"the {agent.kind} solution")
        journal.append(CallStarted(call="agent", tool="shell", arguments=said[:MAX_OUTPUT]))
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
        elif gateway and gateway.over:
            outcome, detail = Outcome.BUDGET, f"the budget is used up: {gateway.over}"
        elif gateway and gateway.problem:
            outcome, detail = Outcome.MODEL_FAILED, gateway.problem
        journal.append(
            PatchTaken(outcome=outcome, detail=detail, files=patch.files, added=patch.added, removed=patch.removed)
        )
    return Ended(outcome=outcome, detail=detail, spent=gateway.spent if gateway else Spent())


def _nothing(_: bytes) -> bool:
    """Nothing is ignored."""
    return False


@asynccontextmanager
async def _model(agent: Agent, journal: Journal, pace: Pace) -> AsyncIterator[Gateway | None]:
    """The model of a command that is given one."""
    if not agent.options:
        yield None
        return
    async with gateway_for(Settings(**agent.options), journal, pace) as gateway:
        yield gateway


@asynccontextmanager
async def _sandbox(attempt: Attempt, journal: Journal, gateway: Gateway | None) -> AsyncIterator[Sandbox]:
    prepared = attempt.prepared
    spec, source = prepared.spec("suite.work", attempt.state), attempt.pool
    if gateway is not None:
        spec, source = replace(spec, network=gateway.network, egress=gateway.egress), attempt.backend
    sandbox = await open_workspace(source, spec, prepared.archive, WORKSPACE)
    try:
        journal.append(
            SandboxOpened(
                run_id=spec.run_id, name=sandbox.name, image=spec.image, backend=attempt.pool.name, seconds=0.0
            )
        )
        await set_up_git(sandbox, prepared.base, None)
        await outside.fill(prepared, sandbox)
        yield sandbox
    finally:
        await sandbox.close()


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


async def _session(agent: Agent, attempt: Attempt) -> Ended:
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
    journal = open_journal(folder)
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
