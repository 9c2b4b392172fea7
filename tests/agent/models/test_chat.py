"""The chat client against a real HTTP service with every fault we know of."""

from __future__ import annotations

import asyncio
import email.utils
import json
import socket
from datetime import UTC, datetime, timedelta

import pytest
from support.faulty_service import (
    HELLO,
    FaultyService,
    Script,
    answer,
    call_chunk,
    chunk,
    events_then_cut,
    refusal,
    stall,
    stream,
    usage,
)

from agent.models.chat import ChatModel
from agent.models.protocol import ContextOverflow, Message, ModelError, Request, ToolCall, ToolSpec, Usage

ASK = Request(messages=(Message(role="user", content="hi"),))
KEY = "sk-very-secret-key"


class Client:
    """A model with a short temper, and what it told about itself."""

    def __init__(self, url: str, *, timeout: float = 5.0, max_attempts: int = 4) -> None:
        self.waits: list[float] = []
        self.notes: list[str] = []
        self.texts: list[str] = []
        self.model = ChatModel(
            "tested",
            url,
            KEY,
            timeout=timeout,
            max_attempts=max_attempts,
            on_retry=self.notes.append,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def ask(self, request: Request = ASK):  # type: ignore[no-untyped-def]
        try:
            return await self.model.complete(request, self.texts.append)
        finally:
            await self.model.close()


async def fail(service: FaultyService, *scripts: Script, max_attempts: int = 4) -> tuple[ModelError, Client]:
    """The error after `scripts`; all of them were used, and nothing in it is secret."""
    service.scripts = list(scripts)
    client = Client(service.url, max_attempts=max_attempts)
    with pytest.raises(ModelError) as caught:
        await client.ask()
    assert service.scripts == []
    assert KEY not in str(caught.value)
    assert "tested" in str(caught.value)
    assert service.url in str(caught.value)
    return caught.value, client


async def test_a_streamed_answer_with_usage(faulty: FaultyService) -> None:
    faulty.scripts = [HELLO]
    client = Client(faulty.url)
    reply = await client.ask()
    assert (reply.text, reply.finish, reply.model, reply.retries) == ("Hello", "stop", "served", 0)
    assert reply.usage == Usage(input=10, cached=4, output=2)
    assert not reply.estimated
    assert client.texts == ["Hel", "lo"]
    assert faulty.headers[0]["authorization"] == f"bearer {KEY}"


async def test_the_request_on_the_wire(faulty: FaultyService) -> None:
    faulty.scripts = [HELLO]
    call = ToolCall(id="a", name="shell", arguments='{"command": "ls"}')
    wrong = ToolCall(id="b", name="shell", arguments='{"command": ')
    request = Request(
        messages=(
            Message(role="system", content="be good"),
            Message(role="assistant", tool_calls=(call, wrong)),
            Message(role="tool", content="x.py\n[exit 0]", tool_call_id="a", seconds=0.517),
            Message(role="tool", content="not JSON", tool_call_id="b"),
        ),
        tools=(ToolSpec(name="shell", description="runs", parameters={"type": "object"}),),
        temperature=0.0,
        seed=7,
        max_output_tokens=99,
    )
    await Client(faulty.url).ask(request)
    sent = faulty.asked[0]
    _, assistant, timed, untimed = sent["messages"]
    assert assistant["content"] is None
    assert assistant["tool_calls"][0]["function"] == {"name": "shell", "arguments": call.arguments}
    kept = json.loads(assistant["tool_calls"][1]["function"]["arguments"])
    assert kept == {"invalid_arguments": wrong.arguments}
    assert timed == {
        "role": "tool",
        "content": '<data from="shell">\nx.py\n[exit 0; 0.52 s]\n</data>',
        "tool_call_id": "a",
    }
    assert untimed["content"] == "not JSON"
    assert sent["tools"][0]["function"]["parameters"] == {"type": "object"}
    assert (sent["temperature"], sent["seed"], sent["max_tokens"]) == (0.0, 7, 99)
    assert sent["stream_options"] == {"include_usage": True}


async def test_what_is_not_set_is_not_sent(faulty: FaultyService) -> None:
    faulty.scripts = [HELLO]
    await Client(faulty.url).ask()
    assert set(faulty.asked[0]) == {"model", "messages", "stream", "stream_options"}


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(
            [
                call_chunk(0, "a", "read", ""),
                call_chunk(0, None, None, '{"p":'),
                call_chunk(1, "b", "edit", '{"q":'),
                call_chunk(0, None, None, "1}"),
                call_chunk(1, None, None, "2}"),
            ],
            id="in pieces, interleaved",
        ),
        pytest.param(
            [call_chunk(0, "a", "read", '{"p":1}'), call_chunk(0, "b", "edit", '{"q":2}')],
            id="whole, one index for all",
        ),
        pytest.param(
            [call_chunk(None, None, "read", '{"p":1}'), call_chunk(None, None, "edit", '{"q":2}')],
            id="whole, no index and no ids",
        ),
        pytest.param([call_chunk(0, "", "read", '{"p":1}'), call_chunk(1, "", "edit", '{"q":2}')], id="empty ids"),
        pytest.param(
            [
                call_chunk(0, "a", "read", '{"p"'),
                call_chunk(0, "a", "read", ":1}"),
                call_chunk(1, "a", "edit", '{"q":2}'),
            ],
            id="id and name repeated, one id for both",
        ),
        pytest.param(
            [
                call_chunk(0, "a", None, None),
                call_chunk(0, None, "read", '{"p":1}'),
                call_chunk(1, "b", None, None),
                call_chunk(1, None, "edit", '{"q":2}'),
            ],
            id="ids only first",
        ),
    ],
)
async def test_calls_however_the_service_streams_them(faulty: FaultyService, pieces: list[object]) -> None:
    faulty.scripts = [stream(chunk(role="assistant", content=None), *pieces, chunk("stop"))]  # type: ignore[arg-type]
    reply = await Client(faulty.url).ask()
    assert [(c.name, c.arguments) for c in reply.calls] == [("read", '{"p":1}'), ("edit", '{"q":2}')]
    assert len({c.id for c in reply.calls} - {""}) == 2
    assert reply.finish == "tool_calls"


async def test_raw_arguments_are_kept_and_ids_are_new_in_the_conversation(faulty: FaultyService) -> None:
    faulty.scripts = [stream(call_chunk(0, "old", "submit", ""), chunk("tool_calls"))]
    asked = Message(role="assistant", tool_calls=(ToolCall(id="old", name="x", arguments="{}"),))
    reply = await Client(faulty.url).ask(Request(messages=(asked,)))
    assert (reply.calls[0].name, reply.calls[0].arguments) == ("submit", "")
    assert reply.calls[0].id not in ("", "old")


@pytest.mark.parametrize(
    ("said", "meant"), [("length", "length"), ("content_filter", "content_filter"), ("eos", "other")]
)
async def test_why_it_stopped(faulty: FaultyService, said: str, meant: str) -> None:
    faulty.scripts = [stream(chunk(content="x"), chunk(said))]
    assert (await Client(faulty.url).ask()).finish == meant


async def test_usage_absent_is_estimated_and_told(faulty: FaultyService) -> None:
    faulty.scripts = [stream(chunk(content="four letters"), chunk("stop"))]
    reply = await Client(faulty.url).ask(Request(messages=(Message(role="user", content="x" * 400),)))
    assert reply.estimated
    assert reply.usage == Usage(input=100, output=3)


async def test_a_service_that_does_not_stream(faulty: FaultyService) -> None:
    message = {"role": "assistant", "content": "whole"}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **usage(3, 1)}
    whole["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
    faulty.scripts = [answer(200, whole)]
    reply = await Client(faulty.url).ask()
    assert (reply.text, reply.usage.output, reply.estimated) == ("whole", 1, False)


async def test_half_a_character_is_replaced(faulty: FaultyService) -> None:
    faulty.scripts = [stream(chunk(content="a\ud83d"), chunk("stop"))]
    reply = await Client(faulty.url).ask()
    assert reply.text == "a?"


# -- what is tried again ---------------------------------------------------------------------------------------


async def test_429_waits_as_long_as_asked(faulty: FaultyService) -> None:
    faulty.scripts = [refusal(429, "slow down", retry_after="7"), HELLO]
    client = Client(faulty.url)
    reply = await client.ask()
    assert (reply.text, reply.retries, client.waits) == ("Hello", 1, [7.0])
    assert "429" in client.notes[0]
    assert "slow down" in client.notes[0]


async def test_retry_after_as_a_date_and_capped(faulty: FaultyService) -> None:
    soon = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    faulty.scripts = [
        refusal(503, "busy", retry_after=soon),
        refusal(503, "busy", retry_after="86400"),
        refusal(503, "busy", retry_after="in a while"),
        HELLO,
    ]
    client = Client(faulty.url)
    await client.ask()
    assert 10 < client.waits[0] <= 20
    assert client.waits[1] == 60
    assert 0 <= client.waits[2] <= 30


async def test_500_twice_then_well(faulty: FaultyService) -> None:
    faulty.scripts = [answer(500, "<h1>oops</h1>"), refusal(502, "bad gateway"), HELLO]
    client = Client(faulty.url)
    reply = await client.ask()
    assert (reply.text, reply.retries, len(client.waits)) == ("Hello", 2, 2)


async def test_a_stream_cut_within_a_call_leaves_one_set_of_calls(faulty: FaultyService) -> None:
    cut = events_then_cut(
        json.dumps(chunk(content="I will")), json.dumps(call_chunk(0, "a", "shell", '{"command": "rm'))
    )
    whole = stream(chunk(content="I shall"), call_chunk(0, "b", "shell", '{"command": "ls"}'), chunk("tool_calls"))
    faulty.scripts = [cut, whole]
    client = Client(faulty.url)
    reply = await client.ask()
    assert [(c.id, c.arguments) for c in reply.calls] == [("b", '{"command": "ls"}')]
    assert (reply.text, client.texts) == ("I shall", ["I will", "", "I shall"])


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(stream(chunk(content="no end")), id="no finish reason"),
        pytest.param(stream(chunk(content="x"), '{"choices": ['), id="malformed JSON"),
        pytest.param(stream('{"choices": "none of your types"}'), id="wrong types"),
        pytest.param(stream({"error": {"message": "the engine fell over"}}), id="an error in the stream"),
        pytest.param(stream(), id="nothing but the end"),
    ],
)
async def test_streams_that_break_are_tried_again(faulty: FaultyService, broken: Script) -> None:
    faulty.scripts = [broken, HELLO]
    reply = await Client(faulty.url).ask()
    assert (reply.text, reply.retries) == ("Hello", 1)


async def test_a_stalled_stream_is_given_up_and_tried_again(faulty: FaultyService) -> None:
    faulty.scripts = [stall(json.dumps(chunk(content="well, "))), HELLO]
    client = Client(faulty.url, timeout=0.3)
    assert (await client.ask()).text == "Hello"
    assert "stopped answering" in client.notes[0]


async def test_a_cut_after_the_end_is_no_fault(faulty: FaultyService) -> None:
    faulty.scripts = [events_then_cut(json.dumps(chunk(content="done")), json.dumps(chunk("stop")))]
    reply = await Client(faulty.url).ask()
    assert (reply.text, reply.retries, reply.estimated) == ("done", 0, True)


async def test_always_broken_ends_with_one_sentence(faulty: FaultyService) -> None:
    error, client = await fail(faulty, *[refusal(500, f"oops {KEY}")] * 3, max_attempts=3)
    assert "3 times" in str(error)
    assert "oops ***" in str(error)
    assert KEY not in "".join(client.notes)


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        client = Client(url)
        with pytest.raises(ModelError, match=f"{url}.*cannot be reached.*base URL"):
            await client.ask()
    assert len(client.waits) == 3


# -- what is final ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "says"),
    [
        pytest.param(refusal(401, f"Incorrect API key provided: {KEY}"), "OPENAI_API_KEY", id="wrong key"),
        pytest.param(refusal(403, "not your region"), "not your region", id="forbidden"),
        pytest.param(refusal(404, "no such model"), "--model", id="unknown model"),
        pytest.param(refusal(400, "bad tool schema\x1b[31m"), "bad tool schema [31m", id="bad request"),
        pytest.param(refusal(409, "conflict"), "409", id="conflict"),
        pytest.param(refusal(429, "You exceeded your quota", "insufficient_quota"), "billing", id="quota"),
        pytest.param(answer(200, "<html>Welcome!</html>"), "Welcome", id="HTML"),
        pytest.param(answer(200, {"status": "fine"}), "no completion", id="no choices"),
        pytest.param(answer(200, b"\xff\xfe", content_type="application/json"), "no completion", id="bytes"),
    ],
)
async def test_final_errors_are_asked_once(faulty: FaultyService, script: Script, says: str) -> None:
    error, client = await fail(faulty, script)
    assert says in str(error)
    assert "\x1b" not in str(error)
    assert client.waits == []


@pytest.mark.parametrize(
    "script",
    [
        refusal(400, "This model's maximum context length is 8192 tokens"),
        refusal(400, "too long", "context_length_exceeded"),
        refusal(413, "payload too large"),
        stream({"error": {"message": "x", "code": "context_length_exceeded"}}),
    ],
)
async def test_a_conversation_too_long_is_told_apart(faulty: FaultyService, script: Script) -> None:
    error, client = await fail(faulty, script)
    assert isinstance(error, ContextOverflow)
    assert client.waits == []


async def test_secrets_in_the_url_are_not_shown(faulty: FaultyService) -> None:
    faulty.scripts = [refusal(404, "nothing")]
    client = Client(faulty.url.replace("127", "me:hidden@127"))
    with pytest.raises(ModelError) as caught:
        await client.ask()
    assert "hidden" not in str(caught.value)
    assert faulty.url in str(caught.value)


async def test_an_endless_answer_is_cut_off(faulty: FaultyService) -> None:
    much = chunk(content="x" * (1 << 20))
    faulty.scripts = [stream(*[much] * 9)]
    with pytest.raises(ModelError, match="more than"):
        await Client(faulty.url).ask()


async def test_cancelling_closes_the_stream(faulty: FaultyService) -> None:
    faulty.scripts = [stall(json.dumps(chunk(content="x")))]
    client = Client(faulty.url, timeout=60)
    begun = asyncio.Event()
    task = asyncio.create_task(client.model.complete(ASK, lambda _: begun.set()))
    await asyncio.wait_for(begun.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(faulty.closed_by_client.wait(), 10)
    await client.model.close()


async def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    faulty: FaultyService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    faulty.scripts = [HELLO]
    assert (await Client(faulty.url).ask()).text == "Hello"
