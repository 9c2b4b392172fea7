"""A package index with a small library: a broken release, and the one that mended it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support.package_index import Start, package_index, pages, sha, source_archive, wheel

BROKEN = source_archive(
    {
        "src/thing/__init__.py": "from thing.sums import total\n",
        "src/thing/sums.py": "from helper import plus\n\n\ndef total(values):\n    return plus(values[1:])\n",
        "src/thing/old.py": "raise SystemExit('nobody imports this')\n",
        "tests/test_thing.py": "def test_old():\n    assert True\n",
        "docs/answer.txt": "left out\n",
        "setup.py": "raise SystemExit('never run')\n",
    }
)
FIXED = source_archive(
    {
        "src/thing/__init__.py": "from thing.sums import total\n",
        "src/thing/sums.py": "from helper import plus\n\n\ndef total(values):\n    return plus(values)\n",
        "tests/test_thing.py": (
            "import unittest\n\nimport thing\n\n\nclass TotalTest(unittest.TestCase):\n"
            "    def test_total(self):\n        self.assertEqual(thing.total([1, 2]), 3)\n\n"
            "    def test_nothing(self):\n        self.assertEqual(thing.total([]), 0)\n"
        ),
        "tests/test_other.py": "def test_other():\n    raise AssertionError\n",
    },
    "thing-1.1",
)
HELPER = wheel({"helper.py": "def plus(values):\n    return sum(values)\n"})
ALL = pages(
    {
        "thing": {"thing-1.0.tar.gz": BROKEN, "thing-1.1.tar.gz": FIXED},
        "helper": {"helper-1.0-py3-none-any.whl": HELPER},
    }
)
TASK = f"""
[bridle]
category = "bug-fix"
difficulty = "easy"
date = 2026-01-02
locations = ["src/thing/sums.py", "src/thing/old.py"]
protected = ["/helper.py"]
expected = ["test_thing.py::TotalTest::test_total", "test_thing.py::TotalTest::test_nothing"]
regression = ["test_thing.py::TotalTest::test_nothing"]

[bridle.source]
package = "thing"
license = "MIT"
broken = {{ version = "1.0", sha256 = "{sha(BROKEN)}" }}
fixed = {{ version = "1.1", sha256 = "{sha(FIXED)}" }}
take = ["/src/", "/tests/"]
tests = {{ root = "tests", paths = ["test_thing.py"] }}
wheels = [{{ name = "helper", version = "1.0", sha256 = "{sha(HELPER)}" }}]
"""


class Served(NamedTuple):
    """A package index: its address, and the paths that were asked for."""

    url: str
    asked: list[str]


@pytest.fixture
def index() -> Iterator[Start]:
    """See package_index."""
    with package_index() as start:
        yield start


@pytest.fixture
def served(index: Start) -> Served:
    """The index with `thing` and what it needs."""
    return Served(*index(ALL))


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite with one task of two releases, and a cache of its own for what is fetched."""
    monkeypatch.setenv("BRIDLE_CACHE_DIR", str(tmp_path / "cache"))
    return write_task(tmp_path / "suite" / "thing-total").parent


def write_task(folder: Path, toml: str = TASK) -> Path:
    """A task's folder as it is in a suite, before anything was fetched."""
    folder.mkdir(parents=True)
    (folder / "task.toml").write_text(toml)
    (folder / "instruction.md").write_text("`thing.total` forgets the first value.\n")
    return folder
