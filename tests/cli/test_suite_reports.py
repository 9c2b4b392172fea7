"""`bridle suite report`, `compare` and `schema` as a user runs them, on the folders of runs."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from support.project import bridle
from support.suite_run import make_run

from tasks.reports.baseline import Baseline, BaselineTask, write_baseline
from tasks.reports.report import SuiteReport, SuiteReports, schema_text


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    good = make_run(folder / "good", tasks=12, attempts=2, skill=0.95, seed=1)
    return good, make_run(folder / "bad", tasks=12, attempts=2, skill=0.2, level=1, seed=2)


def test_the_command_reports_and_holds_a_run_against_a_baseline(runs: tuple[Path, Path], tmp_path: Path) -> None:
    good, bad = runs
    kept, page, junit_, text = (tmp_path / name for name in ("base.json", "p.html", "j.xml", "m.md"))
    assert bridle("suite", "report", str(good), "--write-baseline", str(kept)).code == 0
    files = ["--html", str(page), "--junit", str(junit_), "--markdown", str(text)]
    done = bridle("suite", "report", str(bad), "--baseline", str(kept), "--max-regressions", "0", *files, "--json")
    report = SuiteReport.model_validate_json(done.out)
    assert (done.code, report.ending.code) == (3, 3)
    assert report.compared is not None
    assert report.compared.overall.verdict == "worse"
    assert page.read_text().startswith("<!doctype html>")
    assert ElementTree.parse(junit_).getroot()[0].get("tests") == "24"
    assert "### Against the baseline" in text.read_text()
    spoken = bridle("suite", "report", str(bad), "--baseline", str(kept))
    assert "against the baseline, this run is worse" in spoken.out
    assert spoken.code == 3


def test_a_baseline_of_other_tasks_is_refused_before_a_run_and_told_after_it(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    kept, page = tmp_path / "base.json", tmp_path / "page.html"
    other = BaselineTask(hash="h", planned=1, scored=1, passed=1)
    write_baseline(kept, Baseline(agent="nop", version="1", attempts=1, tasks={"a1": other}))
    done = bridle(
        "suite", "run", "bundled", "--agent", "nop", "--out", str(tmp_path / "out"), "--baseline", str(kept)
    )
    assert (done.code, "has none of these tasks as they are now" in done.err) == (2, True)
    assert not (tmp_path / "out").exists()
    told = bridle("suite", "report", str(runs[0]), "--baseline", str(kept), "--html", str(page))
    assert (told.code, "they share no task" in told.err) == (2, True)
    assert "they share no task" in page.read_text()


def test_runs_of_different_tasks_are_told(runs: tuple[Path, Path], tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", tasks=5, attempts=1)
    assert "the runs have different tasks" in bridle("suite", "report", str(runs[0]), str(other)).err
    assert "different tasks" not in bridle("suite", "report", *map(str, runs)).err


def test_the_command_puts_several_runs_beside_each_other(runs: tuple[Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = bridle("suite", "report", *map(str, runs), "--html", str(page), "--json")
    reports = SuiteReports.model_validate_json(done.out)
    assert (done.code, [each.label for each in reports.levels]) == (0, ["ask", "contained"])
    assert "Success by level of autonomy" in page.read_text()
    refused = bridle("suite", "report", *map(str, runs), "--min-pass-rate", "1")
    assert (refused.code, "give one run for anything else" in refused.err) == (2, True)


def test_the_command_compares_runs_and_baselines(runs: tuple[Path, Path]) -> None:
    done = bridle("suite", "compare", *map(str, runs))
    assert done.code == 0, done.err
    assert "B is worse: -" in done.out
    assert "with Holm's p-values" in done.out
    assert (
        json.loads(bridle("suite", "compare", str(runs[1]), str(runs[0]), "--json").out)["overall"]["verdict"]
        == "better"
    )


def test_the_command_prints_schemas_and_refuses_what_makes_no_sense(runs: tuple[Path, Path]) -> None:
    assert bridle("suite", "schema", "baseline").out == schema_text("baseline")
    wrong = bridle("suite", "schema", "verdict")
    assert (wrong.code, "give one of report, reports" in wrong.err) == (2, True)
    alone = bridle("suite", "report", str(runs[0]), "--max-regressions", "1")
    assert (alone.code, "give one, too" in alone.err) == (2, True)
