"""Grading tests made strict before they are sent into a sandbox: `a == b` asks more than whether `a` says yes, and
a test that fails goes on to its end (see `lasting`).

The rewriting is done on the host, on the task's own files, which are parsed and not run.
"""

from __future__ import annotations

import ast

from agent.parsing import parse
from tasks.grading.lasting import make_lasting


def helper_name(place: str) -> str:
    """The module that `tasks/grading/inside/strict_equality.py` is sent as, beside the tests at `place`.

    Another one in each run: nothing of the workspace can be called like it.
    """
    return f"_bridle_{place}"


def strict(source: str, helper: str) -> str:
    """The test file with every plain `a == b` asked strictly, its tests lasting; as it is when it is no Python."""
    try:
        tree = parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return source
    make_lasting(tree)
    tree = ast.fix_missing_locations(_Strict(helper).visit(tree))
    place = _after_head(tree.body)
    imported = ast.Import(names=[ast.alias(name=helper, asname=None)])
    tree.body.insert(place, imported)
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


class _Strict(ast.NodeTransformer):
    def __init__(self, helper: str) -> None:
        self._helper = helper

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """`a == b` becomes a call; chains and other operators stay."""
        self.generic_visit(node)
        if len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq):
            return node
        helper = ast.Attribute(value=ast.Name(id=self._helper, ctx=ast.Load()), attr="equal", ctx=ast.Load())
        call = ast.Call(func=helper, args=[node.left, node.comparators[0]], keywords=[])
        return ast.copy_location(call, node)


def _after_head(body: list[ast.stmt]) -> int:
    """Where an import may stand: after the docstring and what comes from the future."""
    place = 0
    for statement in body:
        text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        if not text and not future:
            break
        place += 1
    return place
