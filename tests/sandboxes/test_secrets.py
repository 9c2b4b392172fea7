"""Values of secrets are masked in every form they are commonly printed in, whole or in pieces."""

from __future__ import annotations

import base64
import json
import re
import shlex
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sandboxes.secrets import MAX_LENGTH, PARTLY, Secrets
from tools.text import clip, one_line, shorten

VALUE = "s3cr3t/+value=&\"with' odd\\things"
PLAIN = "ghp_abcdefghijklmnop0123456789"
BOTH = Secrets({"ODD": VALUE, "PLAIN": PLAIN})


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        VALUE,
        f"curl -H 'Authorization: Bearer {PLAIN}'",
        json.dumps({"a": VALUE}),
        json.dumps({"a": json.dumps({"b": VALUE})}),
        repr(VALUE),
        quote(VALUE),
        quote(VALUE, safe=""),
        quote(VALUE, safe="")
        .replace("%2F", "%2f")
        .replace("%2B", "%2b")
        .replace("%3D", "%3d")
        .replace("%5C", "%5c"),
        quote_plus(VALUE),
        shlex.quote(VALUE),
        VALUE.encode().hex(),
        PLAIN.encode().hex().upper(),
        PLAIN[:10] + "\n" + PLAIN[10:],
    ],
)
def test_the_forms_that_programs_print(text: str) -> None:
    masked = BOTH.mask(text)
    assert "[secret " in masked
    assert not any(part in masked for part in (VALUE, PLAIN, PLAIN[10:], VALUE[:10]))


VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=8, max_size=80)


@given(VALUES, st.text(max_size=20), st.text(max_size=20))
def test_no_value_stays_whatever_is_around_it(value: str, before: str, after: str) -> None:
    assume("[secret X]".find(value) < 0)
    secrets = Secrets({"X": value})
    assert value not in secrets.mask(before + value + after)
    assert value.encode() not in secrets.mask_bytes((before + value + after).encode())
    assert secrets.mask("nothing of it") == "nothing of it" or value in "nothing of it"


@given(st.binary(max_size=7), st.binary(max_size=7), st.booleans(), st.sampled_from([0, 19, 64, 76]))
def test_base64_of_a_text_around_a_value(before: bytes, after: bytes, urlsafe: bool, line: int) -> None:
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    text = encode(before + PLAIN.encode() + after).decode()
    if line:
        text = "\n".join(text[at : at + line] for at in range(0, len(text), line))
    masked = BOTH.mask(text)
    assert "[secret PLAIN]" in masked
    left = masked.replace("[secret PLAIN]", "")
    assert len(left) <= len(encode(before + after)) + 8


@given(st.lists(st.sampled_from([VALUE, PLAIN, "text", "\n", PLAIN[:9], VALUE[-9:]])), st.lists(st.integers(1, 9)))
def test_pieces_are_masked_as_the_whole(parts: list[str], sizes: list[int]) -> None:
    whole = "".join(parts).encode()
    stream, out, rest = BOTH.stream(), b"", whole
    for size in sizes:
        out += stream.feed(rest[:size])
        rest = rest[size:]
    out += stream.feed(rest) + stream.end()
    assert out == BOTH.mask_bytes(whole)
    assert VALUE.encode() not in out
    assert PLAIN.encode() not in out


def test_what_cannot_be_the_beginning_of_a_value_is_passed_on_at_once() -> None:
    stream = BOTH.stream()
    assert stream.feed(b"building ... ") == b"building ... "
    assert stream.feed(b"done gh") == b"done "
    assert stream.feed(b"ost") == b"ghost"
    assert stream.end() == b""
    assert Secrets().stream().feed(b"anything") == b"anything"


@given(st.integers(0, len(PLAIN)), st.binary(max_size=30), st.binary(max_size=30))
def test_a_cut_through_a_value_leaves_little_of_it(at: int, before: bytes, after: bytes) -> None:
    one, other = BOTH.cut(before + PLAIN[:at].encode(), PLAIN[at:].encode() + after)
    assert PLAIN[:5].encode() not in one or at == len(PLAIN) or PLAIN[:5].encode() in before
    if 0 < at <= len(PLAIN) - 5:
        assert not other.startswith(PLAIN[at:].encode())


def test_lines_of_a_key_are_masked_one_by_one() -> None:
    body = ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "QmFzZTY0IG9mIGEga2V5LCBubyByZWFs"]
    key = "\n".join(["-----BEGIN PRIVATE KEY-----", *body, "-----END PRIVATE KEY-----"])
    secrets = Secrets({"KEY": key})
    masked = secrets.mask("".join(f"    {line}\r\n" for line in key.splitlines()))
    assert "BEGIN PRIVATE KEY" in masked
    assert not any(line in masked for line in body)
    assert secrets.mask(key) == "[secret KEY]"


def test_structures_are_masked_all_through() -> None:
    value = {"a": [PLAIN, 1, None], f"key {PLAIN}": {"b": f"x{VALUE}"}}
    assert BOTH.mask_all(value) == {"a": ["[secret PLAIN]", 1, None], "key [secret PLAIN]": {"b": "x[secret ODD]"}}


def test_what_holds_a_value_is_known_by_name() -> None:
    assert BOTH.found_in(b"+token = " + PLAIN.encode()) == ("PLAIN",)
    assert BOTH.found_in(b"nothing") == ()
    assert VALUE not in repr(BOTH)
    assert str(BOTH) == "Secrets(ODD, PLAIN)"


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"A": "hush!"}, "shorter than 8"),
        ({"A": "x" * (MAX_LENGTH + 1)}, "longer than 4 KiB"),
        ({"A": "nul\0nul\0nul"}, "zero byte"),
        ({"A": "bad \udc80 text"}, "UTF-8"),
        ({"PASSWORD": "PASSWORD"}, "secret's name"),
    ],
)
def test_what_cannot_be_masked_is_refused_without_being_shown(values: dict[str, str], word: str) -> None:
    with pytest.raises(ValueError, match=word) as caught:
        Secrets(values)
    assert all(value not in str(caught.value) or value in values for value in values.values())


def test_a_long_value_costs_little() -> None:
    value = "".join(chr(33 + n * 7 % 90) for n in range(MAX_LENGTH))
    secrets = Secrets({"LONG": value})
    assert secrets.mask(f"a {value} b " * 3) == "a [secret LONG] b " * 3
    stream = secrets.stream()
    data = (value * 4).encode()
    out = b"".join(stream.feed(data[at : at + 1000]) for at in range(0, len(data), 1000)) + stream.end()
    assert out == b"[secret LONG]" * 4


FORMS = [
    PLAIN,
    VALUE,
    base64.b64encode(PLAIN.encode()).decode(),
    base64.encodebytes(VALUE.encode() * 3).decode(),
    PLAIN.encode().hex(),
    VALUE.encode().hex(":"),
    quote(VALUE, safe=""),
    json.dumps(VALUE),
    PLAIN[:7] + "\r\n" + PLAIN[7:12] + "\n" + PLAIN[12:],
]
AROUND = st.text("xyz \nß…", max_size=12)
SIZES = st.lists(st.integers(0, 9), max_size=60)


def in_pieces(secrets: Secrets, data: bytes, sizes: list[int]) -> bytes:
    stream, out = secrets.stream(), b""
    for size in sizes:
        out += stream.feed(data[:size])
        data = data[size:]
    return out + stream.feed(data) + stream.end()


def traces(text: str) -> list[str]:
    """What is left in a text that could be of a value."""
    left = text.replace("[secret ODD]", "").replace("[secret PLAIN]", "")
    return [part for part in re.findall(r"[^xyz \nß…\r\ufffd\"'=]+", left) if len(part) > PARTLY]


@settings(deadline=None)
@given(AROUND, st.lists(st.sampled_from(FORMS), min_size=1, max_size=3), AROUND, SIZES)
def test_no_cutting_into_pieces_shows_a_value(before: str, forms: list[str], after: str, sizes: list[int]) -> None:
    text = before + " ".join(forms) + after
    assert traces(in_pieces(BOTH, text.encode(), sizes).decode()) == []
    assert traces(BOTH.mask(text)) == []


@settings(deadline=None)
@given(st.text("xyz \n", max_size=30), st.sampled_from([PLAIN, VALUE]), st.integers(0, 60), st.integers(20, 60))
def test_what_a_cut_leaves_of_a_value_goes_too(before: str, value: str, width: int, limit: int) -> None:
    text = f"{before}{value} {'x' * 40}"
    for cut in (shorten(text.replace("\n", " "), width), one_line(text, limit), clip(text, limit)):
        assert traces(BOTH.mask(re.sub(r"line cut: \d+ characters|\d+ characters left out", "", cut))) == []
    first, rest = text[:width], text[width:]
    live = in_pieces(BOTH, f"{first}\n[... 12 zzzz xxx yyyy ...]\n{rest[3:]}".encode(), [len(first.encode())])
    assert traces(live.decode().replace("...", "").replace("[ 12 ", "").replace(" ]\n", "")) == []


@pytest.mark.parametrize("escape", ["\x1b[31m", "\x1b[01;31m\x1b[K", "\u241b[m\u241b[K"])
def test_a_value_that_is_coloured_in_part(escape: str) -> None:
    assert BOTH.mask(f"a {PLAIN[:5]}{escape}{PLAIN[5:]} b") == "a [secret PLAIN] b"
    assert BOTH.mask_bytes(f"a {VALUE[:5]}{escape}{VALUE[5:]} b".encode()) == b"a [secret ODD] b"
