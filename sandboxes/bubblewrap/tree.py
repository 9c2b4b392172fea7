"""A sandbox's files, saved and brought back: a list of what there was, and the contents beside it.

    manifest      one JSON line an entry, in the order of a walk; names as text, as `os.fsdecode` gives it
    packs/NAME    the contents of many small files, or of a large one; never changed once written

Saving costs what changed: a file with the same inode, size and times as in the state before is in a pack of that
one's, which both have then, by a hard link. A pack that is of little use any more is not taken over. Times are
believed only once they are older than the kernel's clock tick, and not of a file that a process has mapped into
shared memory, since such a file changes without a sign.

Threat model: the tree is hostile: names, links, modes, depth and sizes are the agent's. It is walked by
descriptors, one folder at a time, and never through a link; only regular files are opened, and only without
waiting. No name of the agent's becomes a path of the host's: contents have numbers, and the list is read back name
by name. What is saved is never run, and carries no mode and no owner of the agent's. Quantities and time are
limited. Sockets and devices are left out, as are extended attributes.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

from sandboxes.protocol import SandboxError

MAX_ENTRIES = 2_000_000
MAX_SECONDS = 120.0
"""How long one state may take to be saved or brought back."""
PIECE = 1 << 20
LARGE = 1 << 20
"""A file larger than this has a pack of its own."""
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
SOURCE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
NO_SUCH_CALL = frozenset({errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM})


@dataclass(slots=True)
class Known:
    """Which files on disk are as a saved state has them.

    `files`: inode → modified, changed (nanoseconds), size, pack, place in it. `live`: pack → bytes of use.
    """

    folder: Path | None = None
    files: dict[int, tuple[int, int, int, str, int]] = field(default_factory=dict)
    live: dict[str, int] = field(default_factory=dict)

    def note(self, info: os.stat_result, pack: str, place: int) -> None:
        """Content of a file that will show when it changes."""
        self.files[info.st_ino] = (info.st_mtime_ns, info.st_ctime_ns, info.st_size, pack, place)


class Clock:
    """Ends what takes too long or is too much."""

    def __init__(self) -> None:
        self._end = time.monotonic() + MAX_SECONDS
        self._entries = self._steps = 0

    def entry(self) -> None:
        """Count one file or folder. Raises SandboxError."""
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise SandboxError(f"they are more than {MAX_ENTRIES}")
        self.step()

    def step(self) -> None:
        """Look at the time now and then. Raises SandboxError."""
        self._steps += 1
        if not self._steps % 64 and time.monotonic() > self._end:
            raise SandboxError(f"it takes longer than {MAX_SECONDS:.0f} s")


def copy_sparse(source: int, target: int, size: int, clock: Clock) -> None:
    """Copy a file's content, sharing blocks where the file system can, and leaving holes out. Raises OSError."""
    start = 0
    while start < size:
        clock.step()
        try:
            start = os.lseek(source, start, os.SEEK_DATA)
            end = min(os.lseek(source, start, os.SEEK_HOLE), size)
        except OSError as e:
            if e.errno == errno.ENXIO:
                break
            raise
        while start < end:
            done = _copy_piece(source, target, start, end - start)
            if not done:
                raise SandboxError("a file became shorter meanwhile")
            start += done
            clock.step()
    os.ftruncate(target, size)


def _copy_piece(source: int, target: int, start: int, count: int) -> int:
    try:
        return os.copy_file_range(source, target, min(count, 64 * PIECE), start, start)
    except OSError as e:
        if e.errno not in NO_SUCH_CALL:
            raise
    piece = os.pread(source, min(count, PIECE), start)
    return os.pwrite(target, piece, start)


def same(one: os.stat_result, other: os.stat_result) -> bool:
    """Are these of one and the same file?"""
    return (one.st_dev, one.st_ino, stat.S_IFMT(one.st_mode)) == (
        other.st_dev,
        other.st_ino,
        stat.S_IFMT(other.st_mode),
    )
