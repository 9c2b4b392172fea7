"""Messages and tools as Chat Completions want them."""

from __future__ import annotations

import json
import re
from typing import Any

from agent.context.data import as_data
from agent.models.protocol import Message, Request, ToolSpec

_HOW_IT_ENDED = re.compile(r"\[(?:exit \d+|killed)(?:: [^;\]\n]*)?(?=[;\]])(?=[^\n]*\]\Z)")
"""How the last line of a `shell` result begins, unless it is a timeout, which says its time itself."""


def wire_text(message: Message) -> str:
    """The text the model sees: the content, and after how a command ended, how long it took: `[exit 0; 11.2 s]`.

    It is put in here and not by the tool, so that the journalled text is the same in every run of a session.
    """
    if message.role != "tool" or message.seconds is None:
        return message.content
    last = message.content.rfind("\n") + 1
    footer = _HOW_IT_ENDED.match(message.content, last)
    if footer is None:
        return message.content
    took = f"{message.seconds:.{1 if message.seconds >= 1 else 2}f} s"
    return f"{message.content[: footer.end()]}; {took}{message.content[footer.end() :]}"


def wire_message(message: Message, tool: str = "") -> dict[str, Any]:
    """One message as a chat dictionary; what the `tool` gave that ran is marked as data."""
    text = wire_text(message)
    marked = as_data(text, tool) if message.role == "tool" and message.seconds is not None else text
    wire: dict[str, Any] = {"role": message.role, "content": marked}
    if message.role == "tool":
        wire["tool_call_id"] = message.tool_call_id or ""
    if message.tool_calls:
        wire["content"] = wire["content"] or None
        wire["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": wire_arguments(call.arguments)},
            }
            for call in message.tool_calls
        ]
    return wire


def wire_arguments(raw: str) -> str:
    """Arguments as sent back: several services refuse a whole conversation over one call that is not JSON."""
    if is_object(raw):
        return raw
    return json.dumps({"invalid_arguments": raw}) if raw.strip() else "{}"


def wire_tool(tool: ToolSpec) -> dict[str, Any]:
    """One tool as a chat dictionary."""
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def wire_body(request: Request, model: str, limit_name: str) -> dict[str, Any]:
    """The whole request; `limit_name` is what the service calls the bound on output tokens."""
    tools = {call.id: call.name for message in request.messages for call in message.tool_calls}
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            wire_message(each, tools.get(each.tool_call_id or "", "a tool")) for each in request.messages
        ],
        "stream": not request.want_tokens,  # llama.cpp gives no probabilities of streamed calls
    }
    if body["stream"]:
        body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = [wire_tool(tool) for tool in request.tools]
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.seed is not None:
        body["seed"] = request.seed
    if request.max_output_tokens is not None:
        body[limit_name] = request.max_output_tokens
    if request.want_tokens:
        body |= {"logprobs": True, "return_token_ids": True}  # the second is vLLM's own
    if request.stop:
        body["stop"] = list(request.stop)
    return body


def is_object(text: str) -> bool:
    """Whether `text` is one whole JSON object."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
