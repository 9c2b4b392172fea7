"""What reports make of a run: rates apart, baselines and regressions, exit codes, JUnit, Markdown, JSON."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.suite_run import make_run

from agent.asked import QuestionAnswered, QuestionAsked
from agent.journal import AnyEvent, GateDecided, SessionStarted, UserMessage
from agent.outcomes import Outcome, UsageProblem
from tasks.failures.rules import Evidence, Failure
from tasks.reports.baseline import Baseline, BaselineTask, baseline_of, read_baseline, write_baseline
from tasks.reports.comparison import compare_runs, is_regression
from tasks.reports.gates import Gates, ending
from tasks.reports.junit import junit
from tasks.reports.markdown import markdown
from tasks.reports.reading import LoadedRun, load_run
from tasks.reports.report import SCHEMAS, report_of, schema_text
from tasks.reports.summary import summarise
from tasks.runs.measures import Measures, measures
from tasks.runs.results import AttemptResult, Kind, RunFile

DOCS = Path(__file__).parents[3] / "docs"
Status = str


def attempt(task: str, number: int, status: Any, **fields: Any) -> AttemptResult:
    outcome = Outcome.MODEL_FAILED if status == "unscored" else Outcome.DONE
    failure = None if status == "pass" else Failure(primary="outcome.wrong")
    given_ = {"failure": failure, "category": task[0], **fields}
    return AttemptResult(task=task, number=number, key="", status=status, outcome=outcome, **given_)


def run_of(results: list[AttemptResult], attempts: int, tasks: list[str] | None = None) -> LoadedRun:
    names = tasks or sorted({each.task for each in results})
    file = RunFile(
        agent={"kind": "nop"},
        version="1",
        attempts=attempts,
        tasks=dict.fromkeys(names, "h"),
        kinds={name: Kind(category=name[0]) for name in names},
    )
    return LoadedRun(Path("run"), file, tuple(results))


def test_unscored_and_unmade_attempts_are_failures_in_the_strict_rate_alone() -> None:
    results = [
        attempt("a", 1, "pass"),
        attempt("a", 2, "unscored"),
        attempt("b", 1, "pass"),
        attempt("b", 2, "pass"),
    ]
    found = summarise(run_of(results, 2, ["a", "b", "c"]))
    assert (found.rate.value, found.strict.value, found.coverage.value) == (1.0, 0.5, 0.5)
    assert (found.planned, found.attempts, found.scored, found.unscored) == (6, 4, 3, 1)
    assert found.categories["c"].coverage.value == 0.0
    assert found.categories["c"].rate.low == 0.0
    assert found.categories["c"].rate.high == 1.0


def test_pass_at_k_is_over_tasks_with_so_many_scored_attempts() -> None:
    results = [attempt("a", n, "pass" if n == 1 else "fail") for n in (1, 2)]
    results += [attempt("b", 1, "pass"), attempt("b", 2, "unscored")]
    one, two = summarise(run_of(results, 2)).at_k
    assert (one.tasks, one.one.value, one.all.value) == (2, 0.75, 0.75)
    assert (two.tasks, two.one.value, two.all.value) == (1, 1.0, 0.0)


def test_what_a_solved_task_takes_includes_the_attempts_that_failed() -> None:
    results = [
        attempt(task, 1, status, measures=Measures(worked=seconds))
        for task, status, seconds in (("a", "pass", 10.0), ("b", "fail", 30.0), ("c", "pass", 20.0))
    ]
    found = summarise(run_of(results, 1)).per_solved
    assert found.seconds is not None
    assert found.seconds.value == 30.0
    assert found.seconds.low < 30.0 < found.seconds.high
    assert (found.cost, found.tokens) == (None, None)


def test_a_budget_curve_counts_what_was_solved_within() -> None:
    results = [
        attempt(task, 1, status, measures=Measures(worked=seconds))
        for task, status, seconds in (
            ("a", "pass", 10.0),
            ("b", "fail", 5.0),
            ("c", "pass", 20.0),
            ("d", "pass", 20.0),
        )
    ]
    curve = summarise(run_of(results, 1)).budgets["seconds"]
    assert [(each.budget, each.rate.value) for each in curve] == [(10.0, 0.25), (20.0, 0.75)]


def test_success_is_told_by_the_level_that_attempts_ran_at() -> None:
    results = [
        attempt("a", 1, "pass", measures=Measures(level=5)),
        attempt("b", 1, "fail", measures=Measures(level=1)),
    ]
    found = summarise(run_of(results, 1)).levels
    assert [(each.label, each.rates.rate.value) for each in found] == [("ask", 0.0), ("full", 1.0)]


def test_results_of_other_tasks_agents_or_versions_do_not_count(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", tasks=4, attempts=2)
    about = json.loads((folder / "run.json").read_text())
    gone, other = sorted(about["tasks"])[:2]
    del about["tasks"][gone]
    about["tasks"][other] = "changed"
    (folder / "run.json").write_text(json.dumps(about))
    run = load_run(folder)
    assert (len(run.results), run.stale) == (4, 4)
    assert summarise(run).planned == 6


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"agent": 1}'])
def test_a_folder_that_is_no_run_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UsageProblem, match="says nothing of a run: give the --out folder"):
        load_run(tmp_path)
    with pytest.raises(UsageProblem, match="is no run: give the --out folder"):
        load_run(tmp_path / "none")


def test_what_people_had_to_do_is_counted_once_a_call() -> None:
    def decided(call: str, verdict: Any, **more: Any) -> GateDecided:
        return GateDecided(
            call=call,
            tool="shell",
            effects=("run",),
            level=2,
            verdict=verdict,
            cause="c",
            by="ann",
            time=30.0,
            **more,
        )

    def asked(number: str, call: str) -> QuestionAsked:
        return QuestionAsked(
            id=number,
            digest="d",
            call=call,
            tool="t",
            arguments="{}",
            effects=("run",),
            because=("run",),
            cause="c",
            level=2,
            title="t",
            time=20.0,
        )

    events: list[AnyEvent] = [
        SessionStarted(
            session="s", version="1", task="t", repository="r", options={"autonomy": "edit"}, time=10.0
        ),
        decided("c1", "allow"),
        decided("c2", "allow", answers=("yes",), seconds=4.0),
        decided("c3", "deny", answers=("no",), seconds=1.0),
        decided("c4", "allow", answers=("edit", "yes"), edited_arguments="{}", seconds=1.0),
        asked("q1", "c5"),
        QuestionAnswered(id="q1", digest="d", answer="yes", by="ann", time=25.0),
        decided("c5", "allow", answers=("yes",)),
        asked("q2", "c6"),
        UserMessage(role="user", text="faster", by="user", meanwhile=True, time=50.0),
    ]
    found = measures(events)
    assert found.interventions.model_dump() == {"asked": 5, "answered": 4, "denied": 1, "edited": 1, "steered": 1}
    assert found.interventions.total == 5
    assert (found.started, found.worked, found.level) == (10.0, 34.0, 2)
    assert measures([]) == Measures()
    run = run_of([attempt(task, 1, "pass", measures=found) for task in "ab"], 1)
    assert summarise(run).interventions.model_dump() == {
        name: 2 * count for name, count in found.interventions.model_dump().items()
    }


# Baselines, regressions and exit codes


def base(tasks: dict[str, tuple[int, int, int]], *, version: str = "1", hashes: str = "h") -> Baseline:
    """Tasks by name, each with its planned, scored and passed attempts."""
    made = {
        name: BaselineTask(hash=hashes, category=name[0], planned=planned, scored=scored, passed=passed)
        for name, (planned, scored, passed) in tasks.items()
    }
    return Baseline(agent="nop", version=version, attempts=3, tasks=made)


def test_a_baseline_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "run", tasks=3, attempts=2))
    write_baseline(tmp_path / "base.json", baseline_of(run))
    assert read_baseline(tmp_path / "base.json") == baseline_of(run) == read_baseline(tmp_path / "run")
    assert len((tmp_path / "base.json").read_text().splitlines()) == 2 + 3


@pytest.mark.parametrize("text", ["", "{}", '{"agent": "a", "version": "1", "attempts": 0, "tasks": {}}'])
def test_what_is_no_baseline_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "base.json").write_text(text)
    with pytest.raises(UsageProblem, match=r"is no baseline .*: give a file that --write-baseline wrote"):
        read_baseline(tmp_path / "base.json")
    with pytest.raises(UsageProblem, match="cannot be read"):
        read_baseline(tmp_path / "none.json")


def test_a_baseline_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(ValueError, match="passed is at most scored"):
        BaselineTask(hash="h", planned=1, scored=1, passed=2)


def test_a_regression_is_a_task_that_always_passed_and_never_does_or_fell_by_more_than_chance() -> None:
    assert is_regression((1, 1), (0, 1))
    assert is_regression((3, 3), (0, 1))
    assert not is_regression((2, 3), (0, 3))
    assert not is_regression((3, 3), (1, 3))
    assert is_regression((9, 10), (3, 10))  # Fisher: p = 0.0099
    assert not is_regression((0, 3), (3, 3))


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_what_rose_or_stayed_is_no_regression(n: int, m: int, data: st.DataObject) -> None:
    before = data.draw(st.integers(0, n))
    after = data.draw(st.integers(-(-before * m // n), m))
    assert before == after == 0 or not is_regression((before, n), (after, m))


def test_tasks_whose_content_differs_are_left_out_and_all_of_them_is_refused() -> None:
    a = base({"a1": (3, 3, 3), "b1": (3, 3, 3)})
    changed = Baseline(
        **{**a.model_dump(), "tasks": {**a.tasks, "b1": a.tasks["b1"].model_copy(update={"hash": "x"})}}
    )
    found = compare_runs(a, changed)
    assert (found.overall.tasks, found.changed_content) == (1, ["b1"])
    assert "left out, since their content differs: b1" in found.warnings
    with pytest.raises(UsageProblem, match="cannot be compared: the content of all 2 tasks they share differs"):
        compare_runs(a, base({"a1": (3, 3, 3), "b1": (3, 3, 3)}, hashes="x"))
    with pytest.raises(UsageProblem, match="they share no task"):
        compare_runs(a, base({"c1": (3, 3, 3)}))


def test_what_makes_runs_less_alike_is_warned_of() -> None:
    a = base({"a1": (3, 3, 3), "a2": (3, 3, 3)})
    b = base({"a1": (1, 1, 1), "a3": (1, 0, 0)}, version="2").model_copy(update={"attempts": 1})
    said = " | ".join(compare_runs(a, b).warnings)
    for words in (
        "versions of Bridle differ (1, 2)",
        "3 and 1 attempts",
        "only in A: a2",
        "only in B: a3",
        "B scored 1 of 2",
    ):
        assert words in said


def test_one_category_alone_has_to_stand_out_among_all() -> None:
    names = [f"{kind}{i}" for kind in "abcdefgh" for i in range(6)]
    a = base(dict.fromkeys(names, (1, 1, 0)))
    b = base({name: (1, 1, int(name[0] == "a")) for name in names})
    found = compare_runs(a, b)
    (first,) = [each for each in found.categories if each.category == "a"]
    assert (first.comparison.p_value, first.adjusted, first.verdict) == (0.03125, 0.25, "can't tell")
    assert found.overall.verdict == "better"


def test_exit_codes() -> None:
    good = summarise(run_of([attempt(f"a{i}", 1, "pass") for i in range(8)], 1))
    half = summarise(run_of([attempt(f"a{i}", 1, "pass" if i % 2 else "fail") for i in range(8)], 1))
    part = summarise(run_of([attempt(f"a{i}", 1, "pass" if i % 2 else "unscored") for i in range(8)], 1))
    none = summarise(run_of([attempt("a", 1, "unscored")], 1))
    worse = compare_runs(
        base({f"a{i}": (1, 1, 1) for i in range(8)}), base({f"a{i}": (1, 1, 0) for i in range(8)})
    )
    fell = compare_runs(
        base({f"a{i}": (1, 1, 1) for i in range(8)}), base({f"a{i}": (1, 1, int(i > 1)) for i in range(8)})
    )
    assert ending(good, None, Gates(min_pass_rate=1.0, min_coverage=1.0)).code == 0
    assert ending(half, None, Gates(min_pass_rate=0.5)).code == 0
    assert ending(half, None, Gates(min_pass_rate=0.51)).code == 3
    assert ending(part, None, Gates(min_pass_rate=1.0)).code == 0
    assert ending(part, None, Gates(min_pass_rate=1.0, min_coverage=0.9)).code == 8
    assert ending(none, None, Gates()).code == 8
    assert ending(good, worse, Gates()).code == 3
    assert ending(good, fell, Gates()).code == 0
    assert ending(good, fell, Gates(max_regressions=2)).code == 0
    told = ending(good, fell, Gates(max_regressions=1))
    assert (told.code, told.problems) == (3, ("2 regressions, over --max-regressions 1: a0, a1",))
    assert ending(none, None, Gates(), stopped=True).code == 130
    assert ending(none, None, Gates(), over="the run's time is over").code == 4
    assert ending(good, None, Gates(), incomparable="other tasks").code == 2
    assert ending(half, None, Gates(min_pass_rate=1.0), incomparable="other tasks").code == 3


# Files

HOSTILE = "]]> </failure> | `x` <img src=x> [a](http://192.0.2.1) @everyone\n# big \x1b[2J \x00 \ufffe"


def hostile_run() -> LoadedRun:
    failure = Failure(primary="outcome.wrong", evidence=(Evidence(line=3, text=HOSTILE),))
    results = [attempt("a", n, "fail", detail=HOSTILE, failure=failure) for n in range(1, 30)]
    return run_of([*results, attempt("b", 1, "unscored", detail=HOSTILE), attempt("b", 2, "pass")], 29)


def test_junit_has_a_case_an_attempt_and_takes_any_text() -> None:
    root = ElementTree.fromstring(junit(hostile_run().results, "name"))
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("31", "29", "1")
    assert [len(case.findall("failure") + case.findall("error")) for case in suite].count(1) == 30
    failure = suite[0].find("failure")
    assert failure is not None
    assert "line 3: ]]> </failure>" in (failure.text or "")
    assert "\\x1b[2J" in (failure.text or "")


def test_markdown_is_short_and_nothing_of_the_agents_acts_in_it() -> None:
    text = markdown(report_of(hostile_run()), "a | title <b> [x](y)")
    assert len(text.splitlines()) < 60
    assert "… and 10 more" in text
    rows = [line for line in text.splitlines() if line.startswith("| a | ")]
    assert rows
    for row in rows[1:]:
        assert len(re.sub(r"\\\|", "", row).split("|")) == 7
        code = re.findall("`([^`]*)`", row)
        assert len(code) == 1
        assert "<img" not in row.replace(code[0], "")
    assert "## a \\| title \\<b\\> \\[x\\](y)" in text


def test_markdown_says_what_changed_against_the_baseline() -> None:
    before = base({f"a{i}": (1, 1, 1) for i in range(8)})
    run = run_of([attempt(f"a{i}", 1, "fail" if i < 7 else "pass") for i in range(8)], 1)
    text = markdown(report_of(run, baseline=before, gates=Gates(max_regressions=0)), "t")
    assert "This run is worse: -88 points" in text
    assert "| a0 | 1/1 | 0/1 | **regression** |" in text
    assert "7 regressions, over --max-regressions 0" in text


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_the_schemas_in_docs_are_the_models(name: str) -> None:
    kept = (DOCS / "schemas" / f"suite-{name}.json").read_text(encoding="utf-8")
    assert kept == schema_text(name), f"bridle suite schema {name} > docs/schemas/suite-{name}.json"
