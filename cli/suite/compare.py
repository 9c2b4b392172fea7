"""`bridle suite compare`: is one run better than another?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.suite.common import Json, say, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.reports.comparison import Compared

MAX_CHANGES = 30


def compare(
    a: Annotated[Path, typer.Argument(help="The --out folder of a run, or a baseline file.")],
    b: Annotated[Path, typer.Argument(help="The --out folder of another, or a baseline file.")],
    json: Json = False,
) -> None:
    """Is run B better than run A, worse, or can't that be told? Over the tasks that both have, as they were."""
    from tasks.reports.baseline import read_baseline
    from tasks.reports.comparison import compare_runs

    found = compare_runs(read_baseline(a), read_baseline(b))
    if json:
        typer.echo(found.model_dump_json())
        return
    for warning in found.warnings:
        say(warning)
    for line in _lines(found):
        typer.echo(shown(line))


def _lines(found: Compared) -> Iterator[str]:
    from tasks.reports.comparison import difference_words, show_words, verdict_words

    for name, side in (("A", found.a), ("B", found.b)):
        yield f"{name}  {side.rate.text()}  {side.agent}"
    yield verdict_words(found)
    if found.overall.verdict == "can't tell":
        yield show_words(found.overall)
    if len(found.categories) > 1:
        yield "by category, with Holm's p-values over all of them:"
        for each in found.categories:
            words = f"{difference_words(each.comparison.difference)}, p = {each.adjusted:.3g}"
            yield f"  {each.category} ({each.comparison.tasks} tasks): {each.verdict}, {words}"
    for change in found.changes[:MAX_CHANGES]:
        mark = "regression" if change.regression else "change"
        yield f"  {mark}: {change.task} {change.a[0]}/{change.a[1]} → {change.b[0]}/{change.b[1]}"
    if len(found.changes) > MAX_CHANGES:
        yield f"  … and {len(found.changes) - MAX_CHANGES} more, in --json"
