"""No sequence of questions, later answers, resumes, rewinds, changes and level moves runs what nobody allowed.

The machine keeps its own account of who allowed what, from what it does itself, and compares every ruling with it.
The journal is the only thing that a resumed session has.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agent.asked import QuestionAnswered
from agent.autonomy.answers import ApprovalNeeded
from agent.autonomy.approvers.chain import Chain
from agent.autonomy.approvers.later import StopApprover
from agent.autonomy.gate import Gate
from agent.autonomy.levels import Level
from agent.autonomy.pending import Recorded, Waiting, pending
from agent.journal import (
    AnyEvent,
    CallFinished,
    CallStarted,
    CheckpointMade,
    ModelReplied,
    ModelRequested,
    SessionResumed,
    SessionRewound,
    SessionStarted,
)
from agent.models.protocol import ToolCall
from tools.protocol import Arguments, Effect, Effects, Preview, ToolResult, Workbench

LADDER = ["read", "write", "run history", "destroy", "network outside deliver secret"]
NAMES = {effect.value for effect in Effect}
ALLOWED = {
    Level(level): {Effect(name) for step in LADDER[:steps] for name in step.split() if name in NAMES}
    for level, steps in {0: 1, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5}.items()
}
EFFECTS = st.frozensets(st.sampled_from([Effect.WRITE, Effect.RUN, Effect.NETWORK, Effect.OUTSIDE]), max_size=2)
LEVELS = st.sampled_from(Level)
KINDS = st.sampled_from(["yes", "always", "no"])


class WriteArguments(Arguments):
    path: str
    content: str


class Write:
    """Its effects and its preview are those of the machine's world: both can change under a question."""

    name: ClassVar[str] = "write"
    description: ClassVar[str] = ""
    arguments: ClassVar[type[Arguments]] = WriteArguments

    def __init__(self, machine: PendingMachine) -> None:
        self.machine = machine

    def effects(self, args: WriteArguments, bench: Workbench) -> Effects:
        return self.machine.could

    async def preview(self, args: WriteArguments, bench: Workbench) -> Preview:
        return Preview(f"write {args.path}", diff=f"-{self.machine.file}\n+{args.content}")

    async def run(self, args: WriteArguments, bench: Workbench) -> ToolResult:
        return ToolResult("")


class PendingMachine(RuleBasedStateMachine):
    bench: Workbench

    @initialize(level=LEVELS)
    def begin(self, level: Level) -> None:
        options = {"allow_hosts": []}
        start = SessionStarted(session="s", version="0", task="t", repository="r", options=options)
        self.events: list[AnyEvent] = [start]
        self.hosts: list[str] = []
        self.calls = 0
        self.file = "old"
        self.could: Effects = frozenset({Effect.NETWORK})
        self.call: dict[str, str] | None = None
        self.answers: dict[Any, tuple[str, Level]] = {}
        self.always: list[tuple[str, Effects]] = []
        self.saved: list[tuple[dict[Any, tuple[str, Level]], dict[str, str] | None, list[str]]] = []
        self._open(level)

    def _open(self, level: Level) -> None:
        chain = Chain([Recorded(self.events), StopApprover(self.events.append)])
        self.gate = Gate(level, chain, self.events.append)
        self.always = []

    @property
    def key(self) -> Any:
        assert self.call is not None
        return (tuple(self.call.items()), self.could, self.file)

    @rule(path=st.sampled_from(["a", "b"]), content=st.sampled_from(["x", "y"]), effects=EFFECTS)
    def a_new_turn(self, path: str, content: str, effects: Effects) -> None:
        self.calls += 1
        self.call = {"id": f"c{self.calls}", "path": path, "content": content}
        self.could = effects or frozenset({Effect.RUN})
        self.answers = {}
        call = ToolCall(id=self.call["id"], name="write", arguments="")
        self.events.append(ModelRequested(model="m", messages=1, fingerprints=(), tools=""))
        self.events.append(ModelReplied(text="", calls=(call,)))

    @precondition(lambda self: self.call is not None)
    @rule()
    def attempt(self) -> None:
        assert self.call is not None
        tool, level, key = Write(self), self.gate.level, self.key
        args = WriteArguments(path=self.call["path"], content=self.call["content"])
        call = ToolCall(id=self.call["id"], name="write", arguments="")
        kind, asked_at = self.answers.get(key, ("", Level.FULL))
        by_level = self.could <= ALLOWED[level]
        holds = bool(kind) and level >= asked_at and level is not Level.PLAN
        by_rule = level is not Level.PLAN and any(
            path == self.call["path"] and self.could <= effects for path, effects in self.always
        )
        try:
            ruling = asyncio.run(self.gate.review(call, tool, args, self.bench))
        except ApprovalNeeded:
            assert not by_level
            assert not by_rule
            assert not holds, "an answer that still holds is used"
            assert level is not Level.PLAN
            self.answers.pop(key, None)  # asked anew, at a lower level: the earlier answer is replaced
            return
        if ruling.verdict == "allow":
            assert by_level or by_rule or (holds and kind in ("yes", "always")), "nobody allowed this"
            self.events.append(CallStarted(call=call.id, tool="write", arguments=""))
            if not (by_level or by_rule) and kind == "always":
                self.always.append((self.call["path"], self.could))
        else:
            assert level is Level.PLAN or (holds and kind == "no")
        self.events.append(CallFinished(call=call.id, tool="write", ok=True, text=""))
        self.call, self.answers = None, {}

    @rule(kind=KINDS, data=st.data())
    def answer_a_question(self, kind: Any, data: Any) -> None:
        waiting = [each for each in pending(self.events) if each.answer is None]
        if not waiting:
            return
        each: Waiting = data.draw(st.sampled_from(waiting))
        asked = each.asked
        self.events.append(QuestionAnswered(id=asked.id, digest=asked.digest, answer=kind, by="someone"))
        assert self.call is not None
        before = asked.diff.splitlines()[0].removeprefix("-")
        key = (tuple(self.call.items()), frozenset(map(Effect, asked.effects)), before)
        self.answers[key] = (kind, Level(asked.level))

    @rule(kind=KINDS, effects=EFFECTS, data=st.data())
    def stop_at_a_question_and_answer_it(self, kind: Any, effects: Effects, data: Any) -> None:
        if self.call is None:
            self.a_new_turn("a", "x", effects)
        if not pending(self.events):
            self.attempt()
        if self.call is not None:
            self.answer_a_question(kind, data)

    @rule(
        what=st.sampled_from(["nothing", "effects", "file", "level", "files lost", "hosts", "slider"]),
        data=st.data(),
    )
    def go_on_with_the_answer(self, what: str, data: Any) -> None:
        """Resume as a user would, with at most one thing changed, and come to the question again."""
        if not self.answers:
            self.stop_at_a_question_and_answer_it("yes", frozenset({Effect.NETWORK}), data)
        if self.call is None:
            return
        level = data.draw(LEVELS) if what == "level" else self.gate.level
        self.resume(level, what != "files lost", ["example.org"] if what == "hosts" else self.hosts)
        if what == "effects":
            self.could = data.draw(EFFECTS) or self.could
        elif what == "file":
            self.file = data.draw(st.sampled_from(["old", "new"]))
        elif what == "slider":
            self.move_the_slider(data.draw(LEVELS))
        self.attempt()

    @rule(id_=st.booleans())
    def answer_something_else(self, id_: bool) -> None:
        """An answer to another question, or one whose hash is another's, allows nothing."""
        for each in pending(self.events):
            asked = each.asked
            new = {"id": "00000000", "digest": asked.digest} if id_ else {"id": asked.id, "digest": "0" * 64}
            self.events.append(QuestionAnswered(answer="yes", by="someone", **new))

    @rule(level=LEVELS)
    def move_the_slider(self, level: Level) -> None:
        self.gate.level = level

    @rule(level=LEVELS, saved=st.booleans(), hosts=st.sampled_from([[], [], ["example.org"]]))
    def resume(self, level: Level, saved: bool, hosts: list[str]) -> None:
        self.events.append(SessionResumed(version="0", options={"allow_hosts": hosts}, saved_workspace=saved))
        if not saved or hosts != self.hosts:
            self.answers = {}
        self.hosts = hosts
        self._open(level)

    @rule(effects=EFFECTS, file=st.sampled_from(["old", "new"]))
    def the_world_changes(self, effects: Effects, file: str) -> None:
        self.could, self.file = effects or self.could, file

    @rule()
    def checkpoint(self) -> None:
        number = len(self.saved) + 1
        self.events.append(
            CheckpointMade(number=number, before="x", id="i", run_id="r", run_number=1, bytes=0, seconds=0)
        )
        self.saved.append((dict(self.answers), self.call, self.hosts))

    @precondition(lambda self: bool(getattr(self, "saved", None)))
    @rule(data=st.data())
    def rewind(self, data: Any) -> None:
        number = data.draw(st.integers(1, len(self.saved)))
        self.events.append(SessionRewound(to=number))
        answers, self.call, self.hosts = self.saved[number - 1]
        self.answers = dict(answers)
        self._open(self.gate.level)


@pytest.mark.parametrize("examples", [100])
def test_nothing_runs_that_nobody_allowed_whenever_it_was_asked(bench: Workbench, examples: int) -> None:
    machine = type("Machine", (PendingMachine,), {"bench": bench})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=30, deadline=None)
    )
