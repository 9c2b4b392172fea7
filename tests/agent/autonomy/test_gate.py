"""What the gate does with each answer, and when nobody answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from agent.asked import AlwaysGranted, AlwaysScope
from agent.autonomy.answers import Always, Answer, Edit, No, Quit, SetLevel, Yes
from agent.autonomy.approvers.absent import AbsentApprover
from agent.autonomy.gate import Approver, Gate, Question, Ruling
from agent.autonomy.levels import Level
from agent.autonomy.proposals import Proposal
from agent.autonomy.rules import Placed, Rule
from agent.journal import AnyEvent, GateDecided, LevelChanged
from agent.models.protocol import ToolCall
from sandboxes.protocol import SandboxLost
from tools.process import Process, ProcessArguments
from tools.protocol import EVERY_EFFECT, Effect, Preview, Talk, Workbench
from tools.shell import Shell

READ, WRITE, NETWORK, OUTSIDE = Effect.READ, Effect.WRITE, Effect.NETWORK, Effect.OUTSIDE


class Script:
    """An approver that gives prepared answers, and keeps what it was asked."""

    name = "script"

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.questions: list[Question] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def ask(self, question: Question) -> Answer:
        self.questions.append(question)
        await asyncio.sleep(0)
        self.meanwhile()
        return self.answers.pop(0)


class Desk:
    """A gate with its approver, its journal and tools to review calls of."""

    def __init__(self, claim: Any, bench: Workbench, level: Level, approver: Approver) -> None:
        self.events: list[AnyEvent] = []
        self.claim, self.bench = claim, bench
        self.gate = Gate(level, approver, self.events.append)

    async def review(self, *claims: Effect, tool: str = "edit", **arguments: Any) -> Ruling:
        made = self.claim(tool)
        args = made.arguments.model_validate({"claims": list(claims), **arguments})
        call = ToolCall(id=f"call_{len(self.events)}", name=tool, arguments=args.model_dump_json())
        return await self.gate.review(call, made, args, self.bench)

    @property
    def decided(self) -> list[GateDecided]:
        return [event for event in self.events if isinstance(event, GateDecided)]


@pytest.fixture
def desk(claim: Any, bench: Workbench) -> Callable[..., tuple[Desk, Script]]:
    def make(*answers: Answer, level: Level = Level.CONTAINED) -> tuple[Desk, Script]:
        script = Script(*answers)
        return Desk(claim, bench, level, script), script

    return make


async def test_what_the_level_allows_runs_unasked_and_is_journalled(desk: Any) -> None:
    d, script = desk()
    ruling = await d.review(READ, WRITE, note="x")
    assert (ruling.verdict, script.questions) == ("allow", [])
    assert ruling.arguments == {"claims": ["read", "write"], "note": "x"}
    [event] = d.decided
    assert (event.by, event.verdict, event.level, event.effects) == ("table", "allow", 3, ("read", "write"))
    assert event.shown == ""


async def test_the_question_holds_what_a_person_needs(desk: Any) -> None:
    d, script = desk(Yes())
    ruling = await d.review(WRITE, NETWORK, path="b.txt", note="line")
    assert ruling.verdict == "allow"
    [question] = script.questions
    assert question.effects == {WRITE, NETWORK}
    assert question.because == {NETWORK}
    assert (
        question.cause == "level 3 contained asks before a call that could reach a host over the network (network)"
    )
    assert question.preview.diff == "+line"
    assert question.cwd == "/workspace"
    assert question.always == "`edit` on b.txt"
    [event] = d.decided
    assert (event.by, event.answers, event.cause) == ("script", ("yes",), question.cause)
    assert "+line" in event.shown
    assert event.seconds >= 0


async def test_no_reaches_the_model_with_its_reason(desk: Any) -> None:
    d, _ = desk(No("use the mirror"), No())
    assert (await d.review(NETWORK)).reason == "the user said no: use the mirror"
    ruling = await d.review(NETWORK)
    assert (ruling.verdict, ruling.reason) == ("deny", "the user said no, without a reason")
    assert (d.gate.asked, d.gate.denied, d.gate.needed_approval) == (2, 2, False)


async def test_plan_refuses_without_asking_and_says_what_it_allows(desk: Any) -> None:
    d, script = desk(level=Level.PLAN)
    assert (await d.review(READ)).verdict == "allow"
    ruling = await d.review(READ, WRITE)
    assert ruling.verdict == "deny"
    assert "level 0 plan refuses a call that could create or edit files" in ruling.reason
    assert "It allows: read." in ruling.reason
    assert script.questions == []
    assert d.decided[-1].by == "table"


async def test_a_tool_that_claims_nothing_is_asked_about_as_if_it_could_do_everything(desk: Any) -> None:
    d, script = desk(No(), level=Level.TRUSTED)
    await d.review()
    assert script.questions[0].effects == EVERY_EFFECT


async def test_nobody_there_denies_and_the_gate_says_that_someone_was_needed(claim: Any, bench: Workbench) -> None:
    d = Desk(claim, bench, Level.CONTAINED, AbsentApprover())
    assert (await d.review(WRITE)).verdict == "allow"
    assert not d.gate.needed_approval
    ruling = await d.review(NETWORK)
    assert ruling.verdict == "deny"
    assert ruling.reason.startswith("nobody is there to ask, and level 3 contained asks before")
    assert d.gate.needed_approval
    assert d.decided[-1].by == "nobody"


async def test_always_covers_the_same_path_with_no_more_effects(desk: Any) -> None:
    d, script = desk(Always(), No("new effect"), No("other path"), No("other tool"))
    assert (await d.review(OUTSIDE, path="src/a.py", note="1")).verdict == "allow"
    assert (await d.review(OUTSIDE, path="src/a.py", note="2")).verdict == "allow"
    assert (await d.review(OUTSIDE, path="./src/x/../a.py")).verdict == "allow", "spelled otherwise, used the same"
    assert d.decided[-1].by == "always"
    assert d.decided[-1].cause == "always allowed: `edit` on src/a.py"
    assert len(script.questions) == 1
    assert (await d.review(OUTSIDE, NETWORK, path="src/a.py")).reason.endswith("new effect")
    assert (await d.review(OUTSIDE, path="src/b.py")).reason.endswith("other path")
    assert (await d.review(OUTSIDE, path="src/a.py", tool="write")).reason.endswith("other tool")


async def test_two_approvals_are_not_added_up(desk: Any) -> None:
    d, _ = desk(Always(), Always(), No("both at once"))
    await d.review(OUTSIDE, path="a")
    await d.review(NETWORK, path="a")
    assert (await d.review(OUTSIDE, NETWORK, path="a")).verdict == "deny"


async def test_always_for_another_tool_means_the_very_same_arguments_in_the_same_directory(desk: Any) -> None:
    d, script = desk(Always(), No(), No())
    await d.review(NETWORK, tool="fetch", note="x")
    assert (await d.review(NETWORK, tool="fetch", note="x")).verdict == "allow"
    assert (await d.review(NETWORK, tool="fetch", note="y")).verdict == "deny"
    d.bench = Workbench(sandbox=d.bench.sandbox, cwd="/elsewhere")
    assert (await d.review(NETWORK, tool="fetch", note="x")).verdict == "deny"
    assert len(script.questions) == 3


async def test_always_cannot_lift_what_plan_refuses(desk: Any) -> None:
    d, _ = desk(Always())
    await d.review(OUTSIDE)
    d.gate.level = Level.PLAN
    assert (await d.review(OUTSIDE)).verdict == "deny"
    assert d.decided[-1].by == "table"


async def test_an_edited_call_runs_without_a_second_question_when_it_does_no_more(desk: Any) -> None:
    d, script = desk(Edit({"path": "b", "claims": ["network"], "note": "mine"}))
    ruling = await d.review(NETWORK, OUTSIDE, path="a")
    assert ruling == Ruling("allow", {"path": "b", "claims": ["network"], "note": "mine"}, edited=True)
    assert len(script.questions) == 1
    assert json.loads(d.decided[-1].edited_arguments or "") == ruling.arguments
    assert d.decided[-1].effects == ("network",)


async def test_an_edited_call_that_could_do_more_is_asked_about_again(desk: Any) -> None:
    d, script = desk(Edit({"path": "b", "claims": ["outside"]}), Yes())
    ruling = await d.review(NETWORK, path="a")
    assert ruling.verdict == "allow"
    assert ruling.arguments["path"] == "b"
    again = script.questions[1]
    assert again.note == "the edited call could do more than the one you saw: outside"
    assert (again.effects, again.preview.title) == ({OUTSIDE}, "edit b")
    assert d.decided[-1].answers == ("edit", "yes")


async def test_an_edited_call_that_the_level_allows_needs_no_second_question(desk: Any) -> None:
    d, script = desk(Edit({"claims": ["write"]}))
    assert (await d.review(NETWORK)).verdict == "allow"
    assert len(script.questions) == 1


@pytest.mark.parametrize("wrong", [{"claims": ["magic"]}, {"colour": "red"}, {"path": 3}])
async def test_an_edit_that_does_not_fit_the_tool_is_explained_and_asked_again(
    desk: Any, wrong: dict[str, Any]
) -> None:
    d, script = desk(Edit(wrong), No())
    ruling = await d.review(NETWORK)
    assert ruling.verdict == "deny"
    assert script.questions[1].note.startswith(f"these arguments do not fit `edit`: {next(iter(wrong))}")
    assert script.questions[1].arguments == {"claims": ["network"]}
    assert d.decided[-1].edited_arguments is None


async def test_raising_the_level_judges_the_call_again(desk: Any) -> None:
    d, script = desk(SetLevel(Level.TRUSTED), SetLevel(Level.FULL))
    ruling = await d.review(NETWORK)
    assert ruling.verdict == "allow"
    assert d.gate.level is Level.FULL
    assert script.questions[1].note == "the level is now 4 trusted"
    assert [type(event) for event in d.events] == [LevelChanged, LevelChanged, GateDecided]
    assert (d.decided[-1].level, d.decided[-1].by) == (5, "table")


async def test_lowering_the_level_to_plan_in_answer_refuses_the_call(desk: Any) -> None:
    d, _ = desk(SetLevel(Level.PLAN))
    assert (await d.review(NETWORK)).verdict == "deny"
    assert d.events[0] == LevelChanged(before=3, after=0, time=d.events[0].time)


async def test_a_level_lowered_while_the_person_thinks_counts(desk: Any) -> None:
    d, script = desk(Yes())
    script.meanwhile = lambda: setattr(d.gate, "level", Level.PLAN)
    ruling = await d.review(NETWORK)
    assert ruling.verdict == "deny"
    assert d.decided[-1].level == 0


async def test_setting_the_level_it_has_is_no_event(desk: Any) -> None:
    d, _ = desk()
    d.gate.level = Level.CONTAINED
    assert d.events == []


async def test_quit_ends_it_for_every_later_call_too(desk: Any) -> None:
    d, script = desk(Quit())
    ruling = await d.review(NETWORK)
    assert (ruling.verdict, ruling.quit) == ("deny", True)
    later = await d.review(READ)
    assert (later.verdict, later.quit) == ("deny", True)
    assert len(script.questions) == 1


async def test_calls_that_wait_are_judged_by_what_was_answered_meanwhile(desk: Any) -> None:
    d, script = desk(Always())
    rulings = await asyncio.gather(*(d.review(NETWORK, path="a", note=str(number)) for number in range(5)))
    assert [ruling.verdict for ruling in rulings] == ["allow"] * 5
    assert len(script.questions) == 1, "the same shape is asked once"


async def test_questions_come_one_at_a_time(desk: Any) -> None:
    d, script = desk(*[Yes()] * 4)
    open_now = 0
    most = 0
    ask = script.ask

    async def counting(question: Question) -> Answer:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        try:
            answer: Answer = await ask(question)
            return answer
        finally:
            open_now -= 1

    script.ask = counting
    await asyncio.gather(*(d.review(NETWORK, path=str(number)) for number in range(4)))
    assert most == 1


async def test_a_ruling_is_journalled_before_it_is_returned_and_nothing_runs_if_it_cannot_be(
    claim: Any, bench: Workbench
) -> None:
    def full(event: AnyEvent) -> None:
        raise OSError("disk full")

    tool = claim("edit")
    gate = Gate(Level.FULL, Script(), full)
    with pytest.raises(OSError, match="disk full"):
        await gate.review(ToolCall(id="1", name="edit", arguments=""), tool, tool.arguments(), bench)
    with pytest.raises(OSError, match="disk full"):
        gate.level = Level.ASK
    assert gate.level is Level.FULL


async def test_a_cancelled_question_leaves_no_ruling_and_the_next_one_can_be_asked(desk: Any) -> None:
    d, script = desk(Yes())
    asked = asyncio.Event()
    ask = script.ask

    async def never(question: Question) -> Answer:
        asked.set()
        return await asyncio.Future()

    script.ask = never
    task = asyncio.create_task(d.review(NETWORK))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert d.events == []
    script.ask = ask
    assert (await d.review(NETWORK)).verdict == "allow"


async def test_a_preview_that_cannot_be_made_is_said_and_a_lost_sandbox_is_passed_on(desk: Any) -> None:
    d, script = desk(No())
    await d.review(NETWORK, note="unreadable")
    assert "no preview: a.txt: too large" in script.questions[0].preview.detail
    with pytest.raises(SandboxLost):
        await d.review(NETWORK, note="lost")


async def test_what_was_shown_is_bounded_in_the_journal(desk: Any) -> None:
    d, _ = desk(Yes())
    await d.review(NETWORK, note="x" * 100_000)
    assert len(d.decided[-1].shown) < 17_000
    assert "more characters]" in d.decided[-1].shown


@pytest.mark.parametrize("level", Level)
async def test_delivery_goes_by_the_same_table(desk: Any, level: Level) -> None:
    d, script = desk(Yes(), level=level)
    ruling = await d.gate.review_delivery(Preview("2 files", diff="+x"))
    assert ruling.verdict == ("deny" if level is Level.PLAN else "allow")
    assert len(script.questions) == (0 if level in {Level.PLAN, Level.FULL} else 1)
    [event] = d.decided
    assert (event.tool, event.effects) == ("deliver", ("deliver",))
    if script.questions:
        assert script.questions[0].always == ""


async def test_a_delivery_is_never_remembered_and_cannot_be_edited(desk: Any) -> None:
    d, script = desk(Always(), Edit({"x": 1}), No("not yet"))
    assert (await d.gate.review_delivery(Preview("one"))).verdict == "allow"
    assert (await d.gate.review_delivery(Preview("two"))).reason == "the user said no: not yet"
    assert "cannot be edited" in script.questions[2].note
    assert d.gate.level is Level.CONTAINED


def placed(kind: Any, number: int = 1, **conditions: Any) -> Placed:
    return Placed(kind, Rule.model_validate(conditions), "config.toml", number)


async def test_a_rule_that_refuses_is_told_to_the_model_and_journalled(desk: Any) -> None:
    d, script = desk(level=Level.FULL)
    d.gate.tighten([placed("deny", name="keep", tool="edit", paths="keep/", reason="it is generated")])
    ruling = await d.review(WRITE, path="keep/a")
    assert ruling.verdict == "deny"
    assert "deny rule 1 (keep) of config.toml: it is generated" in ruling.reason
    assert (await d.review(WRITE, path="other")).verdict == "allow"
    assert script.questions == []
    assert d.decided[0].by == "deny rule 1 (keep) of config.toml"
    assert d.decided[0].cause.endswith("it is generated")


async def test_what_a_rule_asks_about_is_asked_each_time_at_every_level(desk: Any) -> None:
    d, script = desk(Always(), Yes(), No("not now"), level=Level.FULL)
    d.gate.tighten([placed("ask", tool="edit")])
    for wanted in ("allow", "allow", "deny"):
        assert (await d.review(WRITE)).verdict == wanted
    assert [question.by for question in script.questions] == ["ask rule 1 of config.toml"] * 3
    assert {question.always for question in script.questions} == {""}


async def test_rules_that_allow_cannot_be_added_on_the_way(desk: Any) -> None:
    d, script = desk(No())
    d.gate.tighten([placed("allow", tool="*")])
    await d.review(NETWORK)
    assert len(script.questions) == 1


async def test_a_rule_that_allows_answers_for_the_person(claim: Any, bench: Workbench) -> None:
    events: list[AnyEvent] = []
    script = Script()
    gate = Gate(Level.CONTAINED, script, events.append, rules=[placed("allow", tool="edit", effects="network")])
    made = claim("edit")
    args = made.arguments.model_validate({"claims": ["network"]})
    ruling = await gate.review(ToolCall(id="1", name="edit", arguments="{}"), made, args, bench)
    assert (ruling.verdict, script.questions) == ("allow", [])
    [event] = events
    assert isinstance(event, GateDecided)
    assert event.by == "allow rule 1 of config.toml"


async def test_an_edited_call_is_asked_about_again_if_another_rule_asks(desk: Any) -> None:
    d, script = desk(Edit({"claims": ["network"], "path": "b"}), No())
    d.gate.tighten([placed("ask", paths="b")])
    assert (await d.review(NETWORK, path="a")).verdict == "deny"
    assert len(script.questions) == 2


async def test_guarded_deliveries_are_asked_about_though_a_rule_allows_and_shown_at_full(
    claim: Any, bench: Workbench
) -> None:
    events: list[AnyEvent] = []
    script = Script(Yes())
    gate = Gate(Level.TRUSTED, script, events.append, rules=[placed("allow", effects="deliver")])
    assert (await gate.review_delivery(Preview("deliver"))).verdict == "allow"
    assert script.questions == []
    hook = (".husky/pre-commit runs on your machine when you commit",)
    assert (await gate.review_delivery(Preview("deliver"), guards=hook)).verdict == "allow"
    assert script.questions[0].cause == hook[0]
    gate.level = Level.FULL
    assert (await gate.review_delivery(Preview("deliver"), guards=hook)).verdict == "allow"
    last = events[-1]
    assert isinstance(last, GateDecided)
    assert (len(script.questions), last.by) == (1, "guarded")
    assert hook[0] in last.cause


class Kept:
    """Where rules for the repository go."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def __call__(self, rule: Rule) -> Placed | None:
        self.rules.append(rule)
        return Placed("allow", rule, "own.toml", len(self.rules))


async def shell(d: Desk, command: str, number: int = 1) -> Ruling:
    tool: Any = Shell()
    args = tool.arguments(command=command)
    call = ToolCall(id=f"s{number}", name="shell", arguments=json.dumps({"command": command}))
    return await d.gate.review(call, tool, args, d.bench)


def wider(question: Question) -> Proposal:
    return question.proposals[-1]


class Chooses(Script):
    """Says always to the widest thing that is proposed, once for each scope given; then no."""

    def __init__(self, *scopes: AlwaysScope) -> None:
        super().__init__()
        self.scopes = list(scopes)

    async def ask(self, question: Question) -> Answer:
        self.questions.append(question)
        return Always(wider(question), self.scopes.pop(0)) if self.scopes else No("not that")


async def test_a_wider_always_covers_its_shape_and_nothing_that_could_do_more(
    claim: Any, bench: Workbench
) -> None:
    script = Chooses("session")
    d = Desk(claim, bench, Level.ASK, script)
    assert (await shell(d, "pytest -q")).verdict == "allow"
    assert (await shell(d, "pytest tests && pytest -x")).verdict == "allow"
    assert d.decided[-1].cause == "always allowed: `pytest *`"
    assert (await shell(d, "pytest; rm x")).verdict == "deny"
    assert (await shell(d, "pytest > out.txt")).verdict == "deny"
    assert (await shell(d, "ruff check")).verdict == "deny"
    d.gate.level = Level.PLAN
    assert (await shell(d, "pytest -q")).verdict == "deny"


async def test_a_resumed_session_keeps_what_was_always_allowed_and_an_hour_ends(
    claim: Any, bench: Workbench
) -> None:
    d = Desk(claim, bench, Level.ASK, Chooses("session", "hour"))
    await shell(d, "pytest -q")
    await shell(d, "ruff check")
    granted = [event for event in d.events if isinstance(event, AlwaysGranted)]
    assert [(each.words, each.scope) for each in granted] == [("`pytest *`", "session"), ("`ruff *`", "hour")]
    assert granted[1].until is not None
    read_back = [AlwaysGranted.model_validate_json(each.model_dump_json()) for each in granted]
    read_back[1] = read_back[1].model_copy(update={"until": time.time() - 1})
    for events, verdicts in ((granted, ["allow", "allow"]), (read_back, ["allow", "deny"])):
        resumed = Desk(claim, bench, Level.ASK, Script(No()))
        resumed.gate = Gate(Level.ASK, resumed.gate._approver, resumed.events.append, events=events)
        assert [(await shell(resumed, each)).verdict for each in ("pytest x", "ruff .")] == verdicts


async def test_an_always_for_the_repository_is_a_rule_that_is_kept(claim: Any, bench: Workbench) -> None:
    kept, script = Kept(), Chooses("repository")
    d = Desk(claim, bench, Level.ASK, script)
    d.gate = Gate(Level.ASK, script, d.events.append, keep=kept)
    await shell(d, "git add a.py")
    assert [rule.commands for rule in kept.rules] == [("git add *",)]
    assert (await shell(d, "git add b.py")).verdict == "allow"
    assert d.decided[-1].by == "allow rule 1 of own.toml"
    [event] = [event for event in d.events if isinstance(event, AlwaysGranted)]
    assert event.label == "allow rule 1 of own.toml"
    again = Gate(Level.ASK, Script(), d.events.append, events=d.events)
    assert again.rules == (), "the file says whether it still holds"


async def test_a_rule_that_cannot_be_kept_is_a_yes_for_once(claim: Any, bench: Workbench) -> None:
    d = Desk(claim, bench, Level.ASK, Chooses("repository"))
    assert (await shell(d, "git add a.py")).verdict == "allow"
    assert (await shell(d, "git add a.py")).verdict == "deny"
    assert not [event for event in d.events if isinstance(event, AlwaysGranted)]


async def test_guarded_and_delivering_calls_are_never_proposed(claim: Any, bench: Workbench) -> None:
    script = Script(No(), No(), No())
    d = Desk(claim, bench, Level.TRUSTED, script)
    await shell(d, "rm -rf /workspace")
    await shell(d, "git push")
    await shell(d, 'eval "$x"')
    assert [(each.always, each.proposals) for each in script.questions] == [("", ())] * 3


def turn(d: Desk, *commands: str) -> list[ToolCall]:
    calls = [
        ToolCall(id=f"s{number}", name="shell", arguments=json.dumps({"command": command}))
        for number, command in enumerate(commands)
    ]
    d.gate.begin_turn(calls)
    return calls


@pytest.mark.parametrize("answer", [Yes(), No("no network")])
async def test_the_same_call_of_one_turn_is_asked_about_once(answer: Answer, claim: Any, bench: Workbench) -> None:
    script = Script(answer, No("second turn"))
    d = Desk(claim, bench, Level.CONTAINED, script)
    line = "curl example.org"
    turn(d, line, line, line)
    first, *others = [await shell(d, line, number) for number in range(3)]
    assert [each.verdict for each in others] == [first.verdict] * 2
    assert [each.reason for each in others] == [first.reason] * 2
    assert [question.same for question in script.questions] == [3]
    assert d.decided[-1].cause.endswith("answered once for the same calls of this turn")
    turn(d, line)
    assert (await shell(d, line)).reason == "the user said no: second turn"


async def test_once_something_else_ran_the_same_call_is_asked_about_again(claim: Any, bench: Workbench) -> None:
    script = Script(Yes(), No())
    d = Desk(claim, bench, Level.CONTAINED, script)
    turn(d, "curl example.org", "cat a", "./change.sh", "curl example.org")
    verdicts = [
        (await shell(d, each)).verdict for each in ("curl example.org", "cat a", "./change.sh", "curl example.org")
    ]
    assert verdicts == ["allow", "allow", "allow", "deny"]


async def test_what_is_guarded_is_asked_about_each_time_in_one_turn_too(claim: Any, bench: Workbench) -> None:
    script = Script(Yes(), No())
    d = Desk(claim, bench, Level.CONTAINED, script)
    turn(d, "rm -rf /workspace", "rm -rf /workspace")
    assert [(await shell(d, "rm -rf /workspace")).verdict for _ in range(2)] == ["allow", "deny"]


async def test_a_level_lowered_meanwhile_counts_for_the_same_call(claim: Any, bench: Workbench) -> None:
    d = Desk(claim, bench, Level.CONTAINED, Script(Yes()))
    turn(d, "curl example.org", "curl example.org")
    assert (await shell(d, "curl example.org")).verdict == "allow"
    d.gate.level = Level.PLAN
    assert (await shell(d, "curl example.org")).verdict == "deny"


async def test_a_line_typed_in_pieces_meets_the_rules_that_it_meets_whole(bench: Workbench) -> None:
    events: list[AnyEvent] = []
    push = Placed("deny", Rule(commands=["git push *"]), "bridle.toml", 1)
    gate = Gate(Level.FULL, AbsentApprover(), events.append, rules=[push])
    typed = Workbench(bench.sandbox, talks={1: Talk("bash", "/workspace", "ls\ngit ")})
    args = ProcessArguments(action="write", process=1, input="push\n")
    call = ToolCall(id="call_1", name="process", arguments=args.model_dump_json())
    assert (await gate.review(call, Process(), args, typed)).verdict == "deny"


async def test_denials_count_over_the_runs_of_a_session(claim: Any, bench: Workbench) -> None:
    events: list[AnyEvent] = []
    stops: list[str] = []
    made = claim("edit")
    for run in range(5):
        gate = Gate(Level.CONTAINED, AbsentApprover(), events.append, events=events)
        for at, claims in enumerate([["network"], ["network"], ["read"]]):
            args = made.arguments.model_validate({"claims": claims, "path": f"{run}{at}"})
            call = ToolCall(id=f"{run}.{at}", name="edit", arguments=args.model_dump_json())
            ruling = await gate.review(call, made, args, bench)
            stops += [ruling.stop] if ruling.stop else []
    assert stops == ["10 calls were not allowed"]
    assert ruling.verdict == "allow"


async def test_what_plan_refuses_ends_no_row_and_counts_in_all(desk: Any) -> None:
    d, _ = desk(level=Level.PLAN)
    stops = [(await d.review(WRITE, path=str(number))).stop for number in range(10)]
    assert stops == [""] * 9 + ["10 calls were not allowed"]
