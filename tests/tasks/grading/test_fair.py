"""What an honest solution is worth whatever its tests leave behind, and who is to blame where there is no grade:
code that breaks the grader has failed, and is not unscored.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.images import examples_base

from sandboxes.docker.backend import DockerBackend
from sandboxes.docker.engine import Engine
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


SAYS_SO = """import os
for each in range(3, 20):
    try:
        os.write(each, b"No module named 'pytest'")
    except OSError:
        pass
os._exit(1)
"""


async def test_code_that_says_there_is_no_pytest_has_failed(tmp_path: Path) -> None:
    made = task(tmp_path / "task", TWICE, right=RIGHT)
    found = await attempt(made, tmp_path / "out", SAYS_SO)
    assert (found.status, found.tries) == ("fail", 1)


async def test_an_image_without_pytest_scores_nobody(tmp_path: Path) -> None:
    examples_base(Engine().client())
    made = task(tmp_path / "task", TWICE, right=RIGHT)
    with (made / "task.toml").open("a") as file:
        file.write('files = "environment/files"\n[environment]\ndocker_image = "bridle-test/debian:bookworm"\n')
    found = await attempt(made, tmp_path / "out")
    assert (found.status, "has no pytest" in found.detail) == ("unscored", True)


STATE = """import code_of_mine as names


def test_one():
    names.add("a")
    assert len(names.all()) == 1
    names.clear()


def test_two():
    names.add("a")
    names.add("b")
    assert len(names.all()) == 2
    names.clear()


def test_refused():
    names.add("a")
    with pytest.raises(TypeError) as found:
        names.add(3)
    assert "3" in str(found.value)
    names.clear()


def test_none():
    assert names.all() == []
"""
NAMES = """names = []


def add(name):
    if not isinstance(name, str):
        raise TypeError(f"{name} is no name")
    names.append(name)


def all():
    return names


def clear():
    names.clear()
"""
ONCE = """import os

from code_of_mine import make


def test_makes():
    make("out")
    assert os.listdir("out") == ["a.txt"]
"""
MAKE = """import os


def make(name):
    os.mkdir(name)
    open(name + "/a.txt", "w").close()
"""
HELD = """from code_of_mine import double, free, take


def doubled(x, wanted):
    assert double(x) == wanted
    return wanted


def test_one():
    take()
    found = doubled(2, 4)
    free(found)


def test_two():
    take()
    found = doubled(3, 6)
    free(found)
"""
TAKES = """taken = []


def double(x):
    return 2 * x


def take():
    if taken:
        raise RuntimeError("it is taken")
    taken.append(1)


def free(_):
    taken.clear()
"""


@pytest.mark.parametrize(
    ("tests", "code"),
    [("import pytest\n" + STATE, NAMES), (ONCE, MAKE), (HELD, TAKES)],
    ids=["tests that clean up behind themselves", "a folder that is made once", "a twin that breaks off"],
)
async def test_an_honest_solution_passes_each_time_whatever_its_tests_leave(
    tmp_path: Path, tests: str, code: str
) -> None:
    made = task(tmp_path / "task", tests, right=code)
    run = Run([load_task(made)], Agent(kind="oracle"), DockerBackend(), tmp_path / "out", attempts=3, pauses=[])
    for each in await run.run():
        assert each.grade is not None
        assert (each.status, each.grade.flags) == ("pass", ()), each.grade
