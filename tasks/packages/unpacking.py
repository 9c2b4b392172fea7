"""The files of a source archive or a wheel, as data.

Threat model: archives are foreign. Only plain files with a name that stays inside come out, up to a bound, and
nothing is written here.
"""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

MAX_FILES = 5000
MAX_UNPACKED = 128 << 20


def members(archive: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The plain files of a source archive, named relative to its one top folder.

    Links, devices and everything else are left out. Raises ValueError for an archive that is larger than any
    source should be, or has a name that leads outside.
    """
    total = count = 0
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            count += 1
            total += max(member.size, 0)
            if count > MAX_FILES or total > MAX_UNPACKED:
                raise ValueError(f"more than {MAX_FILES} files or {MAX_UNPACKED >> 20} MiB")
            if not member.isreg():
                continue
            name = PurePosixPath(member.name)
            if name.is_absolute() or ".." in name.parts or "\0" in member.name:
                raise ValueError(f"the name {member.name[:200]!r} leads outside")
            stream = tar.extractfile(member)
            if len(name.parts) > 1 and ".git" not in name.parts and stream is not None:
                yield PurePosixPath(*name.parts[1:]), stream.read()


def wheel_members(wheel: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The importable files of a wheel. Raises ValueError, as `members` does, and zipfile.BadZipFile."""
    total = 0
    with zipfile.ZipFile(wheel) as archive:
        for count, member in enumerate(archive.infolist(), 1):
            total += member.file_size
            if count > MAX_FILES or total > MAX_UNPACKED:
                raise ValueError(f"more than {MAX_FILES} files or {MAX_UNPACKED >> 20} MiB")
            name = PurePosixPath(member.filename)
            if name.is_absolute() or ".." in name.parts:
                raise ValueError(f"the name {member.filename[:200]!r} leads outside")
            if not member.is_dir() and not name.parts[0].endswith((".dist-info", ".data")):
                yield name, archive.read(member)
