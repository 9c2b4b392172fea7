"""The repository's own virtual environment, which the sandbox may use read-only.

Threat model: a repository can contain anything under these names. A tracked one came with the repository and is
never mounted; nor is a symlink, which could lead to any folder of the host.
"""

from __future__ import annotations

from pathlib import Path

from agent.repository.plumbing import run_git
from agent.repository.source import Repository

NAMES = (".venv", "venv")


def virtual_environment(repo: Repository) -> Path | None:
    """The folder of the user's own virtual environment in the repository, if there is one. Blocking."""
    for name in NAMES:
        folder = repo.root / name
        if (
            folder.is_symlink()
            or not (folder / "pyvenv.cfg").is_file()
            or not (folder / "bin" / "python").exists()
        ):
            continue
        if not run_git("ls-files", "-z", "--", name, cwd=repo.root):
            return folder
    return None
