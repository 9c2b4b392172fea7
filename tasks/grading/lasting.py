"""Grading tests made to go on to their end: an assertion that fails is kept, and raised when the test is over.

    assert total() == 1247          →   kept = []
    ledger.clear()                      try:
                                            try:
                                                assert total() == 1247
                                            except AssertionError as failure:
                                                kept.append(failure)
                                            ledger.clear()
                                        finally:
                                            if kept:
                                                raise kept[0]

A twin fails where its test passes. Breaking off there, it would leave undone what the test does after it, and the
tests that follow in its process would find what no honest run leaves. The statements that can be turned round are
kept in every test, twin or not, so that nothing is told by it.
"""

from __future__ import annotations

import ast

from agent.parsing import parse
from tasks.grading.assertions import Function, certain, last_name

_KEPT, _FAILURE = "_bridle_kept", "_bridle_failure"
_FRAME = f"""
{_KEPT} = []
try:
    pass
finally:
    if {_KEPT}:
        raise {_KEPT}[0]
"""
_KEEP = f"""
try:
    pass
except EXPECTED as {_FAILURE}:
    {_KEPT}.append({_FAILURE})
"""


def make_lasting(tree: ast.Module) -> None:
    """Make every function of a test file go on to its end, as far as its assertions are concerned."""
    for node in ast.walk(tree):
        if isinstance(node, Function) and not _yields(node):
            _last(node)


def _yields(function: Function) -> bool:
    return any(isinstance(each, ast.Yield | ast.YieldFrom) for each in ast.walk(function))


def _last(function: Function) -> None:
    found = {node: error for node in certain(function.body) if (error := _expected(node)) is not None}
    if not found or next(iter(found)) is function.body[-1]:  # nothing comes after it
        return
    start = 1 if ast.get_docstring(function, clean=False) is not None else 0
    keeping = _Keeping(found)
    body = [keeping.visit(node) for node in function.body[start:]]
    first, frame = parse(_FRAME).body
    assert isinstance(frame, ast.Try)
    frame.body = [node for node in body if isinstance(node, ast.stmt)]
    function.body[start:] = [first, frame]


def _expected(node: ast.stmt) -> str | None:
    """What a statement raises when its assertion fails, or when it is turned round; None where it has none."""
    if isinstance(node, ast.Assert):
        return "AssertionError"
    if isinstance(node, ast.With) and len(node.items) == 1:
        return "Exception" if _refuses(node.items[0].context_expr) else None
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return "Exception" if _refuses(node.value) else "AssertionError"
    return None


def _refuses(node: ast.expr) -> bool:
    """`pytest.raises(…)` and its like: turned round, it lets through what it waited for."""
    names = ("raises", "assertRaises", "assertRaisesRegex")
    return isinstance(node, ast.Call) and last_name(node.func) in names


class _Keeping(ast.NodeTransformer):
    """Puts a `try` around statements."""

    def __init__(self, found: dict[ast.stmt, str]) -> None:
        self._found = found

    def visit(self, node: ast.AST) -> ast.AST:
        """Whatever it is: those that were found, wherever they stand."""
        if isinstance(node, ast.stmt) and node in self._found:
            (kept,) = parse(_KEEP).body
            assert isinstance(kept, ast.Try)
            kept.body, kept.handlers[0].type = [node], ast.Name(id=self._found[node], ctx=ast.Load())
            return kept
        return node if isinstance(node, Function | ast.ClassDef | ast.expr) else self.generic_visit(node)
