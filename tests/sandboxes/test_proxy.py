"""The proxy takes anything: what it does not understand is refused or closed, and nothing is dialled for it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import ssl
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from support.origin import hello, serving
from support.world import World

from sandboxes.channel.tunnels import Stream
from sandboxes.network.egress import Proxy
from sandboxes.network.outside import Injection, Outside
from sandboxes.network.rules import Network, parse_rule
from sandboxes.secrets import Secrets

POST = b"POST http://example.test/ HTTP/1.1\r\nHost: example.test\r\n"
LISTED = Network("allowlist", (parse_rule("example.test"), parse_rule("odd.test:8080")))


async def through(world: World, *pieces: bytes, network: Network = LISTED, **injected: Any) -> bytes:
    """What comes back to a command that sends `pieces` and then ends."""
    back = bytearray()

    async def send(frame: bytes) -> None:
        size = int.from_bytes(frame[:4], "big")
        if json.loads(frame[8 : 8 + size])["op"] == "tunnel.data":
            back.extend(frame[8 + size :])
            stream.feed_taken(len(frame) - 8 - size)

    stream = Stream(1, send)
    for piece in pieces:
        stream.feed(piece)
    stream.feed_end()
    async with asyncio.timeout(60):
        await Proxy(network, replace(world.egress, **injected)).serve(stream)
    return bytes(back)


def known() -> World:
    """A world in which every name has an address, so that only the rules stand in the way."""

    class Everywhere(World):
        async def resolve(self, host: str, port: int) -> Sequence[str]:
            self.resolved.append(host)
            return ["2d00::5"]

    return Everywhere()


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=8))
def test_any_bytes_are_refused_or_closed(pieces: list[bytes]) -> None:
    world = known()
    back = asyncio.run(through(world, *pieces))
    assert world.dialled == []
    assert back == b"" or back.startswith(b"HTTP/1.1 4")


WORDS = st.sampled_from(
    [
        *(b"GET", b"POST", b"CONNECT", b"get", b"", b"P UT", b"G\0T"),
        *(b" ", b"  ", b"\t", b"\r\n", b"\n", b"\r", b"\0", b":", b"/", b"@", b"#", b"\\", b"?"),
        *(b"http://", b"HTTP://", b"https://", b"ftp://", b"//"),
        *(b"example.test", b"other.test", b"127.0.0.1", b"[::1]", b"example.test.", b"2130706433", b"localhost"),
        *(b":80", b":443", b":0", b":99999", b":8080"),
        *(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b" HTTP/2.0\r\n", b" HTTP/0.9\r\n"),
        *(b"Host: example.test\r\n", b"Host: other.test\r\n", b"Content-Length: 5\r\n", b"Content-Length: -1\r\n"),
        *(
            b"Transfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: x\r\n",
            b" folded\r\n",
            b"\r\n\r\n",
            b"0\r\n\r\n",
        ),
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(WORDS, max_size=14))
def test_near_requests_reach_no_host_but_a_listed_one(words: list[bytes]) -> None:
    world = known()
    asyncio.run(through(world, b"".join(words)))
    assert set(world.resolved) <= {"example.test", "odd.test"}
    assert {port for _, port in world.dialled} <= {80, 443, 8080}
    assert all(asked.verdict == "allowed" for asked in world.asked if asked.host in world.resolved)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"GET https://example.test/ HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"GET ftp://example.test/ HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"GET http://user:pw@example.test/ HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"GET http://other.test@example.test/ HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"GET http://example.test\\@other.test/ HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"GET http://example.test#@other.test/ HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"GET http:///x HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"GET http://example.test:/ HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"GET http://example.test:0x50/ HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"GET http://example.test/ HTTP/1.1\r\n\r\n",
        b"GET http://example.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n",
        b"GET http://example.test/ HTTP/1.1\r\nHost: example.test:8080\r\n\r\n",
        b"GET http://example.test/ HTTP/1.1\r\nHost: example.test\r\nHost: example.test\r\n\r\n",
        b"GET http://example.test/ HTTP/1.1\r\nHost : example.test\r\n\r\n",
        b"GET http://example.test/ HTTP/1.1\nHost: example.test\nX: \0\n\n",
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        POST + b"Transfer-Encoding: gzip\r\n\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n",
        b"CONNECT example.test HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"CONNECT :443 HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"CONNECT example.test:443/ HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"CONNECT http://example.test:443 HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test\r\nContent-Length: 4\r\n\r\nabcd",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"GET http://example.test/" + b"a" * (80 << 10) + b" HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"GET http://example.test/ HTTP/1.1\r\nHost: example.test\r\nX: " + b"a" * (80 << 10),
    ],
)
async def test_what_is_no_request_for_a_proxy_is_refused(request_: bytes) -> None:
    world = known()
    back = await through(world, request_)
    assert back.startswith(b"HTTP/1.1 400 ")
    assert world.resolved == world.dialled == []
    assert [asked.verdict for asked in world.asked] == ["refused"]


@pytest.mark.parametrize(
    "place",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "[::1]", "[::ffff:127.0.0.1]"),
        *("169.254.169.254", "localhost", "sandbox", "metadata.google.internal", "EXAMPLE.TEST.evil.test"),
    ],
)
async def test_hosts_that_are_never_reached(place: str) -> None:
    world = known()
    for request in (f"GET http://{place}/ HTTP/1.1\r\nHost: {place}\r\n\r\n", f"CONNECT {place}:443 HTTP/1.1\r\n"):
        back = await through(
            world, f"{request}Host: {place}\r\n\r\n".encode() if "CONN" in request else request.encode()
        )
        assert back[:13] in (b"HTTP/1.1 403 ", b"HTTP/1.1 400 ")
    assert world.resolved == world.dialled == []


@pytest.mark.parametrize(
    "addresses",
    [
        *(["127.0.0.1"], ["2d00::5", "10.0.0.1"], ["10.0.0.1", "2d00::5"], ["169.254.169.254"], ["::ffff:7f00:1"]),
        *(["fd00:ec2::254"], ["64:ff9b::a00:1"], ["100.64.0.1"], ["not an address"], []),
    ],
)
async def test_a_listed_name_that_leads_inwards_is_refused(addresses: list[str]) -> None:
    world = World({"example.test": addresses})
    back = await through(world, b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test\r\n\r\n")
    assert back.startswith(b"HTTP/1.1 403 bridle refused example.test:443: its name ")
    assert world.resolved == ["example.test"]
    assert world.dialled == []
    assert world.asked[0].verdict == "refused"


async def test_a_name_is_resolved_once_and_the_checked_address_dialled() -> None:
    answers = [["2d00::5"], ["127.0.0.1"]]

    class Rebinding(World):
        async def resolve(self, host: str, port: int) -> Sequence[str]:
            self.resolved.append(host)
            return answers.pop(0)

    world = Rebinding()
    async with serving(hello) as port:
        world.ports["2d00::5", 80] = port
        back = await through(world, b"GET http://example.test/ HTTP/1.1\r\nHost: example.test\r\n\r\n")
    assert back.startswith(b"HTTP/1.1 200 ")
    assert world.resolved == ["example.test"]
    assert world.dialled == [("2d00::5", 80)]


async def test_the_next_address_is_tried_when_one_takes_no_connection() -> None:
    world = World({"example.test": ["2d00::4", "2d00::5"]})
    async with serving(hello) as port:
        world.ports["2d00::5", 80] = port
        back = await through(world, b"GET http://example.test/ HTTP/1.0\r\n\r\n")
    assert back.startswith(b"HTTP/1.1 200 ")
    assert world.dialled == [("2d00::4", 80), ("2d00::5", 80)]


@pytest.mark.parametrize("names", [{}, {"example.test": ["2d00::5"]}])
async def test_a_host_that_cannot_be_reached(names: dict[str, list[str]]) -> None:
    world = World(names)
    back = await through(world, b"GET http://example.test/ HTTP/1.1\r\nHost: example.test\r\n\r\n")
    assert back.startswith(b"HTTP/1.1 502 bridle could not reach example.test:80: ")
    if names:
        assert [a.verdict for a in world.asked] == ["allowed"]
        assert world.finished[0].problem == "Connection refused"
    else:
        assert [(a.verdict, a.why) for a in world.asked] == [("failed", "its name cannot be resolved")]


async def seen_by_host(*pieces: bytes, answer: bytes = b"HTTP/1.1 204 None\r\n\r\n") -> tuple[bytes, bytes, World]:
    """What a listed host receives for `pieces`, what comes back, and what was recorded."""
    world, seen = World(), bytearray()

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while data := await reader.read(1000):
                    seen.extend(data)
        writer.write(answer)
        await writer.drain()

    async with serving(host) as port:
        world.serve("example.test", 80, port)
        back = await through(world, *pieces)
    return bytes(seen), back, world


async def test_a_request_is_written_anew_without_what_is_for_the_proxy() -> None:
    seen, back, _ = await seen_by_host(
        b"POST http://Example.TEST.:80?q=1 HTTP/1.1\r\nHost: example.test\r\nProxy-Connection: keep-alive\r\n",
        b"Connection: x-secret, content-length, host\r\nX-Secret: 1\r\nProxy-Authorization: Basic eA==\r\n",
        b"Upgrade: websocket\r\nTE: trailers\r\nX-Kept:  yes \r\nContent-Length: 5\r\n\r\nhello",
    )
    assert seen == (
        b"POST /?q=1 HTTP/1.1\r\nHost: example.test\r\nX-Kept: yes\r\nContent-Length: 5\r\n"
        b"Connection: close\r\n\r\nhello"
    )
    assert back.startswith(b"HTTP/1.1 204 None\r\n")


async def test_a_second_request_hidden_behind_the_first_goes_nowhere() -> None:
    hidden = b"GET http://other.test/hidden HTTP/1.1\r\nHost: other.test\r\n\r\n"
    for head, body in (
        (b"Content-Length: 5\r\n\r\n", b"hello"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"5;x=y\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"),
        (b"\r\n", b""),
    ):
        request = b"POST http://example.test/ HTTP/1.1\r\nHost: example.test\r\n" + head + body
        seen, _, world = await seen_by_host(request + hidden)
        assert b"hidden" not in seen
        assert b"Trailer" not in seen
        assert len(world.asked) == 1


async def test_a_malformed_body_is_not_completed() -> None:
    head = b"POST http://example.test/ HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    seen, back, world = await seen_by_host(head + b"5\r\nhelloXX\r\n0\r\n\r\n")
    assert b"0\r\n\r\n" not in seen
    assert back == b""
    assert world.finished[0].problem == "the body of the request is malformed"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x15\x03\x01",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * (80 << 10) + b"\r\n\r\n",
    ],
)
async def test_an_answer_that_is_none(answer: bytes) -> None:
    request = b"GET http://example.test/ HTTP/1.1\r\nHost: example.test\r\n\r\n"
    _, back, world = await seen_by_host(request, answer=answer)
    assert back.startswith(b"HTTP/1.1 502 ")
    assert world.finished[0].problem


async def test_an_answer_that_is_cut_short_is_not_made_whole() -> None:
    request = b"GET http://example.test/ HTTP/1.1\r\nHost: example.test\r\n\r\n"
    _, back, world = await seen_by_host(request, answer=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    assert back.endswith(b"half")
    assert world.finished[0].problem == "its answer is cut short or malformed"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=200), max_size=6), st.booleans())
def test_any_bytes_in_the_place_of_tls_reach_no_host(pieces: list[bytes], hello_first: bool) -> None:
    world = known()
    first = b"CONNECT example.test:443 HTTP/1.1\r\nHost: x\r\n\r\n" + (
        b"\x16\x03\x01\x02\x00" if hello_first else b""
    )
    back = asyncio.run(through(world, first, *pieces, **INJECTED))
    assert back.startswith(b"HTTP/1.1 200")
    assert world.dialled == []
    assert {asked.verdict for asked in world.asked} <= {"failed", "refused"}


@settings(deadline=None, max_examples=30)
@given(st.lists(st.binary(max_size=100), max_size=5))
def test_any_answer_of_a_host_is_taken(pieces: list[bytes]) -> None:
    request = b"GET http://example.test/ HTTP/1.1\r\nHost: example.test\r\n\r\n"

    async def once() -> bytes:
        async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n" + b"".join(pieces))
            await writer.drain()

        world = World()
        async with serving(host) as port:
            world.serve("example.test", 80, port)
            return await through(world, request)

    assert asyncio.run(once())[:9] in (b"HTTP/1.1 ", b"")


async def test_the_pace_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandboxes.network.egress.BURST", 5.0)
    monkeypatch.setattr("sandboxes.network.egress.RATE", 20.0)
    world = World()
    proxy = Proxy(LISTED, world.egress)

    async def none(frame: bytes) -> None:
        pass

    streams = [Stream(number, none) for number in range(15)]
    begun = asyncio.get_running_loop().time()
    for stream in streams:
        stream.feed(b"x\r\n\r\n")
    await asyncio.gather(*(proxy.serve(stream) for stream in streams))
    assert asyncio.get_running_loop().time() - begun >= 0.4
    assert len(world.asked) == 15


TOKEN = "tok_0123456789abcdefghij"
INJECTED: dict[str, Any] = {
    "injections": (Injection("example.test", "Authorization", "Bearer {TOKEN}"),),
    "secrets": Secrets({"TOKEN": TOKEN}),
}
HEADERS = b"Host: example.test\r\nAccept-Encoding: zip\r\nauthorization: me\r\n"
GET = b"GET http://example.test/ HTTP/1.1\r\n" + HEADERS + b"\r\n"


async def asked_with_secret(
    *pieces: bytes, answer: bytes = b"", name: str = "example.test", network: Network = LISTED
) -> tuple[bytes, bytes, World]:
    """What a host with a certificate for `name` receives, what comes back, and what was recorded."""
    ca, world, seen = trustme.CA(), World(), bytearray()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name).configure_cert(context)
    ours = ssl.create_default_context()
    ca.configure_trust(ours)

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.extend(await reader.readuntil(b"\r\n\r\n"))
        body = b"echo: " + bytes(seen)
        writer.write(answer or b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()

    async with serving(host, context) as port:
        world.serve("example.test", 443, port)
        outside = Outside(world.resolve, world.dial, lambda: ours)
        back = await through(world, *pieces, network=network, outside=outside, **INJECTED)
    return bytes(seen), back, world


async def test_a_secret_is_put_in_on_the_way_and_masked_on_the_way_back() -> None:
    seen, back, world = await asked_with_secret(GET)
    assert seen.count(b"Authorization: Bearer tok_0123456789abcdefghij\r\n") == 1
    assert b": me\r\n" not in seen
    assert b"Accept-Encoding: identity" in seen
    assert b"Encoding: zip" not in seen
    assert TOKEN.encode() not in back
    assert b"Authorization: Bearer [secret TOKEN]" in back
    assert world.dialled == [("2d00::5", 443)]
    assert (world.asked[0].port, world.asked[0].why) == (443, "with the header Authorization, over TLS")
    assert TOKEN not in str(world.news)


async def test_a_secret_is_masked_in_every_part_of_an_answer() -> None:
    pieces = TOKEN[:9].encode(), TOKEN[9:].encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    head = f"HTTP/1.1 401 no {TOKEN}\r\nSet-Cookie: t={TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    _, back, _ = await asked_with_secret(GET, answer=head + chunks)
    assert back.startswith(b"HTTP/1.1 401 no [secret TOKEN]\r\nSet-Cookie: t=[secret TOKEN]\r\n")
    assert back.endswith(b"[secret TOKEN]\r\n0\r\n\r\n")
    assert TOKEN[:9].encode() not in back


async def test_a_compressed_answer_is_not_passed_on() -> None:
    body = gzip.compress(TOKEN.encode())
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    _, back, _ = await asked_with_secret(GET, answer=head + body)
    assert back.startswith(b"HTTP/1.1 502 ")
    assert body not in back


async def test_a_secret_goes_to_no_host_that_is_not_listed_or_does_not_prove_its_name() -> None:
    for network in (Network("allowlist"), Network("allowlist", (parse_rule("example.test:80"),))):
        seen, back, world = await asked_with_secret(GET, network=network)
        assert (seen, back[:13], world.dialled) == (b"", b"HTTP/1.1 403 ", [])
    seen, back, world = await asked_with_secret(GET, name="other.test")
    assert seen == b""
    assert b"502 bridle could not reach example.test:443: its certificate is not believed: " in back


async def test_nothing_is_put_into_requests_for_others_and_what_is_no_tls_goes_nowhere() -> None:
    world, got = World(), bytearray()

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.extend(await reader.read(1000))

    async with serving(host) as port:
        world.serve("example.test", 443, port)
        world.serve("odd.test", 8080, port)
        back = await through(world, b"CONNECT example.test:443 HTTP/1.1\r\nHost: x\r\n\r\nhello", **INJECTED)
        assert (bytes(got), back[:12], world.dialled) == (b"", b"HTTP/1.1 200", [])
        assert world.asked[-1].verdict == "failed"
        assert "does not believe the certificates" in world.asked[-1].why
        await through(world, b"CONNECT odd.test:8080 HTTP/1.1\r\nHost: x\r\n\r\nhello", **INJECTED)
        assert bytes(got) == b"hello"
        await through(world, b"GET http://odd.test:8080/ HTTP/1.1\r\nHost: odd.test:8080\r\n\r\n", **INJECTED)
    assert b"odd.test" in got
    assert b"tok_" not in got
