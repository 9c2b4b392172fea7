"""An engine's packets: whatever comes, their contents or a protocol error."""

from __future__ import annotations

import tracemalloc

from hypothesis import example, given
from hypothesis import strategies as st

from sandboxes.channel.packets import PacketParser, ProtocolError

PACKETS = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=50)), max_size=10)


def packet(kind: int, data: bytes) -> bytes:
    return bytes([kind, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


@given(PACKETS, st.lists(st.integers(0, 20), max_size=40))
def test_both_streams_come_out_however_they_are_cut(packets: list[tuple[int, bytes]], sizes: list[int]) -> None:
    parser, got = PacketParser(), {1: b"", 2: b""}
    for piece in cut(b"".join(packet(*each) for each in packets), sizes):
        for kind, part in parser.feed(piece):
            assert part
            got[kind] += part
    for wanted in (1, 2):
        assert got[wanted] == b"".join(data for kind, data in packets if kind == wanted)


@given(st.lists(st.binary(max_size=60), max_size=10))
@example([b"\1\0\0\0\0\0\0\0" * 1000])
@example([b"\0\0\0\0\0\0\0\1"])
@example([b"\3\0\0\0\0\0\0\1x"])
@example([b"\1\0\1\0\0\0\0\1x"])
def test_any_bytes_are_contents_or_a_protocol_error(pieces: list[bytes]) -> None:
    parser, got = PacketParser(), 0
    try:
        for piece in pieces:
            for kind, part in parser.feed(piece):
                assert kind in (1, 2)
                got += len(part)
    except ProtocolError:
        pass
    assert got <= sum(map(len, pieces))


def test_nothing_is_kept_of_a_huge_packet() -> None:
    parser, piece = PacketParser(), bytes(1 << 16)
    tracemalloc.start()
    try:
        assert not list(parser.feed(b"\1\0\0\0\xff\xff\xff\xff"))
        total = sum(len(part) for _ in range(2000) for _, part in parser.feed(piece))
        assert total == 2000 << 16
        assert tracemalloc.get_traced_memory()[1] < 1 << 16
    finally:
        tracemalloc.stop()
