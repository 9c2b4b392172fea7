"""Conformance: every approver, with every ending that it can have. Whatever is not plainly a yes does not run.

An approver is driven by what really answers it: keys on a terminal, a program, a file, a service behind a
model, an answer in the session's folder. What is asserted is the gate's ruling.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.service import Answer as Served
from support.service import Script, Service
from support.terminal import OnTerminal

from agent.asked import QuestionAnswered, QuestionAsked
from agent.autonomy import mailbox
from agent.autonomy.answers import Answer, ApprovalNeeded, Yes
from agent.autonomy.approvers import AbsentApprover
from agent.autonomy.approvers.chain import Chain, Link
from agent.autonomy.approvers.compose import Timed
from agent.autonomy.approvers.judge import JudgeApprover
from agent.autonomy.approvers.later import StopApprover, WaitApprover
from agent.autonomy.approvers.policy import JudgePowers, PolicyApprover, read_policy
from agent.autonomy.approvers.program import MAX_OUTPUT, ProgramApprover
from agent.autonomy.gate import Approver, Gate, Question, Ruling
from agent.autonomy.levels import Level
from agent.autonomy.pending import Recorded, pending
from agent.journal import AnyEvent, GateDecided
from agent.models.chat import ChatModel
from agent.models.protocol import ToolCall
from agent.outcomes import UsageProblem
from tools.protocol import Effect, Workbench

CHILD = Path(__file__).with_name("terminal_child.py")
REASON = "not with this one"
CLAIMS = {"claims": ["write", "run"], "path": "a.txt"}
EDITED = {"claims": ["write"], "path": "b.txt"}
SOON = 1.0

ENDINGS: dict[str, tuple[str, ...]] = {
    "terminal": ("yes", "no", "edit", "timeout", "error", "garbage"),
    "program": ("yes", "no", "edit", "timeout", "error", "garbage", "flood", "half a decision"),
    "policy": ("yes", "no", "error", "garbage"),
    "judge": ("yes", "no", "timeout", "error", "garbage"),
    "wait": ("yes", "no", "timeout", "error", "garbage"),
    "recorded": ("yes", "no", "error"),
    "nobody": ("timeout",),
    "stop": ("timeout",),
}
"""What each can end in: a policy knows no time, only a person or a program can edit, nobody says nothing."""


class Ended(NamedTuple):
    verdict: str
    reason: str
    arguments: dict[str, Any]
    by: str


class Desk:
    """What a driver needs; `events` are what was journalled."""

    def __init__(self, claim: Any, bench: Workbench, folder: Path, service: Callable[[Script], Service]) -> None:
        self.claim, self.bench, self.folder, self.service = claim, bench, folder, service
        self.events: list[AnyEvent] = []

    def rule(self, approver: Approver) -> Ended:
        return asyncio.run(self.review(approver))

    async def review(self, approver: Approver, level: Level = Level.ASK, claims: Any = CLAIMS) -> Ended:
        gate = Gate(level, approver, self.events.append)
        tool = self.claim("edit")
        call = ToolCall(id="call", name="edit", arguments=json.dumps(claims))
        ruling: Ruling = await gate.review(call, tool, tool.arguments.model_validate(claims), self.bench)
        last = self.events[-1]
        assert isinstance(last, GateDecided)
        assert last.verdict == ruling.verdict
        return Ended(ruling.verdict, ruling.reason, ruling.arguments, last.by)


@pytest.fixture
def at_desk(claim: Any, bench: Workbench, tmp_path: Path, service: Any) -> Desk:
    tmp_path.chmod(0o700)
    return Desk(claim, bench, tmp_path, service)


def alone(link: Link) -> Chain:
    """The only one in a chain: what it passes on is a no."""
    return Chain([link])


def terminal(desk: Desk, ending: str) -> Ended:
    scenario = {"calls": [{"command": "make", "claims": ["run"]}], "level": 1, "timeout": SOON * 20}
    if ending == "timeout":
        scenario["timeout"] = SOON
    result = desk.folder / "result.json"
    child = OnTerminal([sys.executable, str(CHILD), json.dumps(scenario), str(result)], {})
    keys = {"yes": "y\r", "edit": "e\r", "no": "n\r", "garbage": "yes please\r", "error": "\x04"}
    try:
        if ending in keys:
            child.answer(keys[ending])
        if ending == "no":
            child.expect("Why not")
            child.send(f"{REASON}\r")
        if ending == "edit":
            child.expect("> make")
            child.send(" test\r")
        if ending == "garbage":
            child.expect("No such answer")
            child.answer("q\r")
        assert child.wait() == 0, child.seen
        got = json.loads(result.read_text())
        last = got["events"][-1]
        [ruling] = got["rulings"]
        return Ended(ruling["verdict"], ruling["reason"], {"command": ruling["command"]}, last["by"])
    finally:
        child.close()


def program(desk: Desk, ending: str) -> Ended:
    decisions = {"yes": {"decision": "yes"}, "no": {"decision": "no", "reason": REASON}}
    decisions["edit"] = {"decision": "edit", "arguments": EDITED}
    body = {
        "timeout": "import time; time.sleep(60)",
        "error": 'print(\'{"decision": "yes"}\'); raise SystemExit(3)',
        "garbage": "print('yes')",
        "flood": f"print('{{\"decision\": \"yes\"}}' + ' ' * {MAX_OUTPUT})",
        "half a decision": 'print(\'{"decision": "edit"}\')',
    }.get(ending, f"import json, sys; json.load(sys.stdin); print({json.dumps(decisions.get(ending))!r})")
    script = desk.folder / "approver"
    script.write_text(f"#!{sys.executable}\n{body}\n")
    script.chmod(0o700)
    seconds = SOON if ending == "timeout" else 60
    return desk.rule(alone(ProgramApprover(str(script), "session", timeout=seconds)))


def policy(desk: Desk, ending: str) -> Ended:
    path = desk.folder / "policy.toml"
    path.write_text(
        {
            "yes": '[[answer]]\nsay = "yes"\ntool = "edit"\neffects = ["write", "run"]\npaths = ["*.txt"]\n',
            "no": f'[[answer]]\nsay = "no"\neffects = ["run"]\nreason = "{REASON}"\n',
            "error": "",
            "garbage": '[[answer]]\nsay = "perhaps"\n',
        }[ending]
    )
    if ending == "error":
        path.chmod(0o622)
    try:
        return desk.rule(alone(PolicyApprover(read_policy(path), path.name)))
    except UsageProblem as problem:  # the session does not begin
        return Ended("deny", str(problem), {}, "")


def judge(desk: Desk, ending: str) -> Ended:
    verdicts = {"yes": "approve", "no": "deny"}
    text = json.dumps({"verdict": verdicts.get(ending), "reason": REASON})
    answer = {
        "timeout": Served(text, wait=threading.Event()),
        "error": Served("no such model", status=400),
        "garbage": Served('I approve! {"verdict": "approve", "reason": ""}'),
    }.get(ending, Served(text))
    url = desk.service([answer]).url
    approver = JudgeApprover(
        "small",
        lambda: ChatModel("small", url, "key"),
        lambda: "the user's words",
        desk.events.append,
        powers=JudgePowers(may_deny=True, may_approve=frozenset({Effect.WRITE, Effect.RUN})),
        timeout=SOON if ending == "timeout" else 30,
    )

    async def closed() -> Ended:
        try:
            return await desk.review(alone(approver))
        finally:
            await approver.close()

    ended = asyncio.run(closed())
    if answer.wait is not None:
        answer.wait.set()
    return ended


def wait(desk: Desk, ending: str) -> Ended:
    def someone() -> None:
        while not (asked := [each for each in desk.events if isinstance(each, QuestionAsked)]):
            time.sleep(0.02)
        place = desk.folder / f"answer-{asked[0].id}.json"
        kind: Any = ending if ending in ("yes", "no") else "yes"
        answer = QuestionAnswered(id=asked[0].id, digest=asked[0].digest, answer=kind, by="someone", reason=REASON)
        if ending in ("yes", "no"):
            mailbox.put(desk.folder, answer)
        elif ending == "error":  # a whole yes in a file that others can write
            with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                os.fchmod(file.fileno(), 0o666)
                file.write(answer.model_dump_json())
        elif ending == "garbage":
            mailbox.put(desk.folder, answer.model_copy(update={"digest": "0" * 64}))

    notes: list[str] = []
    seconds = 30 if ending in ("yes", "no") else 2 * SOON
    thread = threading.Thread(target=someone, daemon=True)
    thread.start()
    ended = desk.rule(WaitApprover(desk.folder, desk.events.append, notes.append, timeout=seconds))
    thread.join()
    assert list(desk.folder.glob("answer-*")) == []
    assert any("not taken" in note for note in notes) == (ending in ("error", "garbage"))
    return ended


def recorded(desk: Desk, ending: str) -> Ended:
    with pytest.raises(ApprovalNeeded):
        desk.rule(StopApprover(desk.events.append))
    [asked] = [each for each in desk.events if isinstance(each, QuestionAsked)]
    kind: Any = "no" if ending == "no" else "yes"
    answer = QuestionAnswered(id=asked.id, digest=asked.digest, answer=kind, by="someone", reason=REASON)
    if ending == "error":  # an answer to another asking
        answer = answer.model_copy(update={"id": "00000000"})
    desk.events.append(answer)
    return desk.rule(alone(Recorded(desk.events)))


def nobody(desk: Desk, ending: str) -> Ended:
    return desk.rule(AbsentApprover())


def stop(desk: Desk, ending: str) -> Ended:
    with pytest.raises(ApprovalNeeded) as stopped:
        desk.rule(StopApprover(desk.events.append))
    return Ended("deny", str(stopped.value), {}, "")


DRIVERS: dict[str, Callable[[Desk, str], Ended]] = {
    "terminal": terminal,
    "program": program,
    "policy": policy,
    "judge": judge,
    "wait": wait,
    "recorded": recorded,
    "nobody": nobody,
    "stop": stop,
}


@pytest.mark.parametrize(("who", "ending"), [(who, ending) for who, all_ in ENDINGS.items() for ending in all_])
def test_every_ending_of_every_approver(who: str, ending: str, at_desk: Desk) -> None:
    ended = DRIVERS[who](at_desk, ending)
    if ending in ("yes", "edit"):
        assert ended.verdict == "allow", ended
    else:
        assert ended.verdict == "deny", ended
    if ending == "no":
        assert REASON in ended.reason
    if ending == "edit":
        assert ended.arguments in (EDITED, {"command": "make test"})
    if ending == "timeout" and who in ("terminal", "program", "wait"):
        assert "within" in ended.reason
    if ending in ("error", "garbage", "flood", "half a decision") and who == "program":
        assert "program approver failed" in ended.reason


def test_a_program_gets_the_question_and_no_key(at_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not for programs")
    seen = at_desk.folder / "seen.json"
    script = at_desk.folder / "approver"
    script.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        f"json.dump([json.load(sys.stdin), dict(os.environ), os.getcwd(), sys.argv], open({str(seen)!r}, 'w'))\n"
        'print(\'{"decision": "pass", "reason": "ask her"}\')\n'
    )
    script.chmod(0o700)
    approver = ProgramApprover(f"{script} 'a b' $HOME", "20260101-000000-abcd", timeout=60)
    ended = at_desk.rule(Chain([approver, AbsentApprover()]))
    assert ended.verdict == "deny"
    question, environment, folder, arguments = json.loads(seen.read_text())
    assert (question["tool"], question["effects"], question["level"]) == ("edit", ["write", "run"], 1)
    assert question["arguments"] == CLAIMS
    assert (environment["BRIDLE_SESSION"], folder) == ("20260101-000000-abcd", "/")
    assert not {name for name in environment if "KEY" in name or name.startswith("PYTHONPATH")}
    assert arguments[1:] == ["a b", "$HOME"], "no shell has read it"
    decided = at_desk.events[-1]
    assert isinstance(decided, GateDecided)
    assert decided.advice == ("program approver: ask her",)


@pytest.mark.parametrize("verdict", ["approve", "deny"])
def test_above_level_3_what_a_judge_says_is_advice(verdict: str, at_desk: Desk) -> None:
    url = at_desk.service([Served(json.dumps({"verdict": verdict, "reason": REASON}))]).url
    powers = JudgePowers(may_deny=True, may_approve=frozenset({Effect.WRITE, Effect.RUN}))
    approver = JudgeApprover(
        "small", lambda: ChatModel("small", url, "key"), lambda: "fix it", at_desk.events.append, powers=powers
    )
    claims = {"path": "a.txt", "claims": ["network"]}
    ended = asyncio.run(at_desk.review(Chain([approver, AbsentApprover()]), Level.TRUSTED, claims))
    assert (ended.verdict, ended.by) == ("deny", "nobody")
    decided = at_desk.events[-1]
    assert isinstance(decided, GateDecided)
    assert decided.advice == (f"judge small: {verdict}: {REASON}",)


class Sleeper:
    """A person who went for lunch."""

    name = "user"

    async def ask(self, question: Question) -> Answer:
        await asyncio.sleep(60)
        return Yes()


def test_a_question_that_nobody_answers_at_the_terminal_is_kept(at_desk: Desk) -> None:
    approver = Timed(Sleeper(), 0.05, StopApprover(at_desk.events.append))
    with pytest.raises(ApprovalNeeded, match="waits for an answer"):
        at_desk.rule(approver)
    assert [type(each) for each in at_desk.events] == [QuestionAsked], "it is there for `bridle approve`"
    assert [each.asked.call for each in pending(at_desk.events)] == ["call"]
    assert at_desk.rule(Timed(Sleeper(), 0.05)).reason.startswith("nobody answered within 0.05 s")


def test_what_a_judge_may_not_approve_stays_a_question(at_desk: Desk) -> None:
    text = json.dumps({"verdict": "approve", "reason": "fine"})
    model = at_desk.service([Served(text), Served(text)])
    for effects in ({Effect.WRITE}, set()):
        approver = JudgeApprover(
            "small",
            lambda: ChatModel("small", model.url, "key"),
            lambda: "fix it",
            at_desk.events.append,
            powers=JudgePowers(may_approve=frozenset(effects)),
        )
        ended = at_desk.rule(Chain([approver, AbsentApprover()]))
        assert ended.verdict == "deny", "it also runs something, which this judge may not approve"
        decided = at_desk.events[-1]
        assert isinstance(decided, GateDecided)
        assert decided.advice == ("judge small: approve: fine",)
    with pytest.raises(ValueError, match="cannot be allowed to approve"):
        JudgePowers(may_approve=frozenset({Effect.DELIVER}))
    sent = json.dumps(model.requests[0])
    assert "fix it" in sent
    assert "a.txt" in sent
    assert "+" not in model.requests[0]["messages"][1]["content"], "no diff: files hold what others wrote"
