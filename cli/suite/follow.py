"""A run as it happens: a live table on a terminal, a line an attempt elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from cli.suite.common import say, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from tasks.runs.results import AttemptResult
    from tasks.runs.runner import Run


def follow(run: Run, *, quiet: bool) -> list[AttemptResult]:
    """Run, with a live table on a terminal and a line an attempt elsewhere; Ctrl-C ends it in good order."""
    import asyncio
    import signal

    async def under_signals() -> list[AttemptResult]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, run.stop)
        try:
            return await run.run()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    if quiet:
        return asyncio.run(under_signals())
    if not sys.stderr.isatty():
        run.done = lambda each: say(f"{each.task}/{each.number}: {each.status}{why(each)}")
        return asyncio.run(under_signals())
    from rich.console import Console
    from rich.live import Live

    with Live(_table(run), console=Console(stderr=True), transient=True) as live:
        run.done = lambda _: live.update(_table(run))
        return asyncio.run(under_signals())


def _table(run: Run) -> Table:
    """How far a run is: a row a task."""
    from rich.table import Table

    total = len(run.tasks) * run.attempts
    cost = sum(each.spent.cost or 0.0 for each in run.results)
    table = Table(title=f"{len(run.results)} of {total} attempts" + (f", ${cost:.2f}" if cost else ""))
    for column in ("task", "passed", "failed", "unscored", "why"):
        table.add_column(column)
    for task in run.tasks:
        mine = [each for each in run.results if each.task == task.name]
        counts = [str(sum(each.status == status for each in mine)) for status in ("pass", "fail", "unscored")]
        causes = sorted({each.failure.primary for each in mine if each.failure})
        table.add_row(task.name, *counts, ", ".join(causes))
    return table


def show(run: Run, results: Sequence[AttemptResult]) -> None:
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(_table(run))
        return
    for each in results:
        typer.echo(shown(f"{each.status:8} {each.task}/{each.number}{why(each)}"))


def why(result: AttemptResult) -> str:
    return f" ({result.failure.primary})" if result.failure else ""
