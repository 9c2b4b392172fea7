"""A run as it is followed: how far it is, how long it will take, what came of the attempts so far."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from support.project import BRIDLE, ENVIRONMENT
from support.suite_run import make_run
from support.terminal import OnTerminal

import tasks
from cli.suite.follow import MAX_CATEGORIES, Pace, duration, screen
from tasks.reports.reading import load_run
from tasks.runs.results import AttemptResult

ROLLING = Path(tasks.__file__).parent / "bundled" / "bug-rolling-mean"


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


def test_a_report_is_tables_on_a_terminal(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", tasks=6, attempts=2)
    terminal = OnTerminal([str(BRIDLE), "suite", "report", str(folder)], ENVIRONMENT)
    assert terminal.wait() == 0
    for words in ("by category", "pass rate", "strict", "by task", "git-surgery-03", "attempts on 6 tasks pass"):
        assert words in terminal.seen
    assert "✓" in terminal.seen
    terminal.close()


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_a_run_is_followed_on_a_terminal_and_ends_in_its_report(tmp_path: Path) -> None:
    command = [str(BRIDLE), "suite", "run", str(ROLLING), "--agent", "nop", "--out", str(tmp_path / "out")]
    terminal = OnTerminal(command, ENVIRONMENT)
    terminal.expect("0 of 1 attempts", 60)
    terminal.expect("by category", 120)
    assert terminal.wait() == 0
    assert "0 of 1 attempts on 1 tasks pass" in terminal.seen
    terminal.close()
