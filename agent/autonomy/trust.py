"""Which repositories' `bridle.toml` the user trusts to widen what is allowed: by the hash of the very file.

Kept in `trusted.json` in the user's state folder, readable by its owner only. A changed file is not trusted any
more.

Threat model: the repository may change its file at any time, and the agent may propose to; so the bytes that were
shown are what is trusted, not the name. The state folder is outside every sandbox. A record that cannot be read
trusts nothing, and says so.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from agent.outcomes import UsageProblem
from agent.store import state_dir


class Trusted(BaseModel):
    """A file that was trusted: the SHA-256 of its bytes, and when, in seconds since the epoch."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    time: float


_RECORD = TypeAdapter(dict[str, Trusted])


def is_trusted(root: Path, data: bytes) -> bool:
    """Does the user trust these bytes as the `bridle.toml` of the repository at `root`? Raises UsageProblem."""
    found = trusted().get(_key(root))
    return bool(data) and found is not None and found.sha256 == _hash(data)


def trusted() -> dict[str, Trusted]:
    """All trusted files by the repository's path. Raises UsageProblem."""
    path = _path()
    try:
        return _RECORD.validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (ValidationError, OSError) as error:
        raise UsageProblem(f"{path} cannot be read: remove it, and trust what you trust again") from error


def trust(root: Path, data: bytes) -> None:
    """Trust these bytes as the file of the repository at `root`. Raises UsageProblem, OSError."""
    _write({**trusted(), _key(root): Trusted(sha256=_hash(data), time=time.time())})


def revoke(root: Path) -> bool:
    """Trust the repository's file no longer; was it trusted? Raises UsageProblem, OSError."""
    record = trusted()
    gone = record.pop(_key(root), None)
    if gone is not None:
        _write(record)
    return gone is not None


def _write(record: dict[str, Trusted]) -> None:
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix="trusted-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_RECORD.dump_json(record, indent=2))
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def _path() -> Path:
    return state_dir() / "trusted.json"


def _key(root: Path) -> str:
    return str(root.resolve())


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
