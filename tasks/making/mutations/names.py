"""A variable in the place of another one of the same function."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tasks.making.edits import Edit
from tasks.making.mutations.text import Place, Text


def wrong_names(text: Text, place: Place) -> Iterator[tuple[str, Edit]]:
    """The nearest other variable of the function that has a value by then."""
    node = place.node
    if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load) or place.function is None:
        return
    above = place.above[-1]
    if isinstance(above, ast.Call) and above.func is node:
        return
    here = text.start(node)
    bound = text.bound(place.function)
    known = [each.name for each in bound if each.start <= here < each.end]
    others = [name for name in known if name not in (node.id, "self", "cls", "_")]
    if node.id in known and node.id != "self" and others:
        yield "wrong variable", text.replace(node, others[-1].encode())
