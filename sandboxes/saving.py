"""Files that a dead owner's work is saved to: whole, on the disk, or not there at all.

Threat model: what is written is the agent's. It is never unpacked here, and no more of it is kept than MAX_SAVED.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sandboxes.protocol import SandboxError

MAX_SAVED = 8 << 30
"""The most bytes of a saved workspace."""
TRAILER = 1024
"""A whole tar archive ends with at least this many zero bytes."""
UNKNOWN_REQUESTS = 1_000_000
"""More than a run makes: request numbers go on after it, since a dead owner's own are not known."""


@contextmanager
def whole_archive(target: Path) -> Iterator[Callable[[bytes], None]]:
    """Gives a function that takes the pieces of a tar archive; when all is well, they are the file at the end.

    While it is written it is locked, so that the half-written file of a killed process can be told from others.
    Raises OSError when it cannot be written, SandboxError when the archive is broken or too large.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as f:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size, end = 0, b""

            def take(piece: bytes) -> None:
                nonlocal size, end
                size += len(piece)
                if size > MAX_SAVED:
                    raise SandboxError(f"it is larger than {MAX_SAVED >> 30} GiB")
                f.write(piece)
                end = (end + piece)[-TRAILER:]

            yield take
            if end != bytes(TRAILER):
                raise SandboxError("its archive broke off")
            f.flush()
            os.fsync(f.fileno())
        temporary.replace(target)
        sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
