"""What a sandbox says about its files, parsed without trust.

Threat model: names and paths are the agent's. A reply is bounded by what was asked for, and whatever does not fit
the format raises ProtocolError and nothing else. Names are for showing and for asking the sandbox again; nothing
here is a path on the host.
"""

from __future__ import annotations

import os
import re

from sandboxes.channel.packets import ProtocolError
from sandboxes.protocol import Entry, EntryKind, Listing

FILE_SECONDS = 60.0
"""How long a sandbox may take over one file or folder."""
MAX_NAME = 255
MAX_PATH = 4095
KINDS: dict[bytes, EntryKind] = {b"f": "file", b"d": "folder", b"l": "link", b"o": "other"}


def listing_bytes(max_entries: int) -> int:
    """The most bytes that a listing of that many entries can take."""
    return max_entries * (MAX_NAME + 2) + 32


def parse_listing(data: bytes, max_entries: int) -> Listing:
    """Records that end with a zero byte: kind and name; last, `+` or `~` and a number. Raises ProtocolError."""
    *records, end = data.split(b"\0", max_entries + 2)  # one too many is enough
    last = records.pop() if records else b""
    if end or not re.fullmatch(rb"[+~]\d{1,15}", last) or len(records) > max_entries:
        raise ProtocolError("a listing is none")
    entries = []
    for record in records:
        kind, name = KINDS.get(record[:1]), record[1:]
        if kind is None or not 0 < len(name) <= MAX_NAME or b"/" in name or name in (b".", b".."):
            raise ProtocolError("a name in a listing is none")
        entries.append(Entry(os.fsdecode(name), kind))
    entries.sort(key=lambda entry: os.fsencode(entry.name))
    return Listing(tuple(entries), int(last[1:]), counted=last[:1] == b"+")


def parse_path(data: bytes) -> str:
    """An absolute path without `.`, `..`, doubled slashes and zero bytes. Raises ProtocolError."""
    names = data.split(b"/")[1:] if data != b"/" else []
    if not data.startswith(b"/") or len(data) > MAX_PATH or b"\0" in data or {b"", b".", b".."} & set(names):
        raise ProtocolError("a path is none")
    return os.fsdecode(data)
