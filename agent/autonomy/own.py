"""The user's own rules for one repository: what they said "always, in this repository" to.

    repositories/KEY.toml in the user's state folder; KEY is made of the repository's path

Threat model: the repository's own file is not touched, since it comes with the repository and goes with it; no
sandbox can reach this one. It holds allow rules alone, which a person said yes to, each with the effects that were
approved.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from agent.autonomy.rules import Rule
from agent.outcomes import UsageProblem
from agent.store import state_dir

MAX_BYTES = 1 << 20


def own_file(root: Path) -> Path:
    """Where the user's rules for the repository at `root` are; it need not exist."""
    name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:32]
    return state_dir() / "repositories" / f"{name}.toml"


def own_data(root: Path) -> bytes:
    """What is in that file, nothing where there is none. Raises UsageProblem."""
    path = own_file(root)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise UsageProblem(f"{path} is larger than {MAX_BYTES >> 20} MiB: take out rules that you do not need")
    return data


def add_rule(root: Path, rule: Rule) -> None:
    """Add an allow rule. Raises UsageProblem, OSError."""
    path = own_file(root)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(path.parent / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = own_data(root) or f"# What is always allowed in {_text(str(root.resolve()))}.\n".encode()
        _replace(path, before.rstrip(b"\n") + b"\n\n" + as_toml(rule).encode())
    finally:
        os.close(lock)


def as_toml(rule: Rule) -> str:
    """An `[[allow]]` rule as it stands in a file."""
    fields = rule.model_dump(mode="json", exclude_defaults=True)
    return "[[allow]]\n" + "".join(f"{name} = {_value(value)}\n" for name, value in fields.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_text(name)} = {_value(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    # JSON's strings are TOML's, but for a character that TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _replace(path: Path, data: bytes) -> None:
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix="rules-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
