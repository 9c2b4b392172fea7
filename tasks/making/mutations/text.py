"""The source text behind a syntax tree: where a node's bytes are, and what stands between two nodes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.parsing import parse
from tasks.making.edits import Edit

Function = ast.FunctionDef | ast.AsyncFunctionDef
Located = ast.expr | ast.stmt | ast.excepthandler
_COMMENT = re.compile(rb"#[^\n]*")


class Mutation(NamedTuple):
    """One bug: its kind, the function it is in (`Class.name`; empty for module level), its line, its edits."""

    path: str
    kind: str
    function: str
    line: int
    edits: tuple[Edit, ...]


class Place(NamedTuple):
    """A node of the tree with the function around it and the nodes above it, outermost first."""

    node: ast.AST
    function: Function | None
    qualname: str
    above: tuple[ast.AST, ...]


class Bound(NamedTuple):
    """A variable, and the part of the text (from `start` up to `end`) where it has a value."""

    name: str
    start: int
    end: int


@dataclass
class Text:
    """A Python file: its bytes and its tree. Raises ValueError for what is no Python in UTF-8."""

    path: str
    source: bytes
    tree: ast.Module = field(init=False)

    def __post_init__(self) -> None:
        try:
            self.source.decode("utf-8")
            self.tree = parse(self.source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ValueError(f"{self.path} is no Python in UTF-8: {error}") from error
        if self.source.startswith(b"\xef\xbb\xbf"):
            raise ValueError(f"{self.path} begins with a byte order mark")
        if b"\r" in self.source.replace(b"\r\n", b"\n") or b"\f" in self.source:
            raise ValueError(f"{self.path} has line ends that are not counted alike everywhere")
        self._bound: dict[int, list[Bound]] = {}
        self._starts = [0, *(found.end() for found in re.finditer(rb"\n", self.source))]

    def start(self, node: Located) -> int:
        """The offset of a node's first byte; decorators do not count."""
        return self._starts[node.lineno - 1] + node.col_offset

    def end(self, node: Located) -> int:
        """The offset after a node's last byte."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._starts[node.end_lineno - 1] + node.end_col_offset

    def line_start(self, node: Located) -> int:
        """The offset of the line that a node begins on."""
        return self._starts[node.lineno - 1]

    def line_end(self, node: Located) -> int:
        """The offset after the line that a node ends on."""
        assert node.end_lineno is not None
        return self._starts[node.end_lineno] if node.end_lineno < len(self._starts) else len(self.source)

    def of(self, node: Located) -> bytes:
        """A node's own text."""
        return self.source[self.start(node) : self.end(node)]

    def replace(self, node: Located, text: bytes) -> Edit:
        """The edit that puts `text` in a node's place."""
        return Edit(self.start(node), self.end(node), text)

    def between(self, left: ast.expr, right: ast.expr, old: bytes, new: bytes) -> Edit | None:
        """The edit of the operator between two nodes; None where it is not found as it should be."""
        start, end = self.end(left), self.start(right)
        gap = _COMMENT.sub(lambda found: b" " * len(found[0]), self.source[start:end])
        words = re.compile(rb"\s+".join(re.escape(word) for word in old.split()))
        found = list(words.finditer(gap))
        if len(found) != 1:
            return None
        return Edit(start + found[0].start(), start + found[0].end(), new)

    def bound(self, function: Function) -> list[Bound]:
        """The variables of a function, and from where to where in the text each has a value."""
        if id(function) not in self._bound:
            self._bound[id(function)] = list(_bound(self, function))
        return self._bound[id(function)]

    def places(self) -> Iterator[Place]:
        """Every node, in the order of the text; not those of annotations, f-strings and type declarations."""
        yield from _walk(self.tree, None, "", ())


def _walk(node: ast.AST, function: Function | None, name: str, above: tuple[ast.AST, ...]) -> Iterator[Place]:
    yield Place(node, function, name, above)
    inner, inner_name = function, name
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        inner_name = f"{name}.{node.name}" if name else node.name
        inner = function if isinstance(node, ast.ClassDef) else node
    for label, value in ast.iter_fields(node):
        if label in ("annotation", "returns", "decorator_list", "type_params", "bases"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr | ast.expr_context):
                yield from _walk(child, inner, inner_name, (*above, node))


def _bound(text: Text, function: Function) -> Iterator[Bound]:
    end, own = text.end(function), function.args
    for argument in (*own.posonlyargs, *own.args, *own.kwonlyargs):
        yield Bound(argument.arg, text.start(function.body[0]), end)
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            yield from (Bound(each.id, text.end(node), end) for each in node.targets if isinstance(each, ast.Name))
        elif isinstance(node, ast.For):
            names = [each.id for each in ast.walk(node.target) if isinstance(each, ast.Name)]
            yield from (Bound(name, text.start(node.body[0]), text.end(node)) for name in names)
