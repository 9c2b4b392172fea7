"""`bridle suite check` on tasks that are not as they should be, and on those that cannot be tried here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.project import bridle

import tasks

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]
ROLLING = Path(tasks.__file__).parent / "bundled" / "bug-rolling-mean"
NEEDS = 'locations = ["rolling.py"]\nneeds = ["sh", "no-such-program"]'


@pytest.fixture
def needy(tmp_path: Path) -> Path:
    task = tmp_path / "suite" / "needy"
    shutil.copytree(ROLLING, task)
    table = (task / "task.toml").read_text()
    (task / "task.toml").write_text(table.replace('locations = ["rolling.py"]', NEEDS))
    return task


def test_a_wrong_solution_that_passes_is_a_problem_and_a_missing_need_is_none(tmp_path: Path, needy: Path) -> None:
    loose = tmp_path / "suite" / "loose"
    shutil.copytree(ROLLING, loose)
    shutil.rmtree(loose / "wrong", ignore_errors=True)
    (loose / "wrong").mkdir()
    (loose / "wrong" / "a-right.sh").write_text('sh "$BRIDLE_SOLUTION"\n')
    (loose / "wrong" / "b-wrong.sh").write_text("echo >> rolling.py\n")
    done = bridle("suite", "check", str(needy.parent), "--json", seconds=200)
    checked = {each["task"]: each for each in json.loads(done.out)}
    assert done.code == 3, done.err
    assert checked["loose"]["problems"] == ["wrong/a-right.sh comes out as pass: 4 of 4 expected tests passed"]
    assert checked["needy"]["problems"] == []
    assert "has no no-such-program, which the task needs" in checked["needy"]["left_out"]


def test_a_task_whose_need_is_missing_is_unscored_at_once(tmp_path: Path, needy: Path) -> None:
    out = tmp_path / "out"
    done = bridle("suite", "run", str(needy), "--agent", "oracle", "--out", str(out))
    assert done.code == 8, done.err
    result = json.loads((out / "attempts" / "needy" / "1" / "result.json").read_text())
    assert (result["status"], result["tries"], result["lacks"]) == ("unscored", 1, ["no-such-program"])
    checked = bridle("suite", "check", str(needy))
    assert (checked.code, checked.out.split(":")[0]) == (0, "--  needy"), checked.err
