"""Every bug that can be put into a file, on lines that are reached."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator

from agent.parsing import parse
from tasks.making.edits import Edit, apply
from tasks.making.mutations.calls import arguments, calls
from tasks.making.mutations.conditions import conditions, missing_cases
from tasks.making.mutations.names import wrong_names
from tasks.making.mutations.operators import off_by_one, operators
from tasks.making.mutations.text import Mutation, Place, Text

FAMILIES: tuple[Callable[[Text, Place], Iterator[tuple[str, Edit]]], ...] = (
    operators,
    off_by_one,
    conditions,
    missing_cases,
    calls,
    arguments,
    wrong_names,
)
_TALK = ("log.", "logger.", "logging.", "warnings.", "print")
_TYPES_ONLY = ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def find_mutations(path: str, source: bytes, lines: Collection[int] | None = None) -> list[Mutation]:
    """All mutations of a file, in the order of the text; with `lines`, of those lines only.

    What each makes of the file is for `mutate` to say, since parsing a file again for each would take minutes.
    Raises ValueError for a file that is no Python in UTF-8.
    """
    text, found, seen = Text(path, source), [], set()
    for place in text.places():
        line = _line(place)
        reached = lines is None or line in lines or _head(place.node, lines)
        if not reached or _unimportant(place):
            continue
        for family in FAMILIES:
            for kind, edit in family(text, place):
                if edit not in seen:
                    seen.add(edit)
                    found.append(Mutation(path, kind, _function(place), line, (edit,)))
    return found


def mutate(source: bytes, mutations: Iterable[Mutation]) -> bytes | None:
    """The file with these bugs; None where it would be no Python, or the same program as before."""
    try:
        mutated = apply(source, sorted(edit for each in mutations for edit in each.edits))
    except ValueError:
        return None
    before, after = _dump(source), _dump(mutated)
    return mutated if after is not None and before is not None and before != after else None


def _function(place: Place) -> str:
    """The function that a place is in; a default belongs to the function whose it is."""
    if not isinstance(place.node, ast.FunctionDef | ast.AsyncFunctionDef):
        return place.qualname
    return f"{place.qualname}.{place.node.name}".lstrip(".")


def _line(place: Place) -> int:
    """The line of a node, or of what it belongs to where the tree does not say."""
    if isinstance(place.node, ast.comprehension):
        return place.node.target.lineno
    own = getattr(place.node, "lineno", None)
    return own if own is not None else getattr(place.above[-1], "lineno", 0) if place.above else 0


def _dump(source: bytes) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = parse(source)
            compile(tree, "mutated", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return ast.dump(tree)


def _head(node: ast.AST, lines: Collection[int]) -> bool:
    """A function's defaults and a statement that begins on a line above: what they hold is reached as well."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.body[0].lineno in lines


def _unimportant(place: Place) -> bool:
    """What only prints, logs, complains or is for type checkers: no behaviour that a caller would report."""
    for each in (*place.above, place.node):
        node = each.value if isinstance(each, ast.Expr) else each
        if isinstance(node, ast.Raise | ast.Assert | ast.Import | ast.ImportFrom):
            return True
        if isinstance(node, ast.If) and ast.unparse(node.test) in _TYPES_ONLY:
            return True
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(
            ("log.", "logger.", "logging.", "warnings.", "print")
        ):
            return True
        if isinstance(node, ast.FunctionDef) and node.name in ("__repr__", "__hash__", "__sizeof__"):
            return True
    return False
