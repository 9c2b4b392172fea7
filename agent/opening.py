"""The beginning of a session: tidy up, take in, open the sandbox, make the model, begin the conversation."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from agent import loop, network
from agent.autonomy.gate import Gate
from agent.autonomy.levels import Level, allowed
from agent.autonomy.own import add_rule, own_file
from agent.autonomy.rulebook import own_rules
from agent.autonomy.rules import Placed, Rule
from agent.checkpoints import Checkpoints, as_checkpoint, held_checkpoints
from agent.checks import PROBE, find_check, import_path, needs_pytest
from agent.constraints import hear, session_rules
from agent.context.conversation import TURN, Conversation
from agent.context.prompts import render
from agent.housekeeping import tidy
from agent.journal import CallFinished, CheckpointMade, ModelRequested, SandboxOpened, SessionResumed, UserMessage
from agent.models.prices import parse_prices
from agent.models.profiles import profile_for
from agent.outcomes import UsageProblem
from agent.plans import AGREED, agreed, planned
from agent.repository.base import Base
from agent.repository.inside import history_bundle
from agent.repository.intake import take_in
from agent.rewinding import complete
from agent.secrets import for_commands, kept_outside
from agent.session import LateModel, Session
from agent.settings import RepositorySettings, repository_settings
from agent.standing import just_rewound, standing, starting_point
from agent.verification import Verification
from agent.work import Work
from agent.workspace import DEFAULT_IMAGE, open_workspace, set_up_git
from sandboxes.pool import Pool
from sandboxes.protocol import (
    AGENT_GID,
    AGENT_UID,
    WORKSPACE,
    Sandbox,
    SandboxError,
    SandboxSpec,
    SandboxUnavailable,
)
from tools.protocol import Workbench
from tools.registry import default_tools

RESUMED = "The session was interrupted and goes on now in a new sandbox. {files} Background processes are gone."
REWOUND = "The user took the session back to this point; it goes on in a new sandbox. {files} Processes are gone."
ALL_BACK = "All files are as they were last saved, those outside the workspace too."
FILES_BACK = "The files of the workspace are as they were last saved."
FILES_LOST = "The files could not be saved: the workspace is as it was at the start, so make your changes again."
NOW = " The autonomy level is {level}. {check}"


async def prepare(session: Session, *, finished: bool) -> Work:
    """Everything up to the first word of the model. `finished`: only checking and delivery are left.

    Raises SandboxError, ModelError, UsageProblem, NetworkDenied, OSError.
    """
    await tidy(session.store, session.backend, session.others, session.watch.note)
    listed = session.settings.reach.mode == "allowlist"
    session.gate = Gate(
        session.settings.autonomy,
        session.approver,
        session.record,
        listed=listed,
        rules=session.rules,
        events=session.journal.events,
        keep=partial(_keep_rule, session),
    )
    session.gate.tighten(session_rules(session.journal.events))
    await hear(session, session.task)
    await network.approve(session)
    suggested = repository_settings(session.repository.root)
    session.image = _image(session, suggested)
    base = session.base = await _take_in(session)
    kept_outside(session.settings.secrets, session.repository.root, base.files.__contains__)
    session.verification = _verification(session, suggested, base)
    session.spares = Pool(session.backend, 1, run_id=f"{session.folder.id}.spare", refill=False)
    files = await _files(session, finished)
    if any(isinstance(event, SandboxOpened) for event in session.journal.events):
        options = session.settings.model_dump(mode="json", exclude_none=True)
        number = files.number if isinstance(files, CheckpointMade) else None
        saved = files is not None
        session.record(
            SessionResumed(version=version("bridle"), options=options, saved_workspace=saved, checkpoint=number)
        )
    sandbox = await _open_sandbox(session, base, files)
    await _probe(session, sandbox)
    work = _make_work(session, sandbox)
    loop.backfill(work)
    await work.checkpoints.make_first("resume" if work.conversation.messages else "task")
    if not finished and strategy_of(session) != "repair":
        has_git = (await sandbox.exec(["git", "--version"])).exit_code == 0
        _begin_conversation(session, work, has_git=has_git, files=files)
    return work


def _keep_rule(session: Session, rule: Rule) -> Placed | None:
    """Write what is always allowed in this repository into the user's state; a failure is told."""
    root = session.repository.root
    try:
        add_rule(root, rule)
        kept = own_rules(root)[-1]
    except (OSError, UsageProblem) as error:
        session.watch.note(f"the rule for this repository could not be kept, so it was a yes for once: {error}")
        return None
    session.watch.note(f"kept in {own_file(root)}: {kept.rule.words()}")
    return kept


def _image(session: Session, suggested: RepositorySettings) -> str:
    """What to open. Raises UsageProblem where the backend has no such thing."""
    image = session.settings.image or suggested.image or DEFAULT_IMAGE
    if session.backend.name == "bubblewrap" and image != "host":
        who = "" if session.settings.image else ", which bridle.toml of the repository names"
        raise UsageProblem(
            f"bubblewrap shows the host's own toolchain and no image such as {image}{who}: give --image host to "
            "work with your toolchain, or --backend docker with an engine that answers"
        )
    return image


async def _files(session: Session, finished: bool) -> CheckpointMade | Path | None:
    """What the sandbox is to hold: all files of a checkpoint, a saved workspace, or None for the base alone."""
    complete(session.folder, session.journal.events)
    if _only_repaired(session, finished):
        return None
    saved = session.folder.workspace if session.folder.workspace.exists() else None
    opened = [e for e in session.journal.events if isinstance(e, SandboxOpened)]
    if not opened or (opened[-1].backend, opened[-1].image) != (session.backend.name, session.image):
        if opened and saved is not None:
            session.watch.note("going on from the saved workspace alone: it was another backend, or another image")
        return saved
    try:
        held = await held_checkpoints(session.backend, session.folder.id, session.journal.events, session.record)
    except SandboxUnavailable:
        raise
    except SandboxError:  # this backend makes none, which is told when the first is due
        return saved
    event = starting_point(session.journal.events)
    if isinstance(event, CheckpointMade) and event.id in {each.id for each in held}:
        return event
    if saved is not None:
        session.watch.note("there is no checkpoint of it any more: going on from the saved workspace alone")
    return saved


def _only_repaired(session: Session, finished: bool) -> bool:
    """Whether the repair strategy starts over: it leaves nothing half done that would be worth going on from."""
    events = standing(session.journal.events)
    worked = any(isinstance(e, ModelRequested) and e.purpose == TURN for e in events)
    return strategy_of(session) == "repair" and not worked and not finished


async def _open_sandbox(session: Session, base: Base, files: CheckpointMade | Path | None) -> Sandbox:
    """Open the sandbox and fill it: with the base, or with what an earlier run left."""
    start = time.monotonic()
    number = sum(isinstance(event, SandboxOpened) for event in session.journal.events)
    spec = sandbox_spec(session, f"{session.folder.id}.w{number}")
    if isinstance(files, CheckpointMade):
        sandbox = await session.backend.open(replace(spec, checkpoint=as_checkpoint(files)))
    elif files is not None:
        sandbox = await open_workspace(session.backend, spec, files, "/")
    else:
        sandbox = await open_workspace(session.backend, spec, session.folder.base_archive, WORKSPACE)
    session.sandbox = sandbox
    if files is None:
        await session.opened(sandbox)
        problem = await set_up_git(sandbox, base, await _bundle(session))
        if problem is not None:
            session.watch.note(problem)
    seconds = round(time.monotonic() - start, 3)
    name, image = session.backend.name, spec.image
    session.record(
        SandboxOpened(
            run_id=spec.run_id,
            name=sandbox.name,
            image=image,
            backend=name,
            seconds=seconds,
            network=str(spec.network),
            runtime=session.settings.runtime or "",
        )
    )
    session.safe = False
    return sandbox


async def _probe(session: Session, sandbox: Sandbox) -> None:
    """A verify command that was found, and not given, has to be one that can run at all."""
    check = session.verification
    if check is None or check.given or not needs_pytest(check.command):
        return
    if (await sandbox.exec(PROBE, timeout=60)).exit_code != 0:
        raise UsageProblem(
            "this looks like a pytest project, but python3 in the sandbox has no pytest: activate the environment "
            "that has it (or make .venv in the repository), or give --verify or --image"
        )


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


def _verification(session: Session, suggested: RepositorySettings, base: Base) -> Verification | None:
    if session.settings.autonomy is Level.PLAN:
        return None
    given = session.settings.verify
    command = given or suggested.verify or find_check(base.text_paths())
    seconds = session.settings.verify_timeout
    return Verification(command, seconds, given=given is not None) if command else None


def sandbox_spec(session: Session, run_id: str) -> SandboxSpec:
    """What kind of sandbox this session works in."""
    paths = session.base.text_paths() if session.base else []
    rules, egress = network.reach(session, run_id)
    return SandboxSpec(
        run_id=run_id,
        image=session.image,
        keeper=str(session.store.root),
        env={"PYTHONPATH": import_path(paths)},
        network=rules,
        egress=egress,
    )


def check_spec(session: Session) -> SandboxSpec:
    """What kind of sandbox the finished patch is checked in; always the same, so that a spare one fits."""
    session.check = session.check or sandbox_spec(session, f"{session.folder.id}.check")
    return session.check


def prepare_check(session: Session) -> None:
    """Begin to open the sandbox that the finished patch will be checked in, while there is other work to do."""
    if session.spares is not None and session.verification is not None:
        session.spares.prepare(check_spec(session))


def strategy_of(session: Session) -> str:
    """The strategy that was asked for, else the one the model's profile says."""
    return session.settings.strategy or profile_for(session.settings.model or "").strategy


def _make_work(session: Session, sandbox: Sandbox) -> Work:
    """What the strategy works with."""
    settings = session.settings
    if session.gate is None:
        raise RuntimeError("the gate is made before the work")
    name = settings.model or ""
    model = session.model = LateModel(name, session.make_model)
    session.checkpoints = Checkpoints(
        session.backend, sandbox, session.folder.id, session.journal.events, session.record, session.watch.note
    )
    return Work(
        task=session.task,
        journal=session.journal,
        conversation=Conversation(session.journal.events),
        model=model,
        profile=profile_for(name),
        prices=parse_prices(settings.price) if settings.price else None,
        tools=default_tools(for_commands(session.secrets, settings.inject)),
        bench=Workbench(sandbox, _last_cwd(session), live=session.watch.output, secrets=session.secrets),
        gate=session.gate,
        budgets=settings.budgets,
        verification=session.verification,
        checkpoints=session.checkpoints,
        planning=settings.autonomy is Level.PLAN,
        watch=session.watch,
        submitted=lambda: prepare_check(session),
        heard=partial(hear, session),
        steering=session.steering,
        want_tokens=settings.tokens,
    )


def _last_cwd(session: Session) -> str:
    """Where the shell was when an earlier run stopped."""
    for event in reversed(standing(session.journal.events)):
        if isinstance(event, CallFinished) and isinstance(cwd := event.facts.get("cwd"), str):
            return cwd
    return WORKSPACE


def _begin_conversation(
    session: Session, work: Work, *, has_git: bool, files: CheckpointMade | Path | None
) -> None:
    """The system prompt and the task; on resume, the last results and what happened."""
    level = session.settings.autonomy
    if work.conversation.messages:
        check = f"When you submit, `{work.check}` has to pass." if work.check else ""
        now = NOW.format(level=level.label, check=check).rstrip()
        back = ALL_BACK if isinstance(files, CheckpointMade) else FILES_BACK if files else FILES_LOST
        words = REWOUND if just_rewound(session.journal.events) else RESUMED
        work.greeting = UserMessage(role="user", text=words.format(files=back) + now)
        plan = planned(standing(session.journal.events)) and level is not Level.PLAN
        if work.left_open() is None:
            work.greet()
        if plan and (text := agreed(session.folder)):
            work.record(UserMessage(role="user", text=AGREED.format(plan=text), by="user", meanwhile=True))
        return
    reach = network.reach_of(session)
    prompt = render(
        "system.md.j2",
        workspace=WORKSPACE,
        has_git=has_git,
        check=work.check,
        level=int(level),
        allowed=", ".join(sorted(allowed(level, listed=reach.mode == "allowlist"))),
        network=reach.mode,
        hosts=reach.listed,
        secrets=for_commands(session.secrets, session.settings.inject),
        inject=[(each.host, each.header) for each in session.settings.inject] if reach.mode == "allowlist" else [],
    )
    work.record(UserMessage(role="system", text=prompt))
    work.record(UserMessage(role="user", text=session.task, by="user"))
