"""Twins of grading tests: the same test with one assertion turned round, so that what is right makes it fail.

    assert total() == 1250   →   assert total() == 1260

A program that makes every result come out as passed passes the twin, too, and so does one that looks up in the
test what it is expected to return. Nothing but the value tells a twin from the test: without solving the task it
can only be guessed. Where no plain value is compared, the assertion is turned round (`in` to `not in`, another
exception); that reads like a test as well, but a program could have an opinion about it.

An assertion may stand in a helper of the same file. Then the value that a test hands it is changed, or the test
gets a copy of the helper, in which the assertion is turned round; so does the test as it is, with nothing turned,
since a copy alone would tell. For the same reason names of values are written out in both. A test of which nothing
can be turned has no twin: what would always fail proves nothing, since it fails whatever the program does.

The rewriting is done on the host, on the task's own files, which are parsed and not run. A twin is only made of
what is certain to be reached in a test that passes, so that no honest solution passes one.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from agent.parsing import parse
from tasks.grading.assertions import (
    EQUALITIES,
    Change,
    Function,
    best,
    certain,
    changes,
    last_name,
    literal,
    value_of,
    worth_of,
)
from tasks.grading.values import other_than

Unit = tuple[str, str]
"""A test file, and a function in it: what is turned round as one."""
Strength = Literal["value", "turned"]
"""What tells a twin from its test: a value that is no telltale itself, or an assertion that was turned round."""


@dataclass(frozen=True, slots=True)
class _File:
    """A test file: its tests by name (methods with their class's), those that functions make, its helpers."""

    tree: ast.Module
    tests: Mapping[str, Function]
    made: Mapping[str, Function]
    helpers: Mapping[str, ast.FunctionDef]


def units(path: str, names: Iterable[str], sources: Mapping[str, str]) -> dict[str, Unit]:
    """For each test of a file (`test_one`, `TestIt::test_one`) what it is turned round with: the function that
    defines it, in this file or, for a method that a class inherits, in another of `sources`.

    Tests that come from one function share it. A name whose function is not found is left out.
    """
    trees = {each: tree for each, text in sources.items() if (tree := _parsed(text)) is not None}
    if path not in trees:
        return {}
    made = _made(trees[path])
    found = {}
    for name in names:
        unit = _defining(path, name, trees)
        if unit is None:
            same = [each for each in made if _bare(each) == _bare(name)]
            unit = (path, same[0]) if len(same) == 1 else None
        if unit is not None:
            found[name] = unit
    return found


def strengths(source: str) -> dict[str, Strength]:
    """For each function of a test file that can be turned round, how well its twin hides."""
    file, rng = _read(source), random.Random(0)  # noqa: S311 -- none is kept
    found: dict[str, Strength] = {}
    for name, function in {**file.made, **file.tests}.items() if file else ():
        own = _own_changes(file, function, rng)  # type: ignore[arg-type]
        if any(each.worth == 2 for each in own):
            found[name] = "value"
        elif own or _copies(file, name, function, rng):  # type: ignore[arg-type]
            found[name] = "turned"
    return found


def turned(source: str, chosen: Iterable[str], rng: random.Random) -> str:
    """The test file with the functions `chosen` (of `units`) turned round. What is no Python stays as it is."""
    file = _read(source)
    if file is None:
        return source
    functions, wanted = {**file.made, **file.tests}, frozenset(chosen)
    for name in sorted(functions):
        own = _own_changes(file, functions[name], rng)
        if own and name in wanted:
            rng.choice(best(own)).make()
        elif not own and (copies := _copies(file, name, functions[name], rng)):
            rng.choice(copies).make(rng, turn=name in wanted)
    return ast.unparse(ast.fix_missing_locations(file.tree)) + "\n"


def named_tests(source: str) -> frozenset[str]:
    """The tests that a file defines: functions that are called like one, methods with their class's name."""
    tree = _parsed(source)
    return frozenset(name for name in (_functions(tree) if tree else ()) if _is_test(name))


def _parsed(source: str) -> ast.Module | None:
    try:
        return parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _read(source: str) -> _File | None:
    tree = _parsed(source)
    if tree is None:
        return None
    plain = [each for each in tree.body if isinstance(each, ast.FunctionDef) and not each.decorator_list]
    _Written(_constants(tree), {each.name for each in plain}).visit(tree)
    tests = {name: node for name, node in _functions(tree).items() if _is_test(name)}
    helpers = {each.name: each for each in plain if each.name not in tests and not _yields(each)}
    return _File(tree, tests, _made(tree), helpers)


def _is_test(name: str) -> bool:
    return _bare(name).startswith("test")


def _bare(name: str) -> str:
    return name.replace("::", ".").rpartition(".")[2]


def _functions(tree: ast.Module | Function) -> dict[str, Function]:
    """Functions by their name, methods with their class's."""
    found: dict[str, Function] = {}

    def walk(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                walk(node.body, f"{prefix}{node.name}::")
            elif isinstance(node, Function):
                found[prefix + node.name] = node

    walk(tree.body, "")
    return found


def _made(tree: ast.Module) -> dict[str, Function]:
    """Tests that are defined within other functions, below those functions' names."""
    return {
        f"{outer}.{name}": node
        for outer, function in _functions(tree).items()
        if not _is_test(outer)
        for name, node in _functions(function).items()
        if _is_test(name)
    }


def _defining(path: str, name: str, trees: Mapping[str, ast.Module], depth: int = 10) -> Unit | None:
    """Where a test is defined, as far as the files tell: here, or by a class that its class inherits from."""
    functions = _functions(trees[path])
    if name in functions or not depth:
        return (path, name) if name in functions else None
    owner, _, method = name.rpartition("::")
    for node in trees[path].body:
        for base in node.bases if isinstance(node, ast.ClassDef) and node.name == owner else ():
            places = [path] if _class(trees[path], last_name(base)) else sorted(trees)
            here = [each for each in places if _class(trees[each], last_name(base))]
            if len(here) == 1 and (found := _defining(here[0], f"{last_name(base)}::{method}", trees, depth - 1)):
                return found
    return None


def _class(tree: ast.Module, name: str) -> bool:
    return any(isinstance(each, ast.ClassDef) and each.name == name for each in tree.body)


def _own_changes(file: _File, function: Function, rng: random.Random) -> list[Change]:
    """What can be changed in a test's own body: its assertions, and values that it hands to a helper."""
    found: list[Change] = []
    for node in certain(function.body):
        found += changes(node, rng)
        call = _helper_call(file, node)
        if call is not None:
            found += _arguments(call, file.helpers[last_name(call.func)], rng)
    return found


def _helper_call(file: _File, node: ast.stmt) -> ast.Call | None:
    """The call of a helper that a statement is."""
    value = node.value if isinstance(node, ast.Expr | ast.Assign) else None
    known = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in file.helpers
    return value if known and isinstance(value, ast.Call) else None


def _arguments(call: ast.Call, helper: ast.FunctionDef, rng: random.Random) -> Iterator[Change]:
    """Other values for what a helper only compares with something else."""
    names = [each.arg for each in (*helper.args.posonlyargs, *helper.args.args)]
    if any(isinstance(each, ast.Starred) for each in call.args):
        return
    given = {name: (call.args, place) for place, name in enumerate(names[: len(call.args)])}
    for name in _only_compared(helper) & given.keys():
        arguments, place = given[name]
        value = value_of(arguments[place])
        new = other_than(value[0], rng) if value is not None else None
        if value is not None and new is not None:
            yield Change(worth_of(value[0]), partial(arguments.__setitem__, place, literal(new)))


def _only_compared(helper: ast.FunctionDef) -> set[str]:
    """Parameters that are one side of an equality that is certain to be asked, and nothing else."""
    sides = []
    for node in certain(helper.body):
        test = node.test if isinstance(node, ast.Assert) else None
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
            both = [test.left, test.comparators[0]]
            names = [each.id for each in both if isinstance(each, ast.Name)]
            sides += names if len(names) == 1 and not any(value_of(each) for each in both) else []
    used = [each.id for each in ast.walk(helper) if isinstance(each, ast.Name)]
    return {name for name in sides if used.count(name) == 1}


@dataclass(frozen=True, slots=True)
class _Copy:
    """A helper with an assertion, and the call of it that can get a copy of its own."""

    call: ast.Call
    helper: ast.FunctionDef
    body: list[ast.stmt]

    def make(self, rng: random.Random, *, turn: bool) -> None:
        """Give the call its copy, with an assertion turned round or as it is."""
        new = copy.deepcopy(self.helper)
        new.name = f"{self.helper.name}_{rng.randrange(16**6):06x}"
        if turn:
            rng.choice([each for node in certain(new.body) for each in changes(node, rng)]).make()
        self.body.insert(self.body.index(self.helper) + 1, new)
        if isinstance(self.call.func, ast.Attribute):
            self.call.func.attr = new.name
        else:
            self.call.func = ast.Name(id=new.name, ctx=ast.Load())


def _copies(file: _File, name: str, function: Function, rng: random.Random) -> list[_Copy]:
    """The helpers that a test is certain to call, of the file or of the test's class."""
    owner = name.rpartition("::")[0]
    classes = [each for each in file.tree.body if isinstance(each, ast.ClassDef)]
    own = next((each for each in classes if each.name == owner), None)
    methods = {
        each.name: each
        for each in (own.body if own else ())
        if isinstance(each, ast.FunctionDef) and not each.decorator_list and not _yields(each)
    }
    found = []
    for node in certain(function.body):
        call = _helper_call(file, node)
        if call is not None:
            found.append(_Copy(call, file.helpers[last_name(call.func)], file.tree.body))
        value = node.value if isinstance(node, ast.Expr | ast.Assign) else None
        method = methods.get(last_name(value.func)) if isinstance(value, ast.Call) and _on_self(value) else None
        if method is not None and own is not None and not _elsewhere(method, own, classes):
            found.append(_Copy(value, method, own.body))  # type: ignore[arg-type]
    return [each for each in found if any(True for node in certain(each.helper.body) for _ in changes(node, rng))]


def _on_self(call: ast.Call) -> bool:
    function = call.func
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "self"
    )


def _elsewhere(method: ast.FunctionDef, own: ast.ClassDef, classes: list[ast.ClassDef]) -> bool:
    """May another class put a method of its own in this one's place?"""
    return any(
        isinstance(each, Function) and each.name == method.name
        for other in classes
        if other is not own
        for each in other.body
    )


def _yields(function: ast.FunctionDef) -> bool:
    return any(isinstance(each, ast.Yield | ast.YieldFrom) for each in ast.walk(function))


class _Written(ast.NodeTransformer):
    """Writes values out where they are compared or handed to a helper: a twin has no name in the place of one."""

    def __init__(self, constants: Mapping[str, Any], helpers: set[str]) -> None:
        self._constants, self._helpers = constants, helpers

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """`a == B`."""
        self.generic_visit(node)
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq):
            node.left, node.comparators[0] = self._out(node.left), self._out(node.comparators[0])
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """`self.assertEqual(a, B)`, `check(a, B)`."""
        self.generic_visit(node)
        if last_name(node.func) in EQUALITIES or (
            isinstance(node.func, ast.Name) and node.func.id in self._helpers
        ):
            node.args = [self._out(each) for each in node.args]
        return node

    def _out(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Name):
            return literal(self._constants[node.id]) if node.id in self._constants else node
        value = value_of(node)
        return node if value is None else literal(value[0])


def _constants(tree: ast.Module) -> dict[str, Any]:
    """Names in capitals that are set once in the file, to a literal that nothing changes later."""
    found: dict[str, Any] = {}
    names = [each for each in ast.walk(tree) if isinstance(each, ast.Name)]
    parameters = {each.arg for each in ast.walk(tree) if isinstance(each, ast.arg)}
    compared = [
        side
        for each in ast.walk(tree)
        if isinstance(each, ast.Compare) and len(each.ops) == 1
        for side in (each.left, each.comparators[0])
    ]
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, value_of(node.value)
            uses = [each for each in names if each.id == name and each is not node.targets[0]]
            stays = all(isinstance(each.ctx, ast.Load) for each in uses) and name not in parameters
            only_compared = all(any(each is side for side in compared) for each in uses)
            if value is not None and name.isupper() and stays and (_is_fixed(value[0]) or only_compared):
                found[name] = value[0]
    return found


def _is_fixed(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_fixed, value))
    return value is None or isinstance(value, bool | int | float | str | bytes)
