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
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, assert_never

from agent.asked import AlwaysGranted
from agent.autonomy.answers import Always, Answer, Edit, No, Quit, SetLevel, Yes
from agent.autonomy.cases import Case, preview_of, session_case, told, tool_case
from agent.autonomy.denials import Denials
from agent.autonomy.grants import Grants, would_have_matched
from agent.autonomy.judging import Judgement, judge
from agent.autonomy.levels import Level, allowed
from agent.autonomy.proposals import Proposal, proposals
from agent.autonomy.questions import Approver, Question
from agent.autonomy.rules import Placed, Rule, tightening
from agent.autonomy.words import in_order, names
from agent.journal import AnyEvent, GateDecided, LevelChanged
from agent.models.protocol import ToolCall
from tools.protocol import Arguments, Effect, Effects, Preview, Tool, Workbench
from tools.text import one_line

__all__ = ["Approver", "Gate", "Question", "Ruling"]


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the gate says. `arguments` are those to run with; `reason` is a sentence for the model, `said` are the
    words in it that are the person's own. `stop` says that too much was refused to go on, and `summary` what.
    `attended`: it was a person who refused. `edited`: the arguments are a person's, not the model's. `asked` is
    what the approver said, and `moves` how often level and rules had changed by then.
    """

    verdict: Literal["allow", "deny"]
    arguments: dict[str, Any]
    reason: str = ""
    quit: bool = False
    said: str = ""
    stop: str = ""
    summary: str = ""
    attended: bool = False
    edited: bool = False
    asked: _Asked | None = field(default=None, compare=False, repr=False)
    moves: int = field(default=0, compare=False, repr=False)


@dataclass(slots=True)
class _Asked:
    """What the approver has said about a case so far. `approved` are the effects that a yes was given to, `seen`
    the reasons for asking that were shown with them. `shared`: it was said to the same call earlier in the turn.
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
    shared: bool = False


def _keep_nothing(_: Rule) -> None:
    """Where there is no repository to keep a rule for."""


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
        events: Sequence[AnyEvent] = (),
        keep: Callable[[Rule], Placed | None] = _keep_nothing,
    ) -> None:
        """`on_event` journals; it is called before a ruling is returned or a new level takes effect.

        `listed` says that the sandbox reaches the hosts of the user's list and no others. `events` are the
        journal's, and grow with it. `keep` writes a rule into the user's state for the repository, and returns it
        as it stands there; None, having said why, where it cannot.
        """
        self.asked = 0
        self.denied = 0
        self.needed_approval = False
        self._level = level
        self._approver = approver
        self._on_event = on_event
        self._listed = listed
        self._rules = tuple(rules)
        self._events = events
        self._keep = keep
        self._grants = Grants(events)
        self._turn: Counter[tuple[str, str]] = Counter()
        self._said: dict[tuple[str, str, str], _Asked] = {}
        self._denials = Denials(events)
        self._one_at_a_time = asyncio.Lock()
        self._quit = False
        self._moves = 0

    @property
    def level(self) -> Level:
        """Where the slider stands. Setting it is journalled; calls not yet ruled on are judged by the new one."""
        return self._level

    @level.setter
    def level(self, level: Level) -> None:
        if level is not self._level:
            self._on_event(LevelChanged(before=int(self._level), after=int(level)))
            self._level = level
            self._moves += 1

    @property
    def rules(self) -> tuple[Placed, ...]:
        """The rules that hold."""
        return self._rules

    def tighten(self, rules: Iterable[Placed]) -> None:
        """Add rules that refuse or ask, from now on; others are left out."""
        self._rules = (*self._rules, *tightening(rules))
        self._moves += 1

    def begin_turn(self, calls: Iterable[ToolCall]) -> None:
        """These calls were made together: an answer to one of them is one to those that are the same."""
        self._turn = Counter((call.name, call.arguments) for call in calls)
        self._said = {}

    async def review(
        self, call: ToolCall, tool: Tool, args: Arguments, bench: Workbench, *, unsaved: str = ""
    ) -> Ruling:
        """Rule on a call with validated arguments, asking the approver where the level says so.

        With `unsaved`, the reason why what it may destroy has no checkpoint, the approver is asked whatever the
        level allows and was always allowed: what they say yes to cannot be taken back.

        Raises SandboxLost when the sandbox goes while the preview is made, and whatever the approver raises.
        """
        insist = f"it could destroy what no checkpoint holds ({unsaved}), so it cannot be taken back"
        return await self._settle(tool_case(call, tool, args, bench, insist if unsaved else ""))

    async def confirm(
        self, call: ToolCall, tool: Tool, args: Arguments, bench: Workbench, ruling: Ruling
    ) -> Ruling:
        """The ruling as things stand when the call is to run, if that is a while after it was allowed.

        Where the level or the rules have changed meanwhile, the call is judged again. A yes that was given to it
        still counts. Raises as `review` does.
        """
        if ruling.moves == self._moves and not self._quit:
            return ruling
        case = tool_case(call, tool, args, bench, "")
        said = replace(ruling.asked or _Asked(), answers=[], seconds=0.0, advice=(), note="")
        return self._standing(case, said) or await self._settle(case)

    async def review_delivery(self, summary: Preview, *, insist: str = "", guards: tuple[str, ...] = ()) -> Ruling:
        """Rule on changing the user's repository by what `summary` shows. Never remembered by "always".

        With `insist`, a reason in a clause, a person has to say yes whatever the level. `guards` are reasons, in
        clauses, why it is never allowed silently.
        """
        return await self._settle(session_case("delivery", "deliver", Effect.DELIVER, summary, insist, guards))

    async def review_constraints(self, summary: Preview) -> Ruling:
        """Have the approver say whether the rules in `summary` are what the user meant; a yes makes them hold."""
        insist = "you said so: yes refuses these to the agent, no lets the level decide"
        return await self._settle(session_case("constraints", "constraints", Effect.READ, summary, insist))

    async def review_network(self, summary: Preview) -> Ruling:
        """Rule on a sandbox for this session that reaches every host. Never remembered by "always"."""
        return await self._settle(session_case("network", "network", Effect.NETWORK, summary))

    async def _settle(self, case: Case) -> Ruling:
        asked = self._said.get(_same(case)) or _Asked()
        if ruling := self._standing(case, asked):
            return ruling
        asked = _Asked()
        async with self._one_at_a_time:
            # Judged again first: while this call waited, the slider may have moved, or a call of the same
            # shape been answered with "always".
            while not (ruling := self._standing(case, asked)):
                case = await self._ask(case, asked)
            self._share(case, asked)
        return ruling

    def _share(self, case: Case, asked: _Asked) -> None:
        """Keep what was said to a call that the turn has again. What has to be asked each time, is."""
        told = asked.refusal if asked.refusal is not None and not asked.refusal.unattended else asked.approved
        often = self._turn[case.call.name, case.call.arguments] > 1
        if told is None or not often or asked.seen or asked.edited or asked.quit:
            return
        self._said[_same(case)] = replace(asked, shared=True, answers=[], seconds=0.0, advice=())

    def _standing(self, case: Case, asked: _Asked) -> Ruling | None:
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
        if case.shape is not None and not judged.each_time:
            grant = self._grants.covering(case.shape, case.described)
            if grant is not None:
                return self._rule(case, asked, "allow", f"always allowed: {grant.words}", "always")
        return None

    async def _ask(self, case: Case, asked: _Asked) -> Case:
        """Put the case to the approver once and note the answer; returns the case as it now stands."""
        preview = await preview_of(case)
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
            proposals=proposals(case.described, case.shape) if always and case.shape else (),
            history=lambda each: would_have_matched(each, case.effects, self._events),
            described=case.described,
            same=1 if judged.each_time else max(self._turn[case.call.name, case.call.arguments], 1),
        )
        self.asked += 1
        asked.approved, asked.note, asked.seen = None, "", judged.reasons
        asked.shown = told(preview)
        start = time.monotonic()
        answer = await self._approver.ask(question)
        asked.seconds += time.monotonic() - start
        asked.answers.append(type(answer).__name__.lower())
        asked.by, asked.advice = answer.by, answer.advice
        return self._take(answer, case, asked)

    def _stale(self, ran: tuple[str, str, str]) -> None:
        """Something else runs: what was approved before it may meet other files, so it is asked about again."""
        self._said = {key: asked for key, asked in self._said.items() if key == ran or asked.refusal is not None}

    def _take(self, answer: Answer, case: Case, asked: _Asked) -> Case:
        match answer:
            case Yes():
                asked.approved = case.effects
            case Always():
                asked.approved = case.effects
                if case.shape is not None and not asked.seen:
                    self._grant(case, answer)
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

    def _grant(self, case: Case, answer: Always) -> None:
        """Journal what is always allowed from now on, then let it hold."""
        if case.shape is None:
            return
        exact = Proposal(case.shape.words, case.shape)
        chosen = answer.proposal or exact
        kept = None
        if answer.scope == "repository":
            kept = self._keep(chosen.rule) if chosen.rule is not None else None
            if kept is None:  # it could not be written, which was said; the yes counts
                return
        event = AlwaysGranted(
            call=case.call.id,
            tool=case.tool,
            words=chosen.words,
            key=chosen.shape.key if chosen.shape is not None else "",
            rule=chosen.rule.model_dump(mode="json", exclude_defaults=True) if chosen.rule is not None else None,
            effects=tuple(in_order(case.effects)),
            scope=answer.scope,
            until=self._grants.until() if answer.scope == "hour" else None,
            label=kept.label if kept is not None else "",
        )
        self._on_event(event)
        if kept is not None:
            self._rules = (*self._rules, kept)
        else:
            self._grants.take(event)

    def _judge(self, case: Case) -> Judgement:
        return judge(self._level, case.described, self._rules, listed=self._listed, insist=case.insist)

    def _refused(self, judged: Judgement) -> str:
        """A refusal that nobody is asked about, for the model."""
        if judged.by == "table":
            return f"{judged.cause}. It allows: {names(allowed(self._level))}. End with a plan instead of changes"
        return f"{judged.cause}. Nobody is asked about this: find another way, or submit and say what is missing"

    def _rule(
        self, case: Case, asked: _Asked, verdict: Literal["allow", "deny"], why: str, by: str, reason: str = ""
    ) -> Ruling:
        if asked.shared and by == (asked.by or self._approver.name):
            why = f"{why}; answered once for the same calls of this turn"
        if verdict == "allow" and case.effects - {Effect.READ}:
            self._stale(_same(case))
        counted = verdict == "deny" and not (_attended(asked.refusal) or asked.quit or self._quit)
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
                counted=counted,
            )
        )
        self.denied += verdict == "deny"
        refusal = asked.refusal
        said = refusal.reason if refusal is not None and not refusal.unattended else ""
        stop = self._count(case, reason) if counted else ""
        if verdict == "allow":
            self._denials.allowed()
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
            edited=asked.edited and verdict == "allow",
            asked=asked,
            moves=self._moves,
        )

    def _count(self, case: Case, reason: str) -> str:
        """Why the session stops after this denial; "" when it goes on. See `denials.py` for what counts."""
        words = " ".join(value for value in case.arguments.values() if isinstance(value, str))
        call = one_line(f"{case.tool} {words}", 100)
        return self._denials.denied(call, reason, in_row=self._level is not Level.PLAN)


def _same(case: Case) -> tuple[str, str, str]:
    return case.tool, json.dumps(case.arguments, sort_keys=True), case.cwd


def _attended(refusal: No | None) -> bool:
    """Was it a person at the terminal who refused?"""
    return refusal is not None and not refusal.unattended and not refusal.by


def _edit(case: Case, asked: _Asked, arguments: dict[str, Any]) -> Case:
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


def _refusal_words(refusal: No, why: str) -> str:
    if refusal.unattended:
        return f"{refusal.reason}, and {why}"
    who = refusal.by or "the user"
    return f"{who} said no: {refusal.reason}" if refusal.reason else f"{who} said no, without a reason"
