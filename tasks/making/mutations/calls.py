"""Calls of the wrong function, with the wrong arguments, or left out."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tasks.making.edits import Edit
from tasks.making.mutations.text import Place, Text

_PAIRS = (
    ("append", "extend"),
    ("min", "max"),
    ("any", "all"),
    ("lower", "upper"),
    ("lstrip", "rstrip"),
    ("startswith", "endswith"),
    ("find", "rfind"),
    ("index", "rindex"),
    ("split", "rsplit"),
    ("partition", "rpartition"),
    ("ljust", "rjust"),
    ("removeprefix", "removesuffix"),
    ("add", "discard"),
    ("popleft", "pop"),
    ("appendleft", "append"),
    ("keys", "values"),
    ("ceil", "floor"),
    ("bisect_left", "bisect_right"),
    ("insort_left", "insort_right"),
    ("union", "intersection"),
    ("issubset", "issuperset"),
    ("match", "search"),
    ("chain", "zip"),
    ("takewhile", "dropwhile"),
)
SWAPS = {one: other for pair in _PAIRS for one, other in (pair[::-1], pair)}
SWAPS |= {"strip": "lstrip", "sorted": "list", "isdigit": "isalpha"}
DROPPED_FUNCTIONS = frozenset({"sorted", "reversed", "list", "tuple", "set", "int", "str", "abs", "float", "bool"})
DROPPED_METHODS = frozenset({"strip", "lstrip", "rstrip", "lower", "upper", "copy", "casefold", "title"})


def calls(text: Text, place: Place) -> Iterator[tuple[str, Edit]]:
    """`max` for `min`, `extend` for `append`; or the call is left out and its argument stays."""
    node = place.node
    if not isinstance(node, ast.Call):
        return
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if name in SWAPS:
        end = text.end(node.func)
        yield "swapped call", Edit(end - len(name.encode()), end, SWAPS[name].encode())
    plain = len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred)
    if isinstance(node.func, ast.Name) and name in DROPPED_FUNCTIONS and plain:
        if not isinstance(node.args[0], ast.GeneratorExp):
            yield "dropped call", text.replace(node, b"(" + text.of(node.args[0]) + b")")
    elif isinstance(node.func, ast.Attribute) and name in DROPPED_METHODS and not node.args and not node.keywords:
        yield "dropped call", text.replace(node, text.of(node.func.value))


def arguments(text: Text, place: Place) -> Iterator[tuple[str, Edit]]:
    """Two arguments swapped, one left out, or another default."""
    node = place.node
    if isinstance(node, ast.Call):
        positional = [each for each in node.args if not isinstance(each, ast.Starred)]
        told_by_place = ast.unparse(node.func) in ("isinstance", "issubclass", "getattr", "hasattr", "setattr")
        if len(positional) == len(node.args) and len(node.args) >= 2 and not told_by_place:
            one, other = node.args[0], node.args[1]
            if text.of(one) != text.of(other) and not isinstance(one, ast.GeneratorExp):
                both = text.of(other) + text.source[text.end(one) : text.start(other)] + text.of(one)
                yield "swapped arguments", Edit(text.start(one), text.end(other), both)
        if node.keywords and node.keywords[-1].arg is not None:
            before = [*node.args, *(each.value for each in node.keywords[:-1])]
            if before:
                start = max(text.end(each) for each in before)
                yield "dropped argument", Edit(start, text.end(node.keywords[-1].value), b"")
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for default in [*node.args.defaults, *(each for each in node.args.kw_defaults if each is not None)]:
            yield from _default(text, default)


def _default(text: Text, node: ast.expr) -> Iterator[tuple[str, Edit]]:
    if not isinstance(node, ast.Constant):
        return
    if isinstance(node.value, bool):
        yield "default", text.replace(node, str(not node.value).encode())
    elif type(node.value) is int and text.of(node).isdigit():
        yield "default", text.replace(node, str(node.value + 1).encode())
