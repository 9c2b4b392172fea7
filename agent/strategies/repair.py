"""`repair`: reproduce → localise → propose → verify → again, each model call small.

    run the check → where does it fail → ask for that one function, corrected → write it → run the check
                          ↑                                                                    │
                          └───────── put the file back, ask differently, hotter ───────────────┘

For models too weak to drive tools. The harness does all the work around the one thing they can do: rewrite a
short function. Tests are never edited, every write and every run passes the gate, and a proposal that did not
pass leaves no trace, however the session ends.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.autonomy.answers import ApprovalNeeded
from agent.autonomy.levels import Level
from agent.checks import in_words
from agent.journal import AttemptMade, CheckRun
from agent.loop import QUIT
from agent.models.protocol import Request, ToolCall
from agent.outcomes import Outcome
from agent.strategies.failure import Failure, first_failure, is_pytest
from agent.strategies.localise import Project, Target, find_targets, source_of_test
from agent.strategies.prompts import Style, ask_for_function, whole_answer
from agent.strategies.splice import Unusable, corrected
from agent.verification import CheckDenied
from agent.work import End, Work
from sandboxes.protocol import WORKSPACE, FileError, Sandbox
from tools.protocol import Arguments
from tools.text import one_line

MAX_ATTEMPTS = 16
"""Proposals that are asked for before giving up."""
MAX_CODE = 9000
"""Characters of the longest function that is asked about; more does not fit a small context twice."""
FIRST_TEMPERATURE, LAST_TEMPERATURE, STEP = 0.2, 0.9, 0.1
ORDER = (0, 0, 0, 1, 0, 0, 1, 2, 0, 1, 0, 2, 3, 0, 1, 0)
"""Which target each attempt is about, by suspicion: mostly the first, sometimes the others."""
STYLES: tuple[Style, ...] = ("test", "fix", "free", "wish")
"""How each attempt is asked for, in turn."""
DETAILED = {"PYTEST_ADDOPTS": "-x --tb=long --color=no", "COLUMNS": "160"}
"""Makes pytest, however it is called, print the one failure that is shown to the model."""


class _Stop(Exception):
    """The strategy is over, before its attempts are."""

    def __init__(self, end: End) -> None:
        super().__init__(end.detail)
        self.end = end


class Case(NamedTuple):
    """What is known about the failure."""

    failure: Failure
    test: str
    targets: list[Target]
    project: Project


@dataclass(slots=True)
class Tries:
    """What has been tried. `dull` counts answers in a row that were the same as before, or unusable."""

    number: int = 0
    dull: int = 0
    seen: set[str] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)

    @property
    def temperature(self) -> float:
        """Rises with each attempt, faster while the answers are dull."""
        return round(min(LAST_TEMPERATURE, FIRST_TEMPERATURE + STEP * (self.number - 1 + self.dull)), 2)


async def run(work: Work, *, seed: int = 1) -> End:
    """Propose corrections until the check passes. The first attempt samples with `seed`, the next with the next.

    Raises ModelError, SandboxError and CancelledError; the files are then as they were.
    """
    if work.gate.level is Level.PLAN:
        return End(Outcome.USAGE, "the repair strategy changes files, which --autonomy plan forbids: raise it")
    try:
        check = await _verify(work)
        if check.passed:
            problem = f"`{check.command}` passes already, so there is nothing to repair from"
            return End(Outcome.USAGE, f"{problem}: give --verify a command that fails because of the issue")
        case = await _study(work, check)
        if not case.targets:
            last = one_line(next(iter(check.output.strip().splitlines()[-1:]), "(no output)"))
            return End(
                Outcome.CHECKS_FAIL, f"{in_words(check)}, which leads to no function of the project: {last}"
            )
        return await _attempts(work, case, seed)
    except _Stop as stop:
        return stop.end


async def _attempts(work: Work, case: Case, seed: int) -> End:
    tries = Tries()
    for number in range(1, MAX_ATTEMPTS + 1):
        if over := work.over_budget():
            return End(Outcome.BUDGET, f"the budget is used up: {over}")
        tries.number = number
        target = case.targets[ORDER[(number - 1) % len(ORDER)] % len(case.targets)]
        temperature = tries.temperature
        check, problem = await _attempt(work, case, target, tries, seed + number - 1)
        passed = check is not None and check.passed
        work.record(
            AttemptMade(
                number=number,
                path=target.path,
                target=target.function.name,
                temperature=temperature,
                problem=problem,
                passed=passed,
            )
        )
        if check is not None and check.passed:
            summary = f"Corrected `{target.function.name}` in {target.path} (proposal {number})."
            return End(Outcome.DONE, in_words(check), summary)
    return End(Outcome.CHECKS_FAIL, f"none of {MAX_ATTEMPTS} proposals makes `{work.check}` pass")


async def _attempt(work: Work, case: Case, target: Target, tries: Tries, seed: int) -> tuple[CheckRun | None, str]:
    """One proposal: the check on it, when it was worth one, and what was wrong with it, in words."""
    source = await case.project.text(target.path)
    if source is None:
        raise RuntimeError("a target's file has been read")
    issue = "\n".join([work.task, *tries.remarks])
    style = STYLES[(tries.number - 1) % len(STYLES)]
    messages, begun = ask_for_function(target, case.failure.text, issue, case.test, style)
    request = Request(
        messages=messages,
        temperature=tries.temperature,
        seed=seed,
        max_output_tokens=len(target.function.code) // 2 + 256,
        stop=("\n```",) if begun else ("\n```\n",),
    )
    reply = await work.ask(request, purpose="repair")
    try:
        answer = whole_answer(begun, reply.text)
        text = await asyncio.to_thread(corrected, source, target.function, answer, case.project.modules())
    except Unusable as problem:
        tries.dull += 1
        return None, str(problem)
    if text in tries.seen:
        tries.dull += 1
        return None, "the same as an earlier proposal"
    tries.dull = 0
    tries.seen.add(text)
    check = await _try(work, target.path, text, tries)
    if check is None:
        return None, "not allowed"
    return check, "" if check.passed else in_words(check)


async def _try(work: Work, path: str, text: str, tries: Tries) -> CheckRun | None:
    """Write a proposal and run the check; the file stays changed only if it passes. None: it was not allowed."""
    args = await _may_write(work, {"path": path, "content": text}, tries)
    if args is None:
        return None
    place = await work.bench.sandbox.resolve(f"{WORKSPACE}/{path}")
    before = await work.bench.sandbox.read(place)
    keep = False
    try:
        done = await work.tools["write"].run(args, work.bench)
        if not done.ok:
            raise _Stop(End(Outcome.CHECKS_FAIL, f"a proposal cannot be written: {done.text}"))
        check = await _verify(work)
        keep = check.passed
        return check
    finally:
        if not keep:
            await _put_back(work.bench.sandbox, place, before)


async def _put_back(sandbox: Sandbox, place: str, data: bytes) -> None:
    """Restore a file, whatever else happens: a cancellation waits until it is done.

    Raises _Stop when what ran has put a link in its place: what it had must not be written elsewhere.
    """
    writing = asyncio.ensure_future(sandbox.write(place, data, follow=False))
    try:
        await asyncio.shield(writing)
    except FileError as error:
        if error.problem != "bad_path":
            raise
        text = f"the check replaced {one_line(place)} by a link, so that it could not be put back"
        raise _Stop(End(Outcome.CHECKS_FAIL, text)) from error
    except asyncio.CancelledError:
        await writing
        raise


async def _verify(work: Work) -> CheckRun:
    """Run the check. Raises _Stop when it may not run."""
    try:
        check = await work.verify()
    except CheckDenied as denied:
        if denied.quit:
            raise _Stop(End(Outcome.INTERRUPTED, QUIT)) from denied
        words = f"`{work.check}` was not allowed to run, and nothing else can verify: {denied}"
        raise _Stop(End(Outcome.CHECKS_FAIL, words)) from denied
    if check is None:
        raise _Stop(
            End(Outcome.USAGE, "the repair strategy works from a command that fails: give one with --verify")
        )
    return check


async def _may_write(work: Work, arguments: dict[str, str], tries: Tries) -> Arguments | None:
    """The write that the gate allows; None after a person's no, whose reason the model is told.

    Raises _Stop when the person quit, or when there is nobody to ask.
    """
    tool = work.tools["write"]
    args = tool.arguments.model_validate(arguments)
    asked = ToolCall(id=f"proposal-{tries.number}", name=tool.name, arguments=json.dumps(arguments))
    ruling = await work.gate.review(asked, tool, args, work.bench)
    if ruling.quit:
        raise _Stop(End(Outcome.INTERRUPTED, QUIT))
    if ruling.verdict == "allow":
        return tool.arguments.model_validate(ruling.arguments)
    if ruling.stop:
        raise ApprovalNeeded(ruling.stop, ruling.summary)
    if work.gate.needed_approval:
        raise _Stop(End(Outcome.CHECKS_FAIL, f"`{work.check}` does not pass yet, and going on needed a yes"))
    tries.remarks.append(f"Not like this: {ruling.reason}")
    return None


async def _study(work: Work, check: CheckRun) -> Case:
    """Find out where it fails: pytest is run once more for a full account of the first failure alone."""
    output = check.output
    sandbox = work.bench.sandbox
    if is_pytest(output) and (verification := work.verification) is not None:
        command = [sandbox.shell, "-c", check.command]
        again = await sandbox.exec(command, env=DETAILED, timeout=verification.seconds)
        output = again.output.text() if again.ending == "exited" and again.exit_code else output
    failure = first_failure(output, WORKSPACE)
    project = await Project.open(sandbox)
    targets = [t for t in await find_targets(project, failure) if len(t.function.code) <= MAX_CODE]
    return Case(failure, await source_of_test(project, failure), targets, project)
