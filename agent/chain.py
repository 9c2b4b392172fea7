"""The chain of a journal: every line carries a hash over itself and the hash of the line before.

A line that was changed, cut out, put in or moved shows at that line. A cut-off end shows by the head: the count of
lines and the last hash, kept in a file beside the journal, which is brought up to date whenever something weighs
(an answer of a person, a start, an end). Lines of journals that are older than the chain carry no hash; the first
line that does covers them, too.

Threat model: this finds accidents, and hands that edited the record. Whoever can write the folder can also compute
a new chain and a new head; to catch that, keep the head elsewhere and compare (`bridle audit --head`). A hash is
read only in its fixed place and form, so that no text of the agent's inside an event can pass for one.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FIRST = "0" * 64
"""What stands for the hash before the first line."""
_MARK = b',"chain":"'
_END = b'"}\n'
_TAIL = len(_MARK) + 64 + len(_END)
_HASH = re.compile(rb"[0-9a-f]{64}")
_HEAD = re.compile(rb"([0-9]{20}) ([0-9a-f]{64})\n")


@dataclass(frozen=True, slots=True)
class Checked:
    """What checking a journal's chain found. `lines` are whole ones; `broken` is the first line that does not fit.

    `problems` are sentences, none where all is well. `chained` of the lines carry a hash; `torn` is the number of
    bytes after the last whole line. `head` is the hash of the last line, the one to keep elsewhere. `replaced`:
    the end was cut off or the lines are others, by the head that was written for them.
    """

    lines: int
    chained: int
    torn: int
    head: str
    broken: int | None = None
    replaced: bool = False
    problems: tuple[str, ...] = ()


def seal(before: str, body: bytes) -> tuple[bytes, str]:
    """A JSON object as a line that carries its hash, and that hash. `before` is the hash of the line before."""
    chain = _link(before, body)
    return body[:-1] + _MARK + chain.encode() + _END, chain


def opened(line: bytes) -> tuple[bytes, str | None]:
    """The JSON object of a line as it was before it was sealed, and the hash it carries."""
    tail = line[-_TAIL:]
    if tail.startswith(_MARK) and tail.endswith(_END) and _HASH.fullmatch(found := tail[len(_MARK) : -len(_END)]):
        return line[:-_TAIL] + b"}", found.decode()
    return line.removesuffix(b"\n"), None


def lines_of(data: bytes) -> Iterator[bytes]:
    """The lines, each with its newline; the last one may have none."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end


def last_hash(data: bytes) -> str:
    """What the next line follows, `data` being whole lines: the hash the last one carries, or its computed one."""
    chain = opened(data[data.rfind(b"\n", 0, -1) + 1 :])[1] if data else FIRST
    return chain or _check(data).head


def check(journal: Path, kept: str = "") -> Checked:
    """Check every line of a journal, and its head; `kept` is a hash that somebody kept elsewhere.

    Raises FileNotFoundError. The journal may be in use: lines after the head are no problem.
    """
    head = read_head(journal)  # read first: what is added meanwhile is not missing then
    return _check(journal.read_bytes(), head, kept)


def write_head(descriptor: int, lines: int, chain: str) -> None:
    """Bring a head file up to date, durably. It is smaller than a disk's sector, so that it cannot be torn."""
    os.pwrite(descriptor, b"%020d %s\n" % (lines, chain.encode()), 0)
    os.fsync(descriptor)


def head_path(journal: Path) -> Path:
    """The file beside a journal that says how long it is and what its last hash was."""
    return journal.with_suffix(".head")


def read_head(journal: Path) -> tuple[int, str] | str | None:
    """Count and hash; None when there is no head; a sentence when it cannot be read."""
    try:
        data = head_path(journal).read_bytes()
    except FileNotFoundError:
        return None
    match = _HEAD.fullmatch(data)
    return (int(match[1]), match[2].decode()) if match else f"the head {head_path(journal)} is damaged"


def _link(before: str, body: bytes) -> str:
    return hashlib.sha256(before.encode() + body).hexdigest()


def _check(data: bytes, head: tuple[int, str] | str | None = None, kept: str = "") -> Checked:
    running, torn, broken = FIRST, 0, None
    hashes: list[str] = []
    chained = 0
    problems = []
    for line in lines_of(data):
        if not line.endswith(b"\n"):
            torn = len(line)
            break
        body, chain = opened(line)
        expected = _link(running, body)
        running = chain or expected
        hashes.append(running)
        if broken is None and chain != expected and (chain or chained):
            broken = len(hashes)
            what = "does not fit the line before it" if chain else "carries no hash, and the lines before it do"
            problems.append(f"line {broken} {what}: it was changed, or lines before it were cut out or put in")
        chained += chain is not None
    replaced = _against_head(hashes, head)
    if replaced:
        problems.append(replaced)
    elif chained and not isinstance(head, tuple):
        problems.append(head or "the head is missing, so a cut-off end would not show")
    if kept and kept not in hashes:
        problems.append("no line has the hash that you kept: lines up to it were changed, replaced or cut off")
    return Checked(len(hashes), chained, torn, running, broken, bool(replaced), tuple(problems))


def _against_head(hashes: list[str], head: tuple[int, str] | str | None) -> str:
    """What the head says against the lines, in words; "" for nothing."""
    if not isinstance(head, tuple):
        return ""
    count, chain = head
    if count > len(hashes):
        return f"the end is cut off: there were {count} lines, and {len(hashes)} are left"
    if count == 0 or hashes[count - 1] != chain:
        return f"line {count} is not the one that the head was written for: lines were changed or replaced"
    return ""
