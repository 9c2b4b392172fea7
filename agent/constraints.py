"""What the user says the agent must not do, heard, confirmed and held for the rest of the session.

The rules are a function of the journal: a resumed session has them again, and one that was rewound keeps them.

Threat model: see autonomy/constraints.py. Where a person is there to ask, they say whether they meant it; where
nobody is, or only a policy or a model, it holds, as it can only make the agent do less.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.asked import ConstraintHeard
from agent.autonomy.constraints import Constraint, extract, placed, unheard
from agent.autonomy.levels import Level
from agent.autonomy.rules import Placed, Rule
from agent.journal import AnyEvent
from agent.session import Session
from tools.protocol import Preview

PERSON = "user"
"""The name of an approver that is a person who can be asked whether they meant it."""


class UserQuit(Exception):
    """The person ended the session at the question."""


def session_rules(events: Iterable[AnyEvent]) -> tuple[Placed, ...]:
    """The rules that the user's words have made so far; all of them refuse."""
    heard = [event for event in events if isinstance(event, ConstraintHeard) and event.applied]
    return placed([Constraint(event.said, Rule.model_validate(event.rule)) for event in heard])


async def hear(session: Session, text: str) -> None:
    """Make rules of what the user says in `text`, and journal them. What was heard before is not asked about
    again.

    Raises UserQuit, and whatever the approver raises.
    """
    for order in unheard(text):
        session.watch.note(f"not made a rule: {order}")
    known = [event.rule for event in session.journal.events if isinstance(event, ConstraintHeard)]
    new = [each for each in extract(text) if _dump(each.rule) not in known]
    if not new or session.gate is None:
        return
    applied, by = True, "nobody was there to ask"
    if session.approver.name == PERSON and session.gate.level < Level.FULL:
        ruling = await session.gate.review_constraints(_preview(new))
        if ruling.quit:
            raise UserQuit
        if ruling.attended:
            applied = False
        if ruling.attended or ruling.verdict == "allow":
            by = PERSON
    for each in new:
        session.record(ConstraintHeard(said=each.said, rule=_dump(each.rule), applied=applied, by=by))
    if applied:
        session.gate.tighten(placed(new, before=len(session_rules(session.journal.events)) - len(new)))


def _dump(rule: Rule) -> dict[str, object]:
    return rule.model_dump(mode="json", exclude_defaults=True)


def _preview(new: list[Constraint]) -> Preview:
    lines = [f"“{each.said}”: refuses {each.rule.words()}" for each in new]
    return Preview("hold the agent to what you said, for this session", detail="\n".join(lines))
