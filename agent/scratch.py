"""Folders for a moment's work on the host, which say by a lock whether their maker still lives.

Threat model: the folder for temporary files is shared with other users. Only folders of this user's are ever
removed, and never through a link.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "bridle-scratch-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new empty folder, gone at the end; if this process is killed, the next `bridle` finds and removes it."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(descriptor)


def is_held(path: Path) -> bool:
    """Does a living process hold the lock of this file or folder? False, too, when it is not there any more."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def abandoned_scratch(before: float) -> list[Path]:
    """Scratch folders of this user's that nobody holds, made before that time (seconds since the epoch)."""
    found = []
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            info = path.lstat()
        except FileNotFoundError:
            continue
        mine = stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid()
        if mine and info.st_mtime < before and not is_held(path):
            found.append(path)
    return found
