"""How an answer reaches a session that is open and waits for it: one small file in the session's folder.

`bridle approve` writes `answer-ID.json` whole and at once (a hard link to a finished file, which fails where
another answer is there already); the session looks for it twice a second, reads it, and removes it.

Threat model: whoever can write the folder can answer, and that has to be its owner alone: a file of somebody
else's, one that others could have written, a link or a pipe is no answer. What it says is parsed as data of a
fixed form, and counts only for the question whose name and hash it carries.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from pydantic import ValidationError

from agent.asked import QuestionAnswered, QuestionAsked

MAX_BYTES = 64 << 10
"""Bytes of an answer."""


class AlreadyAnswered(Exception):
    """Somebody else's answer is there and not yet taken."""


def put(folder: Path, answer: QuestionAnswered) -> Path:
    """Leave an answer. Raises AlreadyAnswered, OSError."""
    place, part = _place(folder, answer.id), folder / f"answer-{answer.id}-{os.getpid()}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(answer.model_dump_json().encode())
            file.flush()
            os.fsync(descriptor)
        os.link(part, place, follow_symlinks=False)
    except FileExistsError as error:
        raise AlreadyAnswered(f"question {answer.id} has an answer already") from error
    finally:
        part.unlink()
    return place


def take(folder: Path, asked: QuestionAsked) -> tuple[QuestionAnswered | None, str]:
    """The answer to a question, if it has come, and removed; and why something that lay there is none."""
    place = _place(folder, asked.id)
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None, ""
    except OSError as error:  # a link, a socket
        _remove(place)
        return None, f"{place.name} is no regular file ({error.strerror})"
    try:
        problem = _problem(os.fstat(descriptor))
        data = b"" if problem else os.read(descriptor, MAX_BYTES + 1)
    finally:
        os.close(descriptor)
        _remove(place)
    if problem:
        return None, f"{place.name} {problem}"
    try:
        answer = QuestionAnswered.model_validate_json(data)
    except ValidationError as error:
        return None, f"{place.name} is no answer: {error.errors()[0]['msg']}"
    if (answer.id, answer.digest) != (asked.id, asked.digest):
        return None, f"{place.name} answers another question"
    return answer, ""


def clear(folder: Path) -> None:
    """Remove answers that nobody waits for any more."""
    for place in folder.glob("answer-*.json"):
        _remove(place)


def _place(folder: Path, question: str) -> Path:
    if not (len(question) == 8 and set(question) <= set("0123456789abcdef")):
        raise ValueError(f"no question has the name {question!r}")
    return folder / f"answer-{question}.json"


def _remove(place: Path) -> None:
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        place.unlink()


def _problem(found: os.stat_result) -> str:
    """Why a file is not to be believed; "" when it is."""
    if not stat.S_ISREG(found.st_mode):
        return "is no regular file"
    if found.st_uid != os.geteuid():
        return "is not yours"
    if stat.S_IMODE(found.st_mode) & 0o077:
        return "could have been written or read by others: it has to have the mode 0600"
    if found.st_size > MAX_BYTES:
        return f"is larger than {MAX_BYTES >> 10} KiB"
    return ""
