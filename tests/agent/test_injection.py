"""A secret that the proxy puts into requests: the host gets it, and nothing of the sandbox or the session does."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable

import pytest
import trustme
from support.origin import serving
from support.project import EDIT
from support.saying import Saying
from support.service import Answer, submit
from support.world import World

from agent.autonomy.answers import Yes
from agent.autonomy.levels import Level
from agent.journal import CallFinished, NetworkRequested, read_events
from agent.outcomes import Outcome
from agent.run import run
from agent.session import Session
from sandboxes.network.outside import Outside

VALUE = "tok_0123456789abcdefghij"
ASK = (
    "curl -sS http://api.test/who; echo; curl -sS -H 'Authorization: Bearer mine' http://api.test/mine; echo; "
    "curl -sS https://api.test/tls; echo; curl -sS http://other.test/; echo; env; "
    "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'"
)


@pytest.mark.docker
async def test_the_host_gets_it_and_the_sandbox_never_holds_it(
    begin: Callable[..., Session], engine: None
) -> None:
    ca, world, seen, others = trustme.CA(), World(), list[bytes](), list[bytes]()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("api.test").configure_cert(context)
    ours = ssl.create_default_context()
    ca.configure_trust(ours)

    def answering(heads: list[bytes]) -> Callable[..., object]:
        async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            body = b"you said " + heads[-1]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()

        return host

    inject = {"host": "api.test", "header": "Authorization", "value": "Bearer {KEY}"}
    script = [
        Answer(calls=[("shell", {"command": ASK}), ("shell", {"command": "echo", "secrets": ["KEY"]})]),
        Answer(calls=[EDIT]),
        submit(),
    ]
    async with serving(answering(seen), context) as tls, serving(answering(others)) as plain:  # type: ignore[arg-type]
        world.serve("api.test", 443, tls)
        world.serve("other.test", 80, plain)
        session = begin(
            script,
            Saying(Yes()),
            world,
            Outside(world.resolve, world.dial, lambda: ours),
            allow_hosts=("api.test", "other.test"),
            autonomy=Level.FULL,
            secrets={"KEY": "env:KEY"},
            inject=(inject,),
            values={"KEY": VALUE},
        )
        report = await run(session)
    assert report.outcome is Outcome.DONE, report.detail
    assert [head.count(b"Authorization: Bearer " + VALUE.encode()) for head in seen] == [1, 1, 1]
    assert not any(b"mine\r" in head for head in seen), "its own header is replaced"
    assert VALUE.encode() not in b"".join(others)
    events = read_events(session.folder.journal)
    first, second = [event for event in events if isinstance(event, CallFinished) and event.tool == "shell"]
    assert first.text.count("Authorization: Bearer [secret KEY]") == 3
    assert VALUE not in session.folder.journal.read_text()
    assert "this session has none for commands" in second.text
    assert [(e.host, e.port, e.why) for e in events if isinstance(e, NetworkRequested)] == [
        ("api.test", 443, "with the header Authorization, over TLS"),
        ("api.test", 443, "with the header Authorization, over TLS"),
        ("api.test", 443, "with the header Authorization, over TLS"),
        ("other.test", 80, ""),
    ]
    options = json.loads(session.folder.journal.read_text().split("\n")[0])["options"]
    assert (options["secrets"], options["inject"]) == ({"KEY": "env:KEY"}, [inject])
