"""What the user says is confirmed, journalled, and there again after a resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.world import ADDRESS, World

from agent.asked import ConstraintHeard
from agent.autonomy.approvers import AbsentApprover
from agent.autonomy.gate import Answer, Approver, Gate, No, Question, Quit, Yes
from agent.autonomy.levels import Level
from agent.autonomy.rules import Placed, Rule
from agent.constraints import UserQuit, hear, session_rules
from agent.journal import Journal, SessionRewound, read_events
from agent.network import reach, reach_of
from agent.network_events import NetworkRequested
from agent.session import PatientApprover, Session
from agent.settings import Settings
from agent.store import SessionFolder, Store
from cli.terminal import QuietWatcher
from sandboxes.network.egress import Failed, Proxy
from sandboxes.network.rules import Refused

SAID = "Fix it. Don't touch tests/, and no network."


class Person:
    """Somebody at a terminal, with prepared answers."""

    name = "user"

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        return self.answers.pop(0)


@pytest.fixture
def begin(tmp_path: Path) -> Callable[..., Session]:
    def make(approver: Approver, level: Level = Level.CONTAINED, **options: Any) -> Session:
        nothing: Any = None
        folder = SessionFolder(tmp_path)
        session = Session(
            folder=folder,
            journal=Journal(folder.journal),
            settings=Settings(autonomy=level, **options),
            task=SAID,
            repository=nothing,
            store=Store(tmp_path),
            backend=nothing,
            approver=PatientApprover(approver),
            watch=QuietWatcher(),
            make_model=lambda: nothing,
        )
        session.gate = Gate(level, session.approver, session.record)
        return session

    return make


def heard(session: Session) -> list[ConstraintHeard]:
    return [event for event in read_events(session.folder.journal) if isinstance(event, ConstraintHeard)]


async def test_a_person_confirms_what_they_said_once(begin: Callable[..., Session]) -> None:
    person = Person(Yes())
    session = begin(person)
    await hear(session, SAID)
    await hear(session, SAID)
    [question] = person.asked
    assert "Don't touch tests/" in question.preview.detail
    assert [(event.said, event.applied, event.by) for event in heard(session)] == [
        ("Don't touch tests/", True, "user"),
        ("no network", True, "user"),
    ]
    assert session.gate is not None
    assert [each.label for each in session.gate.rules] == [
        "deny rule 1 of what the user said",
        "deny rule 2 of what the user said",
    ]


async def test_a_person_may_not_have_meant_it(begin: Callable[..., Session]) -> None:
    session = begin(Person(No()))
    await hear(session, SAID)
    assert session.gate is not None
    assert session.gate.rules == ()
    assert [event.applied for event in heard(session)] == [False, False]
    assert session_rules(session.journal.events) == ()
    await hear(session, SAID)  # and is not asked again


@pytest.mark.parametrize("answer", [No("not now", by="policy x"), No("nobody answered", unattended=True)])
async def test_only_a_person_can_take_it_back(begin: Callable[..., Session], answer: Answer) -> None:
    session = begin(Person(answer))
    await hear(session, SAID)
    assert [(event.applied, event.by) for event in heard(session)] == [(True, "nobody was there to ask")] * 2


async def test_quitting_at_the_question_ends_it(begin: Callable[..., Session]) -> None:
    session = begin(Person(Quit()))
    with pytest.raises(UserQuit):
        await hear(session, SAID)
    assert heard(session) == []


@pytest.mark.parametrize(("approver", "level"), [(AbsentApprover(), Level.CONTAINED), (Person(), Level.FULL)])
async def test_where_nobody_is_asked_it_holds(
    begin: Callable[..., Session], approver: Approver, level: Level
) -> None:
    session = begin(approver, level)
    await hear(session, SAID)
    assert [event.applied for event in heard(session)] == [True, True]
    assert session.gate is not None
    assert not session.gate.needed_approval


async def test_it_survives_resuming_and_rewinding(begin: Callable[..., Session]) -> None:
    session = begin(AbsentApprover())
    await hear(session, "Don't touch tests/")
    session.record(SessionRewound(to=1))
    await hear(session, "no, and never push")
    again = session_rules(read_events(session.folder.journal))
    assert session.gate is not None
    assert again == session.gate.rules
    assert [each.number for each in again] == [1, 2]


@pytest.mark.parametrize(
    ("listed", "refused", "left"),
    [
        ("a.example.org", "a.example.org", []),
        ("a.example.org", "*.example.org", []),
        ("*.a.example.org", "*.example.org", []),
        ("example.org", "*.example.org", ["example.org"]),
        ("*.example.org", "a.example.org", ["*.example.org"]),  # and the proxy refuses what is below it
        ("*.example.org", "*.example.org", []),
        ("example.net", "example.org", ["example.net"]),
    ],
)
async def test_refused_hosts_are_taken_from_the_list(
    begin: Callable[..., Session], listed: str, refused: str, left: list[str]
) -> None:
    session = begin(AbsentApprover(), allow_hosts=(listed,))
    assert session.gate is not None
    session.gate.tighten([Placed("deny", Rule(hosts=(refused,)), "config.toml", 1)])
    assert list(map(str, reach_of(session).hosts)) == left
    assert reach_of(session).mode == "allowlist"


async def test_a_refused_host_below_a_listed_one_is_not_dialled(begin: Callable[..., Session]) -> None:
    session = begin(AbsentApprover(), allow_hosts=("*.example.org",))
    assert session.gate is not None
    session.gate.tighten([Placed("deny", Rule(hosts=("bad.example.org",)), "config.toml", 1)])
    world = World(names={f"{word}.example.org": [ADDRESS] for word in ("bad", "good")})
    session.outside = world.egress.outside
    network, egress = reach(session, "run")
    proxy = Proxy(network, egress)
    for host in ("bad.example.org", "BAD.example.org."):
        with pytest.raises(Refused):
            async with proxy.way(host, 443, "CONNECT"):
                pass
    assert world.resolved == []
    with pytest.raises(Failed):  # nobody listens there
        async with proxy.way("good.example.org", 443, "CONNECT"):
            pass
    assert world.dialled == [(ADDRESS, 443)]
    verdicts = [each.verdict for each in session.journal.events if isinstance(each, NetworkRequested)]
    assert verdicts == ["refused", "refused", "allowed"]


async def test_no_network_closes_the_network(begin: Callable[..., Session]) -> None:
    session = begin(AbsentApprover(), allow_hosts=("example.org",))
    assert reach_of(session).mode == "allowlist"
    await hear(session, "No network.")
    assert reach_of(session).mode == "none"


async def test_an_order_that_made_no_rule_is_told(begin: Callable[..., Session]) -> None:
    session = begin(Person())
    notes: list[str] = []

    class Noting(QuietWatcher):
        def note(self, line: str) -> None:
            notes.append(line)

    session.watch = Noting()
    await hear(session, "Fix it. Don't install anything unless you have to.")
    assert notes == ["not made a rule: Don't install anything unless you have to"]
    assert session_rules(session.journal.events) == ()
