"""Secrets by name, and the mask that keeps their values out of what is shown and recorded.

Threat model: values are the user's. They are given to one command, or put into one request, and to nothing else;
they are in no text that a person, a model or a file gets. The mask is a net under accidents: it knows a value as
it is and in the encodings that programs commonly print (base64, hexadecimal, URLs, JSON, quoting). A command that
was given a secret and wants to get it past the mask can write it in a way of its own.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MIN_LENGTH = 8
"""Characters of the shortest value: a shorter one would be found in texts that have nothing to do with it."""
MAX_LENGTH = 4 << 10
MAX_BREAKABLE = 1000
"""Characters of the longest form that is also looked for with line breaks in it."""
PARTLY = 4
"""So few characters of a value, at a place where a text was cut, may stay."""
LINE = 76
"""Characters of a line of base64, as most programs break it."""


_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


_CUT = re.compile(r"(…|\.\.\.)")
"""What stands where a text was cut: this program's own sign, and that of most others."""
_AT_CUT = " \t\n[]<'\""
"""Characters that may stand between a text and such a sign."""


def places(template: str) -> tuple[str, ...]:
    """The names that a template has places for."""
    return tuple(_PLACE.findall(template))


class Secrets:
    """Values by name. Its own text holds names only."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        """Raises ValueError, with a sentence, for a value that cannot be masked."""
        self._values = dict(values or {})
        for name, value in self._values.items():
            _check(name, value, self._values)
        found: dict[str, str] = {}
        for name, value in self._values.items():
            for form in _forms(value):
                found.setdefault(form, name)
        forms = sorted(found, key=len, reverse=True)
        self._literal = [(form.encode(), found[form]) for form in forms]
        self._names = {_joined(form): name for form, name in found.items()}
        pattern = "|".join(_pattern(form, coloured=form in self._values.values()) for form in forms)
        self._pattern = re.compile(pattern) if forms else None
        self._bytes = re.compile(pattern.encode()) if forms else None
        self.longest = max((len(form) for form, _ in self._literal), default=0)
        self._heads = {form[: PARTLY + 1] for form, _ in self._literal}
        self._tails = {form[-PARTLY - 1 :] for form, _ in self._literal}

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self._values)})"

    def __bool__(self) -> bool:
        return bool(self._values)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order they were given."""
        return tuple(self._values)

    def only(self, *names: str) -> Secrets:
        """Those of these names. Raises KeyError."""
        return Secrets({name: self._values[name] for name in names})

    def values(self, *names: str) -> dict[str, str]:
        """The values of these names, for an environment. Raises KeyError."""
        return {name: self._values[name] for name in names}

    def fill(self, template: str) -> str:
        """The template with the value of each secret in the place of its `{NAME}`."""
        return _PLACE.sub(lambda match: self._values[match[1]], template)

    def mask(self, text: str) -> str:
        """The text with every value, in whatever known form, replaced by its name.

        Where the text says that it was cut (`…`), what is left of a value there goes, too.
        """
        if self._pattern is None:
            return text
        masked = self._pattern.sub(lambda match: mark(self._names[_joined(match[0])]), text)
        parts = _CUT.split(masked)
        return masked if len(parts) == 1 else "".join(self._without_halves(parts))

    def mask_all(self, value: Any) -> Any:
        """Every text in a structure of dicts, lists and tuples, masked; the same object where there is none."""
        if self._pattern is None:
            return value
        return self._masked(value)

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, dict):
            return {self._masked(key): self._masked(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._masked(item) for item in value]
        return value

    def mask_bytes(self, data: bytes) -> bytes:
        """As `mask`, for bytes, and without a look at cuts."""
        if self._bytes is None:
            return data
        return self._bytes.sub(lambda match: mark(self._names[_joined(match[0].decode())]).encode(), data)

    def cut(self, before: bytes, after: bytes) -> tuple[bytes, bytes]:
        """Two ends of a text whose middle was cut out, without the part of a value that the cut went through."""
        begun, ended = self._begun(before), self._ended(after)
        return before[: len(before) - begun] if begun > PARTLY else before, after[ended if ended > PARTLY else 0 :]

    def found_in(self, data: bytes) -> tuple[str, ...]:
        """The names of the secrets whose value stands in some form in `data`."""
        if self._bytes is None:
            return ()
        return tuple(
            dict.fromkeys(self._names[_joined(match[0].decode())] for match in self._bytes.finditer(data))
        )

    def stream(self) -> MaskedStream:
        """A mask for bytes that come in pieces."""
        return MaskedStream(self)

    def _without_halves(self, parts: list[str]) -> Iterator[str]:
        """Parts of a text, and between them signs of a cut, without what the cuts left of a value."""
        for number, part in enumerate(parts):
            if number % 2:
                yield part
                continue
            text = part
            if number + 1 < len(parts):
                rest = text.rstrip(_AT_CUT)
                end = rest[-self.longest :].encode("utf-8", "surrogatepass")
                if any(head in end for head in self._heads) and (begun := self._begun(end)) > PARTLY:
                    text = rest[: len(rest) - _characters(end[-begun:])] + text[len(rest) :]
            if number:
                rest = text.lstrip(_AT_CUT)
                start = rest[: self.longest].encode("utf-8", "surrogatepass")
                if any(tail in start for tail in self._tails) and (ended := self._ended(start)) > PARTLY:
                    text = text[: len(text) - len(rest)] + rest[_characters(start[:ended]) :]
            yield text

    def begun(self, data: bytes) -> int:
        """How many bytes at the end of `data` could be the beginning of a value, line breaks in it included."""
        joined = data[-2 * self.longest :].translate(None, b"\r\n") if self.longest else b""
        left = self._begun(joined)
        at = len(data)
        while left:
            at -= 1
            left -= data[at] not in b"\r\n"
        return len(data) - at

    def _begun(self, data: bytes) -> int:
        longest = 0
        for form, _ in self._literal:
            at = data.find(form[:1], max(0, len(data) - len(form) + 1))
            while 0 <= at < len(data) - longest:
                if form.startswith(data[at:]):
                    longest = len(data) - at
                at = data.find(form[:1], at + 1)
        return longest

    def _ended(self, data: bytes) -> int:
        """How many bytes at the beginning of `data` could be the end of a value."""
        longest = 0
        for form, _ in self._literal:
            end = data.rfind(form[-1:], longest, len(form) - 1)
            while end >= longest:
                if form.endswith(data[: end + 1]):
                    longest = end + 1
                end = data.rfind(form[-1:], longest, end)
        return longest


class MaskedStream:
    """Masks what comes in pieces; only what may be the beginning of a value is kept back."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._kept = b""
        self._at_cut = False

    def feed(self, data: bytes) -> bytes:
        """What can be passed on now."""
        if not self._secrets:
            return data
        data = self._without_halves(self._secrets.mask_bytes(self._kept + data))
        begun = self._secrets.begun(data)
        self._kept = data[len(data) - begun :]
        return data[: len(data) - begun]

    def _without_halves(self, data: bytes) -> bytes:
        """Where the text says that a part is missing, it is also missing what was left of a value."""
        cut, self._at_cut = self._at_cut, data.rstrip(b" ]\n").endswith((b"...", "…".encode()))
        if not cut and not self._at_cut and b"..." not in data:
            return data
        before = ["", "…"] if cut else []
        parts = [*before, *_CUT.split(data.decode("utf-8", "surrogateescape"))]
        return "".join([*self._secrets._without_halves(parts)][len(before) :]).encode("utf-8", "surrogateescape")

    def end(self) -> bytes:
        """What was kept back to the end."""
        kept, self._kept = self._kept, b""
        return kept


def mark(name: str) -> str:
    """What stands in the place of a value."""
    return f"[secret {name}]"


def _check(name: str, value: str, all_of_them: Mapping[str, str]) -> None:
    if len(value) < MIN_LENGTH:
        raise ValueError(f"the secret {name} is shorter than {MIN_LENGTH} characters, too short to be masked")
    if len(value) > MAX_LENGTH:
        raise ValueError(f"the secret {name} is longer than {MAX_LENGTH >> 10} KiB")
    if "\0" in value or any(0xD800 <= ord(char) < 0xE000 for char in value):
        raise ValueError(f"the secret {name} is no text in UTF-8, or holds a zero byte")
    if any(value in mark(other) for other in all_of_them):
        raise ValueError(f"the secret {name} has a value that is also a secret's name, so it cannot be masked")


def _forms(value: str) -> Iterator[str]:
    """The ways in which a value is commonly printed; each long enough not to be found by chance."""
    data = value.encode()
    escaped = [json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]]
    forms = [value, *escaped, *(json.dumps(form)[1:-1] for form in escaped)]
    forms += [form.replace("/", "\\/") for form in escaped]
    forms += [quote(data, safe=""), quote(data), quote_plus(data), html.escape(value)]
    forms += [re.sub("%[0-9A-F]{2}", lambda m: m[0].lower(), quote(data, safe=""))]
    hexes = [data.hex(), data.hex(" "), data.hex(":")]
    forms += [shlex.quote(value).strip("'"), *hexes, *(form.upper() for form in hexes), *_base64(data)]
    lines = [line.strip() for line in value.splitlines()]
    forms += [line for line in lines if not line.startswith("-----")]
    return (form for form in dict.fromkeys(forms) if len(form) >= MIN_LENGTH)


def _base64(data: bytes) -> Iterator[str]:
    """What base64 makes of a value wherever in a text it stands: the characters that depend on it alone."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(data).decode()
        if len(whole) > LINE:
            yield "\n".join(whole[at : at + LINE] for at in range(0, len(whole), LINE))
        for before in range(3):
            text = encode(bytes(before) + data).decode().rstrip("=")
            first = (before * 8 + 5) // 6
            last = (before + len(data)) * 8 // 6
            yield text[first:last]


_IN_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}")


_COLOUR = "(?:\x1b|\u241b)\\[[0-9;]{0,20}[mK]"
"""What programs put into a text to colour a part of it, as it is and as it is shown to a model."""


def _pattern(form: str, *, coloured: bool) -> str:
    """A pattern for a form, parts of which may be coloured; one that could be base64 may be broken into lines."""
    if len(form) > MAX_BREAKABLE:
        return re.escape(form)
    breaks = r"(?:\r?\n)?" if _IN_BASE64.fullmatch(form) else ""
    between = f"{breaks}(?:{_COLOUR}{breaks})*" if coloured else breaks
    return between.join(map(re.escape, form)) if between else re.escape(form)


def _characters(data: bytes) -> int:
    """How many characters begin in these bytes of a text."""
    return sum(byte & 0xC0 != 0x80 for byte in data)


def _joined(text: str) -> str:
    return re.sub(_COLOUR, "", text).replace("\r", "").replace("\n", "")
