"""Conditions that are turned round or forget a part, and cases that are missing."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import TypeGuard

from tasks.making.edits import Edit
from tasks.making.mutations.text import Place, Text


def conditions(text: Text, place: Place) -> Iterator[tuple[str, Edit]]:
    """A condition negated, without one of its parts, or with the two answers swapped."""
    node = place.node
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        test = node.test
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            yield "condition", text.replace(test, b"(" + text.of(test.operand) + b")")
        elif not isinstance(test, ast.Compare) and not isinstance(node, ast.While):
            yield "condition", text.replace(test, b"not (" + text.of(test) + b")")
    if isinstance(node, ast.BoolOp):
        for left_out in node.values:
            rest = [b"(" + text.of(each) + b")" for each in node.values if each is not left_out]
            word = b" and " if isinstance(node.op, ast.And) else b" or "
            yield "dropped condition", text.replace(node, b"(" + word.join(rest) + b")")
    if isinstance(node, ast.IfExp):
        one, other = b"(" + text.of(node.orelse) + b")", b"(" + text.of(node.body) + b")"
        swapped = one + b" if " + text.of(node.test) + b" else " + other
        yield "swapped branches", text.replace(node, b"(" + swapped + b")")
    if isinstance(node, ast.comprehension) and node.ifs and len(node.ifs) == 1:
        yield "dropped condition", text.replace(node.ifs[0], b"True")


def missing_cases(text: Text, place: Place) -> Iterator[tuple[str, Edit]]:
    """An `elif`, an `else`, an `except`, a guard or a statement that nobody wrote."""
    node = place.node
    if isinstance(node, ast.If):
        yield from _branches(text, node, place)
    elif isinstance(node, ast.Try) and len(node.handlers) > 1:
        for handler in node.handlers:
            yield "missing except", Edit(text.line_start(handler), text.line_end(handler), b"")
    elif isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Tuple) and len(node.type.elts) > 1:
        for left_out in node.type.elts:
            rest = [text.of(each) for each in node.type.elts if each is not left_out]
            yield "missing except", text.replace(node.type, b"(" + b", ".join(rest) + b",)")
    elif place.function is not None and _has_effect(node):
        yield "missing statement", Edit(text.start(node), text.end(node), b"pass")


def _has_effect(node: ast.AST) -> TypeGuard[ast.stmt]:
    return isinstance(node, ast.AugAssign) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))


def _branches(text: Text, node: ast.If, place: Place) -> Iterator[tuple[str, Edit]]:
    is_elif = text.source[text.start(node) :].startswith(b"elif")
    body_end = text.end(node.body[-1])
    if is_elif:
        # What stands between the branch before and this one goes too: a comment there is about this case.
        yield "missing case", Edit(text.line_start(node), text.line_end(node.body[-1]), b"")
        return
    if place.function is None:
        return
    if not node.orelse and _leaves(node.body):
        yield "missing guard", Edit(text.start(node), body_end, b"pass")
    elif not node.orelse:
        yield "missing case", Edit(text.start(node), body_end, b"pass")
    elif len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
        after = node.orelse[0]
        if text.source[text.start(after) :].startswith(b"elif"):
            # `if A: … elif B: …` becomes `if B: …`.
            yield "missing case", Edit(text.start(node), text.start(after) + len(b"el"), b"")


def _leaves(body: Sequence[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)
