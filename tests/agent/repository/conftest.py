"""A laboratory: a real git repository, and workspaces as an engine would hand them out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.lab import Engine, Lab, own_git


@pytest.fixture(autouse=True)
def own_git_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """git as for a user with a name and nothing else, whoever runs the tests."""
    own_git(tmp_path_factory.mktemp("home") / "gitconfig", monkeypatch)


@pytest.fixture
def make_lab(tmp_path: Path) -> Callable[..., Lab]:
    """Makes laboratories, each with an initialised repository without a commit."""

    def make(name: str = "repo", *options: str) -> Lab:
        lab = Lab(tmp_path / name, tmp_path / f"{name}-session")
        lab.root.mkdir()
        lab.folder.mkdir()
        lab.git("init", "-q", *options)
        return lab

    return make


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    """A repository with a few files and one commit, taken in."""
    lab = make_lab()
    lab.write("README.md", "# Example\n")
    lab.write("src/stats.py", "def mean(xs):\n    return sum(xs) / (len(xs) - 1)\n")
    lab.write("run.sh", "#!/bin/sh\necho hi\n", mode=0o755)
    lab.write(".gitignore", "*.log\nbuild/\n")
    (lab.root / "link").symlink_to("README.md")
    lab.commit()
    lab.take_in()
    return lab


@pytest.fixture
def engine() -> Engine:
    """An archive that begins as a good one does."""
    return Engine()


@pytest.fixture
def make_engine() -> type[Engine]:
    """Makes such archives."""
    return Engine
