"""Tasks with steps, from the command line: each in a sandbox of its own, on what the one before it left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.images import examples_base
from support.project import bridle

from sandboxes.docker.engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine", "base")]
STEPS = Path(__file__).parents[1] / "examples" / "harbor" / "steps"


@pytest.fixture(scope="module")
def base() -> None:
    examples_base(Engine().client())


def test_an_unchanged_task_with_steps_is_proven() -> None:
    done = bridle("suite", "check", str(STEPS), seconds=300)
    assert (done.code, done.out) == (0, "ok  steps\n"), done.err


def test_a_step_that_is_not_good_enough_is_the_last(tmp_path: Path) -> None:
    script = tmp_path / "half.sh"
    script.write_text(
        'if [ -e suffix.txt ]; then echo "echo \\"hello \\$1!\\"" > greet.sh; echo seen > /state/other\n'
        'else echo "echo \\"hello \\$1\\"" > greet.sh; chmod +x greet.sh; fi\n'
    )
    out = tmp_path / "out"
    bridle("suite", "run", str(STEPS), "--agent", f"script:{script}", "--out", str(out), seconds=300)
    attempt = out / "attempts" / "steps" / "1"
    grade = json.loads((attempt / "result.json").read_text())["grade"]
    assert [(each["name"], each["met"]) for each in grade["steps"]] == [("scaffold", True), ("implement", False)]
    assert (grade["verdict"], grade["reward"], grade["rewards"]) == ("fail", 1.0, {"reward": 1.0, "style": 0.0})
    assert "style 0.0 < 1: no further step" in grade["detail"]
    assert (attempt / "steps" / "implement" / "journal.jsonl").is_file()
    patch = (attempt / "patch.diff").read_text()
    assert patch.count("diff --git a/greet.sh b/greet.sh") == 2, "the patches of both steps"
    assert "suffix.txt" not in patch, "what setup.sh did is not the agent's"
    assert not (attempt / "work").exists()
