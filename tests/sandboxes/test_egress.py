"""Commands in a sandbox reach the hosts of its list, and nothing else: real clients, real servers on loopback."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from support.origin import hello, serving
from support.world import World

from sandboxes.network import Network, parse_rule
from sandboxes.protocol import Sandbox

pytestmark = pytest.mark.docker
Open = Callable[..., Awaitable[Sandbox]]


def allow(*rules: str) -> Network:
    return Network("allowlist", tuple(map(parse_rule, rules)))


async def test_a_listed_host_answers_and_the_request_is_told(fresh: Open) -> None:
    world = World()
    async with serving(hello) as port:
        world.serve("example.test", 80, port)
        sandbox = await fresh("host", network=allow("example.test"), egress=world.egress)
        done = await sandbox.exec(["curl", "-sS", "-i", "http://EXAMPLE.test./a?b"])
    assert b"GET /a?b HTTP/1.1\r\nHost: example.test\r\n" in done.output.head
    assert b"Keep-Alive" not in done.output.head
    assert b"Proxy-Connection" not in done.output.head
    assert [(a.host, a.port, a.method, a.verdict) for a in world.asked] == [("example.test", 80, "GET", "allowed")]
    assert world.dialled == [("2d00::5", 80)]
    assert world.finished[0].problem == ""
    assert world.finished[0].up > 50
    assert world.finished[0].down > 100


async def test_a_host_that_is_not_listed_is_refused(fresh: Open) -> None:
    world = World({"other.test": ["2d00::5"]})
    sandbox = await fresh("host", network=allow("example.test"), egress=world.egress)
    plain = await sandbox.exec(["curl", "-sS", "-i", "http://other.test/"])
    tunnel = await sandbox.exec(["curl", "-sS", "-i", "https://other.test/"])
    assert b"403 bridle refused other.test:80: no rule allows it" in plain.output.head
    assert b"403" in tunnel.output.head
    assert [(a.host, a.verdict, a.why) for a in world.asked] == [
        ("other.test", "refused", "no rule allows it")
    ] * 2
    assert world.resolved == world.dialled == []
