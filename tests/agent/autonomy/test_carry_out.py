"""A call that waits for its checkpoint: what the person does meanwhile counts before it runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import loop
from agent.autonomy.answers import Always, Answer, ApprovalNeeded, No, SetLevel, Yes
from agent.autonomy.gate import Gate, Question
from agent.autonomy.levels import Level
from agent.autonomy.rules import Kind, Placed, Rule
from agent.budgets import Budgets
from agent.checkpoints import Checkpoints
from agent.context.conversation import Conversation
from agent.journal import CallStarted, GateDecided, Journal
from agent.models.profiles import LOCAL, profile_for
from agent.models.protocol import ToolCall
from agent.verification import CheckDenied, Verification
from agent.work import Work
from sandboxes.protocol import Checkpoint, ExecResult, Output, SandboxError
from tools.protocol import Effect, Workbench
from tools.shell import Shell

Meanwhile = Callable[[], Awaitable[None]]


class Slow:
    """Something whose file state takes a while to save, in which other things happen."""

    incremental = True
    shell = "/bin/bash"

    def __init__(self) -> None:
        self.meanwhile: Meanwhile | None = None
        self.saved = 0
        self.full = False

    async def checkpoint(self, label: str) -> Checkpoint:
        await asyncio.sleep(0)
        if self.meanwhile is not None:
            await self.meanwhile()
        await asyncio.sleep(0)
        if self.full:
            raise SandboxError("no space left")
        self.saved += 1
        return Checkpoint(f"id{self.saved}", "run", self.saved, label, 0.0, 1)

    async def exec(self, argv: list[str], **_: Any) -> ExecResult:
        return ExecResult(0, "exited", Output(b""), 0.0)

    async def checkpoints(self, run_prefix: str) -> list[Checkpoint]:
        return []


class Person:
    name = "person"

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[Question] = []
        self.talk: list[tuple[Question, Answer]] = []

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        self.talk.append((question, self.answers.pop(0) if self.answers else No()))
        return self.talk[-1][1]


class Unwatched:
    def event(self, event: Any) -> None:
        pass

    def text(self, piece: str) -> None:
        pass

    def output(self, piece: bytes) -> None:
        pass

    def note(self, line: str) -> None:
        pass


class Desk:
    """The loop with a slow sandbox; `delete` is a call that destroys."""

    def __init__(
        self, claim: Any, path: Path, level: Level, *answers: Answer, rules: tuple[Placed, ...] = ()
    ) -> None:
        self.person, self.box = Person(*answers), Slow()
        box: Any = self.box
        journal = Journal(path / "journal.jsonl")
        self.work = Work(
            task="",
            journal=journal,
            conversation=Conversation(),
            model=box,
            profile=profile_for(LOCAL),
            prices=None,
            tools={"edit": claim("edit"), "fetch": claim("fetch")},
            bench=Workbench(box),
            gate=Gate(level, self.person, journal.append, rules=rules),
            budgets=Budgets(max_steps=10),
            verification=None,
            checkpoints=Checkpoints(box, box, "test", journal.events, journal.append, lambda line: None),
            planning=False,
            watch=Unwatched(),
        )

    async def delete(self) -> Any:
        call = ToolCall(id="c", name="edit", arguments='{"claims": ["destroy"], "path": "a"}')
        result, _ = await loop.carry_out(self.work, call)
        return result

    @property
    def ran(self) -> bool:
        return any(isinstance(event, CallStarted) for event in self.work.journal.events)

    @property
    def decided(self) -> list[GateDecided]:
        return [event for event in self.work.journal.events if isinstance(event, GateDecided)]


def moves(desk: Desk, level: Level) -> Meanwhile:
    async def move() -> None:
        desk.work.gate.level = level

    return move


async def test_a_slider_that_goes_down_meanwhile_counts(claim: Any, tmp_path: Path) -> None:
    desk = Desk(claim, tmp_path, Level.TRUSTED)
    desk.box.meanwhile = moves(desk, Level.PLAN)
    result = await desk.delete()
    assert "level 0 plan refuses" in result.text
    assert not desk.ran
    assert [event.verdict for event in desk.decided] == ["allow", "deny"]


async def test_what_the_lower_level_asks_about_is_asked(claim: Any, tmp_path: Path) -> None:
    desk = Desk(claim, tmp_path, Level.TRUSTED, No("keep it"))
    desk.box.meanwhile = moves(desk, Level.CONTAINED)
    result = await desk.delete()
    assert "keep it" in result.text
    assert len(desk.person.asked) == 1
    assert not desk.ran


async def test_a_yes_still_counts_where_the_level_asks(claim: Any, tmp_path: Path) -> None:
    desk = Desk(claim, tmp_path, Level.CONTAINED, Yes())
    desk.box.meanwhile = moves(desk, Level.EDIT)
    assert (await desk.delete()).text == "done"
    assert len(desk.person.asked) == 1
    assert desk.ran


async def test_a_rule_that_comes_meanwhile_counts(claim: Any, tmp_path: Path) -> None:
    desk = Desk(claim, tmp_path, Level.TRUSTED)

    async def forbid() -> None:
        desk.work.gate.tighten([Placed("deny", Rule(effects=["destroy"]), "what the user said", 1)])

    desk.box.meanwhile = forbid
    assert "refuses" in (await desk.delete()).text or desk.decided[-1].verdict == "deny"
    assert not desk.ran


async def test_nothing_is_judged_twice_where_nothing_moved(claim: Any, tmp_path: Path) -> None:
    desk = Desk(claim, tmp_path, Level.TRUSTED)
    assert (await desk.delete()).text == "done"
    assert len(desk.decided) == 1
    assert desk.box.saved == 1


async def test_an_interruption_meanwhile_ends_the_call_before_it_runs(claim: Any, tmp_path: Path) -> None:
    desk = Desk(claim, tmp_path, Level.TRUSTED)
    heard: list[bool] = []

    async def interrupt() -> None:
        heard.append(desk.work.steering.interrupt())

    desk.box.meanwhile = interrupt
    result = await desk.delete()
    assert heard == [True]
    assert result.text.startswith("Not run")
    assert result.facts == {"interrupted": True}
    assert not desk.ran
    assert desk.box.saved == 1, "what saves the files is not cut in the middle"
    assert desk.work.steering.waiting, "the person is asked what the model should know"


async def test_ending_the_session_meanwhile_is_no_interruption(claim: Any, tmp_path: Path) -> None:
    desk = Desk(claim, tmp_path, Level.TRUSTED)

    async def wait() -> None:
        await asyncio.sleep(60)

    desk.box.meanwhile = wait
    task = asyncio.ensure_future(desk.delete())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not desk.ran


async def test_a_verify_command_that_a_level_allowed_is_judged_again_below_it(claim: Any, tmp_path: Path) -> None:
    desk = Desk(claim, tmp_path, Level.CONTAINED)
    gate, bench, record = desk.work.gate, desk.work.bench, desk.work.journal.append
    found = Verification("pytest -q", 10, given=False)
    assert (await found.run(gate, Shell(), bench, record)).passed
    assert (await found.run(gate, Shell(), bench, record)).passed
    assert len(desk.decided) == 1
    gate.level = Level.PLAN
    with pytest.raises(CheckDenied, match="level 0 plan"):
        await found.run(gate, Shell(), bench, record)
    given = Verification("pytest -q", 10, given=True)
    assert (await given.run(gate, Shell(), bench, record)).passed


# Whatever the rules, the answers and the moves: what runs was allowed as things stood when it began.

LADDER = ["read", "write", "run history", "destroy", "network outside deliver secret"]
ALLOWED = {
    Level(level): {Effect(name) for step in LADDER[:steps] for name in step.split()}
    for level, steps in {0: 1, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5}.items()
}


class About(NamedTuple):
    """A rule on a tool and a path."""

    kind: Kind
    tool: str | None
    path: str | None

    def placed(self, number: int) -> Placed:
        fields = {"tool": self.tool or "*", **({"paths": self.path} if self.path else {})}
        return Placed(self.kind, Rule.model_validate(fields), "test", number)

    def covers(self, tool: str, path: str) -> bool:
        return self.tool in (None, tool) and self.path in (None, path)


class Step(NamedTuple):
    """Calls made in one turn, how the person answers them, and what happens while files are saved."""

    calls: list[tuple[str, str, list[Effect]]]
    answers: list[Answer]
    slides: Level | None
    forbids: About | None
    full: bool


KINDS: st.SearchStrategy[Kind] = st.sampled_from(["deny", "ask", "allow"])
TOOLS, PATHS = st.sampled_from(["edit", "fetch"]), st.sampled_from(["a", "b"])
RULES = st.builds(About, KINDS, st.none() | TOOLS, st.none() | PATHS)
EFFECTS = st.lists(st.sampled_from(Effect), min_size=1, max_size=2, unique=True) | st.just([Effect.DESTROY])
ANSWERS: st.SearchStrategy[Answer] = st.one_of(
    st.builds(Yes), st.builds(Always), st.builds(No), st.builds(SetLevel, st.sampled_from(Level))
)
CALLS = st.lists(st.tuples(TOOLS, PATHS, EFFECTS), min_size=1, max_size=2)
STEPS = st.builds(
    Step,
    CALLS | CALLS.map(lambda calls: calls * 2),
    st.lists(ANSWERS, max_size=4),
    st.none() | st.sampled_from(Level),
    st.none() | st.builds(About, st.sampled_from(["deny", "ask"]), st.none() | TOOLS, st.none() | PATHS),
    st.booleans(),
)


async def play(claim: Any, path: Path, level: Level, rules: list[About], steps: list[Step]) -> None:
    placed = tuple(rule.placed(number) for number, rule in enumerate(rules, 1))
    desk = Desk(claim, path, level, rules=placed)
    holding, always = list(rules), list[tuple[str, str, frozenset[Effect]]]()
    for number, step in enumerate(steps):
        moved, yes = False, set[tuple[str, str, frozenset[Effect]]]()

        async def meanwhile(step: Step = step) -> None:
            nonlocal moved
            if not moved and step.slides is not None:
                desk.work.gate.level = step.slides
            if not moved and step.forbids is not None:
                holding.append(step.forbids)
                desk.work.gate.tighten([step.forbids.placed(100)])
            moved = True

        desk.box.meanwhile, desk.box.full = meanwhile, step.full
        desk.person.answers = list(step.answers)
        made = [
            ToolCall(id=f"{number}.{at}", name=tool, arguments=json.dumps({"path": where, "claims": claims}))
            for at, (tool, where, claims) in enumerate(step.calls)
        ]
        desk.work.gate.begin_turn(made)
        for call, (tool, where, claims) in zip(made, step.calls, strict=True):
            effects, saved, before = frozenset(claims), desk.box.saved, len(desk.person.talk)
            try:
                result, _ = await loop.carry_out(desk.work, call)
            except ApprovalNeeded:
                return
            said = [(q, answer) for q, answer in desk.person.talk[before:] if isinstance(answer, Yes | Always)]
            told = bool(said) and said[-1] == desk.person.talk[-1]
            yes |= {(tool, where, effects)} if told else set()
            now = (tool, where, effects)
            if result.text == "done":
                stands = desk.work.gate.level
                about = {rule.kind for rule in holding if rule.covers(tool, where)}
                assert "deny" not in about
                assert stands is not Level.PLAN or effects <= ALLOWED[stands]
                if "ask" in about:
                    assert told
                earlier = any((tool, where) == each[:2] and effects <= each[2] for each in always)
                assert effects <= ALLOWED[stands] or "allow" in about or now in yes or earlier
                if Effect.DESTROY in effects:
                    assert desk.box.saved > saved or (told and step.full)
            always += [
                (tool, where, frozenset(q.effects))
                for q, answer in desk.person.talk[before:]
                if isinstance(answer, Always)
            ]
    desk.work.journal.close()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(Level), st.lists(RULES, max_size=3), st.lists(STEPS, max_size=4))
def test_what_runs_was_allowed_as_things_stood_when_it_began(
    claim: Any, level: Level, rules: list[About], steps: list[Step]
) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(play(claim, Path(folder), level, rules, steps))
