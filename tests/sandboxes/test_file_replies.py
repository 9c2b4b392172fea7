"""What a sandbox says of its files: whatever it says, it is what was asked for or a protocol error."""

from __future__ import annotations

import os
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandboxes.channel.file_replies import listing_bytes, parse_listing, parse_path
from sandboxes.channel.packets import ProtocolError

NAMES = st.binary(min_size=1, max_size=255).filter(
    lambda name: not {b"/"[0], 0} & set(name) and name not in (b".", b"..")
)


@given(st.lists(st.tuples(st.sampled_from(b"fdlo"), NAMES), max_size=20), st.integers(0, 10**9), st.booleans())
def test_a_listing_comes_through(found: list[tuple[int, bytes]], more: int, counted: bool) -> None:
    records = [bytes([kind]) + name for kind, name in found] + [b"+%d" % more if counted else b"~%d" % more]
    data = b"".join(record + b"\0" for record in records)
    assert len(data) <= listing_bytes(len(found))
    listing = parse_listing(data, len(found))
    assert sorted(os.fsencode(entry.name) for entry in listing.entries) == sorted(name for _, name in found)
    assert (listing.left_out, listing.counted) == (more, counted)


@given(st.binary(max_size=400), st.integers(0, 5))
@example(b"", 5)
@example(b"\0", 5)
@example(b"fa\0", 5)
@example(b"fa\0+1", 5)
@example(b"fa\0fb\0+0\0", 1)
@example(b"f\0+0\0", 5)
@example(b"f..\0+0\0", 5)
@example(b"fa/b\0+0\0", 5)
@example(b"xa\0+0\0", 5)
@example(b"+-1\0", 5)
@example(b"f" + b"x" * 256 + b"\0+0\0", 5)
def test_any_bytes_are_a_listing_within_bounds_or_an_error(data: bytes, most: int) -> None:
    try:
        listing = parse_listing(data, most)
    except ProtocolError:
        return
    assert len(listing.entries) <= most
    for entry in listing.entries:
        assert entry.name not in ("", ".", "..")
        assert "/" not in entry.name
        assert "\0" not in entry.name


def test_a_reply_of_nothing_but_ends_takes_little_memory() -> None:
    data = bytes(listing_bytes(10_000))
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            parse_listing(data, 10_000)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(data)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"fa\0", b"fa\0+1", b"f\0+0\0", b"f..\0+0\0", b"fa/b\0+0\0", b"xa\0+0\0", b"+-1\0"]
)
def test_what_is_no_listing_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_listing(data, 5)


@given(st.lists(NAMES, max_size=10))
def test_a_path_comes_through(names: list[bytes]) -> None:
    path = b"/" + b"/".join(names)
    assert os.fsencode(parse_path(path)) == path


@given(st.binary(max_size=100))
@example(b"/a/../b")
@example(b"/a//b")
@example(b"/a/")
@example(b"a")
@example(b"//")
@example(b"/a\0")
@example(b"/" + b"x" * 5000)
def test_any_bytes_are_a_path_or_an_error(data: bytes) -> None:
    try:
        path = parse_path(data)
    except ProtocolError:
        return
    assert os.path.normpath(path) == path
    assert path.startswith("/")
    assert len(data) < 4096
