"""Putting a streamed answer together.

Threat model: chunks are whatever the service sent. They are validated into the small models below (anything
else is a broken stream), the whole is bounded, and arguments stay raw text. Services differ in how they stream
calls: in pieces or whole, with ids first, repeated or missing, with one index for all. All of that ends here.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator

from agent.models.protocol import Reply, Request, Tokens, ToolCall, Usage
from agent.models.wire import is_object, wire_text

MAX_CHARS = 8 << 20
"""The longest answer taken, text and arguments together, in characters."""

LEAST_LOGPROB = -9999.0
"""What stands for the logarithm of no probability at all, which JSON has no number for."""

BYTES_PER_TOKEN = 4
"""What an estimate of tokens goes by when the service counts none."""

Finish = Literal["stop", "tool_calls", "length", "content_filter", "other"]
_FINISHES: dict[str, Finish] = {
    "stop": "stop",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "length": "length",
    "content_filter": "content_filter",
}


def _text_of_arguments(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value


class _Function(BaseModel):
    name: str | None = None
    arguments: Annotated[str | None, BeforeValidator(_text_of_arguments)] = None


class _CallPiece(BaseModel):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Piece(BaseModel):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_CallPiece] | None = None
    function_call: _Function | None = None

    @property
    def calls(self) -> list[_CallPiece]:
        """The calls, or their pieces; one in the form from before `tool_calls`, too."""
        older = [_CallPiece(function=self.function_call)] if self.function_call else []
        return [*(self.tool_calls or []), *older]


class _TokenLogprob(BaseModel):
    """One sampled token; llama.cpp says its `id`, too."""

    logprob: float
    id: int | None = None


class _Logprobs(BaseModel):
    content: list[_TokenLogprob] | None = None


class _Choice(BaseModel):
    index: int = 0
    delta: _Piece | None = None
    message: _Piece | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None
    token_ids: list[int] | None = None


class _InputDetails(BaseModel):
    cached_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: _InputDetails | None = None


class Chunk(BaseModel):
    """One event of a stream, or a whole answer of a service that does not stream."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    model: str | None = None
    prompt_token_ids: list[int] | None = None


class AnswerTooLong(ValueError):
    """More than MAX_CHARS arrived."""


@dataclass(slots=True)
class _OpenCall:
    index: int | None
    id: str = ""
    name: str = ""
    arguments: str = ""


class Answer:
    """An answer that is still arriving."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._calls: list[_OpenCall] = []
        self._finish: str | None = None
        self._usage: _Usage | None = None
        self._model = ""
        self._chars = 0
        self._prompt: list[int] = []
        self._sampled: list[int] = []
        self._logprobs: list[float] = []

    @property
    def finished(self) -> bool:
        """Whether the service has said why it stopped; nothing but usage is missing then."""
        return self._finish is not None

    def feed(self, chunk: Chunk) -> str:
        """Take in one chunk and return the text that is new in it. Raises AnswerTooLong."""
        self._usage = chunk.usage or self._usage
        self._model = chunk.model or self._model
        self._prompt = chunk.prompt_token_ids or self._prompt
        choice = next((c for c in chunk.choices or [] if c.index == 0), None)
        if choice is None:
            return ""
        self._feed_tokens(choice)
        piece = choice.delta or choice.message or _Piece()
        text = _whole_characters((piece.content or "") + (piece.refusal or ""))
        if text:
            self._texts.append(text)
        for call in piece.calls:
            self._feed_call(call)
        self._chars += len(text) + sum(map(_length, piece.calls))
        if self._chars > MAX_CHARS:
            raise AnswerTooLong
        self._finish = choice.finish_reason or self._finish
        return text

    def _feed_tokens(self, choice: _Choice) -> None:
        said = (choice.logprobs and choice.logprobs.content) or []
        self._logprobs += [each.logprob if math.isfinite(each.logprob) else LEAST_LOGPROB for each in said]
        self._sampled += choice.token_ids or [each.id for each in said if each.id is not None]
        if max(len(self._sampled), len(self._logprobs)) > MAX_CHARS:
            raise AnswerTooLong

    def _tokens(self) -> Tokens | None:
        """What the service told of tokens; log probabilities only where there is one for each."""
        if not (self._prompt or self._sampled or self._logprobs):
            return None
        fit = not self._sampled or len(self._logprobs) == len(self._sampled)
        return Tokens(
            prompt=tuple(self._prompt),
            output=tuple(self._sampled),
            logprobs=tuple(self._logprobs) if fit else (),
        )

    def _feed_call(self, piece: _CallPiece) -> None:
        function = piece.function or _Function()
        call = self._call_of(piece, function)
        call.id = call.id or piece.id or ""
        call.name = call.name or function.name or ""
        call.arguments += function.arguments or ""

    def _call_of(self, piece: _CallPiece, function: _Function) -> _OpenCall:
        """The call that `piece` goes on with, or a new one."""
        near = [c for c in self._calls if piece.index is None or c.index == piece.index]
        if near and not self._begins_another(near[-1], piece, function):
            return near[-1]
        self._calls.append(_OpenCall(piece.index))
        return self._calls[-1]

    @staticmethod
    def _begins_another(last: _OpenCall, piece: _CallPiece, function: _Function) -> bool:
        if piece.id and last.id and piece.id != last.id:
            return True
        # Whole calls without usable ids: a name and arguments again, after arguments that were complete.
        return bool(function.name and function.arguments and last.name and is_object(last.arguments))

    def reply(self, request: Request, *, retries: int = 0) -> Reply:
        """The whole reply. Ids of calls are unique in the conversation, whatever the service made of them."""
        text = "".join(self._texts)
        calls = self._named_calls(c.id for m in request.messages for c in m.tool_calls)
        finish = _FINISHES.get(self._finish or "", "other")
        if calls and finish == "stop":
            finish = "tool_calls"
        return Reply(
            text=text,
            calls=calls,
            usage=_counted(self._usage) if self._usage else _estimated(request, text, calls),
            finish=finish,
            model=self._model,
            retries=retries,
            estimated=self._usage is None,
            tokens=self._tokens(),
        )

    def _named_calls(self, taken: Iterable[str]) -> tuple[ToolCall, ...]:
        used = set(taken)
        calls: list[ToolCall] = []
        for call in self._calls:
            name = call.id if call.id and call.id not in used else f"call_{secrets.token_hex(8)}"
            used.add(name)
            arguments = _whole_characters(call.arguments)
            calls.append(ToolCall(id=name, name=_whole_characters(call.name), arguments=arguments))
        return tuple(calls)


def _whole_characters(text: str) -> str:
    """Half of a surrogate pair can be written in JSON, but never again in UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _length(piece: _CallPiece) -> int:
    # The constant counts the call itself, so that endless empty calls are bounded too.
    return 64 + len((piece.function and piece.function.arguments) or "")


def _counted(usage: _Usage) -> Usage:
    details = usage.prompt_tokens_details
    cached = (details.cached_tokens or 0) if details else 0
    return Usage(input=usage.prompt_tokens, cached=cached, output=usage.completion_tokens)


def _estimated(request: Request, text: str, calls: tuple[ToolCall, ...]) -> Usage:
    asked = [wire_text(m) + _calls_text(m.tool_calls) for m in request.messages]
    tools = [t.model_dump_json() for t in request.tools]
    return Usage(input=estimate_tokens("".join(asked + tools)), output=estimate_tokens(text + _calls_text(calls)))


def _calls_text(calls: tuple[ToolCall, ...]) -> str:
    return "".join(call.name + call.arguments for call in calls)


def estimate_tokens(text: str) -> int:
    """A rough count of tokens, rounded up, from the length in UTF-8."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)
