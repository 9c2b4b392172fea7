"""The checks of arguments that every way of running commands shares."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Mapping, Sequence

from sandboxes.protocol import MAX_ARGV, ExecResult, FileError, Output

MAX_SECONDS = 30 * 86400.0


class UnusableArgument(Exception):
    """An argument no command could be given."""


def argument_bytes(argv: Sequence[str | bytes]) -> list[bytes]:
    """The words of a command. Raises ValueError when there are none, UnusableArgument for one that cannot be."""
    if not argv:
        raise ValueError("a command needs at least one word")
    words = []
    for word in argv:
        try:
            data = word if isinstance(word, bytes) else os.fsencode(word)
        except UnicodeEncodeError:
            raise UnusableArgument("an argument is not valid text") from None
        if b"\0" in data:
            raise UnusableArgument("an argument contains a zero byte")
        words.append(data)
    if not words[0]:
        raise UnusableArgument("the command's name is empty")
    return words


def not_startable(reason: str) -> ExecResult:
    """The result of a command that could not be started, whatever the sandbox."""
    return ExecResult(126, "exited", Output(f"bridle: cannot be started: {reason}\n".encode()), 0.0)


def path_bytes(path: str) -> bytes:
    """A path as the sandbox takes it. Raises FileError for one that cannot be."""
    try:
        data = os.fsencode(path)
    except UnicodeEncodeError:
        raise FileError("bad_path", repr(path), "is not valid text") from None
    if not data or b"\0" in data:
        raise FileError("bad_path", repr(path), "is empty or contains a zero byte")
    return data


def environment_bytes(env: Mapping[str, str] | None) -> dict[bytes, bytes]:
    """Environment variables as bytes. Raises ValueError for names or values that cannot be."""
    pairs = {os.fsencode(name): os.fsencode(value) for name, value in (env or {}).items()}
    for name, value in pairs.items():
        if not name or b"=" in name or b"\0" in name + value:
            raise ValueError(f"no environment variable can be called {name!r} or hold a zero byte")
    return pairs


def checked_timeout(seconds: float) -> float:
    """Seconds, brought below what clocks can take. Raises ValueError when not above zero."""
    if not seconds > 0 or math.isnan(seconds):
        raise ValueError("a timeout must be above zero")
    return min(seconds, MAX_SECONDS)


def checked_wait(seconds: float) -> float:
    """Seconds to wait at most, brought below what clocks can take. Raises ValueError when below zero."""
    if not seconds >= 0:
        raise ValueError("nobody can wait for less than zero seconds")
    return min(seconds, MAX_SECONDS)


def argument_text(words: Sequence[bytes]) -> str:
    """A command for people to recognise, at most MAX_ARGV characters of it."""
    text = shlex.join(word.decode("utf-8", "replace") for word in words)
    return text if len(text) <= MAX_ARGV else text[: MAX_ARGV - 1] + "…"
