"""A shell line taken apart into the simple commands that it runs, wherever in it they stand.

Threat model: the line is the model's and may be written to hide a command: in quotes, escapes, substitutions,
functions, loops, in the argument of another command (`sh -c`, `xargs`, `sudo`). Every command that the syntax tree
holds is listed, and those that a known command would start (`inner.py`). A word whose value is not in the line is
a hole, which may be anything. Where the tree has an error, or what is run cannot be told, there is one more
command that is nothing but a hole. A program that is not a shell (a script, `python -c`, `make`) is not looked
into.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tools.commands.grammar import UnreadableError, tree
from tools.commands.syntax import check

if TYPE_CHECKING:
    from tree_sitter import Node

WordKind = Literal["known", "glob", "hole", "below"]


@dataclass(frozen=True, slots=True)
class Word:
    """A word as the command gets it. `known`: `text` is it. `glob`: `text` is a pattern for names. `hole`: `text`
    is what it begins with. `below`: that path or
    one below it. `many`: it may be any number of words.
    """

    text: str
    kind: WordKind = "known"
    many: bool = False

    @property
    def known(self) -> bool:
        """Is `text` all there is to it?"""
        return self.kind == "known"


HOLE = Word("", "hole", many=True)


@dataclass(frozen=True, slots=True)
class Command:
    """A simple command: its words, the variables set for it (None where the value is not known), and its text."""

    words: tuple[Word, ...]
    assigned: tuple[str | None, ...] = ()
    text: str = ""

    @property
    def name(self) -> str | None:
        """The last part of the program's name, if it is known."""
        if not self.words or not self.words[0].known:
            return None
        return self.words[0].text.rsplit("/", 1)[-1]


ANYTHING = Command((HOLE,))
"""A command that may be any."""


@dataclass(frozen=True, slots=True)
class Line:
    """Everything a line runs. `writes` are the files that redirections write. `whole`: nothing is left untold."""

    commands: tuple[Command, ...]
    writes: tuple[Word, ...] = ()
    whole: bool = True


def read_line(text: str) -> Line:
    """Take a line apart, without looking into the arguments of commands. Never raises."""
    try:
        root, source = tree(text)
    except UnreadableError:
        return Line((ANYTHING,), whole=False)
    commands: list[Command] = []
    writes: list[Word] = []
    stack = [root]
    split = False  # does a command go on behind a here-document's name?
    while stack:
        node = stack.pop()
        stack.extend(reversed(node.children))
        if node.type in {"command", "declaration_command", "unset_command", "test_command"}:
            commands.append(_command(node, source))
        elif node.type == "variable_assignment" and not _belongs(node):
            commands.append(Command((), (_assignment(node, source),), _text(node, source)))
        elif node.type == "heredoc_redirect":
            split = split or bool(node.children_by_field_name("argument"))
            for line in _backticks(node, source):
                nested = read_line(line)
                commands += nested.commands
                writes += nested.writes
        elif node.type == "file_redirect" and (place := _written(node, source)) is not None:
            writes.append(place)
    whole = not split and _is_certain(root, source)
    return Line(tuple(commands if whole else [*commands, ANYTHING]), tuple(writes), whole)


def _is_certain(root: Node, source: bytes) -> bool:
    if root.has_error:
        return False
    try:
        check(root, source)
    except UnreadableError:
        return False
    return True


def _text(node: Node, source: bytes) -> str:
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")


def _backticks(node: Node, source: bytes) -> list[str]:
    """What stands in backticks in a here-document, which the tree does not show."""
    start = next((child for child in node.children if child.type == "heredoc_start"), None)
    body = next((child for child in node.children if child.type == "heredoc_body"), None)
    if start is None or body is None or re.search(r"['\"\\]", _text(start, source)):
        return []
    return re.findall(r"(?<!\\)`([^`]*)", _text(body, source))


def _belongs(node: Node) -> bool:
    return node.parent is not None and node.parent.type in {"command", "declaration_command"}


def _command(node: Node, source: bytes) -> Command:
    words: list[Word] = []
    assigned: list[str | None] = []
    for child in node.children:
        if child.type == "command_name":
            words.append(_word(child.children[0] if child.children else child, source))
        elif child.type == "variable_assignment" and not words:
            assigned.append(_assignment(child, source))
        elif child.type not in {"file_redirect", "herestring_redirect", "heredoc_redirect", "comment"}:
            words.append(_word(child, source))
    if node.type == "test_command" and words:
        words[0] = Word("[")  # whichever bracket: it is no pattern
    return Command(tuple(words), tuple(assigned), _text(node, source))


def _assignment(node: Node, source: bytes) -> str | None:
    word = _word(node, source)
    return word.text if word.known else None


def _written(node: Node, source: bytes) -> Word | None:
    """The file that a redirection writes, if it writes one."""
    operator = next((child.type for child in node.children if not child.is_named), "")
    place = node.child_by_field_name("destination")
    if operator in {"<", "<&", "<&-", ">&-"} or place is None:
        return None
    word = _word(place, source)
    if word.known and (word.text == "/dev/null" or (operator == ">&" and re.fullmatch(r"\d+|-", word.text))):
        return None
    return word


# What stands for a value that only the shell knows.
_HOLES = frozenset(
    {
        "simple_expansion",
        "expansion",
        "command_substitution",
        "process_substitution",
        "arithmetic_expansion",
        "brace_expression",
        "extglob_pattern",
        "array",
        "subscript",
    }
)
_BRACES = re.compile(r"(?<!\\)\{[^{}]*(,|\.\.)")
_GLOB = re.compile(r"(?<!\\)[*?\[]")


def _word(node: Node, source: bytes) -> Word:
    """The value of a word as far as it stands in the line."""
    kind: WordKind = "known"
    text, many, bare = "", False, ""
    for quoted, piece in _pieces(node, source):
        if piece is None:
            kind, many = "hole", many or not quoted
            break
        text += _bare(piece) if not quoted else piece
        bare += "" if quoted else piece
    if _BRACES.search(bare):
        kind, many, text = "hole", True, ""
    elif kind == "known" and _GLOB.search(bare):
        kind, many = "glob", True
    return Word(text, kind, many)


def _pieces(node: Node, source: bytes) -> Iterable[tuple[bool, str | None]]:
    """The pieces of a word: whether it is quoted, and its text; None for a hole."""
    match node.type:
        case "string" | "translated_string":
            inner = node if node.type == "string" else node.children[-1]
            yield from _in_quotes(inner, source)
        case "raw_string":
            yield True, _text(node, source)[1:-1]
        case "ansi_c_string":
            yield True, _ansi(_text(node, source)[2:-1])
        case kind if kind in _HOLES:
            yield False, None
        case _ if node.child_count == 0:
            yield False, _text(node, source)
        case _:
            at = node.start_byte
            for child in node.children:
                if child.start_byte > at:
                    yield False, source[at : child.start_byte].decode("utf-8", "replace")
                yield from _pieces(child, source)
                at = child.end_byte


def _in_quotes(node: Node, source: bytes) -> Iterable[tuple[bool, str | None]]:
    """The pieces of a text in double quotes; blanks between its parts count."""
    at, end = node.start_byte + 1, node.end_byte - 1
    for child in node.children:
        if child.type not in _HOLES:
            continue
        yield True, _double(source[at : child.start_byte].decode("utf-8", "replace"))
        # "$@" and "${a[@]}" are as many words as they hold.
        yield "@" not in _text(child, source), None
        at = child.end_byte
    yield True, _double(source[at:end].decode("utf-8", "replace"))


def _double(text: str) -> str:
    return re.sub(r'\\([$`"\\])|\\\n', lambda found: found[1] or "", text)


def _bare(text: str) -> str:
    return re.sub(r"\\(.)|\\\n", lambda found: found[1] or "", text)


_ESCAPE = re.compile(
    r"\\(?:x(?P<hex>[0-9A-Fa-f]{1,2})|u(?P<short>[0-9A-Fa-f]{1,4})|U(?P<long>[0-9A-Fa-f]{1,8})"
    r"|(?P<octal>[0-7]{1,3})|c(?P<control>.)|(?P<letter>.))",
    re.DOTALL,
)
_LETTERS = {"a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def _ansi(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        if found["letter"]:
            letter = found["letter"]
            return _LETTERS.get(letter, letter if letter in "\\'\"?" else f"\\{letter}")
        if found["control"]:
            return chr(ord(found["control"]) & 0x1F)
        code = found["hex"] or found["short"] or found["long"]
        number = int(code, 16) if code else int(found["octal"], 8) & 0xFF
        return chr(number) if number < 0x110000 else "\ufffd"

    return _ESCAPE.sub(one, text)
