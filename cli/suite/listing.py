"""`bridle suite list`: which tasks there are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.suite.common import Json, Suite, shown
from cli.suite.selecting import Category, Difficulty, Names, Sample, Seed, Split, selection

if TYPE_CHECKING:
    from tasks.packages.suites import Listed

COLUMNS = ("name", "category", "difficulty", "split", "date", "fetched")


def list_tasks(
    suite: Suite = Path("bundled"),
    split: Split = None,
    category: Category = None,
    difficulty: Difficulty = None,
    task: Names = None,
    sample: Sample = None,
    seed: Seed = 0,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a table in Markdown.")] = False,
    json: Json = False,
) -> None:
    """List the tasks of a suite: category, difficulty, split, date, and whether their files are there."""
    from tasks.packages.suites import choose, list_suite

    wanted = selection(split or "all", category, difficulty, task, sample, seed)
    listed = choose(list_suite(suite), wanted, suite)
    if json:
        import json as encoder

        rows = [dict(zip(COLUMNS, _row(each), strict=True)) for each in listed]
        typer.echo(encoder.dumps([{**row, "fetched": row["fetched"] != "no"} for row in rows]))
    elif markdown:
        from tasks.packages.tables import markdown_table

        typer.echo(markdown_table(listed), nl=False)
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table()
        for column in COLUMNS:
            table.add_column(column)
        for each in listed:
            table.add_row(*map(shown, _row(each)))
        Console().print(table)
    else:
        for each in listed:
            typer.echo(shown("\t".join(_row(each))))


def _row(each: Listed) -> tuple[str, ...]:
    table = each.file.bridle
    fetched = "no" if each.whole is None else "–" if table.source is None else "yes"
    return (each.name, each.category, each.difficulty, each.split, str(table.date or "–"), fetched)
