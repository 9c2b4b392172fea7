"""A session's network: set by the user, lowered by a repository, asked about where it is everything, recorded."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.origin import hello, serving
from support.project import EDIT, bridle
from support.saying import Saying
from support.service import Answer, submit
from support.world import World

from agent.autonomy.answers import Quit, Yes
from agent.autonomy.approvers import AbsentApprover
from agent.autonomy.levels import Level, decide
from agent.journal import NetworkFinished, NetworkRequested, SandboxOpened, read_events
from agent.outcomes import Outcome, UsageProblem
from agent.run import run
from agent.session import Session
from agent.settings import Settings, load, tighten
from sandboxes.network.rules import HostRule, Network
from tools.protocol import Effect


def test_hosts_make_a_list_and_nothing_makes_none(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load({}).reach == Network("none")
    assert load({"allow_hosts": ["example.org"]}).reach == Network("allowlist", (HostRule("example.org"),))
    assert load({"network": "allowlist"}).reach == Network("allowlist")
    assert load({"network": "full", "allow_hosts": ["example.org"]}).reach == Network("full")
    monkeypatch.setenv("BRIDLE_ALLOW_HOSTS", "a.example, *.b.example:8443")
    rules = (HostRule("a.example"), HostRule("b.example", below=True, ports=(8443,)))
    assert load({"allow_hosts": []}).reach.hosts == rules
    assert load({"network": "none"}).reach == Network("none")
    monkeypatch.delenv("BRIDLE_ALLOW_HOSTS")
    (own_state / "config.toml").write_text('allow_hosts = ["example.net"]\n')
    assert load({}).reach.hosts == (HostRule("example.net"),)


@pytest.mark.parametrize("host", ["127.0.0.1", "https://example.org", "*", "localhost", "a b"])
def test_a_wrong_host_is_one_sentence(host: str) -> None:
    with pytest.raises(UsageProblem, match="allow_hosts") as problem:
        load({"allow_hosts": [host]})
    assert "\n" not in str(problem.value)


def test_a_repository_can_close_the_network_and_not_open_it(tmp_path: Path) -> None:
    mine = Settings(allow_hosts=("example.org",))
    assert tighten(mine, tmp_path).reach.mode == "allowlist"
    (tmp_path / "bridle.toml").write_text('network = "none"\n')
    assert tighten(mine, tmp_path).reach == Network("none")
    for text in ('network = "full"', 'network = "allowlist"', 'allow_hosts = ["evil.test"]'):
        (tmp_path / "bridle.toml").write_text(text + "\n")
        with pytest.raises(UsageProblem):
            tighten(mine, tmp_path)


@pytest.mark.parametrize("level", Level)
def test_a_list_lets_trusted_sessions_use_the_network_without_asking(level: Level) -> None:
    reaching = frozenset({Effect.NETWORK, Effect.RUN})
    verdict = decide(level, reaching, listed=True).verdict
    assert verdict == ("deny" if level is Level.PLAN else "allow" if level >= Level.TRUSTED else "ask")
    for effect in Effect:
        if effect is not Effect.NETWORK:
            assert decide(level, frozenset({effect}), listed=True) == decide(level, frozenset({effect}))


@pytest.mark.docker
async def test_every_request_of_a_session_is_in_its_journal(begin: Callable[..., Session], engine: None) -> None:
    world = World()
    fetch = "for host in example.test other.test 169.254.169.254; do curl -sS http://$host/; done"
    script = [Answer(calls=[("shell", {"command": fetch})]), Answer(calls=[EDIT]), submit()]
    async with serving(hello) as port:
        world.serve("example.test", 80, port)
        session = begin(script, Saying(Yes()), world, allow_hosts=("example.test",), autonomy=Level.TRUSTED)
        report = await run(session)
    assert report.outcome is Outcome.DONE
    assert session.gate is not None
    events = read_events(session.folder.journal)
    asked = [e for e in events if isinstance(e, NetworkRequested)]
    assert [(e.host, e.verdict, e.why) for e in asked] == [
        ("example.test", "allowed", ""),
        ("other.test", "refused", "no rule allows it"),
        ("169.254.169.254", "refused", "it is an IP address and not a name"),
    ]
    [done] = [e for e in events if isinstance(e, NetworkFinished)]
    assert (done.host, done.port, done.method, done.problem) == ("example.test", 80, "GET", "")
    assert done.down > 100
    assert [e.network for e in events if isinstance(e, SandboxOpened)] == ["allowlist: example.test"]
    assert bridle("show", session.folder.id).out.count("network") >= 4


@pytest.mark.docker
async def test_the_whole_network_needs_an_approval(begin: Callable[..., Session], engine: None) -> None:
    session = begin([], AbsentApprover(), network="full")
    report = await run(session)
    assert (report.outcome, report.exit_code) == (Outcome.APPROVAL_NEEDED, 5)
    assert "whole network" in report.detail
    assert session.sandbox is None


@pytest.mark.docker
async def test_a_person_who_quits_at_the_network_ends_the_session(
    begin: Callable[..., Session], engine: None
) -> None:
    approver = Saying(Quit())
    report = await run(begin([], approver, network="full"))
    assert report.outcome is Outcome.INTERRUPTED
    assert "whole network" in approver.asked[0].preview.title


@pytest.mark.docker
@pytest.mark.parametrize(("level", "questions"), [(Level.TRUSTED, 1), (Level.FULL, 0)])
async def test_the_whole_network_is_the_engines_bridge_and_never_the_hosts(
    begin: Callable[..., Session], engine: None, level: Level, questions: int
) -> None:
    seen: list[str] = []
    approver = Saying(Yes())

    def look(request: dict[str, Any]) -> Answer:
        assert session.sandbox is not None
        command = ["docker", "inspect", "--format", "{{.HostConfig.NetworkMode}}", session.sandbox.name]
        seen.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
        return submit()

    session = begin(look, approver, network="full", autonomy=level)
    await run(session)
    assert seen
    assert set(seen) == {"bridge"}
    assert sum("whole network" in question.preview.title for question in approver.asked) == questions
