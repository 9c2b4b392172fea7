"""The open-ended agent: the whole idea of a harness, on one page.

    task → conversation → model → tool calls → gate → tool → sandbox → result → journal → conversation …

Every step is journalled before it takes effect, so a session can be stopped anywhere and gone on with.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from agent.autonomy.answers import ApprovalNeeded
from agent.autonomy.cases import described_call
from agent.autonomy.gate import Ruling
from agent.autonomy.pending import pending
from agent.checks import in_words
from agent.context.data import as_data
from agent.journal import CallFinished, CallStarted, CheckpointMade, UserMessage
from agent.models.protocol import Reply, ToolCall
from agent.outcomes import Outcome
from agent.repetition import Repetition
from agent.standing import standing
from agent.steering import Interrupted
from agent.verification import CheckDenied
from agent.work import End, Work
from tools.protocol import Arguments, Effect, Tool, ToolResult
from tools.registry import describe
from tools.text import one_line

MAX_SILENT_TURNS = 3
"""Turns without a tool call before the session counts as stuck."""
MAX_CHANGED = 2000
"""Characters of a changed call's arguments that the model is told."""
MAX_WORDS = 120
"""Characters of a call in the list of checkpoints."""
MAX_REFUSED_SUBMITS = 4
"""Submissions that fail the checks before the session ends with them failing."""
NUDGE = "You made no tool call. Work with the tools; when the work is done, call `submit`."
QUIT = "you ended the session at a question"
WRITTEN_NUDGE = (
    "You wrote a tool call as text, and text is not run: nothing was done. Make the call itself, through function "
    "calling, and say no more than that. When the work is done, call `submit`."
)
CUT_NUDGE = (
    "Your answer was cut off at the output limit. Make smaller calls: edit parts of files, not whole files."
)
_WRITTEN_CALL = re.compile(r"<(?:tool_call|tools?|function)\b|\"arguments\"\s*:")
"""How models without function calling of their own write what they would call."""
INTERRUPTED = (
    "No result: the session was interrupted during this call. It may have happened in part, or not at all."
)
NOT_BEGUN = "Not run: the session was interrupted before this call began."
BY_THE_USER = (
    "The user interrupted this call: it was ended where it was. It may have happened in part, or not at all."
)
WHILE_SAVING = "Not run: the user interrupted this call while the files were saved that it could have destroyed."
SAID_MEANWHILE = (
    "Not run: the user interrupted or said something meanwhile. Go by that; make the call again if it fits."
)
NOT_ALONE = (
    "`submit` was not run: it came with other calls in the same turn. They were run; read their results, then "
    "call `submit` alone."
)


async def run(work: Work) -> End:
    """Let the model work until it submits and the checks pass, or something else ends it.

    Raises ModelError, SandboxLost, ApprovalNeeded and CancelledError; calls left open then are the caller's to
    `backfill`.
    """
    silent = refused = 0
    repetition = Repetition()
    reply = work.left_open()  # calls that waited for an answer when an earlier run stopped
    while True:
        if reply is None:
            if over := work.over_budget():
                return End(Outcome.BUDGET, f"the budget is used up: {over}")
            reply = await _turn(work)
            if reply is None:
                continue
        if not reply.calls:
            if await work.listen():
                reply = None
                continue
            silent += 1
            if silent >= MAX_SILENT_TURNS:
                return End(Outcome.STUCK, f"the model answered {silent} times without calling a tool", reply.text)
            work.record(UserMessage(role="user", text=_nudge(reply)))
            reply = None
            continue
        silent = 0
        work.gate.begin_turn(reply.calls)
        submitted: ToolResult | None = None
        for number, call in enumerate(reply.calls):
            if number and work.steering.waiting:
                _finish(work, call, ToolResult(SAID_MEANWHILE, ok=False), None)
                continue
            result, quit_now = await carry_out(work, call, alone=work.conversation.calls == 1)
            if quit_now:
                return End(Outcome.INTERRUPTED, QUIT)
            if stuck := repetition.stuck(call, result):
                return End(Outcome.STUCK, stuck)
            submitted = result if result.submitted else submitted
        work.greet()
        reply = None
        if await work.listen():
            continue
        if submitted is not None:
            end = await _judge(work, str(submitted.facts.get("summary") or ""))
            refused += 1
            if end is not None:
                return end
            if refused >= MAX_REFUSED_SUBMITS:
                return End(Outcome.CHECKS_FAIL, f"submitted {refused} times, and the checks never passed")


async def _turn(work: Work) -> Reply | None:
    """The model's next turn; None when the user interrupted it, and has said what to say."""
    try:
        return await work.steering.guard(work.turn())
    except Interrupted:
        await work.listen()
        return None


async def carry_out(work: Work, call: ToolCall, *, alone: bool = True) -> tuple[ToolResult, bool]:
    """One call, from the model's text to a journalled result; the flag says that the person quit."""
    parsed = parse(work.tools, call) if alone or call.name != "submit" else ToolResult(NOT_ALONE, ok=False)
    if isinstance(parsed, ToolResult):
        return _finish(work, call, parsed, None), False
    tool, args = parsed
    ruling = await work.gate.review(call, tool, args, work.bench)
    if ruling.verdict == "allow":
        try:
            ruling = await _make_revocable(work, call, tool, ruling)
        except Interrupted:
            return _finish(
                work, call, ToolResult(WHILE_SAVING, ok=False, facts={"interrupted": True}), None
            ), False
    if ruling.quit:
        return ToolResult(NOT_BEGUN, ok=False), True
    if ruling.said:
        await work.heard(ruling.said)
    if ruling.verdict == "deny":
        refusal = ToolResult(f"Not done: {ruling.reason}", ok=False, facts={"denied": True})
        _finish(work, call, refusal, None)
        if ruling.stop:
            raise ApprovalNeeded(ruling.stop, ruling.summary)
        return refusal, False
    args = tool.arguments.model_validate(ruling.arguments)
    work.record(CallStarted(call=call.id, tool=tool.name, arguments=args.model_dump_json(exclude_unset=True)))
    start = time.monotonic()
    try:
        result = await work.steering.guard(tool.run(args, work.bench))
    except Interrupted:
        result = ToolResult(BY_THE_USER, ok=False, facts={"interrupted": True})
    if ruling.edited:
        result = replace(result, text=f"{result.text}\n{_changed(ruling)}")
    return _finish(work, call, result, time.monotonic() - start), False


def _changed(ruling: Ruling) -> str:
    """What the model is told of a call that is not the one it made."""
    arguments = json.dumps(ruling.arguments, ensure_ascii=False)
    more = len(arguments) - MAX_CHANGED
    arguments = arguments if more <= 0 else f"{arguments[:MAX_CHANGED]}… ({more} more characters)"
    return f"[The user changed this call before it ran. It ran with: {arguments}]"


async def _make_revocable(work: Work, call: ToolCall, tool: Tool, ruling: Ruling) -> Ruling:
    """Save what an allowed call may destroy. Where that fails, a person has to allow the call as it then is.

    It takes a while, so the call is judged again by what holds afterwards. Raises Interrupted.
    """
    args = tool.arguments.model_validate(ruling.arguments)
    if Effect.DESTROY not in described_call(tool, args, work.bench).effects:
        return ruling
    words = one_line(" ".join(str(value) for value in ruling.arguments.values()))
    made = await _saved(work, f"{tool.name} {words}"[:MAX_WORDS])
    if isinstance(made, CheckpointMade):
        return await work.gate.confirm(call, tool, args, work.bench, ruling)
    return await work.gate.review(call, tool, args, work.bench, unsaved=made)


async def _saved(work: Work, before: str) -> CheckpointMade | str:
    """A checkpoint, or why there is none. An interruption waits for its end. Raises Interrupted."""
    making = asyncio.ensure_future(work.checkpoints.make(before))

    async def made() -> CheckpointMade | str:
        return await asyncio.shield(making)

    try:
        return await work.steering.guard(made())
    except Interrupted:
        await making
        raise
    finally:
        if not making.done():
            making.cancel()
            await asyncio.wait([making])


def parse(tools: dict[str, Tool], call: ToolCall) -> tuple[Tool, Arguments] | ToolResult:
    """The tool and its validated arguments, or an error that tells the model what was wrong and the schema."""
    tool = tools.get(call.name)
    if tool is None:
        return ToolResult(f"There is no tool {call.name[:80]!r}. The tools are: {', '.join(tools)}.", ok=False)
    schema = f"Nothing was done. The schema is {json.dumps(describe(tool).parameters, separators=(',', ':'))}"
    try:
        raw: Any = json.loads(call.arguments or "{}")
    except json.JSONDecodeError as error:
        before, after = call.arguments[max(error.pos - 30, 0) : error.pos], call.arguments[error.pos :][:20]
        problem = f"{error.msg} at `{before}⟨here⟩{after}`"
        return ToolResult(f"{tool.name} was not run: its arguments are not JSON: {problem}. {schema}", ok=False)
    except RecursionError:
        return ToolResult(f"{tool.name} was not run: its arguments are nested too deeply. {schema}", ok=False)
    except ValueError:  # a number of more digits than Python turns into one
        return ToolResult(f"{tool.name} was not run: its arguments hold an endless number. {schema}", ok=False)
    try:
        return tool, tool.arguments.model_validate(raw)
    except ValidationError as error:
        wrong = "; ".join(_in_words(problem["loc"], problem["msg"]) for problem in error.errors()[:5])
        return ToolResult(f"{tool.name} was not run: {wrong}. {schema}", ok=False)


def _in_words(place: tuple[int | str, ...], problem: str) -> str:
    where = ".".join(map(str, place))
    problem = problem.removeprefix("Value error, ")
    return f"{where}: {problem}" if where else problem


def backfill(work: Work) -> None:
    """Give every call that was left without a result an honest error, so that the conversation stays valid.

    Not while one of them waits for a person's answer: with that, they go on where they stopped.
    """
    open_calls = work.conversation.unanswered()
    if open_calls and not {call.id for call in open_calls}.isdisjoint(
        each.asked.call for each in pending(work.journal.events)
    ):
        return
    begun = {event.call for event in standing(work.journal.events) if isinstance(event, CallStarted)}
    for call in open_calls:
        text = INTERRUPTED if call.id in begun else NOT_BEGUN
        work.record(CallFinished(call=call.id, tool=call.name, ok=False, text=text, facts={"interrupted": True}))


def _finish(work: Work, call: ToolCall, result: ToolResult, seconds: float | None) -> ToolResult:
    """Journal a result; it comes back as it was journalled."""
    event = work.record(
        CallFinished(
            call=call.id,
            tool=call.name,
            ok=result.ok,
            text=result.text,
            facts=result.facts,
            seconds=None if seconds is None else round(seconds, 3),
            submitted=result.submitted,
        )
    )
    if not isinstance(event, CallFinished):
        raise TypeError("the journal keeps the kind of an event")
    return replace(result, text=event.text, facts=event.facts)


async def _judge(work: Work, summary: str) -> End | None:
    """Whether a submission stands: the end of the session, or None when the model has been told why not."""
    if work.planning:
        return End(Outcome.DONE, "the plan is written; nothing was changed", summary)
    work.submitted()
    try:
        check = await work.verify()
    except CheckDenied as denied:
        if denied.quit:
            return End(Outcome.INTERRUPTED, QUIT, summary)
        return End(Outcome.CHECKS_FAIL, f"the verify command was not allowed to run: {denied}", summary)
    if check is None:
        return End(Outcome.DONE, "submitted; there is no verify command to check it with", summary)
    if check.passed:
        return End(Outcome.DONE, in_words(check), summary)
    work.record(
        UserMessage(
            role="user",
            text=f"Not accepted yet: {in_words(check)}.\n\n{as_data(check.output, 'the verify command')}\n\n"
            "Mend it, then call `submit` again.",
        )
    )
    return None


def _nudge(reply: Reply) -> str:
    if reply.finish == "length":
        return CUT_NUDGE
    return WRITTEN_NUDGE if _WRITTEN_CALL.search(reply.text) else NUDGE
