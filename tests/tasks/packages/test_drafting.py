"""Drafting a task from two releases: what changed, and which tests tell, in real sandboxes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

import pytest
from support.package_index import Start, pages, source_archive
from support.project import bridle

from agent.outcomes import UsageProblem
from sandboxes.docker.backend import DockerBackend
from tasks.format.task import load_task, read_task_file
from tasks.packages.drafting import Wanted, draft
from tasks.packages.fetched import make
from tasks.packages.index import Index, find_index

TESTS = (
    "import sums\n\n\ndef test_total():\n    assert sums.total([1, 2]) == 3\n\n\n"
    "def test_nothing():\n    assert sums.total([]) == 0\n\n\n"
    "def test_other():\n    assert sums.other() == '{'\n\n\ndef test_broken():\n    assert not sums\n"
)
OLD = {
    "sums.py": "def total(values):\n    return sum(values[1:])\n\n\ndef other():\n    return 0\n",
    "tests/test_sums.py": "def test():\n    pass\n",
    "tests/test_same.py": "raise SystemExit('unchanged, so not run')\n",
    "PKG-INFO": "Metadata-Version: 2.1\nLicense-Expression: MIT\n\nLicense: GPL\n",
}
NEW = {
    **OLD,
    "sums.py": "def total(values):\n    return sum(values)\n\n\ndef other():\n    return '{'\n",
    "tests/test_sums.py": TESTS,
}


class Sums(NamedTuple):
    """An index with three releases of `sums`: the last two differ in nothing but a text."""

    url: str

    def find(self) -> Index:
        """Its index."""
        return find_index(self.url)


@pytest.fixture
def sums(index: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sums:
    """See Sums."""
    monkeypatch.setenv("BRIDLE_CACHE_DIR", str(tmp_path / "cache"))
    releases = {"1.0": OLD, "1.1": NEW, "1.2": {**NEW, "README": "new\n"}}
    files = {f"sums-{name}.tar.gz": source_archive(each, f"sums-{name}") for name, each in releases.items()}
    return Sums(index(pages({"sums": files}))[0])


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_a_draft_says_which_tests_tell_the_releases_apart(sums: Sums, tmp_path: Path) -> None:
    folder = tmp_path / "suite" / "sums-total"
    command = ("suite", "draft", "sums", "1.0", "1.1", "--index", sums.url, "--out", str(folder))
    done = bridle(*command, "--only", "total", "--instruction", "total() forgets the first.", "--json")
    assert done.code == 0, done.err
    assert done.report == {"task": str(folder), "telling": 1, "left_out": 1, "passing": 1}
    table = read_task_file(folder).bridle
    assert table.expected == ("test_sums.py::test_total", "test_sums.py::test_nothing")
    assert table.regression == ("test_sums.py::test_nothing",)
    assert table.locations == ("sums.py",)
    assert table.source is not None
    assert table.source.license == "MIT"
    task = load_task(make(folder, sums.find()))
    assert (task.folder / "solution" / "files" / "sums.py").read_text() == NEW["sums.py"]
    assert {path.name for path in task.files.iterdir()} == {"sums.py", "tests"}
    assert task.instruction == "total() forgets the first."


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        (("1.0", "9.9"), r"no source archive of sums 9\.9"),
        (("1.1", "1.2"), "nothing differs in the code"),
    ],
)
def test_what_cannot_be_drafted_is_a_sentence(
    sums: Sums, tmp_path: Path, versions: tuple[str, str], words: str
) -> None:
    wanted = Wanted("sums", versions, "x")
    with pytest.raises(UsageProblem, match=words):
        asyncio.run(draft(wanted, tmp_path / "task", DockerBackend(), sums.find()))
    assert not (tmp_path / "task").exists()


def test_a_folder_that_is_there_and_an_empty_instruction_are_refused(tmp_path: Path) -> None:
    draft_it = ("suite", "draft", "sums", "1.0", "1.1", "--out", str(tmp_path))
    assert "is there already" in bridle(*draft_it, "--instruction", "x").err
    assert "--instruction is empty" in bridle(*draft_it, "--instruction", " ").err
    missing = bridle(*draft_it, "--instruction", f"@{tmp_path}/none.md")
    assert (missing.code, "cannot be read" in missing.err) == (2, True)
