"""What the operands of common commands are: a file that is changed, one that is only read, or no file at all.

Threat model: the command is the model's. This only ever narrows what a rule on paths takes a word for, where the
operands of a command are known; every other word may be a file that is changed. A row that is wrong lets a call
pass that the finished patch is held against again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from agent.autonomy.commands.line import Command, Word

Role = Literal["changed", "read", "none", "unknown"]

_CHANGED = frozenset(["rm", "rmdir", "mv", "touch", "mkdir", "tee", "truncate", "shred", "unlink"])
_COPIES = frozenset(["cp", "ln", "install"])
_MODES = frozenset(["chmod", "chown", "chgrp"])
_GIT_VALUED = frozenset(["-C", "-c", "--git-dir", "--work-tree", "--namespace"])
_GIT_CHANGES = frozenset(["rm", "mv", "restore", "checkout", "clean", "checkout-index"])
_GIT_MAY_BE_REVISION = frozenset(["checkout"])


def roles(command: Command) -> Iterator[tuple[Word, Role]]:
    """Each word after the program's name, and what it is."""
    words = command.words[1:]
    operands = [word for word in words if not (word.known and word.text.startswith("-") and word.text != "-")]
    name = command.name
    if name in _COPIES or name == "mv":
        yield from ((word, "changed") for word in _into_folder(operands))
    if name in _CHANGED:
        yield from _all(words, operands, "changed")
    elif name in _COPIES and not any(word.text.startswith(("-t", "--target")) for word in words):
        yield from (
            (word, "changed" if word is operands[-1] else "read" if word in operands else "unknown")
            for word in words
        )
    elif name in _MODES:
        yield from ((word, "none" if word is operands[0] else "changed") for word in words if operands)
    elif name == "sed":
        given = any(word.text.startswith(("-e", "-f", "--expression", "--file")) for word in words)
        script = None if given or not operands else operands[0]
        yield from (
            (word, "none" if word is script else "unknown" if given or word not in operands else "changed")
            for word in words
        )
    elif name == "git":
        yield from _of_git(words)
    else:
        yield from ((word, "unknown") for word in words)


def _into_folder(operands: list[Word]) -> Iterator[Word]:
    """Where copies go when the last operand is a folder."""
    if len(operands) > 1 and operands[-1].known and operands[-1].text.rsplit("/", 1)[-1] in {"", ".", ".."}:
        for word in operands[:-1]:
            name = word.text.rstrip("/").rsplit("/", 1)[-1]
            if word.kind in {"known", "glob"} and name:
                yield Word(f"{operands[-1].text}/{name}", word.kind)


def _all(words: tuple[Word, ...], operands: list[Word], role: Role) -> Iterator[tuple[Word, Role]]:
    return ((word, role if word in operands else "unknown") for word in words)


def _of_git(words: tuple[Word, ...]) -> Iterator[tuple[Word, Role]]:
    """The index and the history are no files; only sub-commands that change the workspace name any."""
    verb, at = "", 0
    after = False
    branches = any(word.text in {"-b", "-B", "--orphan"} for word in words)
    for at, word in enumerate(words):
        if not word.known:
            yield from ((each, "unknown") for each in words[at:])
            return
        if not word.text.startswith("-") and (at == 0 or words[at - 1].text not in _GIT_VALUED):
            verb = word.text
            break
        yield word, "unknown"
    for number, word in enumerate(words[at:]):
        if number == 0 or verb not in _GIT_CHANGES or (verb == "checkout" and branches):
            yield word, "none"
        elif verb in _GIT_MAY_BE_REVISION and not after and not any(char in word.text for char in "/."):
            yield word, "unknown" if not word.known else "none"
        else:
            yield word, "changed"
        after = after or word.text == "--"
