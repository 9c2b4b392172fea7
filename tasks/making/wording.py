"""The instruction of a made task, written from what failing tests saw. No model has a part in it.

A good one lets a person who knows the project and not the tests do the work: what was done, what came of it, what
should have, in code that can be typed; the functions concerned by their public names, never a file or a line; and
what has to stay. What a test saw is fit for that when nothing of the test's own is needed to see it again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from tasks.making.observing import Saw

MAX_CASES = 6
MAX_VALUE = 160
ENDING = (
    "Mend the cause, not only these cases. Everything else has to behave as it does now: the tests in the\n"
    "repository pass, and have to go on passing."
)


class Case(NamedTuple):
    """One thing that is wrong, in words, and the functions it is about."""

    text: str
    functions: tuple[str, ...]


def instruction(saw: Mapping[str, Saw], bugs: Sequence[Collection[str]] = ()) -> str | None:
    """The text for tests (by id) and what they saw; None where that cannot be told well enough.

    `bugs` are the tests that show each of several bugs: one of each is told, or nothing is.
    """
    groups: dict[str, list[Case]] = {}
    for test, each in sorted(saw.items()):
        if each.strong and (text := _case(each)) is not None:
            groups.setdefault(test.partition("[")[0], []).append(Case(text, each.functions))
    first = []
    for tests in bugs:
        shown = [
            Case(text, each.functions) for test in tests if (each := saw[test]).strong and (text := _case(each))
        ]
        if not shown:
            return None
        first.append(min(shown, key=_shortest))
    cases = _chosen(groups, first)
    if not cases:
        return None
    more = len({test.partition("[")[0] for test in saw} - set(groups))
    told = [_bullet(each.text) for each in cases]
    parts = [_opening(cases, saw), "\n".join(told)]
    hidden = sum(map(len, groups.values())) - len(cases)
    if hidden > 0 or more:
        parts.append("There are more cases of the same.")
    return "\n\n".join([*parts, ENDING]) + "\n"


def _shortest(case: Case) -> tuple[int, str]:
    return len(case.text), case.text


def _chosen(groups: Mapping[str, list[Case]], first: Sequence[Case]) -> list[Case]:
    """At most MAX_CASES: `first`, then the shortest of each test, then second ones, none twice."""
    ordered = [sorted(cases, key=_shortest) for cases in groups.values()]
    rounds = [[cases[n] for cases in ordered if n < len(cases)] for n in range(2)]
    found: dict[str, Case] = {case.text: case for case in first}
    for each in rounds:
        for case in sorted(each, key=_shortest):
            if len(found) < MAX_CASES:
                found.setdefault(case.text, case)
    return list(found.values())


def _opening(cases: list[Case], saw: Mapping[str, Saw]) -> str:
    counts: dict[str, int] = {}
    for case in cases:
        for name in case.functions:
            counts[name] = counts.get(name, 0) + 1
    shared = sorted(
        (name for name, count in counts.items() if count == len(cases)), key=lambda name: (-len(name), name)
    )
    names = [_public(name) for name in shared]
    names = [name for name in names if not any(other.startswith(f"{name}.") for other in names)]
    kinds = {"refused otherwise" if each.raising else each.kind for each in saw.values() if each.strong}
    if kinds == {"error"}:
        what = "fails with an exception where it should not"
    elif kinds == {"not_raised"}:
        what = "accepts what it should refuse"
    else:
        what = "does not do what it should"
    if len(names) == 1:
        return f"`{names[0]}` {what}."
    if 1 < len(names) <= 3:
        listed = ", ".join(f"`{name}`" for name in sorted(names))
        return f"Something is wrong where {listed} are used together."
    everyone = sorted({_public(name) for name in counts})
    if not names and 1 < len(everyone) <= 3:
        listed = ", ".join(f"`{name}`" for name in everyone[:-1])
        return f"{listed} and `{everyone[-1]}` do not do what they should."
    return "Something has gone wrong in this project, as these cases show."


def _public(name: str) -> str:
    """A function's name without its module: where it lies is for the reader to find."""
    parts = name.split(".")
    at = next((n for n, part in enumerate(parts) if part[:1].isupper()), len(parts) - 1)
    return ".".join(parts[at:]).removesuffix(".__init__")


def _bullet(text: str) -> str:
    first, *rest = text.splitlines()
    return "\n".join([f"- {first}", *(f"  {line}" if line else "" for line in rest)])


def _case(saw: Saw) -> str | None:
    said = _said(saw)
    if said is None or (not saw.functions and not saw.steps):
        return None
    if not saw.steps:
        return said
    steps = "\n".join(saw.steps)
    return f"After\n\n```python\n{steps}\n```\n\n{said}"


def _said(saw: Saw) -> str | None:
    code = _code(saw.expression)
    if saw.kind == "not_raised":
        return f"{code} should raise {_code(saw.error)}, and raises nothing."
    if saw.kind == "truth":
        found, wanted = ("false", "true") if saw.wanted else ("true", "false")
        return f"{code} is {found}; it should be {wanted}."
    if saw.kind == "error":
        return _error(saw, code)
    return _compared(saw)


def _error(saw: Saw, code: str) -> str:
    ended = f"{saw.error}: {saw.message}" if saw.message else saw.error
    if saw.raising and saw.raising != saw.error:
        return f"{code} should raise {_code(saw.raising)}, and ends in {_code(ended)} instead."
    if saw.other and saw.other_plain:
        return f"{code} ends in {_code(ended)}; it should give {_code(saw.other)}."
    if saw.other:
        return f"{code} ends in {_code(ended)}; it should give the same as {_code(saw.other)}."
    return f"{code} ends in {_code(ended)}; it should not."


def _compared(saw: Saw) -> str | None:
    one, two = (saw.expression, saw.left), (saw.other, saw.right)
    plain = (saw.plain, saw.other_plain)
    if not saw.left or not saw.right or all(plain):
        return None
    if saw.operator == "==":
        if plain[0]:
            one, two = two, one
        return _equal(saw, one, two, fixed=any(plain))
    if saw.operator in ("is", "is not") and plain[1]:
        negation = "should not be" if saw.operator == "is not" else "should be"
        return f"{_code(one[0])} is {_value(one[1])}; it {negation} {_value(two[1])}."
    if saw.operator in ("in", "not in"):
        wrong = "lacks" if saw.operator == "in" else "holds"
        should = "should have" if saw.operator == "in" else "should not have"
        return f"{_code(two[0])} {wrong} {_value(one[1])}, which it {should}: it is {_value(two[1])}."
    if saw.operator == "!=":
        return f"{_code(one[0])} is {_value(one[1])}, which it should not be."
    return f"{_code(f'{one[0]} {saw.operator} {two[0]}')} does not hold: {_value(one[1])} and {_value(two[1])}."


def _equal(saw: Saw, one: tuple[str, str], two: tuple[str, str], *, fixed: bool) -> str | None:
    if one[1] == two[1]:
        return None  # they look alike, so words say nothing
    long = len(one[1]) > MAX_VALUE or len(two[1]) > MAX_VALUE
    if long and saw.where is None:
        return None
    if long and saw.where is not None:
        place, left, right, size, other = saw.where
        got, wanted = (right, left) if saw.plain else (left, right)
        sizes = (other, size) if saw.plain else (size, other)
        lengths = "" if size == other else f" (the lengths are {sizes[0]} and {sizes[1]})"
        against = "what it should be" if fixed else _code(two[0])
        differs = f"{_code(one[0])} differs from {against} at position {place}"
        return f"{differs}: {_code(got)}, not {_code(wanted)}{lengths}."
    if fixed:
        verb = "returns" if one[0].endswith(")") else "is"
        should = "it should return" if verb == "returns" else "it should be"
        return f"{_code(one[0])} {verb} {_value(one[1])}; {should} {_value(two[1])}."
    return f"{_code(one[0])} is {_value(one[1])} and {_code(two[0])} is {_value(two[1])}; they should be equal."


def _value(text: str) -> str:
    return _code(text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 3]}...")


def _code(text: str) -> str:
    """Text as code in Markdown, whatever backticks it holds."""
    text = " ".join(text.split("\n")) if "\n" in text else text
    fence = "`"
    while fence in text:
        fence += "`"
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"
