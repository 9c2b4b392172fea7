"""The syntax tree of a line, checked: what the parser may have misread counts as unreadable.

Threat model: tree-sitter's grammar is not bash. Where they disagree, a command could hide in what the tree calls
text. So the tree is taken only if it has no error in it, if what lies between its nodes is blank, and if no text
in it holds the signs that would begin a command.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tools.commands.grammar import UnreadableError, tree

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_NODES = 20_000
MAX_DEPTH = 120

_BLANK = re.compile(rb"(?:[ \t\n]|\\\n)*")
_TEXTS = {"string", "heredoc_body", "regex", "extglob_pattern", "expansion", "translated_string"}
# What no unquoted word, and what no text in double quotes, holds without a backslash.
_ODD_WORD = re.compile(r"(?:[^\\]|\\.)*?[\s;&|<>()`\"']", re.DOTALL)
_QUOTED = {"raw_string": re.compile(r"'[^']*'"), "ansi_c_string": re.compile(r"\$'(?:[^'\\]|\\.)*'", re.DOTALL)}
# What ends with its line, for all that the grammar skips over: `echo ==`, a new line, `reboot`.
_ONE_LINE = {"command", "command_name", "declaration_command", "unset_command", "redirected_statement"} | {
    "negated_command",
    "variable_assignment",
    "variable_assignments",
    "file_redirect",
    "herestring_redirect",
    "concatenation",
}
# In `[ … ]`: the signs that are words to the shell, too, and what is a word of it whatever it holds.
_TEST_SIGNS = {"[", "]", "!", "=", "==", "!=", "=~"}
_WHOLE = {"string", "translated_string", "raw_string", "ansi_c_string", "expansion", "simple_expansion"} | {
    "command_substitution",
    "process_substitution",
    "arithmetic_expansion",
}
_ODD_TEXT = re.compile(r"(?:[^\\]|\\.)*?(?:`|\$[({])", re.DOTALL)


HOLE = "\ue000"
"""Stands for a name that is not known, in a line that was put together."""


def parse(command: str, *, holes: bool = False) -> Node:
    """The root of the tree of `command`, in which, with `holes`, HOLE may stand. Raises UnreadableError."""
    root, source = tree(command, HOLE if holes else "")
    if root.has_error:
        raise UnreadableError("is no bash that can be read for certain")
    check(root, source)
    return root


def check(root: Node, source: bytes) -> None:
    """Raises UnreadableError where the tree may not be what the shell reads."""
    nodes, waiting = 0, [(root, 0)]
    if _BLANK.fullmatch(source[: root.start_byte]) is None or not _blank(source[root.end_byte :]):
        raise UnreadableError("holds text that belongs to no command")
    while waiting:
        node, depth = waiting.pop()
        nodes += 1
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise UnreadableError("is too long or too deeply nested")
        if node.is_missing or node.is_error:
            raise UnreadableError("is no bash that can be read for certain")
        if node.type == "test_command" and not _is_one_test(node):
            raise UnreadableError("has brackets that cannot be read for certain")
        if node.type == "heredoc_redirect" and _starts_a_command(node):
            raise UnreadableError("has a command behind a here-document, which cannot be read for certain")
        if not node.children:
            _check_leaf(node)
        elif node.type not in _TEXTS:
            _check_gaps(node, source)
        waiting += [(child, depth + 1) for child in node.children]


def _is_one_test(node: Node) -> bool:
    """Is all of a test command what the shell takes for it?

    `[ a || b ]` is one test to the grammar. To the shell it is two commands, the second of which is `b ]`.
    """
    if not node.children or node.children[0].type != "[":
        return True
    at, waiting = node.start_byte, [*reversed(node.children)]
    text = node.text or b""
    while waiting:
        part = waiting.pop()
        if part.children and part.type not in _WHOLE:
            waiting += reversed(part.children)
            continue
        if b"\n" in text[at - node.start_byte : part.start_byte - node.start_byte].replace(b"\\\n", b""):
            return False
        at = part.end_byte
        if part.type not in _WHOLE and not (
            _ODD_WORD.match(text_of(part)) is None if part.is_named else part.type in _TEST_SIGNS
        ):
            return False
    return True


def _starts_a_command(document: Node) -> bool:
    """Do the words behind a here-document's name begin a command, rather than go on with one?"""
    body = document.parent and document.parent.child_by_field_name("body")
    goes_on = body is not None and body.type == "command"
    return not goes_on and bool(document.children_by_field_name("argument"))


def _blank(text: bytes) -> bool:
    return _BLANK.fullmatch(text) is not None


def _check_gaps(node: Node, source: bytes) -> None:
    """Between the parts of a node there is nothing; around a concatenation's not even blanks."""
    at = node.start_byte
    for child in node.children:
        gap = source[at : child.start_byte]
        if gap and not _blank(gap) and not (child.type == "heredoc_redirect" and _dropped_dash(gap)):
            raise UnreadableError("holds text that belongs to no command")
        if gap and node.type == "variable_assignment":
            raise UnreadableError("has an assignment in pieces, which cannot be read for certain")
        if node.type in _ONE_LINE and b"\n" in gap.replace(b"\\\n", b""):
            raise UnreadableError("has a command over two lines, which cannot be read for certain")
        if gap and not gap.replace(b"\\\n", b"") and _joins(source, at, child.start_byte):
            raise UnreadableError("has a word over two lines, which cannot be read for certain")
        at = max(at, child.end_byte)
    if not _blank(source[at : node.end_byte]):
        raise UnreadableError("holds text that belongs to no command")


def _joins(source: bytes, end: int, start: int) -> bool:
    """Would what stands before and after a backslash at a line's end be one word, or one sign, to the shell?"""
    before, after = source[end - 1 : end], source[start : start + 1]
    return bool(before) and not before.isspace() and not (before in b";&|" and after not in b";&|")


def _dropped_dash(gap: bytes) -> bool:
    """Is it the lone dash that the grammar drops before a here-document (`python - <<EOF`)?"""
    return re.fullmatch(rb"[ \t]+-[ \t]*", gap) is not None


def dash_before(node: Node) -> bool:
    """Does the grammar drop a dash before this here-document?"""
    before, whole = node.prev_sibling, node.parent
    if node.type != "heredoc_redirect" or before is None or whole is None or not whole.text:
        return False
    return _dropped_dash(whole.text[before.end_byte - whole.start_byte : node.start_byte - whole.start_byte])


def _check_leaf(node: Node) -> None:
    text = text_of(node)
    if node.type == "word" and _ODD_WORD.match(text.replace("\\\n", "")) and not _only_braces(text):
        raise UnreadableError(f"has a word that cannot be read for certain: {text[:40]}")
    if node.type in _QUOTED and not _QUOTED[node.type].fullmatch(text):
        raise UnreadableError(f"has quotes that cannot be read for certain: {text[:40]}")
    if node.type in {"string_content", "heredoc_content"} and _ODD_TEXT.match(text):
        raise UnreadableError("has a text that cannot be read for certain")


def _only_braces(text: str) -> bool:
    return text in {"{", "}", "(", ")"}


def text_of(node: Node) -> str:
    """The node's own text."""
    return (node.text or b"").decode("utf-8", "replace")
