"""Give everything in a tar stream to one owner, while it passes.

For archives of the host's own making, on their way into a sandbox: unpacked by the engine they would keep the
numbers of host users, and the agent could not change its own workspace. Memory: one block, or one extended header.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

BLOCK = 512
STEP = 1 << 18
MAX_EXTENDED = 1 << 20
OWNER_KEYS = (b"uid", b"gid", b"uname", b"gname")


def with_owner(archive: BinaryIO, uid: int, gid: int) -> Iterator[bytes]:
    """The archive's bytes with every member owned by `uid` and `gid`. Raises ValueError when it is no tar."""
    while block := archive.read(BLOCK):
        if len(block) < BLOCK:
            raise ValueError("the archive is cut short")
        if not block.strip(b"\0"):
            yield block
            continue
        size = _number(block[124:136])
        if block[156:157] in (b"x", b"g"):
            if size > MAX_EXTENDED:
                raise ValueError("an extended header of the archive is too large")
            records = _without_owner(archive.read(size))
            archive.read(-size % BLOCK)
            yield _header(block, uid, gid, len(records))
            yield records + bytes(-len(records) % BLOCK)
            continue
        yield _header(block, uid, gid, size)
        left = size + -size % BLOCK
        while left:
            part = archive.read(min(left, STEP))
            if not part:
                raise ValueError("the archive is cut short")
            yield part
            left -= len(part)


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    return int(field.strip(b"\0 ") or b"0", 8)


def _header(block: bytes, uid: int, gid: int, size: int) -> bytes:
    new = bytearray(block)
    new[108:116] = b"%07o\0" % uid
    new[116:124] = b"%07o\0" % gid
    if size != _number(block[124:136]):
        new[124:136] = b"%011o\0" % size
    new[265:329] = bytes(64)  # user and group names
    new[148:156] = b" " * 8
    new[148:156] = b"%06o\0 " % sum(new)
    return bytes(new)


def _without_owner(records: bytes) -> bytes:
    """Extended header records but those that name an owner."""
    kept = b""
    while records.strip(b"\0"):
        length, _, _ = records.partition(b" ")
        size = int(length)
        if size <= len(length) or size > len(records):
            raise ValueError("an extended header of the archive is malformed")
        record, records = records[:size], records[size:]
        if record[len(length) + 1 :].partition(b"=")[0] not in OWNER_KEYS:
            kept += record
    return kept
