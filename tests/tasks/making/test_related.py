"""Twins and variants: renamed everywhere, said otherwise and the same; and what runs of them say."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.project import bridle

import tasks
from tasks.format.task import load_suite, load_task
from tasks.making.related import TWINS, VARIANTS, gap, original, spread, with_relation
from tasks.making.renaming import mapping, renamed, write_renamed
from tasks.making.variants import bullets, issue, order, title, typos, wording, write_variants
from tasks.runs.results import AttemptResult, RunFile, attempt_folder, write_result

BUNDLED = Path(tasks.__file__).parent / "bundled"
ROLLING = BUNDLED / "bug-rolling-mean"
TEXT = """`mean(values)` returns the wrong number. For `[1, 2]` it should give `1.5`.

- An empty list is refused with a `ValueError`.
- Whole numbers stay "whole numbers".

Every other function behaves as it does now."""
CHANCE = random.Random(1)


def code(text: str) -> list[str]:
    """What stands in spans, sorted."""
    return sorted(text.split("`")[1::2])


def test_wording_changes_words_and_no_code() -> None:
    said = wording(TEXT, CHANCE)
    assert said.startswith("`mean(values)` gives back the incorrect number.")
    assert "ought to" in said
    assert '"whole numbers"' in said
    assert code(said) == code(TEXT)


def test_typos_swap_letters_and_keep_code() -> None:
    said = typos(TEXT * 5, random.Random(3))
    assert said != TEXT * 5
    assert sorted(said) == sorted(TEXT * 5)
    assert code(said) == code(TEXT * 5)
    assert typos(TEXT, random.Random(3)) == typos(TEXT, random.Random(3))


def test_order_turns_lists_and_leaves_what_leans_on_another() -> None:
    assert order(TEXT, CHANCE).index("Whole numbers") < order(TEXT, CHANCE).index("An empty list")
    leaning = "`f` is wrong. It returns 1. Then it stops."
    assert order(leaning, CHANCE) == leaning
    assert order("`f` returns 1. `g` returns 2.", CHANCE) == "`g` returns 2.\n`f` returns 1."
    numbered = "1. Begin.\n2. End."
    assert order(numbered, CHANCE) == numbered


def test_formats_keep_every_sentence() -> None:
    assert bullets(TEXT, CHANCE).startswith("- `mean(values)` returns the wrong number.\n- For `[1, 2]` it should")
    assert issue(TEXT, CHANCE).startswith(
        "## Summary\n\n`mean(values)` returns the wrong number.\n\n## Details\n\nFor"
    )
    assert title(TEXT, CHANCE).startswith("# `mean(values)` returns the wrong number\n\nFor")
    fenced = "Do so:\n\n```python\nx = 1\n\ny = 2\n```\n\nEnd."
    for form in (bullets, issue, title, order, wording):
        assert "```python\nx = 1\n\ny = 2\n```" in form(fenced, CHANCE)


def test_variants_are_tasks_that_say_what_they_are_of(tmp_path: Path) -> None:
    made = write_variants(load_task(ROLLING), ("wording", "format"), tmp_path, 0)
    suite = {task.name: task for task in load_suite(tmp_path)}
    assert set(suite) == {ROLLING.name, *made}
    assert {original(name, VARIANTS)[1] for name in made} == {"wording", "bullets", "issue", "title"}
    assert {suite[name].bridle.variant_of for name in made} == {ROLLING.name}
    assert len({task.instruction for task in suite.values()}) == len(suite)
    assert all(task.notes == () for task in suite.values())


def test_a_relation_is_written_once_and_makes_a_table_where_there_is_none() -> None:
    assert with_relation("[bridle]\na = 1\n", "twin_of", "x") == '[bridle]\ntwin_of = "x"\na = 1\n'
    fetched = with_relation("[bridle]\n\n[bridle.source]\na = 1\n\n[agent]\n", "twin_of", "x")
    assert fetched == '[bridle]\ntwin_of = "x"\n\n[agent]\n'
    assert with_relation("[agent]\n", "twin_of", "x") == '[agent]\n\n[bridle]\ntwin_of = "x"\n'


def test_only_what_is_the_projects_own_is_renamed() -> None:
    source = (
        "import json\n\n\ndef rolling_mean(values, key):\n    total = 0\n    for value in values.items():\n"
        "        total += value.count\n    return json.loads(total)['price'], key\n\n\nclass OrderReport:\n"
        "    def values(self):\n        self.customer_name = 1\n"
    )
    names = mapping({"rolling.py": source})
    assert names["rolling_mean"] == "sliding_average"
    assert names["OrderReport"] == "PurchaseSummary"
    assert names["customer_name"] == "client_label"
    assert not {"values", "count", "loads", "json", "price", "items"} & set(names)
    changed = renamed("rolling_mean and rolling_means, total", names)
    assert changed == f"sliding_average and rolling_means, {names['total']}"
    assert mapping({"a.py": "def f(:"}) == {}
    assert "window" not in mapping({"a.py": "def window(): ...\ndef span(): ..."})


def test_a_renamed_twin_still_solves(tmp_path: Path) -> None:
    assert write_renamed(load_task(ROLLING), tmp_path / "bug-rolling-mean.renamed") > 3
    twin = load_task(tmp_path / "bug-rolling-mean.renamed")
    assert twin.bridle.twin_of == ROLLING.name
    assert twin.bridle.locations == ("sliding.py",)
    assert "sliding_average(" in twin.instruction
    assert "rolling" not in twin.instruction.lower()
    work = tmp_path / "work"
    shutil.copytree(twin.files, work)

    def passes() -> bool:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", twin.folder / "tests"]
        done = subprocess.run(command, cwd=work, capture_output=True, env={"PYTHONPATH": str(work)}, check=False)
        return done.returncode == 0

    assert not passes()
    assert twin.solution is not None
    subprocess.run(["sh", twin.solution], cwd=work, check=True)
    assert passes()


def test_names_say_what_belongs_together() -> None:
    assert original("lib-1.2.0", TWINS) == ("lib-1.2.0", "")
    assert original("lib-1.2.renamed", TWINS) == ("lib-1.2", "renamed")
    assert original("a.bug", VARIANTS) == ("a.bug", "")


def test_the_gap_is_paired_and_counts_twins_of_a_task_once() -> None:
    originals = {f"t{n}": (1, 1) for n in range(20)}
    twins = {f"t{n}.renamed": (int(n % 2), 1) for n in range(20)} | {"t0.bug": (1, 1), "other.bug": (0, 1)}
    found = gap(originals, twins)
    assert found is not None
    count, comparison = found
    assert count == 20
    assert comparison.difference.value == pytest.approx(0.475)
    assert comparison.difference.low > 0
    assert gap(originals, originals) is None


def test_the_spread_is_told_beside_that_of_chance() -> None:
    same = spread({f"t{n}{form}": (1, 2) for n in range(5) for form in ("", ".wording", ".order")})
    assert same is not None
    assert (same.tasks, same.widest, same.deviation) == (5, 0.0, 0.0)
    assert same.chance == pytest.approx(0.5 / 2**0.5, rel=0.01)
    other = spread({"t": (4, 4), "t.wording": (0, 4), "alone": (0, 9)})
    assert other is not None
    assert (other.tasks, other.widest, other.by_task) == (1, 1.0, {"t": 1.0})
    assert other.rates == {"": (4, 4), "wording": (0, 4)}
    assert spread({"a": (1, 1), "b": (0, 1)}) is None


def run_of(folder: Path, results: dict[str, bool]) -> Path:
    """A run's folder with one attempt a task."""
    about = RunFile(agent={"kind": "nop"}, version="1", attempts=1, tasks=dict.fromkeys(results, "x"))
    folder.mkdir()
    (folder / "run.json").write_text(about.model_dump_json())
    for name, passed in results.items():
        place = attempt_folder(folder, name, 1)
        place.mkdir(parents=True)
        status = "pass" if passed else "fail"
        write_result(place, AttemptResult(task=name, number=1, key="k", status=status, outcome="done"))  # type: ignore[arg-type]
    return folder


def test_gap_and_spread_are_commands(tmp_path: Path) -> None:
    known = run_of(tmp_path / "known", {f"t{n}": True for n in range(12)})
    twins = run_of(tmp_path / "twins", {f"t{n}.bug": n < 2 for n in range(12)})
    done = bridle("suite", "gap", str(known), str(twins))
    assert (done.code, done.out.split(" (")[0]) == (0, "contamination gap +83 points"), done.err
    assert "known tasks are solved more often" in done.out
    assert bridle("suite", "gap", str(known), str(known)).code == 2
    forms = run_of(tmp_path / "forms", {"t": True, "t.wording": False, "t.issue": True})
    done = bridle("suite", "spread", str(forms))
    assert "widest difference between two forms: 100%" in done.out, done.err
    assert bridle("suite", "spread", str(known)).code == 2
