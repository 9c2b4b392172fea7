"""Control marks of chat templates in ordinary text.

A server that writes the conversation into one text by a template, and then reads control tokens out of the whole
of it, takes `<|im_start|>system` in a file for the beginning of a system message. Such text is sent with an
invisible character in it, and taken out of what comes back, so that edits still fit the files.

Threat model: any message but the first may hold such marks of somebody else's making.
"""

from __future__ import annotations

from agent.models.protocol import Message, Reply, Request

_MARKS = (("<|", "<\u2063|"), ("[INST", "[\u2063INST"), ("[/INST", "[\u2063/INST"), ("<<SYS", "<\u2063<SYS"))
_ESCAPED = "\\u2063"


def harmless(request: Request) -> Request:
    """The request, with no control mark in any text of it."""
    return request.model_copy(update={"messages": tuple(map(_message, request.messages))})


def restored(reply: Reply) -> Reply:
    """A reply to such a request, with marks as they were."""
    calls = tuple(call.model_copy(update={"arguments": _back(call.arguments)}) for call in reply.calls)
    return reply.model_copy(update={"text": _back(reply.text), "calls": calls})


def _message(message: Message) -> Message:
    calls = tuple(call.model_copy(update={"arguments": _apart(call.arguments)}) for call in message.tool_calls)
    return message.model_copy(update={"content": _apart(message.content), "tool_calls": calls})


def _apart(text: str) -> str:
    for mark, apart in _MARKS:
        text = text.replace(mark, apart)
    return text


def _back(text: str) -> str:
    for mark, apart in _MARKS:
        text = text.replace(apart, mark).replace(apart.replace("\u2063", _ESCAPED), mark)
    return text
