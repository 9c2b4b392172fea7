"""The gate: every call passes it, and nothing runs that neither the level nor a person allowed.

What guards a call, the rules and the table decide first (`judging.py`). Where they say ask, an "always" of this
session may answer for the person; otherwise the approver is asked. Every ruling is journalled before it is
returned.

Threat model: call, arguments and effects all stem from the model. The gate asks anew whenever what would run
could do more than what was shown, judges by the level of the moment of deciding (the slider may have moved while
a person was thinking), never raises the level by itself, and on any doubt denies.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, assert_never

from pydantic import ValidationError

from agent.autonomy.answers import Always, Answer, Edit, No, Quit, SetLevel, Yes
from agent.autonomy.calls import Call, Part, describe
from agent.autonomy.denials import Denials
from agent.autonomy.judging import Judgement, judge
from agent.autonomy.levels import Level, allowed
from agent.autonomy.remembered import Remembered, Shape, shape_of
from agent.autonomy.rules import Placed, tightening
from agent.autonomy.words import in_order, names
from agent.journal import AnyEvent, GateDecided, LevelChanged
from agent.models.protocol import ToolCall
from sandboxes.protocol import FileError
from tools.protocol import EVERY_EFFECT, Arguments, Effect, Effects, Preview, Tool, Workbench
from tools.text import one_line

MAX_SHOWN = 16_000
"""Characters of what was shown that go into the journal."""


@dataclass(frozen=True, slots=True)
class Question:
    """What an approver is asked. Everything but `because`, `cause`, `level` and `note` may be the model's text.

    `because` are the effects that made the gate ask, `cause` says why in words, and `by` what decided so: `table`,
    `guarded` or the label of a rule. `always` says what "always" would
    remember ("" where it would remember nothing). `note` says why the same call is asked about again. `listed`:
    the network is a list of hosts. `insist` says why a person is asked whatever the level; neither a policy nor a
    model may say yes then. `advice` are lines of others who were asked before, and may be a model's text.
    """

    call: ToolCall
    tool: str
    arguments: dict[str, Any]
    effects: Effects
    because: Effects
    cause: str
    level: Level
    preview: Preview
    cwd: str
    always: str = ""
    note: str = ""
    listed: bool = False
    by: str = "table"
    insist: str = ""
    advice: tuple[str, ...] = ()


class Approver(Protocol):
    """Whoever answers what the gate asks."""

    @property
    def name(self) -> str:
        """Goes into the journal as the one who answered."""

    async def ask(self, question: Question) -> Answer:
        """Answer one question. An exception, or a cancellation, leaves the call undecided, so it does not run."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the gate says. `arguments` are those to run with; `reason` is a sentence for the model, `said` are the
    words in it that are the person's own. `stop` says that too much was refused to go on, and `summary` what.
    `attended`: it was a person who refused.
    """

    verdict: Literal["allow", "deny"]
    arguments: dict[str, Any]
    reason: str = ""
    quit: bool = False
    said: str = ""
    stop: str = ""
    summary: str = ""
    attended: bool = False


@dataclass(frozen=True, slots=True)
class _Case:
    """A call in the form the gate judges it in; `edited` raises ValueError with a sentence.

    `insist` is the reason why, whatever the level, only a person allows it, in a clause. `described` is what
    rules see.
    """

    call: ToolCall
    tool: str
    arguments: dict[str, Any]
    effects: Effects
    shape: Shape | None
    cwd: str
    preview: Callable[[], Awaitable[Preview]]
    edited: Callable[[dict[str, Any]], _Case]
    described: Call
    insist: str = ""


@dataclass(slots=True)
class _Asked:
    """What the approver has said about a case so far. `approved` are the effects that a yes was given to, `seen`
    the reasons for asking that were shown with them.
    """

    approved: Effects | None = None
    seen: frozenset[str] = frozenset()
    refusal: No | None = None
    quit: bool = False
    edited: bool = False
    note: str = ""
    shown: str = ""
    seconds: float = 0.0
    by: str = ""
    advice: tuple[str, ...] = ()
    answers: list[str] = field(default_factory=list)


class Gate:
    """Rules on calls. `asked` and `denied` count; `needed_approval`: something was denied for want of a person."""

    def __init__(
        self,
        level: Level,
        approver: Approver,
        on_event: Callable[[AnyEvent], object],
        *,
        listed: bool = False,
        rules: Iterable[Placed] = (),
    ) -> None:
        """`on_event` journals; it is called before a ruling is returned or a new level takes effect.

        `listed` says that the sandbox reaches the hosts of the user's list and no others.
        """
        self.asked = 0
        self.denied = 0
        self.needed_approval = False
        self._level = level
        self._approver = approver
        self._on_event = on_event
        self._listed = listed
        self._rules = tuple(rules)
        self._remembered = Remembered()
        self._denials = Denials()
        self._one_at_a_time = asyncio.Lock()
        self._quit = False

    @property
    def level(self) -> Level:
        """Where the slider stands. Setting it is journalled; calls not yet ruled on are judged by the new one."""
        return self._level

    @level.setter
    def level(self, level: Level) -> None:
        if level is not self._level:
            self._on_event(LevelChanged(before=int(self._level), after=int(level)))
            self._level = level

    @property
    def rules(self) -> tuple[Placed, ...]:
        """The rules that hold."""
        return self._rules

    def tighten(self, rules: Iterable[Placed]) -> None:
        """Add rules that refuse or ask, from now on; others are left out."""
        self._rules = (*self._rules, *tightening(rules))

    async def review(
        self, call: ToolCall, tool: Tool, args: Arguments, bench: Workbench, *, unsaved: str = ""
    ) -> Ruling:
        """Rule on a call with validated arguments, asking the approver where the level says so.

        With `unsaved`, the reason why what it may destroy has no checkpoint, the approver is asked whatever the
        level allows and was always allowed: what they say yes to cannot be taken back.

        Raises SandboxLost when the sandbox goes while the preview is made, and whatever the approver raises.
        """
        insist = f"it could destroy what no checkpoint holds ({unsaved}), so it cannot be taken back"
        return await self._settle(_tool_case(call, tool, args, bench, insist if unsaved else ""))

    async def review_delivery(self, summary: Preview, *, insist: str = "", guards: tuple[str, ...] = ()) -> Ruling:
        """Rule on changing the user's repository by what `summary` shows. Never remembered by "always".

        With `insist`, a reason in a clause, a person has to say yes whatever the level. `guards` are reasons, in
        clauses, why it is never allowed silently.
        """
        return await self._settle(_session_case("delivery", "deliver", Effect.DELIVER, summary, insist, guards))

    async def review_constraints(self, summary: Preview) -> Ruling:
        """Have the approver say whether the rules in `summary` are what the user meant; a yes makes them hold."""
        insist = "you said so: yes refuses these to the agent, no lets the level decide"
        return await self._settle(_session_case("constraints", "constraints", Effect.READ, summary, insist))

    async def review_network(self, summary: Preview) -> Ruling:
        """Rule on a sandbox for this session that reaches every host. Never remembered by "always"."""
        return await self._settle(_session_case("network", "network", Effect.NETWORK, summary))

    async def _settle(self, case: _Case) -> Ruling:
        asked = _Asked()
        if ruling := self._standing(case, asked):
            return ruling
        async with self._one_at_a_time:
            # Judged again first: while this call waited, the slider may have moved, or a call of the same
            # shape been answered with "always".
            while not (ruling := self._standing(case, asked)):
                case = await self._ask(case, asked)
        return ruling

    def _standing(self, case: _Case, asked: _Asked) -> Ruling | None:
        """The ruling as things stand, journalled; None when the approver has to be asked."""
        judged = self._judge(case)
        why, who = judged.cause, asked.by or self._approver.name
        if asked.quit or self._quit:
            return self._rule(case, asked, "deny", why, who, "the user ended the session")
        if asked.refusal is not None:
            return self._rule(case, asked, "deny", why, who, _refusal_words(asked.refusal, why))
        if judged.verdict == "deny":
            return self._rule(case, asked, "deny", why, judged.by, self._refused(judged))
        if judged.verdict == "allow":
            return self._rule(case, asked, "allow", why, judged.by)
        if asked.approved is not None and case.effects <= asked.approved and judged.reasons <= asked.seen:
            return self._rule(case, asked, "allow", why, who)
        if case.shape is not None and not judged.each_time and self._remembered.matches(case.shape, case.effects):
            return self._rule(case, asked, "allow", f"always allowed: {case.shape.words}", "always")
        return None

    async def _ask(self, case: _Case, asked: _Asked) -> _Case:
        """Put the case to the approver once and note the answer; returns the case as it now stands."""
        preview = await _preview(case)
        judged = self._judge(case)
        if judged.verdict != "ask":  # the slider moved while the preview was made
            return case
        always = case.shape.words if case.shape and not judged.each_time else ""
        question = Question(
            call=case.call,
            tool=case.tool,
            arguments=case.arguments,
            effects=case.effects,
            because=judged.because,
            cause=judged.cause,
            level=self._level,
            preview=preview,
            cwd=case.cwd,
            always=always,
            note=asked.note,
            listed=self._listed,
            by=judged.by,
            insist=judged.cause if judged.each_time else "",
        )
        self.asked += 1
        asked.approved, asked.note, asked.seen = None, "", judged.reasons
        asked.shown = _shown(preview)
        start = time.monotonic()
        answer = await self._approver.ask(question)
        asked.seconds += time.monotonic() - start
        asked.answers.append(type(answer).__name__.lower())
        asked.by, asked.advice = answer.by, answer.advice
        return self._take(answer, case, asked)

    def _take(self, answer: Answer, case: _Case, asked: _Asked) -> _Case:
        match answer:
            case Yes():
                asked.approved = case.effects
            case Always():
                asked.approved = case.effects
                if case.shape is not None and not asked.seen:
                    self._remembered.add(case.shape, case.effects)
            case No():
                asked.refusal = answer
                self.needed_approval = self.needed_approval or answer.unattended
            case Edit(arguments):
                return _edit(case, asked, arguments)
            case SetLevel(level):
                self.level = level
                asked.note = f"the level is now {int(level)} {level.label}"
            case Quit():
                asked.quit = self._quit = True
            case _:
                assert_never(answer)
        return case

    def _judge(self, case: _Case) -> Judgement:
        return judge(self._level, case.described, self._rules, listed=self._listed, insist=case.insist)

    def _refused(self, judged: Judgement) -> str:
        """A refusal that nobody is asked about, for the model."""
        if judged.by == "table":
            return f"{judged.cause}. It allows: {names(allowed(self._level))}. End with a plan instead of changes"
        return f"{judged.cause}. Nobody is asked about this: find another way, or submit and say what is missing"

    def _rule(
        self, case: _Case, asked: _Asked, verdict: Literal["allow", "deny"], why: str, by: str, reason: str = ""
    ) -> Ruling:
        self._on_event(
            GateDecided(
                call=case.call.id,
                tool=case.tool,
                effects=tuple(in_order(case.effects)),
                level=int(self._level),
                verdict=verdict,
                cause=why,
                by=by,
                seconds=round(asked.seconds, 3),
                shown=asked.shown,
                reason=reason,
                edited_arguments=json.dumps(case.arguments) if asked.edited else None,
                answers=tuple(asked.answers),
                advice=asked.advice,
            )
        )
        self.denied += verdict == "deny"
        refusal = asked.refusal
        said = refusal.reason if refusal is not None and not refusal.unattended else ""
        stop = self._count(case, asked, verdict, reason)
        summary = self._denials.summary if stop else ""
        return Ruling(
            verdict,
            case.arguments,
            reason,
            quit=asked.quit or self._quit,
            said=said,
            stop=stop,
            summary=summary,
            attended=_attended(refusal),
        )

    def _count(self, case: _Case, asked: _Asked, verdict: str, reason: str) -> str:
        """Why the session stops after this ruling; "" when it goes on. See `denials.py` for what counts."""
        if verdict == "allow":
            self._denials.allowed()
            return ""
        if _attended(asked.refusal) or self._level is Level.PLAN or asked.quit or self._quit:
            return ""
        words = " ".join(value for value in case.arguments.values() if isinstance(value, str))
        return self._denials.denied(one_line(f"{case.tool} {words}", 100), reason)


def _attended(refusal: No | None) -> bool:
    """Was it a person at the terminal who refused?"""
    return refusal is not None and not refusal.unattended and not refusal.by


def _session_case(
    name: str, tool: str, effect: Effect, summary: Preview, insist: str = "", guards: tuple[str, ...] = ()
) -> _Case:
    """A question about the session itself, which is no call of the model's."""

    async def preview() -> Preview:
        return summary

    def edited(_: dict[str, Any]) -> _Case:
        raise ValueError("this cannot be edited: say yes or no to it as it is")

    call = ToolCall(id=name, name=tool, arguments="{}")
    effects = frozenset({effect})
    described = Call(tool, {}, effects, (Part(effects),), guards)
    return _Case(call, tool, {}, effects, None, "", preview, edited, described, insist)


def _tool_case(call: ToolCall, tool: Tool, args: Arguments, bench: Workbench, insist: str) -> _Case:
    arguments = args.model_dump(mode="json", exclude_unset=True)
    effects = tool.effects(args, bench) or EVERY_EFFECT

    def edited(changed: dict[str, Any]) -> _Case:
        try:
            return _tool_case(call, tool, tool.arguments.model_validate(changed), bench, insist)
        except ValidationError as error:
            wrong = (f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors()[:5])
            raise ValueError(f"these arguments do not fit `{tool.name}`: {'; '.join(wrong)}") from error

    return _Case(
        call=call,
        tool=tool.name,
        arguments=arguments,
        effects=effects,
        # Handing out a secret is asked about each time: no "always" is remembered for it.
        shape=None if Effect.SECRET in effects and bench.secrets else shape_of(tool.name, arguments, bench.cwd),
        cwd=bench.cwd,
        preview=lambda: tool.preview(args, bench),
        edited=edited,
        described=describe(tool.name, args.model_dump(mode="json"), effects, bench.cwd),
        insist=insist,
    )


def _edit(case: _Case, asked: _Asked, arguments: dict[str, Any]) -> _Case:
    """The case with a person's arguments, which counts as a yes to what they had been shown."""
    try:
        changed = case.edited(arguments)
    except ValueError as error:
        asked.note = str(error)
        return case
    asked.approved = case.effects
    asked.edited = True
    asked.note = f"the edited call could do more than the one you saw: {names(changed.effects - case.effects)}"
    return changed


async def _preview(case: _Case) -> Preview:
    try:
        return await case.preview()
    except FileError as error:
        # The file may be binary, huge or gone: the person decides knowing that there is nothing to look at.
        return Preview(title=case.tool, detail=f"no preview: {error}")


def _refusal_words(refusal: No, why: str) -> str:
    if refusal.unattended:
        return f"{refusal.reason}, and {why}"
    who = refusal.by or "the user"
    return f"{who} said no: {refusal.reason}" if refusal.reason else f"{who} said no, without a reason"


def _shown(preview: Preview) -> str:
    causes = "\n".join(f"{cause.effect}: {cause.text}: {cause.reason}" for cause in preview.causes)
    text = "\n".join(part for part in (preview.title, preview.detail, preview.diff, causes) if part)
    left_out = len(text) - MAX_SHOWN
    return text if left_out <= 0 else f"{text[:MAX_SHOWN]}…\n[{left_out} more characters]"
