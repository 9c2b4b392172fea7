"""Who is to blame when a grade cannot be had: code that breaks the grader has failed, and is not unscored."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandboxes.docker.backend import DockerBackend
from tasks.agents.work import Agent
from tasks.format.task import load_task
from tasks.runs.results import AttemptResult
from tasks.runs.runner import Run

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]


def task(folder: Path, tests: str, *, table: str = "", wrong: str = "", right: str = "") -> Path:
    """A task on code_of_mine.py, whose solution writes `right` there."""
    files = folder / "environment" / "files"
    names = [line.split("(")[0].removeprefix("def ") for line in tests.splitlines() if line.startswith("def test")]
    ids = ", ".join(f'"tests/test_it.py::{name}"' if table else f'"test_it.py::{name}"' for name in names)
    place = files / "tests" if table else folder / "tests"
    for each in (files, place, folder / "tests", folder / "solution"):
        each.mkdir(parents=True, exist_ok=True)
    (files / "code_of_mine.py").write_text(wrong)
    (place / "test_it.py").write_text(tests)
    (folder / "solution" / "solve.sh").write_text(f"cat >code_of_mine.py <<'END'\n{right}\nEND\n")
    (folder / "instruction.md").write_text("Make the tests pass.\n")
    (folder / "task.toml").write_text(f"[bridle]\nexpected = [{ids}]\n{table}\n")
    return folder


async def attempt(folder: Path, out: Path, code: str | None = None) -> AttemptResult:
    """What comes of the task's solution, or of `code` in its place."""
    script = f"cat >code_of_mine.py <<'END'\n{code}\nEND\n"
    agent = Agent(kind="oracle") if code is None else Agent(kind="script", command=script)
    (result,) = await Run([load_task(folder)], agent, DockerBackend(), out, pauses=[]).run()
    return result


TWICE = "from code_of_mine import double\n\n\ndef test_double():\n    assert double(2) == 4\n"
RIGHT = "def double(x):\n    return 2 * x"
FOLDER = """import os
if os.path.isfile("tests/test_it.py"):
    os.remove("tests/test_it.py")
    os.mkdir("tests/test_it.py")
"""


async def test_code_that_puts_a_folder_in_the_place_of_its_tests_has_failed(tmp_path: Path) -> None:
    made = task(tmp_path / "task", TWICE, table='tests = "workspace"', wrong="double = None", right=RIGHT)
    assert (await attempt(made, tmp_path / "oracle")).status == "pass"
    found = await attempt(made, tmp_path / "folder", FOLDER + "def double(x):\n    return 0")
    assert (found.status, found.tries) == ("fail", 1)
