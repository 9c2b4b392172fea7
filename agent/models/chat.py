"""A model behind any service that speaks Chat Completions, asked through the `openai` SDK and streamed.

Threat model: the service may be slow, broken or lying. Every wait has a limit, every chunk is validated, a
turn that broke off leaves nothing behind, and the key appears in no message and no log.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import httpx
import openai
import structlog
from openai import AsyncOpenAI, AsyncStream
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from agent.models.answer import MAX_CHARS, Answer, AnswerTooLong, Chunk
from agent.models.errors import Endpoint, Transient, exhausted, judge
from agent.models.protocol import ModelError, Reply, Request
from agent.models.wire import wire_body

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 600.0
"""How long a service may say nothing: before its answer begins (a long prompt, much thought) or within it."""
LINGER_SECONDS = 5.0
"""How long the usage may come after the answer's end."""
MAX_ATTEMPTS = 5

log = structlog.get_logger("bridle.model")
_backoff = wait_random_exponential(multiplier=1.0, min=0.5, max=30.0)


class ChatModel:
    """A model named `name` at `base_url`; implements `agent.models.protocol.Model`."""

    def __init__(
        self,
        name: str,
        base_url: str,
        api_key: str,
        *,
        timeout: float = SILENCE_SECONDS,
        max_attempts: int = MAX_ATTEMPTS,
        on_retry: Callable[[str], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`timeout` is the longest silence in seconds; `sleep` waits between tries."""
        self._where = Endpoint(name, base_url, api_key)
        self._timeout = timeout
        self._max_attempts = max_attempts
        self._on_retry = on_retry
        self._sleep = sleep
        host = urlsplit(base_url).hostname or ""
        # OpenAI's newer models take only the new name; most other services know only the old one.
        self._limit_name = "max_completion_tokens" if host.endswith("openai.com") else "max_tokens"
        limits = httpx.Timeout(timeout, connect=min(CONNECT_SECONDS, timeout))
        self._client = AsyncOpenAI(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            timeout=limits,
            # A proxy from the environment cannot reach this machine's own services.
            http_client=httpx.AsyncClient(timeout=limits, follow_redirects=True, trust_env=not is_loopback(host)),
        )

    @property
    def name(self) -> str:
        return self._where.model

    @property
    def endpoint(self) -> Endpoint:
        """The service itself, for what speaks to it in another way. It has the key."""
        return self._where

    async def complete(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        """See the protocol. Raises ModelError; ContextOverflow when the request is too long for the model."""
        show = on_text or _nowhere
        turns = AsyncRetrying(
            stop=stop_after_attempt(self._max_attempts),
            retry=retry_if_exception_type(Transient),
            wait=_pause,
            sleep=self._sleep,
            before_sleep=lambda state: self._again(state, show),
            reraise=True,
        )
        try:
            answer: Answer = await turns(self._attempt, request, show)
        except Transient as last:
            raise exhausted(last, self._max_attempts, self._where) from last
        return answer.reply(request, retries=turns.statistics["attempt_number"] - 1)

    async def close(self) -> None:
        await self._client.close()

    async def _attempt(self, request: Request, show: Callable[[str], None]) -> Answer:
        """One whole answer. Raises Transient or ModelError."""
        answer = Answer()
        async with await self._begin(request) as stream:
            streamed = "text/event-stream" in stream.response.headers.get("content-type", "text/event-stream")
            chunk = await (self._next(stream, answer) if streamed else self._whole(stream.response))
            while chunk is not None:
                if text := self._feed(answer, chunk):
                    show(text)
                chunk = await self._next(stream, answer) if streamed else None
        if not answer.finished:
            raise Transient("its answer ended in the middle")
        return answer

    async def _begin(self, request: Request) -> AsyncStream[object]:
        # The generic method instead of `chat.completions.create`: chunks come as plain data, and are
        # validated here rather than built unchecked into the SDK's own types.
        body = wire_body(request, self.name, self._limit_name)
        try:
            return await self._client.post(
                "/chat/completions", body=body, cast_to=object, stream=True, stream_cls=AsyncStream[object]
            )
        except openai.APIError as error:
            raise judge(error, self._where) from error

    async def _next(self, stream: AsyncStream[object], answer: Answer) -> Chunk | None:
        """The next chunk, or None at the end. What goes wrong after the answer's end is let pass."""
        try:
            async with asyncio.timeout(LINGER_SECONDS if answer.finished else self._timeout):
                return Chunk.model_validate(await anext(stream))
        except StopAsyncIteration:
            return None
        except (TimeoutError, httpx.TransportError, openai.APIError, ValueError) as error:
            if answer.finished:
                return None
            raise judge(error, self._where) from error

    async def _whole(self, response: httpx.Response) -> Chunk:
        """The answer of a service that did not stream it, if it is one."""
        data = bytearray()
        try:
            async for part in response.aiter_bytes():
                data += part
                if len(data) > MAX_CHARS:
                    raise AnswerTooLong
            chunk = Chunk.model_validate_json(bytes(data))
        except httpx.TransportError as error:
            raise judge(error, self._where) from error
        except ValueError as error:
            raise self._garbage(bytes(data)) from error
        if not chunk.choices:
            raise self._garbage(bytes(data))
        return chunk

    def _garbage(self, data: bytes) -> ModelError:
        said = self._where.shown(data[:400].decode("utf-8", "replace"))[:80]
        return ModelError(
            f"{self._where} answered something that is no completion ({said!r}): check the base URL (often .../v1)"
        )

    def _feed(self, answer: Answer, chunk: Chunk) -> str:
        try:
            return answer.feed(chunk)
        except AnswerTooLong as error:
            raise ModelError(f"{self._where} sent more than {MAX_CHARS} characters for one answer") from error

    def _again(self, state: RetryCallState, show: Callable[[str], None]) -> None:
        """Before another try: what was shown is void, and the user hears why it takes longer."""
        show("")
        reason = str(state.outcome.exception()) if state.outcome else ""
        seconds = state.upcoming_sleep
        log.debug("model turn retried", model=self.name, reason=reason, tried=state.attempt_number, wait=seconds)
        if self._on_retry:
            self._on_retry(f"{self._where}: {reason}; trying again in {seconds:.0f} s")


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait if isinstance(error, Transient) else None
    return _backoff(state) if asked is None else asked


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _nowhere(_text: str) -> None:
    pass
