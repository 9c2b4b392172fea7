"""Assertions in the body of a grading test, and each way to turn one round. Pure functions over syntax trees."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

from agent.parsing import parse
from tasks.grading.values import is_telling, other_than

OTHER_ERRORS = ("BufferError", "FloatingPointError", "EOFError", "StopAsyncIteration")
_FLIPS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_PAIRS = (
    ("assertEqual", "assertNotEqual"),
    ("assertTrue", "assertFalse"),
    ("assertIn", "assertNotIn"),
    ("assertIs", "assertIsNot"),
    ("assertIsNone", "assertIsNotNone"),
    ("assertIsInstance", "assertNotIsInstance"),
    ("assertAlmostEqual", "assertNotAlmostEqual"),
    ("assertRegex", "assertNotRegex"),
    ("assertGreater", "assertLessEqual"),
    ("assertLess", "assertGreaterEqual"),
)
_METHODS = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
EQUALITIES = frozenset(
    f"assert{kind}Equal" for kind in ("", "Dict", "List", "Tuple", "Set", "MultiLine", "Sequence")
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Change(NamedTuple):
    """A way to turn an assertion round: better ones first.

    2 when nothing but a value changes, 1 when it is a value that many tests expect (see `is_telling`), 0 else.
    """

    worth: int
    make: Callable[[], None]


def best(found: list[Change]) -> list[Change]:
    """Those that are worth most."""
    return [each for each in found if each.worth == max(other.worth for other in found)]


def certain(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run whenever the test passes, each at least once."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef):
            continue
        if isinstance(node, ast.With | ast.AsyncWith):
            yield node
            if not any(_swallows(item) for item in node.items):
                yield from certain(node.body)
        elif isinstance(node, ast.For) and _goes_round(node):
            yield from certain(node.body)
        else:
            yield node
        if any(isinstance(each, ast.Return) for each in _own(node)):
            return


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """A statement's nodes without those of functions within."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.Lambda | ast.ClassDef):
            yield from _own(child)


def _goes_round(node: ast.For) -> bool:
    """Is a loop's whole body run at least once?"""
    leaves = any(isinstance(each, ast.Break | ast.Continue) for each in _own(node))
    some = isinstance(node.iter, ast.Tuple | ast.List) and bool(node.iter.elts)
    return (
        some and not leaves and not any(isinstance(each, ast.Starred) for each in getattr(node.iter, "elts", ()))
    )


def _swallows(item: ast.withitem) -> bool:
    """May what comes in a `with` not be reached? Said of all but a few that are known to let it through."""
    call = item.context_expr
    name = call.func if isinstance(call, ast.Call) else call
    last = name.attr if isinstance(name, ast.Attribute) else name.id if isinstance(name, ast.Name) else ""
    return last not in ("open", "TemporaryDirectory", "subTest", "context", "chdir", "patch", "catch_warnings")


def changes(node: ast.stmt, rng: random.Random) -> Iterator[Change]:
    if isinstance(node, ast.Assert):
        yield from _of_assert(node, rng)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield from _of_method(node.value, rng)
    elif isinstance(node, ast.With) and len(node.items) == 1:
        call = node.items[0].context_expr
        if isinstance(call, ast.Call) and last_name(call.func) in ("raises", "assertRaises") and call.args:
            other = ast.Name(id=rng.choice(OTHER_ERRORS), ctx=ast.Load())
            yield Change(0, lambda: call.args.__setitem__(0, other))


def _of_assert(node: ast.Assert, rng: random.Random) -> Iterator[Change]:
    test = node.test
    for part in test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]:
        yield from _of_equality(part, rng)
    flip = _FLIPS.get(type(test.ops[0])) if isinstance(test, ast.Compare) and len(test.ops) == 1 else None
    if flip is not None and isinstance(test, ast.Compare):
        yield Change(0, lambda: test.ops.__setitem__(0, flip()))
        return
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        yield Change(0, lambda: setattr(node, "test", test.operand))
        return
    yield Change(0, lambda: setattr(node, "test", ast.UnaryOp(op=ast.Not(), operand=test)))


def _of_equality(test: ast.expr, rng: random.Random) -> Iterator[Change]:
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
        for place, worth, new in _other_values([test.left, test.comparators[0]], rng):
            yield Change(worth, lambda p=place, n=new: _put_side(test, p, n))  # type: ignore[misc]


def _of_method(call: ast.Call, rng: random.Random) -> Iterator[Change]:
    """`self.assertEqual(…)` and its like."""
    function = call.func
    if not isinstance(function, ast.Attribute) or not function.attr.startswith("assert"):
        return
    if function.attr in EQUALITIES and len(call.args) >= 2:
        for place, worth, new in _other_values(call.args[:2], rng):
            yield Change(worth, lambda p=place, n=new: call.args.__setitem__(p, n))  # type: ignore[misc]
    if function.attr in ("assertRaises", "assertRaisesRegex") and len(call.args) >= 2:
        other = ast.Name(id=rng.choice(OTHER_ERRORS), ctx=ast.Load())
        yield Change(0, lambda: call.args.__setitem__(0, other))
    elif (name := _METHODS.get(function.attr)) is not None:
        yield Change(0, lambda: setattr(function, "attr", name))


def _put_side(test: ast.Compare, place: int, new: ast.expr) -> None:
    if place:
        test.comparators[0] = new
    else:
        test.left = new


def _other_values(sides: list[ast.expr], rng: random.Random) -> Iterator[tuple[int, int, ast.expr]]:
    """Which of two sides is a plain value, its worth, and another in its place; nothing for both or none."""
    values = [value_of(side) for side in sides]
    plain = [(place, value[0]) for place, value in enumerate(values) if value is not None]
    if len(plain) == 1:
        place, value = plain[0]
        new = other_than(value, rng)
        if new is not None:
            yield place, worth_of(value), literal(new)


def worth_of(value: Any) -> int:
    """See Change."""
    return 2 if is_telling(value) else 1


def literal(value: Any) -> ast.expr:
    """The value as it would be written."""
    (statement,) = parse(repr(value)).body
    return cast("ast.Expr", statement).value


def value_of(node: ast.expr) -> tuple[Any] | None:
    """The value of a literal, as a tuple of one."""
    try:
        return (ast.literal_eval(node),)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def last_name(function: ast.expr) -> str:
    """`raises` of `pytest.raises`."""
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
