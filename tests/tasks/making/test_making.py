"""`bridle suite make` on a real small project: tasks that are proven, say enough and give nothing away."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from support.project import QUICK, bridle, finish, git, make_project, start

from tasks.format.task import Task, load_suite, load_task
from tasks.making.project import from_folder
from tasks.making.storing import Content, write_task

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]
PRODUCT = '''"""Small helpers."""


def slug(text, sep="-", limit=20):
    """Words in lower case, joined by `sep`, cut to `limit` characters."""
    if not isinstance(text, str):
        raise TypeError("text has to be a string")
    out = sep.join(word.lower() for word in text.split())
    if len(out) > limit:
        out = out[:limit].rstrip(sep)
    return out


class Box:
    """Keeps the last `size` things."""

    def __init__(self, size=2):
        self.size = size
        self.items = []

    def put(self, thing):
        self.items.append(thing)
        if len(self.items) > self.size:
            self.items.pop(0)

    def best(self):
        if not self.items:
            return None
        return max(self.items)


def nobody_calls(this):
    return this + 1
'''
TESTS = """import pytest

from tools_of_mine import Box, slug


@pytest.mark.parametrize(("given", "wanted"), [("A b", "a-b"), ("a  b", "a-b"), ("", "")])
def test_slug(given, wanted):
    assert slug(given) == wanted


def test_limit():
    assert slug("aaaa bbbb", limit=5) == "aaaa"
    assert slug("aaaa bbbb", limit=9) == "aaaa-bbbb"


def test_type():
    with pytest.raises(TypeError):
        slug(3)


def test_box():
    box = Box()
    box.put(1)
    box.put(5)
    box.put(2)
    assert box.items == [5, 2]
    assert box.best() == 5


def test_empty():
    assert Box().best() is None


def test_broken():
    assert slug("right") == "wrong"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mine") / "mine"
    folder.mkdir()
    files = {"tools_of_mine.py": PRODUCT, "tests/test_mine.py": TESTS, "build/lib/tools_of_mine.py": PRODUCT}
    return make_project(folder, {**files, "pytest.ini": QUICK})


@pytest.fixture(scope="module")
def made(project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A suite of one task, and what the command printed."""
    before = (git(project, "status", "--porcelain"), git(project, "rev-parse", "HEAD"))
    out = tmp_path_factory.mktemp("made") / "suite"
    command = ("suite", "make", "--from", str(project), "--n", "1", "--out", str(out), "--json")
    done = bridle(*command, seconds=900)
    assert done.code == 0, done.err
    assert before == (git(project, "status", "--porcelain"), git(project, "rev-parse", "HEAD"))
    return out, done.report


def test_what_was_made_is_told(made: tuple[Path, dict[str, Any]], project: Path) -> None:
    out, report = made
    assert json.loads((out / "suite.json").read_text()) == report
    assert report["source"]["kind"] == "repository"
    assert report["source"]["version"] == git(project, "rev-parse", "HEAD")
    assert (report["complete"], report["tests"], report["left_out"]) == (True, 7, 1)
    assert report["counts"]["kept"] == 1
    assert report["counts"]["tried"] <= report["counts"]["candidates"]
    assert not {site["function"] for each in report["tasks"] for site in each["sites"]} & {"nobody_calls", ""}
    hashes = {task.name: task.hash for task in load_suite(out)}
    assert hashes == {each["name"]: each["hash"] for each in report["tasks"]}


def test_a_task_expects_what_fails_and_what_has_to_go_on(made: tuple[Path, dict[str, Any]]) -> None:
    out, report = made
    for entry in report["tasks"]:
        task = load_task(out / entry["name"])
        assert task.notes == ()
        assert set(entry["failing"]) == set(task.bridle.expected) - set(task.bridle.regression)
        assert task.bridle.regression
        assert len(task.bridle.expected) == 7
        assert task.bridle.locations == ("tools_of_mine.py",)
        assert task.bridle.difficulty == entry["difficulty"]
        assert task.wrong == []


def test_neither_workspace_nor_instruction_gives_the_answer_away(made: tuple[Path, dict[str, Any]]) -> None:
    out, report = made
    for entry in report["tasks"]:
        task = load_task(out / entry["name"])
        assert not (task.files / "build").exists()
        left = (task.files / "tests" / "test_mine.py").read_text()
        for test in entry["failing"]:
            assert f"def {test.partition('[')[0].rpartition('::')[2]}(" not in left
        assert "def test_" in left
        source = (task.files / "tools_of_mine.py").read_text()
        assert source != PRODUCT
        assert "tools_of_mine" not in task.instruction
        assert "test_" not in task.instruction
        assert "should" in task.instruction
        assert "has to behave as it does now" in task.instruction


def test_the_patch_gives_the_file_back(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    out, report = made
    for entry in report["tasks"]:
        assert solved(load_task(out / entry["name"]), "solution/solve.sh", tmp_path) == PRODUCT


def test_of_two_bugs_the_solution_mends_both_and_each_wrong_one_leaves_its_own(
    project: Path, tmp_path: Path
) -> None:
    taken = from_folder(project)
    source = taken.files["tools_of_mine.py"]
    one = source.replace(b"len(out) > limit", b"len(out) >= limit")
    other = source.replace(b"return max", b"return min")
    both = one.replace(b"return max", b"return min")
    content = Content(
        project=taken,
        mutated={"tools_of_mine.py": both},
        failing=["tests/test_mine.py::test_limit", "tests/test_mine.py::test_box"],
        passing=["tests/test_mine.py::test_empty"],
        instruction="Mend it.\n",
        difficulty="medium",
        seconds=1.0,
        parts=({"tools_of_mine.py": one}, {"tools_of_mine.py": other}),
    )
    write_task(tmp_path / "two", content)
    task = load_task(tmp_path / "two")
    assert solved(task, "solution/solve.sh", tmp_path / "right") == PRODUCT
    assert solved(task, "wrong/not-site-1.sh", tmp_path / "one") == one.decode()
    assert solved(task, "wrong/not-site-2.sh", tmp_path / "other") == other.decode()
    assert task.bridle.regression == ("tests/test_mine.py::test_empty",)


def solved(task: Task, script: str, place: Path) -> str:
    """The file after one of the task's scripts worked on it."""
    work = place / task.name
    shutil.copytree(task.files, work)
    subprocess.run(["sh", task.folder / script], cwd=work, check=True)
    return (work / "tools_of_mine.py").read_text()


def test_ctrl_c_keeps_what_is_proven_which_is_the_same_again(
    made: tuple[Path, dict[str, Any]], project: Path, tmp_path: Path
) -> None:
    out = tmp_path / "again"
    process = start("suite", "make", "--from", str(project), "--n", "9", "--jobs", "1", "--out", str(out))
    end = time.monotonic() + 900
    while not load_if_there(out) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    done = finish(process, 900)
    assert done.code == 130, done.err
    kept = json.loads((out / "suite.json").read_text())
    assert kept["complete"] is False
    assert kept["tasks"]
    assert {each.name for each in out.iterdir()} == {"suite.json", *(each["name"] for each in kept["tasks"])}
    assert kept["tasks"][0] == made[1]["tasks"][0]


def load_if_there(out: Path) -> list[Task]:
    return load_suite(out) if any(out.glob("*/task.toml")) else []


def test_wrong_requests_are_one_sentence(project: Path, tmp_path: Path) -> None:
    for arguments, words in {
        ("--from", "no/such/folder"): "no/such/folder is no folder",
        ("--from", str(project), "--sites", "2..9"): "--sites 2..9: give 1, 2, 3",
        ("--from", str(project), "--verify", "make test"): "so give a pytest command",
        (): "give --from",
    }.items():
        done = bridle("suite", "make", *arguments, "--out", str(tmp_path / "out"))
        assert (done.code, words in done.err) == (2, True), done.err
    (tmp_path / "untested").mkdir()
    (tmp_path / "untested" / "it.py").write_text("x = 1\n")
    done = bridle("suite", "make", "--from", str(tmp_path / "untested"), "--out", str(tmp_path / "out"))
    assert (done.code, "untested has no tests" in done.err) == (2, True), done.err
    assert not (tmp_path / "out").exists()
