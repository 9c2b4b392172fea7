"""Wrong operators, and bounds that are off by one."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tasks.making.edits import Edit
from tasks.making.mutations.text import Place, Text

ARITHMETIC: dict[type[ast.operator], tuple[bytes, bytes]] = {
    ast.Add: (b"+", b"-"),
    ast.Sub: (b"-", b"+"),
    ast.Mult: (b"*", b"+"),
    ast.FloorDiv: (b"//", b"%"),
    ast.Div: (b"/", b"*"),
    ast.Mod: (b"%", b"//"),
    ast.Pow: (b"**", b"*"),
}
BITWISE: dict[type[ast.operator], tuple[bytes, bytes]] = {
    ast.BitAnd: (b"&", b"|"),
    ast.BitOr: (b"|", b"&"),
    ast.BitXor: (b"^", b"|"),
    ast.LShift: (b"<<", b">>"),
    ast.RShift: (b">>", b"<<"),
}
COMPARISONS: dict[type[ast.cmpop], tuple[bytes, tuple[bytes, ...]]] = {
    ast.Lt: (b"<", (b"<=", b">")),
    ast.LtE: (b"<=", (b"<", b">=")),
    ast.Gt: (b">", (b">=", b"<")),
    ast.GtE: (b">=", (b">", b"<=")),
    ast.Eq: (b"==", (b"!=",)),
    ast.NotEq: (b"!=", (b"==",)),
    ast.In: (b"in", (b"not in",)),
    ast.NotIn: (b"not in", (b"in",)),
    ast.Is: (b"is", (b"is not",)),
    ast.IsNot: (b"is not", (b"is",)),
}


def operators(text: Text, place: Place) -> Iterator[tuple[str, Edit]]:
    """`+` for `-`, `<` for `<=`, `and` for `or`."""
    node = place.node
    if isinstance(node, ast.BinOp):
        yield from _binary(text, node.left, node.right, node.op, b"")
    elif isinstance(node, ast.AugAssign):
        yield from _binary(text, node.target, node.value, node.op, b"=")
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        old, others = COMPARISONS[type(node.ops[0])]
        for new in others:
            if edit := text.between(node.left, node.comparators[0], old, new):
                yield "comparison", edit
    elif isinstance(node, ast.BoolOp) and len(node.values) == 2:
        old, new = (b"and", b"or") if isinstance(node.op, ast.And) else (b"or", b"and")
        if edit := text.between(node.values[0], node.values[1], old, new):
            yield "boolean", edit


def _binary(
    text: Text, left: ast.expr, right: ast.expr, operator: ast.operator, tail: bytes
) -> Iterator[tuple[str, Edit]]:
    formatting = isinstance(operator, ast.Mod) and isinstance(left, ast.Constant | ast.JoinedStr)
    for kind, table in (("arithmetic", ARITHMETIC), ("bitwise", BITWISE)):
        if type(operator) in table and not formatting:
            old, new = table[type(operator)]
            if edit := text.between(left, right, old + tail, new + tail):
                yield kind, edit


def off_by_one(text: Text, place: Place) -> Iterator[tuple[str, Edit]]:
    """Numbers one too large or too small, and slices and ranges that begin late or end early."""
    node = place.node
    above = place.above[-1] if place.above else None
    if isinstance(node, ast.Constant) and type(node.value) is int and place.function is not None:
        if node.value > 1000 or not text.of(node).isdigit():
            return
        negative = isinstance(above, ast.UnaryOp) and isinstance(above.op, ast.USub)
        yield "off by one", text.replace(node, str(node.value + 1).encode())
        if node.value > 1 or (node.value == 1 and not negative):
            yield "off by one", text.replace(node, str(node.value - 1).encode())
    elif isinstance(node, ast.Slice):
        for bound, sign in ((node.lower, b" + 1"), (node.upper, b" - 1")):
            if bound is not None and not isinstance(bound, ast.Constant | ast.UnaryOp):
                yield "bound", text.replace(bound, _closed(text, bound) + sign)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        stop = node.args[0] if len(node.args) == 1 else node.args[1] if len(node.args) > 1 else None
        if stop is not None and not isinstance(stop, ast.Constant | ast.Starred):
            yield "bound", text.replace(stop, _closed(text, stop) + b" - 1")
            yield "bound", text.replace(stop, _closed(text, stop) + b" + 1")


def _closed(text: Text, node: ast.expr) -> bytes:
    simple = isinstance(node, ast.Name | ast.Call | ast.Attribute | ast.Subscript)
    return text.of(node) if simple else b"(" + text.of(node) + b")"
