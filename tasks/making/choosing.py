"""Which bugs are tried, which are enough unlike to keep, and which go together.

Near-duplicates, as measured here: two tasks with as many bugs each where the same tests fail, or the same kinds of
bugs are in the same functions, or bugs in one function fail mostly the same tests (four fifths of all that fail).
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from agent.parsing import parse
from tasks.making.mutations.text import Mutation

ALIKE = 0.8
CHANCES = 3
"""How often company is sought for a single bug."""
T = TypeVar("T")


class Bug(NamedTuple):
    """One to three mutations together, and the tests that fail with them."""

    mutations: tuple[Mutation, ...]
    failing: frozenset[str]

    @property
    def functions(self) -> frozenset[tuple[str, str]]:
        """Where it is: files and functions."""
        return frozenset((each.path, each.function) for each in self.mutations)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its mutations, sorted."""
        return tuple(sorted(each.kind for each in self.mutations))


def spread(mutations: Iterable[Mutation], chance: random.Random) -> list[Mutation]:
    """All of them in an order whose every beginning has many kinds, files and functions."""
    shuffled = sorted(mutations)
    chance.shuffle(shuffled)
    return _in_turn(shuffled, (lambda m: m.kind, lambda m: m.path, lambda m: m.function))


def _in_turn(items: Sequence[T], keys: Sequence[Callable[[T], str]]) -> list[T]:
    """One of each group in turn, the groups being ordered so themselves."""
    if not keys:
        return list(items)
    groups: dict[str, list[T]] = {}
    for each in items:
        groups.setdefault(keys[0](each), []).append(each)
    queues = [_in_turn(group, keys[1:]) for group in groups.values()]
    longest = max(map(len, queues), default=0)
    return [queue[n] for n in range(longest) for queue in queues if n < len(queue)]


def is_like(bug: Bug, others: Iterable[Bug]) -> bool:
    """Whether a bug is a near-duplicate of one of the others."""
    return any(_alike(bug, other) for other in others)


def _alike(one: Bug, other: Bug) -> bool:
    if len(one.mutations) != len(other.mutations):
        return False
    if one.failing == other.failing or (one.functions, one.kinds) == (other.functions, other.kinds):
        return True
    shared = len(one.failing & other.failing) / len(one.failing | other.failing)
    return bool(one.functions & other.functions) and shared >= ALIKE


def together(
    bugs: Sequence[Bug], sites: int, calls: dict[tuple[str, str], set[str]], chance: random.Random
) -> list[tuple[Bug, ...]]:
    """Groups of `sites` single bugs that are near each other, in a random order.

    Each is in the function of another one of them, or in one that calls it or is called by it, and makes other
    tests fail.
    """
    found: set[tuple[Bug, ...]] = set()
    for first in [each for each in bugs for _ in range(CHANCES)]:
        group: tuple[Bug, ...] = (first,)
        for other in chance.sample(bugs, len(bugs)):
            if len(group) < sites and _fits(other, group, calls):
                group = (*group, other)
        if len(group) == sites:
            found.add(tuple(sorted(group, key=lambda bug: bug.mutations)))
    groups = sorted(found, key=lambda group: [bug.mutations for bug in group])
    chance.shuffle(groups)
    return groups


def _fits(bug: Bug, group: tuple[Bug, ...], calls: dict[tuple[str, str], set[str]]) -> bool:
    new = bug.mutations[0]
    for other in group:
        old = other.mutations[0]
        if new.path == old.path and abs(new.line - old.line) < 2:
            return False
        if bug.failing == other.failing:
            return False
    return any(_related(new, other.mutations[0], calls) for other in group)


def _related(one: Mutation, other: Mutation, calls: dict[tuple[str, str], set[str]]) -> bool:
    if (one.path, one.function) == (other.path, other.function):
        return bool(one.function)
    last = [each.function.rpartition(".")[2] for each in (one, other)]
    return last[1] in calls.get((one.path, one.function), ()) or last[0] in calls.get(
        (other.path, other.function), ()
    )


def call_names(path: str, source: bytes) -> dict[tuple[str, str], set[str]]:
    """For each function of a file (path and `Class.name`) the last names of what it calls."""
    found: dict[tuple[str, str], set[str]] = {}

    def walk(node: ast.AST, name: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = name
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{name}.{child.name}" if name else child.name
            elif isinstance(child, ast.Call):
                called = child.func
                last = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
                found.setdefault((path, name), set()).add(last)
            walk(child, inner)

    walk(parse(source), "")
    return found


def difficulty(sites: int, share: float) -> str:
    """How hard a task is taken to be: by its sites, and the share of the tests that fail (few show little)."""
    if sites == 1:
        return "easy" if share >= 0.02 else "medium"
    return "medium" if sites == 2 and share >= 0.1 else "hard"
