"""What a model is: it takes a request and gives a reply, streaming its text on the way.

Threat model: every byte of a reply is untrusted. Arguments of calls stay raw text here; they are parsed and
validated by the loop, against the tool's own schema, before anything looks at them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, FiniteFloat


class Frozen(BaseModel):
    """Base of the value types: immutable, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ToolCall(Frozen):
    """One call the model asked for. `arguments` is the raw text it wrote, JSON or not."""

    id: str
    name: str
    arguments: str


class Message(Frozen):
    """One message of a conversation, in the shape of Chat Completions.

    `seconds`, on tool results, is how long the call took. It is shown to the model, but kept out of the text
    so that two runs of one session can be compared.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    seconds: float | None = None


class ToolSpec(Frozen):
    """A tool as the model sees it; `parameters` is a JSON schema."""

    name: str
    description: str
    parameters: dict[str, Any]


class Request(Frozen):
    """What is asked of the model. Unset sampling values are left to the service; `stop` texts end the answer.

    `want_tokens` asks for token ids and log probabilities, which services without them refuse or leave out.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    temperature: float | None = None
    seed: int | None = None
    max_output_tokens: int | None = None
    stop: tuple[str, ...] = ()
    want_tokens: bool = False


class Usage(Frozen):
    """Tokens of one turn; `cached` of the `input` ones were served from the provider's cache."""

    input: int = 0
    cached: int = 0
    output: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input=self.input + other.input,
            cached=self.cached + other.cached,
            output=self.output + other.output,
        )


class Tokens(Frozen):
    """The tokens of one turn, where the service was asked for them and gave them; empty what it did not give.

    `output` and `logprobs` (natural logarithms) are of what the model sampled, one number a token. `prompt` is the
    whole prompt of the turn.
    """

    prompt: tuple[int, ...] = ()
    output: tuple[int, ...] = ()
    logprobs: tuple[FiniteFloat, ...] = ()


class Reply(Frozen):
    """A whole, unbroken answer. `estimated` says that the service gave no usage and it was estimated."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    finish: Literal["stop", "tool_calls", "length", "content_filter", "other"] = "stop"
    model: str = ""
    retries: int = 0
    estimated: bool = False
    tokens: Tokens | None = None


class ModelError(Exception):
    """The model's service failed for good (exit 7); the message is one sentence naming the way out."""


class ContextOverflow(ModelError):
    """The request is larger than the model's context; asking again cannot help (exit 4)."""


class Model(Protocol):
    """A model behind some service."""

    @property
    def name(self) -> str:
        """What the user calls it."""

    async def complete(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        """The model's whole answer; `on_text` gets its text as it arrives.

        When a stream breaks off and is retried, `on_text` is called again from the start after one call with
        an empty string, which means "forget what you had". Raises ModelError.
        """

    async def close(self) -> None:
        """Free connections and stop whatever was started for it."""
