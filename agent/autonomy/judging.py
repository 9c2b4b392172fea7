"""One verdict on a call, from what guards it, the rules, and the table of levels: the strictest of them.

    refused by a rule, or by the level   →  deny
    guarded, or a rule asks              →  ask, each time
    allowed by a rule                    →  allow
    otherwise                            →  what the table says

A pure function. Threat model: see `rules.py` and `guarded.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.autonomy.calls import Call
from agent.autonomy.guarded import guarded
from agent.autonomy.levels import Level, Verdict, allowed, decide
from agent.autonomy.rules import Placed, consult
from agent.autonomy.words import cause, level_words
from tools.protocol import Effects


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is said to a call. `because`: the effects that made it so. `cause`: why, in a sentence. `by`: what
    decided: `table`, `guarded`, or the label of a rule. `each_time`: no "always" answers for a person; `reasons`
    are what they have to have seen.
    """

    verdict: Verdict
    because: Effects
    cause: str
    by: str = "table"
    reasons: frozenset[str] = frozenset()

    @property
    def each_time(self) -> bool:
        """Whether it is asked about each time."""
        return bool(self.reasons)


def judge(
    level: Level,
    call: Call,
    rules: Iterable[Placed] = (),
    *,
    listed: bool = False,
    insist: str = "",
) -> Judgement:
    """Judge a call at a level. `insist` is a reason why a person has to be asked at every level, in a clause.

    `listed`: the network is a list of hosts that the user gave.
    """
    table = decide(level, call.effects, listed=listed)
    said = consult(rules, call, allowed(level, listed=listed))
    if said.kind == "deny":
        return Judgement("deny", call.effects, said.rules[0].why, said.rules[0].label)
    if table.verdict == "deny":
        return Judgement("deny", table.because, cause(level, table.because))
    guards = guarded(call)
    must = [*([insist] if insist else []), *(guards if level < Level.FULL else ())]
    asking = [] if said.kind != "ask" else [_asks(placed) for placed in said.rules]
    if must or asking:
        by = "guarded" if must else said.rules[0].label
        reasons = frozenset([*must, *asking])
        because = table.because if table.verdict == "ask" else call.effects
        return Judgement("ask", because, "; ".join([*must, *asking]), by, reasons)
    if guards:
        words = f"{level_words(level)} allows it; never silently, because {'; '.join(guards)}"
        return Judgement("allow", call.effects, words, "guarded")
    if said.kind == "allow" and table.verdict != "allow":
        return Judgement("allow", call.effects, "; ".join(p.why for p in said.rules), said.rules[0].label)
    if table.verdict == "allow":
        return Judgement("allow", table.because, f"{level_words(level)} allows it")
    return Judgement("ask", table.because, cause(level, table.because))


def _asks(placed: Placed) -> str:
    return (
        placed.why
        if placed.kind == "ask"
        else f"it may be what {placed.label} refuses: {placed.rule.reason or placed.rule.words()}"
    )
