"""A model for agents that bring their own loop: an OpenAI-compatible service that only their sandbox reaches.

    agent in the sandbox → http://model.bridle.internal/v1 → (the sandbox's way out) → gateway → the model

The agent needs no key and no network. What it asks and is answered is journalled as a session's turns are, so that
tokens, cost and failure modes are counted alike for every harness, and the same budgets hold.

Threat model: requests are the agent's, answers the service's. Requests are bounded, and only completions, one a
request, and the list of models are served. The key is put in here and never goes into the sandbox; the model that
is asked is the run's, whatever the request names. An answer counts as far as it was passed on, read to its end or
not. A refused request is the agent's own affair, or else one would be a way out of an attempt that goes badly.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import h11
import httpx
from pydantic import ValidationError

from agent.budgets import Budgets, Spent, exceeded
from agent.journal import Journal, ModelReplied, ModelRequested
from agent.models.answer import Answer, AnswerTooLong, Chunk
from agent.models.chat import ChatModel, is_loopback
from agent.models.errors import Endpoint, is_busy, is_overflow, overflow
from agent.models.local import LocalModel
from agent.models.prices import Prices, cost, parse_prices
from agent.models.protocol import Message, Request
from agent.models.select import default_model_name, make_model
from agent.outcomes import UsageProblem
from agent.settings import Settings
from sandboxes.network.outside import Connected, Egress
from sandboxes.network.rules import HostRule, Network
from tasks.agents.pacing import Pace
from tasks.grading.watching import OWN_LOOP

HOST = "model.bridle.internal"
URL = f"http://{HOST}/v1"
MAX_BODY = 32 << 20
"""Bytes of a request, and of an answer."""
SILENCE_SECONDS = 600.0
PLAIN = "Answer with the word yes."
"""A request that every service takes which takes any."""
_PASSED = ("content-type", "retry-after")
Pass = Callable[[httpx.Response, AsyncIterator[bytes]], Awaitable[None]]
"""Takes an answer's head, and its bytes as they come."""


class Last(NamedTuple):
    """What became of the last request: answered; not, since it is too long or refused; or the service failed."""

    kind: Literal["answered", "too_long", "refused", "failed"] = "answered"
    words: str = ""


class Refused(Exception):
    """A request that is not passed on: the status, and a sentence."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


@asynccontextmanager
async def gateway_for(settings: Settings, journal: Journal, pace: Pace) -> AsyncIterator[Gateway]:
    """A gateway to the model that `settings` name, within their budgets. Raises UsageProblem, ModelError."""
    model = make_model(settings.model or default_model_name(), base_url=settings.base_url)
    try:
        if isinstance(model, LocalModel):
            await model.start()
        endpoint = model.endpoint if isinstance(model, ChatModel | LocalModel) else None
        if endpoint is None:
            raise UsageProblem(
                f"{model.name} is no service: a command is given a model with --model NAME or local"
            )
        prices = parse_prices(settings.price) if settings.price else None
        gateway = Gateway(endpoint, journal, settings.budgets, prices, pace)
        async with gateway.serve():
            yield gateway
    finally:
        await model.close()


@dataclass(slots=True)
class Gateway:
    """Passes an agent's requests on to `endpoint`, within `budgets`, and journals them."""

    endpoint: Endpoint
    journal: Journal
    budgets: Budgets
    prices: Prices | None = None
    pace: Pace = field(default_factory=Pace)
    spent: Spent = field(default_factory=Spent)
    over: str = ""
    """Which budget was used up, when one was."""
    last: Last = field(default_factory=Last)
    _folder: Path | None = None

    @property
    def network(self) -> Network:
        """What a sandbox has to be allowed."""
        return Network("allowlist", (HostRule(HOST, ports=(80,)),))

    @property
    def egress(self) -> Egress:
        """What serves it there."""
        return Egress(served={HOST: self._connect})

    @property
    def environment(self) -> dict[str, str]:
        """How agents are told, in the variables that most of them read."""
        names = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
        key = {"OPENAI_API_KEY": "bridle"}  # clients want one; it opens nothing
        return {**dict.fromkeys(names, URL), **key, "BRIDLE_MODEL": self.endpoint.model}

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Serve for as long as the context lasts."""
        with TemporaryDirectory(prefix="bridle-model-") as folder:
            self._folder = Path(folder)
            server = await asyncio.start_unix_server(self._client, str(self._folder / "socket"))
            try:
                yield
            finally:
                server.close()
                self._folder = None

    async def _connect(self) -> Connected:
        """Raises OSError."""
        if self._folder is None:
            raise OSError("the attempt is over")
        return await asyncio.open_unix_connection(str(self._folder / "socket"))

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        try:
            try:
                head, body = await _read(connection, reader)
                await self._answer(connection, writer, head, body)
            except Refused as refused:
                words = {"error": {"message": str(refused), "type": "bridle"}}
                await _send(connection, writer, refused.status, {}, _once(json.dumps(words).encode()))
        except (OSError, h11.ProtocolError):  # either side broke off: there is nobody to tell
            pass
        finally:
            writer.close()

    async def _answer(
        self, connection: h11.Connection, writer: asyncio.StreamWriter, head: h11.Request, body: bytes
    ) -> None:
        """Raises Refused, OSError, ProtocolError."""
        path = head.target.decode("latin-1").partition("?")[0]
        if head.method == b"GET" and path == "/v1/models":
            models = {"object": "list", "data": [{"id": self.endpoint.model, "object": "model"}]}
            await _send(connection, writer, 200, {}, _once(json.dumps(models).encode()))
            return
        if head.method != b"POST" or path != "/v1/chat/completions":
            raise Refused(404, "this service has POST /v1/chat/completions and GET /v1/models, nothing else")
        if over := exceeded(self.budgets, self.spent):
            self.over = over
            raise Refused(403, f"the budget is used up: {over}")
        asked = _body(body)
        asked["model"] = self.endpoint.model
        if asked.get("stream"):
            asked["stream_options"] = {"include_usage": True}
        async with self.pace:
            await self._ask(asked, partial(_pass_on, connection, writer), OWN_LOOP)

    async def settle(self) -> None:
        """Find out whose affair a refused last request is: the service's, if that takes no plain one, either."""
        refused = self.last
        if refused.kind != "refused":
            return
        asked = {"model": self.endpoint.model, "messages": [{"role": "user", "content": PLAIN}]}
        async with self.pace:
            with suppress(Refused):  # where it cannot be reached any more, `last` says so
                await self._ask(asked, _read_all, "control")
        self.last = refused if self.last.kind == "answered" else Last("failed", refused.words)

    async def _ask(self, asked: dict[str, Any], pass_on: Pass, purpose: str) -> None:
        """Ask the service, and journal what came of it. Raises Refused where it fails, and what `pass_on` does."""
        messages = asked.get("messages")
        count = len(messages) if isinstance(messages, list) else 0
        self.journal.append(
            ModelRequested(model=self.endpoint.model, messages=count, fingerprints=(), tools="", purpose=purpose)
        )
        start, status, seen, failed = time.monotonic(), 0, bytearray(), ""
        headers = {"Authorization": f"Bearer {self.endpoint.api_key}"}
        url = f"{self.endpoint.base_url.rstrip('/')}/chat/completions"
        direct = is_loopback(urlsplit(url).hostname or "")  # as ChatModel goes there
        async with httpx.AsyncClient(timeout=SILENCE_SECONDS, trust_env=not direct) as client:
            try:
                async with client.stream("POST", url, json=asked, headers=headers) as answer:
                    status = answer.status_code
                    await pass_on(answer, _kept(answer, seen))
            except httpx.HTTPError as error:
                failed = f"{self.endpoint} failed: {type(error).__name__}"
                raise Refused(502, failed) from error
            finally:  # whatever the agent does with an answer, it was given it
                if status == 200:
                    self._note(bytes(seen), asked, time.monotonic() - start)
                if failed:
                    self.last = Last("failed", failed)
                elif status:
                    self.last = self._judged(status, bytes(seen[:4000]).decode("utf-8", "replace"))

    def _judged(self, status: int, said: str) -> Last:
        """What an answer with this status and these first words amounts to."""
        if status == 200:
            return Last()
        if is_overflow(status, said):
            return Last("too_long", str(overflow(self.endpoint)))
        words = f"HTTP {status} from {self.endpoint}: {self.endpoint.shown(said)}"
        return Last("failed" if is_busy(status) else "refused", words)

    def _note(self, data: bytes, asked: dict[str, Any], seconds: float) -> None:
        """Journal an answer that was passed on."""
        request = Request(messages=(Message(role="user", content=json.dumps(asked)[:MAX_BODY]),))
        reply = _understood(data).reply(request)
        event = ModelReplied(
            text=reply.text,
            calls=reply.calls,
            usage=reply.usage,
            finish=reply.finish,
            model=reply.model,
            estimated=reply.estimated,
            cost=cost(reply.usage, self.prices),
            seconds=round(seconds, 3),
        )
        self.spent = self.spent.plus(event)
        self.journal.append(event)


def _understood(data: bytes) -> Answer:
    """What an answer says, streamed or whole; what is no part of one is let be."""
    answer = Answer()
    lines = [line[5:].strip() for line in data.splitlines() if line.startswith(b"data:")] or [data]
    for line in lines:
        if line != b"[DONE]":
            try:
                answer.feed(Chunk.model_validate_json(line))
            except (ValidationError, AnswerTooLong):
                continue
    return answer


def _body(data: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "the request is no JSON") from error
    if not isinstance(asked, dict):
        raise Refused(400, "the request is no JSON object")
    if asked.get("n") not in (None, 1):
        raise Refused(400, "a request has one answer here: leave out n, or ask more often")
    return asked


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[h11.Request, bytes]:
    """A whole request. Raises Refused, OSError."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            raise Refused(400, "this is no HTTP request") from error
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY:
                raise Refused(413, f"the request is larger than {MAX_BODY >> 20} MiB")
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return head, bytes(body)
        else:
            raise ConnectionResetError


async def _pass_on(
    connection: h11.Connection,
    writer: asyncio.StreamWriter,
    answer: httpx.Response,
    pieces: AsyncIterator[bytes],
) -> None:
    """Give the agent an answer as it comes. Raises OSError, ProtocolError, HTTPError."""
    passed = {name: answer.headers[name] for name in _PASSED if name in answer.headers}
    await _send(connection, writer, answer.status_code, passed, pieces)


async def _read_all(_: httpx.Response, pieces: AsyncIterator[bytes]) -> None:
    """Read an answer that nobody else wants. Raises HTTPError."""
    async for _piece in pieces:
        pass


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _kept(answer: httpx.Response, seen: bytearray) -> AsyncIterator[bytes]:
    """The answer's bytes as they come, kept in `seen` up to MAX_BODY."""
    async for piece in answer.aiter_bytes():
        seen += piece[: MAX_BODY - len(seen)]
        yield piece


async def _send(
    connection: h11.Connection,
    writer: asyncio.StreamWriter,
    status: int,
    headers: dict[str, str],
    body: AsyncIterator[bytes],
) -> None:
    headers = {"content-type": "application/json", **headers, "connection": "close"}
    writer.write(connection.send(h11.Response(status_code=status, headers=list(headers.items()))) or b"")
    async for piece in body:
        writer.write(connection.send(h11.Data(data=piece)) or b"")
        await writer.drain()
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    await writer.drain()
