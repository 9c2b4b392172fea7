"""Shapes of commands, such as `git push *`, and whether a command has one.

A shape is written like a command: words, with `*`, `?` and `[…]` in them as in file names, and a `*` at the end
for whatever follows. Three readings:

* `covers`, for allowing: the very words, each of them known, nothing besides.
* `resembles`, for asking and refusing: the program by the last part of its name, with options between the words,
  in
  any order and however they are bundled, and with anything behind.

* `mentions`, for asking: a program that may run anything is given the words, or a text that holds them.

Threat model: the command is the model's, see `line.py`; what cannot be told counts against it in each reading.
"""

from __future__ import annotations

import re
import shlex
from enum import IntEnum
from fnmatch import fnmatchcase
from typing import NamedTuple

from agent.autonomy.commands.line import Command, Word

_ANYTHING = frozenset({"hole", "below"})
_GIT_VALUED = frozenset(
    {"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--super-prefix", "--config-env", "--attr-source"}
)


MAX_MENTIONS = 200
MAX_TEXT = 8192
"""Words, and characters of a word, that are searched for commands."""
_WITHIN = re.compile(r"[\w./@:=+*-]+")


class Certainty(IntEnum):
    """Whether something is so."""

    NO = 0
    MAYBE = 1
    YES = 2


class Shape(NamedTuple):
    """The words of a shape; `rest`: it ends in a `*`, so more words may follow. The rest is for the wide reading:
    the last part of the program's name, the options, and the other words.
    """

    words: tuple[str, ...]
    rest: bool
    program: str
    options: tuple[str, ...]
    others: tuple[str, ...]


def parse_shape(text: str) -> Shape:
    """Raises ValueError with a sentence."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError as error:
        raise ValueError(f"{text!r} is no shape of a command: {str(error).lower()}") from error
    if any(word and not word.strip("();<>|&") for word in words):
        raise ValueError(f"{text!r} is no shape of a command: it is one command, without ; & | < > ( )")
    words = shlex.split(text)
    rest = len(words) > 1 and words[-1] == "*"
    if not words or not words[0]:
        raise ValueError("a shape of a command needs a word; `*` is any command")
    words = words[:-1] if rest else words
    plain = [word for word in words if not re.match(r"[A-Za-z_]\w*=", word)]
    options = tuple(word for word in plain[1:] if word.startswith("-") and len(word) > 1)
    others = tuple(word for word in plain[1:] if word not in options)
    program = plain[0].rsplit("/", 1)[-1] if plain else ""
    return Shape(tuple(words), rest, program, options, others)


def covers(shape: Shape, command: Command, *, moved: bool = False) -> bool:
    """Has the command exactly this shape, all of it known? `moved`: it may not run in the workspace's root.

    Variables set in front of it have to stand in the shape.
    """
    if any(text is None for text in command.assigned) or not command.words:
        return False
    if not all(word.known for word in command.words) or (moved and "/" in command.words[0].text):
        return False
    words = [*(text or "" for text in command.assigned), *(word.text for word in command.words)]
    if len(words) < len(shape.words) or (len(words) > len(shape.words) and not shape.rest):
        return shape.words == ("*",) and not command.assigned
    return all(fnmatchcase(word, pattern) for word, pattern in zip(words, shape.words, strict=False))


def resembles(shape: Shape, command: Command) -> Certainty:
    """May the command be one of this shape?"""
    if _fits(shape, command.words, holes=False):
        return Certainty.YES
    return Certainty.MAYBE if _fits(shape, command.words, holes=True) else Certainty.NO


def mentions(shape: Shape, command: Command) -> bool:
    """Does the command name one of this shape among its words, or within one of them?

    It matters for a program that may run what it is given: `mytool git push`, `python -c 'os.system("git push")'`.
    """
    words = command.words[:MAX_MENTIONS]
    if any(_fits(shape, words[at:], holes=False) for at in range(1, len(words))):
        return True
    texts = [word.text for word in words[1:] if not word.text.isalnum()]
    for text in [*texts, *(text for text in command.assigned if text is not None)]:
        inside = tuple(map(Word, _WITHIN.findall(text[:MAX_TEXT])[:MAX_MENTIONS]))
        if any(_fits(shape, inside[at:], holes=False) for at in range(len(inside))):
            return True
    return False


def _fits(shape: Shape, words: tuple[Word, ...], *, holes: bool) -> bool:
    if not words or not shape.program:
        return False
    first = words[0]
    if first.kind in _ANYTHING and first.many and holes:
        return True
    if not _is(Word(first.text.rsplit("/", 1)[-1], first.kind), shape.program, holes=holes):
        return False
    rest = words[1:]
    return all(_has(option, rest, holes=holes) for option in shape.options) and _in_order(
        shape.others, rest, git=shape.program == "git", holes=holes
    )


def _is(word: Word, pattern: str, *, holes: bool) -> bool:
    if word.known:
        return fnmatchcase(word.text, pattern)
    if not holes:
        return False
    # A glob and a pattern are compared from the side that has letters.
    return word.kind in _ANYTHING or fnmatchcase(pattern, word.text) or any(char in pattern for char in "*?[")


def _has(option: str, words: tuple[Word, ...], *, holes: bool) -> bool:
    """Is the option among the words, alone, with a value behind `=`, or bundled with others?"""
    given = [word.text for word in words if word.known]
    if holes and any(not word.known and _may_begin_with_dash(word) for word in words):
        return True
    if any(fnmatchcase(text, option) or text.startswith(f"{option}=") for text in given):
        return True
    if option.startswith("--"):
        return False
    bundled = set("".join(text[1:] for text in given if text.startswith("-") and not text.startswith("--")))
    return set(option[1:]) <= bundled


def _may_begin_with_dash(word: Word) -> bool:
    return word.kind == "below" or not word.text or word.text[0] in "-*?["


def _in_order(patterns: tuple[str, ...], words: tuple[Word, ...], *, git: bool, holes: bool) -> bool:
    """Do the patterns fit the words in order, where options (and what may be their values) are passed over?"""
    reached: list[set[int]] = [{0}, *(set[int]() for _ in range(len(words) + 1))]
    for at, word in enumerate(words):
        for done in reached[at]:
            if done == len(patterns):
                return True
            if word.many and word.kind in _ANYTHING and holes:
                return True
            if word.known and word.text.startswith("-") and word.text != "-":
                reached[at + 1].add(done)
                if _may_take_value(word.text, git=git and not done):
                    reached[at + 2].add(done)
            elif holes and not word.known:
                reached[at + 1].add(done)
            if _is(word, patterns[done], holes=holes):
                reached[at + 1].add(done + 1)
    return any(len(patterns) in each for each in reached)


def _may_take_value(option: str, *, git: bool) -> bool:
    if git:
        return option in _GIT_VALUED
    return "=" not in option and option != "--"
