"""The embedded model's file: which one it is, where it lies, and whether it is the right one.

Threat model: the file is loaded by native code, so it must be the publisher's own. It is used only when its
SHA-256 is the one below; a stamp beside it (size, time of change, hash) saves hashing it at every start, and
stops counting when the file changes. The cache folder is the user's: whoever can write there is the user.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandboxes.protocol import Check


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file by its name, size in bytes and SHA-256."""

    name: str
    size: int
    sha256: str


QWEN = ModelFile(
    "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    1_117_320_768,
    "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
)
"""Qwen2.5-Coder-1.5B-Instruct, 4 bits a weight, Apache-2.0: the publisher's own file."""


def models_folder() -> Path:
    """Where models are kept: `models` in BRIDLE_CACHE_DIR, else in the user's cache folder."""
    if named := os.environ.get("BRIDLE_CACHE_DIR"):
        return Path(named).expanduser().absolute() / "models"
    from platformdirs import user_cache_path

    return user_cache_path("bridle") / "models"


def verified(file: ModelFile = QWEN, folder: Path | None = None, *, rehash: bool = False) -> Path | None:
    """The path of `file` if it is there and right, else None. Hashes it (seconds) unless its stamp still holds."""
    path = (folder or models_folder()) / file.name
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    if status.st_size != file.size:
        return None
    facts = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": file.sha256}
    if not rehash and _read_stamp(stamp(path)) == facts:
        return path
    if sha256_of(path) != file.sha256:
        return None
    with suppress(PermissionError):  # a shared cache that only its owner writes: hashed each time
        stamp(path).write_text(json.dumps(facts))
    return path


def stamp(path: Path) -> Path:
    """Where it is noted that the file at `path` was verified."""
    return path.with_name(f"{path.name}.verified")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing() -> str | None:
    """What the embedded model lacks to run, as one sentence; None when all is there. Does not hash."""
    if importlib.util.find_spec("xllamacpp") is None:
        return "the embedded model needs xllamacpp: pip install 'bridle[local]'"
    path = models_folder() / QWEN.name
    if not path.is_file() or path.stat().st_size != QWEN.size:
        return f"the embedded model is not in {path.parent}: fetch it with `bridle model pull`"
    return None


def model_status() -> Check:
    """Whether the embedded model can run, for `bridle doctor`."""
    problem = missing()
    mend = "pip install 'bridle[local]'" if problem and "pip install" in problem else "bridle model pull"
    return Check("embedded model", problem is None, problem or str(models_folder() / QWEN.name), mend)


def _read_stamp(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
