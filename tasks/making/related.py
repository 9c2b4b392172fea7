"""Tasks made of other tasks, by name; and what a run says about them: the contamination gap, and the spread.

A task made of `NAME` is called `NAME.KIND`, so that a run's results alone say what belongs together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tasks.reports.statistics import Comparison, compare, wilson

TWINS = ("renamed", "bug")
VARIANTS = ("order", "bullets", "issue", "title", "wording", "typos")
Counts = Mapping[str, tuple[int, int]]
"""Passed and scored attempts of each task, as `by_task` gives them."""


def original(name: str, kinds: Iterable[str]) -> tuple[str, str]:
    """The task that one is made of, and how; itself and nothing for one that is not."""
    base, dot, kind = name.rpartition(".")
    return (base, kind) if dot and kind in kinds else (name, "")


class Spread(BaseModel):
    """How much the wording matters: over the original and its variants of each task that has several.

    `rates` gives each form's passed and scored attempts; `widest` is the largest difference between two of their
    rates; `deviation` the standard deviation within tasks, over forms, of rates; `chance` what of it attempts that
    do not depend on the form would show by chance alone.
    """

    model_config = ConfigDict(frozen=True)

    tasks: int
    rates: dict[str, tuple[int, int]]
    widest: float
    deviation: float
    chance: float
    by_task: dict[str, float]

    def lines(self) -> Iterable[str]:
        """For people."""
        for form, (passed, attempts) in self.rates.items():
            yield f"{form or 'as written':12} {wilson(passed, attempts).text()}, {attempts} attempts"
        yield f"widest difference between two forms: {self.widest:.0%}"
        chance = f"(by chance alone {self.chance:.2f})"
        yield f"standard deviation over the forms of a task: {self.deviation:.2f} {chance}"


def gap(originals: Counts, twins: Counts) -> tuple[int, Comparison] | None:
    """The contamination gap: pass rate on known tasks minus that on their twins, paired by task.

    Several twins of a task count as one, by their mean. None where no task has a scored twin.
    """
    rates: dict[str, list[Fraction]] = {}
    for name, (passed, attempts) in twins.items():
        base, kind = original(name, TWINS)
        if kind and base in originals:
            rates.setdefault(base, []).append(Fraction(passed, attempts))
    pairs = [
        (sum(each, Fraction()) / len(each), Fraction(*originals[base])) for base, each in sorted(rates.items())
    ]
    return (len(pairs), compare(pairs)) if pairs else None


def spread(results: Counts) -> Spread | None:
    """The spread over the variants of a run; None where no task has one."""
    forms: dict[str, dict[str, tuple[int, int]]] = {}
    for name, counts in results.items():
        base, kind = original(name, VARIANTS)
        forms.setdefault(base, {})[kind] = counts
    several = {base: found for base, found in sorted(forms.items()) if len(found) > 1}
    if not several:
        return None
    rates: dict[str, tuple[int, int]] = {}
    for kind in ("", *VARIANTS):
        counted = [found[kind] for found in several.values() if kind in found]
        if counted:
            rates[kind] = (sum(passed for passed, _ in counted), sum(attempts for _, attempts in counted))
    shares = [passed / attempts for passed, attempts in rates.values()]
    squares, expected, freedom = 0.0, 0.0, 0
    by_task = {}
    for base, found in several.items():
        values = [passed / attempts for passed, attempts in found.values()]
        mean = sum(values) / len(values)
        by_task[base] = max(values) - min(values)
        squares += sum((value - mean) ** 2 for value in values)
        pooled = sum(passed for passed, _ in found.values()) / sum(attempts for _, attempts in found.values())
        variance = sum(pooled * (1 - pooled) / attempts for _, attempts in found.values()) / len(found)
        expected += variance * (len(found) - 1)
        freedom += len(found) - 1
    return Spread(
        tasks=len(several),
        rates=rates,
        widest=max(shares) - min(shares),
        deviation=math.sqrt(squares / freedom),
        chance=math.sqrt(expected / freedom),
        by_task=by_task,
    )


def with_relation(table: str, field: str, name: str) -> str:
    """task.toml with `twin_of` or `variant_of` set in its [bridle] table, and without [bridle.source].

    A task that was fetched is whole by then, and what is made of it is not to be fetched again.
    """
    table = re.sub(r"^\[bridle\.source\].*?(?=^\[|\Z)", "", table, flags=re.MULTILINE | re.DOTALL)
    line = f'{field} = "{name}"'
    lines = table.splitlines()
    if "[bridle]" not in (each.strip() for each in lines):
        return f"{table.rstrip()}\n\n[bridle]\n{line}\n"
    at = next(n for n, each in enumerate(lines) if each.strip() == "[bridle]")
    return "\n".join([*lines[: at + 1], line, *lines[at + 1 :]]) + "\n"


def relate(folder: Path, field: str, name: str) -> None:
    """Write in a task's folder what it is made of."""
    path = folder / "task.toml"
    path.write_text(with_relation(path.read_text(encoding="utf-8"), field, name), encoding="utf-8")
