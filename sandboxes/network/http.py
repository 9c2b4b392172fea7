"""HTTP as the way out of a sandbox speaks it: `CONNECT host:port`, and plain requests for an `http://` address.

Threat model: the request is the agent's, the answer a host's. h11 parses both, strictly and within bounds; a
connection carries one request; what goes on is written anew from what was understood, so that no two readers can
understand it differently. Headers that are meant for one connection end here, and `Host` must name the host that
was judged.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Protocol

import h11

from sandboxes.network.rules import Refused, plain_name
from sandboxes.secrets import Secrets

MAX_HEAD = 32 << 10
"""Bytes of a request's or an answer's line and headers, give or take what one read brings."""

_PLACE = re.compile(rb"(?P<host>[^@/?#\\]*?)(?::(?P<port>[0-9]{1,5}))?")
_ONE_CONNECTION = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

Headers = list[tuple[bytes, bytes]]

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
"""The answer to a CONNECT that is let through."""


class NotARequest(Exception):
    """What came is nothing this proxy does; the message says what it does."""


class BadAnswer(Exception):
    """A host's answer that is not HTTP."""


class Client(Protocol):
    """A connection from a command, whatever it is wrapped in. See `Stream`."""

    async def read(self) -> bytes: ...

    async def write(self, data: bytes) -> None: ...

    async def end(self) -> None: ...

    async def reset(self) -> None: ...


class Way(Protocol):
    """A connection to the host."""

    async def send(self, data: bytes) -> None: ...

    async def end(self) -> None: ...

    async def receive(self) -> bytes: ...


@dataclass(slots=True)
class Request:
    """A request as it was understood. `connection` holds what has been read; `path` is empty for a tunnel."""

    method: str
    host: str
    port: int
    path: bytes
    headers: Headers
    connection: h11.Connection

    @property
    def tunnel(self) -> bool:
        """Is it for bytes both ways, whatever they are?"""
        return self.method == "CONNECT"


async def read_request(stream: Client, within: tuple[str, int] | None = None) -> Request | None:
    """The head of a request, None when none comes. Raises NotARequest, ConnectionResetError.

    `within` is the host and port that the connection, then one of TLS, is for.
    """
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
    begun = False
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            raise NotARequest("this is not HTTP/1.1, or its headers are too long") from None
        if isinstance(event, h11.Request):
            return _understood(event, connection, within)
        if event is not h11.NEED_DATA:
            if begun:
                raise NotARequest("the request is cut short")
            return None
        data = await stream.read()
        begun = begun or bool(data)
        connection.receive_data(data)


def _understood(event: h11.Request, connection: h11.Connection, within: tuple[str, int] | None) -> Request:
    """What is asked for. Raises NotARequest."""
    method = event.method.decode("ascii")
    sizes = {name for name, _ in event.headers if name in (b"content-length", b"transfer-encoding")}
    if len(sizes) > 1:
        raise NotARequest("a request has one length, not two")
    if method == "CONNECT" and within is None:
        host, port = _place(event.target, 0)
        if sizes or not port:
            raise NotARequest("CONNECT takes a host and a port, and no body")
        return Request(method, host, port, b"", [], connection)
    default = 80 if within is None else 443
    host, port, path = _target(event.target) if within is None else (*within, event.target)
    if not path.startswith(b"/") and (within is not None or path[:1] not in (b"", b"?", b"#", b"\\")):
        raise NotARequest("to a host, a request names a path")
    if b"#" in path or b"\\" in path:
        raise NotARequest("an address to be fetched has no # and no backslash")
    named = [_place(value, default) for name, value in event.headers if name == b"host"]
    if [_same(*place) for place in named] not in ([_same(host, port)], []):
        raise NotARequest("the Host header names another host than the address")
    if not path.startswith(b"/"):
        path = b"/" + path
    return Request(method, host, port, path, _rewritten(event, host, port, default), connection)


def _target(target: bytes) -> tuple[str, int, bytes]:
    """Host, port and path of an `http://` address. Raises NotARequest."""
    if target[:7].lower() != b"http://":
        raise NotARequest("this is a proxy: it takes CONNECT host:port, and http:// addresses")
    at = next((i for i, char in enumerate(target[7:], 7) if char in b"/?#\\"), len(target))
    return (*_place(target[7:at], 80), target[at:])


def _rewritten(event: h11.Request, host: str, port: int, default: int) -> Headers:
    """The headers for the host: those that are meant for it, and the length said once."""
    name = _same(host, port)[0]
    headers = [(b"Host", (name if port == default else f"{name}:{port}").encode("latin-1"))]
    own = (b"host", b"expect", b"content-length")
    headers += [(n, v) for n, v in _passed_on(event.headers.raw_items()) if n.lower() not in own]
    for n, value in event.headers:
        if n == b"transfer-encoding":
            headers.append((b"Transfer-Encoding", b"chunked"))
        elif n == b"content-length":
            headers.append((b"Content-Length", value))
    return [*headers, (b"Connection", b"close")]


def _place(text: bytes, default: int) -> tuple[str, int]:
    """Host and port, as they are written. Raises NotARequest."""
    match = _PLACE.fullmatch(text)
    if match is None or not match["host"]:
        raise NotARequest("the host is not written as HOST or HOST:PORT")
    port = int(match["port"]) if match["port"] else default
    if not 0 <= port < 1 << 16:
        raise NotARequest("a port is a number up to 65535")
    return match["host"].decode("latin-1"), port


def _same(host: str, port: int) -> tuple[str, int]:
    try:
        return plain_name(host), port
    except Refused:
        return host, port


def _passed_on(headers: Headers) -> Headers:
    """The headers that are not for this connection alone, as they were written."""
    dropped = set(_ONE_CONNECTION)
    for name, value in headers:
        if name.lower() == b"connection":
            dropped |= {word.strip().lower() for word in value.split(b",")}
    return [(name, value) for name, value in headers if name.lower() not in dropped]


async def answer(stream: Client, status: int, words: str) -> None:
    """An answer of the proxy's own; the reason stands in the first line, where most clients show it."""
    reason = words.encode("ascii", "replace").decode("ascii")
    reason = "".join(char if char.isprintable() else "?" for char in reason)[:300]
    body = f"{reason}\n".encode()
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    await stream.write(head.encode() + b"Connection: close\r\n\r\n" + body)
    await stream.end()


def with_headers(request: Request, headers: Headers) -> Request:
    """The request with these headers in the place of its own, asking for an answer that is not compressed."""
    headers = [*headers, (b"Accept-Encoding", b"identity")]
    replaced = {name.lower() for name, _ in headers}
    kept = [(name, value) for name, value in request.headers if name.lower() not in replaced]
    return replace(request, headers=[*kept, *headers])


async def relay(stream: Client, request: Request, way: Way, secrets: Secrets | None = None) -> None:
    """Carry a request to its host and the answer back, with `secrets` masked in it.

    Raises BadAnswer, NotARequest, ConnectionResetError, OSError.
    """
    if request.tunnel:
        await _tunnel(stream, request, way)
    else:
        await _forward(stream, request, way, secrets or Secrets())


async def _tunnel(stream: Client, request: Request, way: Way) -> None:
    early = request.connection.trailing_data[0]
    await stream.write(ESTABLISHED)

    async def out() -> None:
        if early:
            await way.send(early)
        while data := await stream.read():
            await way.send(data)
        await way.end()

    async def back() -> None:
        while data := await way.receive():
            await stream.write(data)
        await stream.end()

    await _together(out(), back())


async def _together(*parts: Coroutine[None, None, None]) -> None:
    """Await all; when one fails, the others end."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        await _stop(*tasks)


async def _stop(*tasks: asyncio.Future[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _forward(stream: Client, request: Request, way: Way, secrets: Secrets) -> None:
    upstream = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    head = h11.Request(method=request.method, target=request.path, headers=request.headers)
    await way.send(upstream.send(head) or b"")
    sending = asyncio.ensure_future(_send_body(stream, request.connection, upstream, way))
    answering = asyncio.ensure_future(_send_back(stream, request.connection, upstream, way, secrets))
    try:
        await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and isinstance(sending.exception(), NotARequest):
            await sending
        # A host may answer a request that it did not want to read to its end.
        await answering
    finally:
        await _stop(sending, answering)


async def _send_body(stream: Client, client: h11.Connection, upstream: h11.Connection, way: Way) -> None:
    """Carry what follows the head. Raises NotARequest, ConnectionResetError, OSError."""
    if client.they_are_waiting_for_100_continue:
        await stream.write(client.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
    while True:
        try:
            event = client.next_event()
        except h11.RemoteProtocolError:
            raise NotARequest("the body of the request is malformed") from None
        if event is h11.NEED_DATA:
            client.receive_data(await stream.read())
        elif isinstance(event, h11.Data):
            await way.send(upstream.send(h11.Data(data=event.data)) or b"")
        else:
            await way.send(upstream.send(h11.EndOfMessage()) or b"")
            return


async def _send_back(
    stream: Client, client: h11.Connection, upstream: h11.Connection, way: Way, secrets: Secrets
) -> None:
    """Carry the answer. Raises BadAnswer before it has begun, ConnectionResetError, OSError."""
    begun = False
    masked = secrets.stream()
    try:
        while True:
            event = upstream.next_event()
            if event is h11.NEED_DATA:
                upstream.receive_data(await way.receive())
            elif isinstance(event, h11.Response):
                head = _answer_head(event, secrets)
                begun = True
                await stream.write(client.send(head) or b"")
            elif isinstance(event, h11.Data):
                await stream.write(client.send(h11.Data(data=masked.feed(bytes(event.data)))) or b"")
            elif isinstance(event, h11.EndOfMessage):
                await stream.write(client.send(h11.Data(data=masked.end())) or b"")
                await stream.write(client.send(h11.EndOfMessage()) or b"")
                await stream.end()
                return
            elif not isinstance(event, h11.InformationalResponse):
                raise BadAnswer("it ended its connection without an answer")
    except h11.ProtocolError:
        if begun:
            raise ConnectionResetError("its answer is cut short or malformed") from None
        raise BadAnswer("its answer is not HTTP") from None


def _answer_head(event: h11.Response, secrets: Secrets) -> h11.Response:
    """The head of the answer for a command. Raises BadAnswer."""
    headers = _passed_on(event.headers.raw_items())
    if secrets and any(
        name == b"content-encoding" and value.lower() != b"identity" for name, value in event.headers
    ):
        raise BadAnswer("its answer is compressed, so that a secret in it would not be found")
    if secrets or any(name == b"transfer-encoding" for name, _ in event.headers):
        headers = [(name, value) for name, value in headers if name.lower() != b"content-length"]
    headers = [(secrets.mask_bytes(name), secrets.mask_bytes(value)) for name, value in headers]
    headers.append((b"Connection", b"close"))
    reason = secrets.mask_bytes(event.reason)
    return h11.Response(status_code=event.status_code, reason=reason, headers=headers)
