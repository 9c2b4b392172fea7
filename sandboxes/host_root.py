"""The root folder of `host` sandboxes: almost empty, with the host's own toolchain mounted into it read-only.

Threat model: it holds only what this page lists of /etc, and of that only what every user of the host may
read. Users, groups and name lookup are written here, not copied. The folders mounted are chosen by `toolchain`.
"""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sandboxes.protocol import AGENT_GID, AGENT_UID

HOME = "/home/agent"
TOP = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
ETC = (
    "alternatives",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "inputrc",
    "java*",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "lsb-release",
    "magic*",
    "mime.types",
    "os-release",
    "perl",
    "pki/ca-trust",
    "pki/tls/certs",
    "protocols",
    "python3*",
    "services",
    "shells",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
)
MAX_FILE = 4 << 20
WRITTEN = {
    "etc/passwd": (
        "root:x:0:0:root:/root:/bin/sh\n"
        f"agent:x:{AGENT_UID}:{AGENT_GID}:agent:{HOME}:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
    ),
    "etc/group": f"root:x:0:\nagent:x:{AGENT_GID}:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
}


def fingerprint() -> str:
    """Changes whenever the image would: found without reading any file."""
    parts: list[object] = [WRITTEN, ETC, MAX_FILE, AGENT_UID]
    parts += [Path("/", name).readlink() for name in TOP if Path("/", name).is_symlink()]
    for path in _etc():
        info = path.lstat()
        parts.append((path, info.st_mode, info.st_size, info.st_mtime_ns))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def folder_mounts() -> list[Path]:
    """/usr, and what stands beside it where /bin and its like are no links into it."""
    return [Path("/usr")] + [
        Path("/") / n for n in TOP if (Path("/") / n).is_dir() and not (Path("/") / n).is_symlink()
    ]


def image_archive() -> bytes:
    """The image as a tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("usr", "etc", "proc", "sys", "dev", "run", "root", "home", "var", "var/tmp", "opt"):
            _folder(tar, name, mode=0o1777 if name == "var/tmp" else 0o755)
        for name in TOP:
            place = Path("/") / name
            if place.is_symlink():
                _link(tar, name, str(place.readlink()))
            elif place.is_dir():
                _folder(tar, name)
        for name, text in WRITTEN.items():
            _file(tar, name, text.encode())
        seen = set(WRITTEN)
        for path in _etc():
            _copy(tar, path, seen)
        add_agent_folders(tar)
    return out.getvalue()


def add_agent_folders(tar: tarfile.TarFile) -> None:
    """What every image needs for the agent: its home, the workspace, a place for temporary files."""
    _folder(tar, "tmp", mode=0o1777)
    for name in (HOME.lstrip("/"), "workspace"):
        _folder(tar, name, uid=AGENT_UID)


def _etc() -> Iterator[Path]:
    for pattern in ETC:
        for path in sorted(Path("/etc").glob(pattern)):
            yield path
            if path.is_dir() and not path.is_symlink():
                yield from sorted(path.rglob("*"))


def _copy(tar: tarfile.TarFile, path: Path, seen: set[str]) -> None:
    """Add one file, link or folder of /etc that everyone may read, and the folders above it."""
    name = str(path).lstrip("/")
    try:
        info = path.lstat()
    except OSError:
        return
    readable = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(info.st_mode) else 0)
    for parent in reversed(path.relative_to("/").parents):
        if str(parent) not in (".", "etc", *seen):
            if not Path("/", parent).stat().st_mode & stat.S_IXOTH:
                return
            seen.add(str(parent))
            _folder(tar, str(parent))
    if name in seen or (not stat.S_ISLNK(info.st_mode) and info.st_mode & readable != readable):
        return
    if stat.S_ISLNK(info.st_mode):
        _link(tar, name, str(path.readlink()))
    elif stat.S_ISDIR(info.st_mode):
        _folder(tar, name)
    elif stat.S_ISREG(info.st_mode) and info.st_size <= MAX_FILE:
        _file(tar, name, path.read_bytes())
    seen.add(name)


def _entry(name: str, kind: bytes, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def _folder(tar: tarfile.TarFile, name: str, mode: int = 0o755, uid: int = 0) -> None:
    tar.addfile(_entry(name, tarfile.DIRTYPE, mode=mode, uid=uid, gid=uid))


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    tar.addfile(_entry(name, tarfile.SYMTYPE, mode=0o777, linkname=target))


def _file(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    tar.addfile(_entry(name, tarfile.REGTYPE, mode=0o644, size=len(data)), io.BytesIO(data))
