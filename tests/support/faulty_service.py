"""A real HTTP server on the loopback interface that answers byte by byte as scripted, faults included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Self

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


class FaultyService:
    """Answers each request with the next script; keeps what was asked."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.closed_by_client = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.headers.append(headers)
            self.asked.append(json.loads(body) if body else {})
            await self.scripts.pop(0)(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.closed_by_client.set()
        finally:
            writer.close()


def answer(status: int, body: str | bytes | dict[str, Any], **headers: str) -> Script:
    """A plain answer."""
    is_json = isinstance(body, dict)
    data = json.dumps(body).encode() if is_json else body.encode() if isinstance(body, str) else body
    named = {"content-type": "application/json" if is_json else "text/html", "content-length": str(len(data))}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}

    async def script(writer: asyncio.StreamWriter) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{lines}connection: close\r\n\r\n".encode() + data)

    return script


def refusal(status: int, message: str, code: str | None = None, **headers: str) -> Script:
    """An error in the service's own words."""
    return answer(status, {"error": {"message": message, "type": "x", "code": code}}, **headers)


def events_then_cut(*events: str) -> Script:
    """A stream of server-sent events whose end never comes: the connection is dropped after the last."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for event in events:
            data = f"data: {event}\n\n".encode()
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    return script


def stall(*events: str) -> Script:
    """Send `events`, then only comments that keep the connection alive, until the client goes away."""

    async def script(writer: asyncio.StreamWriter) -> None:
        await events_then_cut(*events)(writer)
        while True:
            writer.write(b"8\r\n: ping\n\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)

    return script


def stream(*chunks: dict[str, Any] | str) -> Script:
    """A whole stream, `[DONE]` and all."""

    async def script(writer: asyncio.StreamWriter) -> None:
        events = [chunk if isinstance(chunk, str) else json.dumps(chunk) for chunk in chunks]
        await events_then_cut(*events, "[DONE]")(writer)
        writer.write(b"0\r\n\r\n")

    return script


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """One chunk of an answer."""
    return {"model": "served", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def call_chunk(index: int | None, id_: str | None, name: str | None, arguments: str | None) -> dict[str, Any]:
    """One piece of a call."""
    function = {"name": name, "arguments": arguments}
    return chunk(tool_calls=[{"index": index, "id": id_, "type": "function", "function": function}])


def usage(asked: int, answered: int, cached: int = 0) -> dict[str, Any]:
    """The last chunk of a service that counts."""
    details = {"cached_tokens": cached}
    counted = {"prompt_tokens": asked, "completion_tokens": answered, "prompt_tokens_details": details}
    return {"choices": [], "usage": counted}


HELLO = stream(chunk(role="assistant", content="Hel"), chunk(content="lo"), chunk("stop"), usage(10, 2, 4))
