"""No sequence of answers and level moves lets a call run that neither the level nor a person allowed.

The machine keeps its own account of what was allowed, from the questions and answers alone, with its own copy of
the table, and compares every ruling with it.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agent.autonomy.answers import Always, Answer, Edit, No, Quit, SetLevel, Yes
from agent.autonomy.gate import Gate, Question, Ruling
from agent.autonomy.levels import Level
from agent.journal import AnyEvent, GateDecided, LevelChanged
from agent.models.protocol import ToolCall
from tools.protocol import EVERY_EFFECT, Effect, Effects, Preview, Workbench

LADDER = ["read", "write", "run history", "destroy", "network outside deliver secret"]
ALLOWED = {
    Level(level): {Effect(name) for step in LADDER[:steps] for name in step.split()}
    for level, steps in {0: 1, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5}.items()
}

LEVELS = st.sampled_from(Level)
CLAIMS = st.lists(st.sampled_from(Effect), max_size=3, unique=True) | st.lists(
    st.sampled_from([Effect.NETWORK, Effect.OUTSIDE]), max_size=2, unique=True
)
ARGUMENTS = st.fixed_dictionaries(
    {"claims": CLAIMS, "path": st.sampled_from(["a", "./a", "b"])}, optional={"note": st.just("x")}
)
EDITS = ARGUMENTS | st.just({"claims": ["magic"]}) | st.just({"unknown": 1})
ANSWERS: st.SearchStrategy[Answer] = st.one_of(
    st.builds(Yes),
    st.builds(Always),
    st.builds(No, st.text(max_size=3), st.booleans()),
    st.builds(Edit, EDITS),
    st.builds(SetLevel, LEVELS),
)
MOVES = st.none() | LEVELS
STEPS = st.lists(st.tuples(MOVES, ANSWERS), max_size=5) | st.just([(None, Always())])


class Plan:
    """An approver that goes by a prepared plan: before each answer the slider may be moved by someone else."""

    name = "plan"

    def __init__(self) -> None:
        self.steps: Iterator[tuple[Level | None, Answer]] = iter(())
        self.move: Callable[[Level], None] = lambda level: None
        self.talk: list[tuple[Question, Answer]] = []

    async def ask(self, question: Question) -> Answer:
        move, answer = next(self.steps, (None, No("the plan is over")))
        await asyncio.sleep(0)
        if move is not None:
            self.move(move)
        self.talk.append((question, answer))
        return answer


class GateMachine(RuleBasedStateMachine):
    claim: Any = None
    bench: Workbench

    @initialize(level=LEVELS)
    def begin(self, level: Level) -> None:
        self.events: list[AnyEvent] = []
        self.plan = Plan()
        self.gate = Gate(level, self.plan, self.events.append)
        self.plan.move = self._move
        self.level = level
        self.always: list[tuple[str, Any, Effects]] = []
        self.over = False
        self.calls = 0

    def _move(self, level: Level) -> None:
        self.gate.level = level

    @rule(level=LEVELS)
    def move_the_slider(self, level: Level) -> None:
        self._move(level)

    @rule(tool=st.sampled_from(["edit", "fetch"]), arguments=ARGUMENTS, steps=STEPS)
    def review(self, tool: str, arguments: dict[str, Any], steps: list[tuple[Level | None, Answer]]) -> None:
        made = self.claim(tool)
        args = made.arguments.model_validate(arguments)
        self.calls += 1
        call = ToolCall(id=str(self.calls), name=tool, arguments="")
        ruling, talk = self._run(self.gate.review(call, made, args, self.bench), steps)
        final = frozenset(map(Effect, ruling.arguments["claims"])) or EVERY_EFFECT
        self._judge(ruling, talk, final, (tool, self._shape(tool, ruling.arguments)))
        for question, answer in talk:
            if isinstance(answer, Always):
                self.always.append((tool, self._shape(tool, question.arguments), question.effects))

    @rule(steps=STEPS)
    def deliver(self, steps: list[tuple[Level | None, Answer]]) -> None:
        self.calls += 1
        ruling, talk = self._run(self.gate.review_delivery(Preview("patch")), steps)
        self._judge(ruling, talk, frozenset({Effect.DELIVER}), None)

    @precondition(lambda self: self.calls > 8)
    @rule(arguments=ARGUMENTS)
    def quit_at_the_next_question(self, arguments: dict[str, Any]) -> None:
        self.review("fetch", arguments, [(None, Quit())])

    def _run(self, review: Any, steps: list[Any]) -> tuple[Ruling, list[tuple[Question, Answer]]]:
        self.plan.steps, self.plan.talk = iter(steps), []
        return asyncio.run(review), self.plan.talk

    @staticmethod
    def _shape(tool: str, arguments: dict[str, Any]) -> Any:
        path = posixpath.normpath(arguments.get("path", "a.txt"))
        if tool in {"edit", "write"} and "path" in arguments:
            return path
        return sorted((name, str(value)) for name, value in arguments.items())

    def _judge(
        self,
        ruling: Ruling,
        talk: list[tuple[Question, Answer]],
        effects: Effects,
        shape: tuple[str, Any] | None,
    ) -> None:
        level = self.gate.level
        for question, _ in talk:
            assert question.level is not Level.PLAN, "plan never asks"
            assert not question.effects <= ALLOWED[question.level], "nothing is asked that the level allows"
            assert question.because == question.effects - ALLOWED[question.level]
        by_level = effects <= ALLOWED[level]
        by_person = bool(talk) and self._said_yes(*talk[-1], ruling, effects)
        by_rule = shape is not None and any(
            shape == (tool, key) and effects <= approved for tool, key, approved in self.always
        )
        quit_now = self.over or (bool(talk) and isinstance(talk[-1][1], Quit))
        said_no = bool(talk) and isinstance(talk[-1][1], No)
        justified = by_level or (level is not Level.PLAN and (by_person or by_rule))
        assert (ruling.verdict == "allow") == (justified and not quit_now and not said_no)
        assert ruling.quit == quit_now
        self.over = quit_now
        last = self.events[-1]
        assert isinstance(last, GateDecided)
        assert (last.verdict, last.level, len(last.answers)) == (ruling.verdict, int(level), len(talk))
        assert set(last.effects) == effects

    @staticmethod
    def _said_yes(question: Question, answer: Answer, ruling: Ruling, effects: Effects) -> bool:
        """Whether the last answer was a yes to exactly this, or an edit into this that does no more than shown."""
        if isinstance(answer, Yes | Always):
            return question.arguments == ruling.arguments and effects <= question.effects
        return isinstance(answer, Edit) and answer.arguments == ruling.arguments and effects <= question.effects

    @invariant()
    def every_ruling_and_every_move_is_journalled(self) -> None:
        if not hasattr(self, "events"):
            return
        assert sum(isinstance(event, GateDecided) for event in self.events) == self.calls
        level = self.level
        for event in self.events:
            if isinstance(event, LevelChanged):
                assert event.before == int(level)
                level = Level(event.after)
        assert level is self.gate.level, "the slider moves only where the journal says so"


@pytest.mark.parametrize("examples", [150])
def test_nothing_runs_that_nobody_allowed(claim: Any, bench: Workbench, examples: int) -> None:
    machine = type("Machine", (GateMachine,), {"claim": claim, "bench": bench})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=25, deadline=None)
    )
