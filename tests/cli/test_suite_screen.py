"""A run as it is followed: how far it is, how long it will take, what came of the attempts so far."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console
from support.suite_run import make_run

from cli.suite.follow import MAX_CATEGORIES, Pace, duration, screen
from tasks.reports.reading import load_run
from tasks.runs.results import AttemptResult


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[AttemptResult]:
    return list(load_run(make_run(tmp_path_factory.mktemp("run") / "run", tasks=12, attempts=2)).results)


def test_the_time_left_is_told_by_what_this_process_finished(results: list[AttemptResult]) -> None:
    pace = Pace(total=10, start=1000.0)
    assert pace.left(1000.0) is None
    for ended in (500.0, 600.0, 1010.0, 1020.0):  # two of an earlier process, two of this one
        pace.note(results[0].model_copy(update={"ended": ended}))
    assert pace.done == 4
    assert pace.left(1020.0) == 60.0  # 10 s each, 6 to go
    assert pace.words(1020.0) == "[4/10, 60 s left]"
    assert [duration(each) for each in (42, 300, 9000)] == ["42 s", "5 min", "2.5 h"]


def rendered(results: list[AttemptResult], width: int = 90) -> str:
    pace = Pace(total=40)
    for each in results:
        pace.note(each)
    console = Console(width=width, record=True, file=StringIO(), color_system=None)
    console.print(screen(results, pace))
    return console.export_text()


def test_the_screen_has_progress_cost_counts_and_causes(results: list[AttemptResult]) -> None:
    text = rendered(results)
    assert "24 of 40 attempts" in text
    assert f"${sum(each.spent.cost or 0 for each in results):.2f}" in text
    for status in ("passed", "failed", "unscored"):
        assert status in text
    assert "why not: " in text


def test_what_a_task_calls_itself_does_nothing_to_the_screen(results: list[AttemptResult]) -> None:
    kinds = [f"[red]{i}[/red]\x1b[2J" for i in range(MAX_CATEGORIES + 3)]
    many = [results[0].model_copy(update={"category": kind}) for kind in kinds]
    text = rendered(many)
    assert "[red]0[/red]\\x1b[2J" in text
    assert "… 3 more" in text
    assert "\x1b" not in text
