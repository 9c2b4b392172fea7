"""The frame parser takes anything: it hands out frames or raises ProtocolError, within bounds."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.channel.frames import (
    MAX_BODY,
    MAX_HEADER,
    Data,
    Exit,
    FrameParser,
    Ready,
    encode,
    parse_message,
)
from sandboxes.channel.packets import ProtocolError
from sandboxes.protocol import MAX_PROCESSES

NUMBERS = st.integers(min_value=0, max_value=1 << 40)
HOW = st.tuples(st.integers(0, 255), st.sampled_from(["exited", "out_of_memory"])) | st.tuples(
    st.none(), st.sampled_from(["timeout", "disk_full", "cancelled"])
)
EXITS = st.builds(
    lambda how, fields: {**fields, "code": how[0], "ending": how[1]},
    HOW,
    st.fixed_dictionaries(
        {
            "type": st.just("exit"),
            "id": NUMBERS,
            "head": NUMBERS,
            "dropped": NUMBERS,
            "spilled": st.integers(0, 1),
        }
    ),
)
OTHERS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["data", "done", "tunnel.open", "tunnel.data", "tunnel.end", "tunnel.reset"]),
        "id": NUMBERS,
    }
)
REFUSALS = st.fixed_dictionaries(
    {
        "type": st.just("refused"),
        "id": NUMBERS,
        "reason": st.sampled_from(["unknown", "too_many", "input_closed", "input_full"]),
    }
)
ENDS = st.just((None, None)) | st.tuples(
    st.integers(0, 255), st.sampled_from(["exited", "stopped", "out_of_memory"])
)
STATES = st.builds(
    lambda end, fields: {**fields, "code": end[0], "ending": end[1]},
    ENDS,
    st.fixed_dictionaries(
        {
            "number": NUMBERS,
            "total": NUMBERS,
            "milliseconds": NUMBERS,
            "pty": st.integers(0, 1),
            "log": st.integers(0, 1),
        }
    ),
)
LISTS = st.fixed_dictionaries(
    {"type": st.just("processes"), "id": NUMBERS, "states": st.lists(STATES, max_size=MAX_PROCESSES)}
)
PARTS = st.fixed_dictionaries({"type": st.just("part"), "id": NUMBERS, "start": NUMBERS, "state": STATES})
MESSAGES = EXITS | OTHERS | REFUSALS | LISTS | PARTS
GOOD = st.tuples(MESSAGES, st.binary(max_size=300))


def packet(data: bytes, kind: int = 1) -> bytes:
    return bytes([kind, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


@given(
    st.lists(GOOD, max_size=5),
    st.lists(st.integers(1, 40), max_size=60),
    st.lists(st.integers(1, 40), max_size=60),
)
def test_frames_come_out_as_they_went_in_however_they_are_cut(
    frames: list[tuple[dict[str, Any], bytes]], packets: list[int], reads: list[int]
) -> None:
    stream = b"".join(encode(header, body) for header, body in frames)
    wrapped = b"".join(packet(p) + packet(b"note", 2) for p in cut(stream, packets) if p)
    parser = FrameParser()
    got = [frame for piece in cut(wrapped, reads) for frame in parser.feed(piece)]
    assert [(f.message.model_dump(), f.body) for f in got] == frames


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_bytes_give_frames_or_a_protocol_error(pieces: list[bytes]) -> None:
    parser = FrameParser()
    try:
        for piece in pieces:
            parser.feed(piece)
    except ProtocolError:
        pass


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=6),
    max_leaves=20,
)
NEARLY = st.builds(
    lambda good, more, drop: {k: v for k, v in {**good, **more}.items() if k != drop},
    MESSAGES,
    st.dictionaries(
        st.sampled_from(["id", "type", "code", "head", "spilled", "extra", "ending", "state", "states", "start"]),
        JSON | STATES | st.lists(STATES, max_size=40),
        max_size=3,
    ),
    st.sampled_from(["", "id", "type", "code", "state", "reason"]),
)


STATE = '{"number":1,"code":null,"ending":null,"total":5,"milliseconds":9,"pty":0,"log":0}'


@given(JSON | NEARLY)
def test_any_json_is_a_message_or_a_protocol_error(value: object) -> None:
    try:
        message = parse_message(json.dumps(value).encode())
    except ProtocolError:
        return
    assert 0 <= message.id <= 1 << 62


@pytest.mark.parametrize(
    "header",
    [
        b"[" * MAX_HEADER,
        b'{"a":' * 10_000,
        b'{"type":"done","id":' + b"9" * 60_000 + b"}",
        b'{"type":"done","id":-1}',
        b'{"type":"done","id":1.5}',
        b'{"type":"done","id":"1"}',
        b'{"type":"done","id":true}',
        b'{"type":"exit","id":1,"code":256,"ending":"exited","head":0,"dropped":0,"spilled":0}',
        b'{"type":"exit","id":1,"code":0,"ending":"won","head":0,"dropped":0,"spilled":0}',
        b'{"type":"exit","id":1,"code":null,"ending":"exited","head":0,"dropped":0,"spilled":0}',
        b'{"type":"exit","id":1,"code":0,"ending":"timeout","head":0,"dropped":0,"spilled":0}',
        b'{"type":"exit","id":1,"code":0,"ending":"exited","head":1e400,"dropped":0,"spilled":0}',
        b'{"type":"exit","id":1,"code":NaN,"ending":"exited","head":0,"dropped":0,"spilled":0}',
        b'{"type":"error","id":1,"problem":"other","detail":"\\ud800"}',
        b'{"type":["done"],"id":1}',
        b'{"type":{"done":1},"id":1}',
        b'{"type":"done","id":1}{"type":"done","id":2}',
        b'{"type":"done","id":1}\0',
        b'{"type":"error","id":1,"problem":"rm -rf","detail":""}',
        b'{"type":"error","id":1,"problem":"other","detail":"' + b"x" * 501 + b'"}',
        b'{"type":"refused","id":1,"reason":"because"}',
        b'{"type":"processes","id":1,"states":[{}]}',
        f'{{"type":"processes","id":1,"states":[{",".join([STATE] * (MAX_PROCESSES + 1))}]}}'.encode(),
        f'{{"type":"part","id":1,"start":-1,"state":{STATE}}}'.encode(),
        f'{{"type":"part","id":1,"start":0,"state":{STATE.replace("null", "0", 1)}}}'.encode(),
        f'{{"type":"part","id":1,"start":0,"state":{STATE.replace("9", "-9")}}}'.encode(),
        b'{"type":"done","id":1,"__class__":"os.system"}',
        b"\xff\xfe",
        b"",
    ],
)
def test_hostile_headers(header: bytes) -> None:
    frame = len(header).to_bytes(4, "big") + bytes(4) + header
    with pytest.raises(ProtocolError):
        FrameParser().feed(packet(frame))


@pytest.mark.parametrize(("header", "body"), [(MAX_HEADER + 1, 0), (0, MAX_BODY + 1), (1 << 31, 1 << 31)])
def test_sizes_are_refused_before_anything_is_kept(header: int, body: int) -> None:
    with pytest.raises(ProtocolError, match="too large"):
        FrameParser().feed(packet(header.to_bytes(4, "big") + body.to_bytes(4, "big")))


@pytest.mark.parametrize("start", [b"\0\0\0\0\0\0\0\1", b"\1\0\0\1\0\0\0\1", b"HTTP/1.1 500 no"])
def test_a_stream_out_of_step(start: bytes) -> None:
    with pytest.raises(ProtocolError, match="out of step"):
        FrameParser().feed(start)


@pytest.mark.parametrize("packets", [True, False])
@pytest.mark.parametrize("kind", [1, 2])
def test_little_is_kept_of_a_stream_that_never_completes_anything(packets: bool, kind: int) -> None:
    """A packet of 4 GiB, and in it the largest frame there may be, but for its last byte."""
    parser = FrameParser(packets=packets)
    frame = MAX_HEADER.to_bytes(4, "big") + MAX_BODY.to_bytes(4, "big") + bytes(MAX_HEADER + MAX_BODY - 1)
    tracemalloc.start()
    try:
        if packets:
            parser.feed(bytes([kind, 0, 0, 0]) + b"\xff" * 4)
        for start in range(0, len(frame), 100):
            parser.feed(frame[start : start + 100])
        if kind == 2 and packets:
            for _ in range(1000):
                parser.feed(frame[:60_000])
        assert tracemalloc.get_traced_memory()[1] < 2 * (MAX_HEADER + MAX_BODY)
    finally:
        tracemalloc.stop()


def test_what_one_read_brings_takes_memory_in_proportion() -> None:
    """The smallest frames there are: many messages out of few bytes."""
    data = encode({"type": "done", "id": 1}) * 10_000
    parser = FrameParser(packets=False)
    tracemalloc.start()
    try:
        assert len(parser.feed(data)) == 10_000
        assert tracemalloc.get_traced_memory()[1] < 40 * len(data)
    finally:
        tracemalloc.stop()


@given(st.lists(st.binary(max_size=200), max_size=20), st.booleans())
def test_any_bytes_of_a_plain_stream_give_frames_or_a_protocol_error(pieces: list[bytes], begin: bool) -> None:
    parser = FrameParser(packets=False)
    if begin:
        parser.feed(b"\0\0\0\x16\0\0\0\5")
    try:
        for piece in pieces:
            parser.feed(piece)
    except ProtocolError:
        pass


@given(GOOD, st.data())
def test_a_frame_cut_short_gives_nothing_yet(frame: tuple[dict[str, Any], bytes], data: st.DataObject) -> None:
    whole = encode(*frame)
    end = data.draw(st.integers(0, len(whole) - 1))
    parser = FrameParser(packets=False)
    assert parser.feed(whole[:end]) == []
    assert [f.body for f in parser.feed(whole[end:])] == [frame[1]]


def test_only_the_end_of_standard_error_is_kept() -> None:
    parser = FrameParser()
    for i in range(1000):
        parser.feed(packet(f"line {i}\n".encode() * 10, 2))
    assert len(parser.notes) <= 4096
    assert parser.notes.endswith(b"line 999\n")


def test_the_kinds_of_messages() -> None:
    assert isinstance(parse_message(b'{"type":"data","id":3}'), Data)
    ready = parse_message(b'{"type":"ready","id":0,"python":[3,6],"bash":1,"empty":1}')
    assert isinstance(ready, Ready)
    text = b'{"type":"exit","id":1,"code":null,"ending":"timeout","head":0,"dropped":0,"spilled":0}'
    assert isinstance(parse_message(text), Exit)
