"""Twins of grading tests: the same test with one assertion turned round, so that what is right makes it fail.

    assert total() == 1250   →   assert total() == 1247

A program that makes every result come out as passed passes the twin, too, and so does one that looks up in the
test what it is expected to return. Nothing but the value tells a twin from the test: without solving the task it
can only be guessed. Where no plain value is compared, the assertion is turned round (`in` to `not in`, another
exception); that reads like a test as well, but a program could have an opinion about it.

The rewriting is done on the host, on the task's own files, which are parsed and not run. A twin is only made of
what is certain to be reached in a test that passes, so that no honest solution passes one.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, cast

from agent.parsing import parse

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
_EQUALITIES = frozenset(
    f"assert{kind}Equal" for kind in ("", "Dict", "List", "Tuple", "Set", "MultiLine", "Sequence")
)
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Functions = dict[str, _Function]


class _Change(NamedTuple):
    """A way to turn an assertion round. `plain` when nothing but a value changes."""

    plain: bool
    make: Callable[[], None]


def units(source: str, names: Iterable[str]) -> dict[str, str]:
    """For each test (`test_one`, `TestIt::test_one`) what it is turned round with: the function that defines it.

    Tests that a class inherits within the file share one. A name that is not found in the file is its own.
    """
    tree = _parsed(source)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)} if tree else {}
    return {name: _defining(name, classes) for name in names}


def turned(source: str, chosen: Iterable[str], rng: random.Random) -> str:
    """The test file with the functions `chosen` (of `units`) turned round. What is no Python stays as it is."""
    tree = _parsed(source)
    if tree is None:
        return source
    known = _functions(tree)
    constants = _constants(tree)
    for name in chosen:
        if (function := known.get(name)) is not None:
            _turn(function, constants, rng)
        else:
            tree.body += _wrapped(name)
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def named_tests(source: str) -> frozenset[str]:
    """The tests that a file defines: functions that are called like one, methods with their class's name."""
    tree = _parsed(source)
    names = _functions(tree) if tree else ()
    return frozenset(name for name in names if name.rpartition("::")[2].startswith("test"))


def with_values(source: str) -> frozenset[str]:
    """Of `named_tests` those whose twin differs in nothing but a value."""
    tree = _parsed(source)
    if tree is None:
        return frozenset()
    known, constants, rng = _functions(tree), _constants(tree), random.Random(0)  # noqa: S311 -- none is kept
    return frozenset(
        name
        for name in named_tests(source)
        if any(change.plain for node in _certain(known[name].body) for change in _changes(node, constants, rng))
    )


def _parsed(source: str) -> ast.Module | None:
    try:
        return parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _functions(tree: ast.Module) -> _Functions:
    """Test functions by their name, methods with their class's."""
    found: _Functions = {}

    def walk(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                walk(node.body, f"{prefix}{node.name}::")
            elif isinstance(node, _Function):
                found[prefix + node.name] = node

    walk(tree.body, "")
    return found


def _defining(name: str, classes: dict[str, ast.ClassDef], depth: int = 10) -> str:
    """The class that a method comes from, as far as the file tells."""
    owner, separator, method = name.rpartition("::")
    node = classes.get(owner)
    if not separator or node is None or not depth:
        return name
    if any(isinstance(each, _Function) and each.name == method for each in node.body):
        return name
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in classes:
            found = _defining(f"{base.id}::{method}", classes, depth - 1)
            if found.rpartition("::")[0] != base.id or any(
                isinstance(each, _Function) and each.name == method for each in classes[base.id].body
            ):
                return found
    return name


def _turn(function: _Function, constants: dict[str, Any], rng: random.Random) -> None:
    changes = [change for node in _certain(function.body) for change in _changes(node, constants, rng)]
    best = [change for change in changes if change.plain] or changes
    if best:
        rng.choice(best).make()
        return
    failing = parse(f"assert __name__ == {str(rng.randrange(10**6))!r}").body
    returns = any(isinstance(node, ast.Return) for node in ast.walk(function))
    function.body[:] = [*failing, *function.body] if returns else [*function.body, *failing]


def _wrapped(name: str) -> list[ast.stmt]:
    """For a test that the file does not define: a wrapper that lets it pass first."""
    owner, _, last = name.replace("::", ".").rpartition(".")
    place = f"{owner}.{last}" if owner else last
    return parse(
        f"""
def _{last}(inner):
    import functools
    @functools.wraps(inner)
    def test(*args, **kwargs):
        inner(*args, **kwargs)
        assert not args and kwargs is None
    return test
{place} = _{last}({place})
"""
    ).body


def _certain(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run whenever the test passes, each at least once."""
    for node in body:
        if isinstance(node, ast.With | ast.AsyncWith):
            yield node
            if not any(_swallows(item) for item in node.items):
                yield from _certain(node.body)
        elif isinstance(node, ast.For) and _goes_round(node):
            yield from _certain(node.body)
        else:
            yield node
        if any(isinstance(each, ast.Return) for each in _own(node)):
            return


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """A statement's nodes without those of functions within."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _Function | ast.Lambda | ast.ClassDef):
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


def _changes(node: ast.stmt, constants: dict[str, Any], rng: random.Random) -> Iterator[_Change]:
    if isinstance(node, ast.Assert):
        yield from _of_assert(node, constants, rng)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield from _of_method(node.value, constants, rng)
    elif isinstance(node, ast.With) and len(node.items) == 1:
        call = node.items[0].context_expr
        if isinstance(call, ast.Call) and _last(call.func) in ("raises", "assertRaises") and call.args:
            other = ast.Name(id=rng.choice(OTHER_ERRORS), ctx=ast.Load())
            yield _Change(False, lambda: call.args.__setitem__(0, other))


def _of_assert(node: ast.Assert, constants: dict[str, Any], rng: random.Random) -> Iterator[_Change]:
    test = node.test
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        if isinstance(test.ops[0], ast.Eq):
            sides = [test.left, test.comparators[0]]
            for place, new in _other_values(sides, constants, rng):
                yield _Change(True, lambda p=place, n=new: _put_side(test, p, n))  # type: ignore[misc]
        if (flip := _FLIPS.get(type(test.ops[0]))) is not None:
            yield _Change(False, lambda: test.ops.__setitem__(0, flip()))
            return
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        yield _Change(False, lambda: setattr(node, "test", test.operand))
        return
    yield _Change(False, lambda: setattr(node, "test", ast.UnaryOp(op=ast.Not(), operand=test)))


def _of_method(call: ast.Call, constants: dict[str, Any], rng: random.Random) -> Iterator[_Change]:
    """`self.assertEqual(…)` and its like."""
    function = call.func
    if not isinstance(function, ast.Attribute) or not function.attr.startswith("assert"):
        return
    if function.attr in _EQUALITIES and len(call.args) >= 2:
        for place, new in _other_values(call.args[:2], constants, rng):
            yield _Change(True, lambda p=place, n=new: call.args.__setitem__(p, n))  # type: ignore[misc]
    if function.attr in ("assertRaises", "assertRaisesRegex") and len(call.args) >= 2:
        other = ast.Name(id=rng.choice(OTHER_ERRORS), ctx=ast.Load())
        yield _Change(False, lambda: call.args.__setitem__(0, other))
    elif (name := _METHODS.get(function.attr)) is not None:
        yield _Change(False, lambda: setattr(function, "attr", name))


def _put_side(test: ast.Compare, place: int, new: ast.expr) -> None:
    if place:
        test.comparators[0] = new
    else:
        test.left = new


def _other_values(
    sides: list[ast.expr], constants: dict[str, Any], rng: random.Random
) -> Iterator[tuple[int, ast.expr]]:
    """Which of two sides is a plain value, and another one in its place; nothing when both are or none is."""
    values = [_value(side, constants) for side in sides]
    plain = [place for place, value in enumerate(values) if value is not None]
    if len(plain) == 1:
        (place,) = plain
        value = values[place][0]  # type: ignore[index]
        new = other_than(value, rng)
        if new is not None:
            yield place, _literal(new)


def _literal(value: Any) -> ast.expr:
    """The value as it would be written."""
    (statement,) = parse(repr(value)).body
    return cast("ast.Expr", statement).value


def _value(node: ast.expr, constants: dict[str, Any]) -> tuple[Any] | None:
    """The value of a literal, or of a name that the file gives one literal, as a tuple of one."""
    if isinstance(node, ast.Name):
        return (constants[node.id],) if node.id in constants else None
    try:
        return (ast.literal_eval(node),)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _constants(tree: ast.Module) -> dict[str, Any]:
    """Names in capitals that are set once in the file, to a literal."""
    found: dict[str, Any] = {}
    stored = [each.id for each in ast.walk(tree) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            value = _value(node.value, {})
            if value is not None and name.isupper() and stored.count(name) == 1:
                found[name] = value[0]
    return found


def _last(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def other_than(value: Any, rng: random.Random) -> Any:
    """A value of the same kind that is not equal to `value`, and close to it; None where there is none."""
    for _ in range(20):
        new = _other(copy.deepcopy(value), rng)
        if new is None or new != value:
            return new
    return None


def _other(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + rng.choice([-3, -2, -1, 1, 2, 3])
    if isinstance(value, float):
        return value + rng.choice([-1.5, -0.5, 0.5, 1.0, 2.0]) * max(1.0, abs(value) // 4)
    if isinstance(value, str):
        return _other_text(value, rng)
    if isinstance(value, bytes):
        return _other_text(value.decode("latin-1"), rng).encode("latin-1")
    if isinstance(value, list | tuple) and value:
        place = rng.randrange(len(value))
        new = _other(value[place], rng)
        return None if new is None else type(value)([*value[:place], new, *value[place + 1 :]])
    if isinstance(value, dict) and value:
        key = rng.choice(list(value))
        new = _other(value[key], rng)
        return None if new is None else {**value, key: new}
    if isinstance(value, set) and value:
        old = rng.choice(sorted(value, key=repr))
        new = _other(old, rng)
        return None if new is None else (value - {old}) | {new}
    if isinstance(value, list):
        return [rng.randrange(10)]
    if isinstance(value, tuple):
        return (rng.randrange(10),)
    return rng.randrange(10) if value is None else None


def _other_text(text: str, rng: random.Random) -> str:
    """Another letter or digit in the place of one; one more where there is none."""
    places = [place for place, char in enumerate(text) if char.isascii() and char.isalnum()]
    if not places:
        return text + rng.choice("abcdefgh")
    place = rng.choice(places)
    pool = "123456789" if text[place].isdigit() else "abcdefghiklmnoprstuvw"
    new = rng.choice([char for char in pool if char != text[place].lower()])
    return text[:place] + (new.upper() if text[place].isupper() else new) + text[place + 1 :]
