"""A run as it happens: a live table with a progress bar on a terminal, a line an attempt elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cli.suite.common import say, shown

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from tasks.runs.results import AttemptResult
    from tasks.runs.runner import Run

MAX_CATEGORIES = 12
MAX_CAUSES = 5


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
    pace = Pace(len(run.tasks) * run.attempts)
    if not sys.stderr.isatty():

        def tell(result: AttemptResult) -> None:
            pace.note(result)
            say(f"{pace.words()} {result.task}/{result.number}: {result.status}{why(result)}")

        run.done = tell
        return asyncio.run(under_signals())
    from rich.console import Console
    from rich.live import Live

    # The clock and the time left move between results, too: the table is made anew at each refresh.
    with Live(
        get_renderable=lambda: screen(list(run.results), pace),
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=2,
    ):
        run.done = pace.note
        return asyncio.run(under_signals())


@dataclass(slots=True)
class Pace:
    """How far a run of `total` attempts is, and how fast. What an earlier process had finished tells no speed."""

    total: int
    start: float = field(default_factory=time.time)
    done: int = 0
    fresh: int = 0

    def note(self, result: AttemptResult) -> None:
        """One attempt more is over."""
        self.done += 1
        self.fresh += result.ended >= self.start

    def left(self, now: float | None = None) -> float | None:
        """Seconds until the end at this pace; None as long as nothing tells."""
        passed = (time.time() if now is None else now) - self.start
        return passed / self.fresh * (self.total - self.done) if self.fresh else None

    def words(self, now: float | None = None) -> str:
        """As `[3/40, 12 min left]`."""
        left = self.left(now)
        return f"[{self.done}/{self.total}" + (f", {duration(left)} left]" if left else "]")


def duration(seconds: float) -> str:
    """A time that a person reads at a glance."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def screen(results: list[AttemptResult], pace: Pace) -> Group:
    """What a terminal shows of a run with these results."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    left = pace.left()
    words = [f"{pace.done} of {pace.total} attempts", f"{duration(time.time() - pace.start)} so far"]
    words += [f"about {duration(left)} left"] if left else []
    cost = sum(each.spent.cost or 0.0 for each in results)
    words += [f"${cost:.2f}"] if cost else []
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(total=max(1, pace.total), completed=pace.done, width=24), Text(", ".join(words), no_wrap=True)
    )
    causes = Counter(each.failure.primary for each in results if each.failure)
    why_not = ", ".join(f"{count} × {name}" for name, count in causes.most_common(MAX_CAUSES))
    return Group(bar, _table(results), Text(f"why not: {why_not}" if why_not else ""))


def _table(results: list[AttemptResult]) -> Table:
    """A row a category, those with most attempts first."""
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for column in ("category", "passed", "failed", "unscored"):
        table.add_column(column, justify="left" if column == "category" else "right")
    kinds = Counter(each.category for each in results)
    for kind, _ in kinds.most_common(MAX_CATEGORIES):
        counts = Counter(each.status for each in results if each.category == kind)
        table.add_row(Text(shown(kind)), *(str(counts[status]) for status in ("pass", "fail", "unscored")))
    if len(kinds) > MAX_CATEGORIES:
        table.add_row(f"… {len(kinds) - MAX_CATEGORIES} more", "", "", "")
    return table


def why(result: AttemptResult) -> str:
    """The primary cause in brackets, for a result that has one."""
    return f" ({result.failure.primary})" if result.failure else ""
