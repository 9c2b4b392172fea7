"""The audit is computed from the journal alone: every decision, what led to it, and the totals."""

from __future__ import annotations

from agent.asked import QuestionAnswered, QuestionAsked
from agent.audit import Totals, audit
from agent.chain import Checked
from agent.journal import AnyEvent, GateDecided, LevelChanged, ModelReplied
from agent.models.protocol import ToolCall

CHAIN = Checked(lines=4, chained=4, torn=0, head="0" * 64)


def decided(call: str, *, level: int = 3, **more: object) -> GateDecided:
    base = {"tool": "shell", "effects": ("run",), "verdict": "allow", "cause": "c", "by": "table"}
    return GateDecided.model_validate({**base, "call": call, "level": level, **more})


def test_decisions_carry_their_call_and_totals_add_up() -> None:
    calls = tuple(ToolCall(id=name, name="shell", arguments=f'{{"command": "{name}"}}') for name in "ab")
    events: list[AnyEvent] = [
        ModelReplied(text="", calls=calls),
        decided("a", answers=("yes",), by="user", seconds=1.5, shown="$ a"),
        decided("b", verdict="deny", answers=("setlevel", "no"), by="user", seconds=2.0, edited_arguments="{}"),
        LevelChanged(before=3, after=5),
        decided("verify", level=5),
    ]
    found = audit("s", events, CHAIN)
    assert [each.arguments for each in found.decisions] == ['{"command": "a"}', "{}", ""]
    assert [each.edited for each in found.decisions] == [False, True, False]
    assert found.decisions[0].shown == "$ a"
    assert found.totals == (Totals(3, 2, 1, 1, 3.5), Totals(5, 0, 1, 0, 0.0))
    assert found.moves == ((3, 5),)


def test_a_question_is_open_until_it_is_answered_or_decided() -> None:
    asked = QuestionAsked(
        id="q1",
        digest="d",
        call="a",
        tool="shell",
        arguments="{}",
        effects=("network",),
        because=("network",),
        cause="c",
        level=3,
        title="$ a",
    )
    assert audit("s", [asked], CHAIN).open == ("q1",)
    assert audit("s", [asked, decided("a")], CHAIN).open == ()
    answered = QuestionAnswered(id="q1", digest="d", answer="yes", by="her", seconds=3600.0)
    later = audit("s", [asked, answered, decided("a", answers=("yes",), by="her")], CHAIN)
    assert (later.open, later.totals) == ((), (Totals(3, 1, 1, 0, 3600.0),)), "she took an hour"
