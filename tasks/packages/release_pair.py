"""A real bug from the package index: a release, and the next one, which fixed it and brought the test along.

    fetch two source archives → check their SHA-256 → unpack the older one → add the newer one's tests → commit

Threat model: the archives are foreign; `index` fetches them and `unpacking` reads them. Nothing of a package is
run on the host. pip installs only wheels here, into a virtual environment of the task's own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict

from agent.outcomes import UsageProblem
from agent.repository.plumbing import run_git
from tasks.format.source import Release
from tasks.packages.index import find_index, sources
from tasks.packages.unpacking import members


class ReleasePair(BaseModel):
    """`broken` has the bug that `issue` tells of; `fixed` brought `tests`, which show it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: str
    broken: Release
    fixed: Release
    issue: str
    tests: tuple[str, ...]
    """Paths of test files, taken from the fixed release."""
    verify: str
    """The command that fails with the broken release and passes with the fixed one."""
    requires: tuple[str, ...]
    """What the command needs, as pip takes it."""


def archives(pair: ReleasePair, cache: Path, *, index: str | None = None) -> tuple[Path, Path]:
    """The source archives of both releases in `cache`, fetched where they are not there yet.

    `index` is a package index's address; by default pip's own. Raises UsageProblem.
    """
    named = find_index(index) if index else None
    broken, fixed = sources(pair.package, (pair.broken, pair.fixed), cache, named)
    return broken, fixed


def prepare(pair: ReleasePair, found: tuple[Path, Path], target: Path) -> Path:
    """A repository at `target` with the broken release, and on top of it the fixed one's tests.

    `target` must not exist, or be an empty folder. Raises UsageProblem.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageProblem(f"{target} is there already and not empty; name another folder")
    target.mkdir(parents=True, exist_ok=True)
    try:
        _fill(pair, found, target)
    except BaseException as error:
        shutil.rmtree(target)
        if isinstance(error, OSError | tarfile.TarError | zlib.error | EOFError | ValueError):
            raise UsageProblem(f"the source of {pair.package} cannot be unpacked: {error}") from error
        raise
    return target


def _fill(pair: ReleasePair, found: tuple[Path, Path], target: Path) -> None:
    for name, data in members(found[0]):
        _write(target, name, data)
    _git(target, "init", "--quiet", "--template=", "--initial-branch=main", ".")
    _exclude(target)
    _commit(target, f"{pair.package} {pair.broken.version}, as released")
    tests = {name: data for name, data in members(found[1]) if str(name) in pair.tests}
    if lacking := set(pair.tests) - {str(name) for name in tests}:
        raise UsageProblem(f"{pair.package} {pair.fixed.version} has no {min(lacking)}")
    for name, data in tests.items():
        _write(target, name, data)
    _commit(target, f"Tests of {pair.package} {pair.fixed.version}\n\nThey show what is wrong in this release.")


def make_environment(pair: ReleasePair, target: Path) -> Path:
    """A virtual environment `.venv` in the repository, with what the verify command needs; its path.

    Only wheels are installed, so that no package's code runs for it. Raises UsageProblem.
    """
    folder = target / ".venv"
    pip = [str(folder / "bin" / "python"), "-P", "-m", "pip", "--disable-pip-version-check", "--no-input"]
    install = ["install", "--quiet", "--only-binary", ":all:", *pair.requires]
    for command in ([sys.executable, "-P", "-m", "venv", str(folder)], [*pip, *install]):
        try:
            subprocess.run(command, cwd=target.parent, check=True, capture_output=True, timeout=600)
        except subprocess.CalledProcessError as error:
            last = (error.stderr or error.stdout or b"?").decode("utf-8", "replace").strip().splitlines()
            words = last[-1] if last else "no reason given"
            raise UsageProblem(
                f"no environment for the tests could be made ({' '.join(command)}): {words}"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise UsageProblem(f"no environment for the tests could be made: {error}") from error
    return folder


def _write(target: Path, name: PurePosixPath, data: bytes) -> None:
    path = target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _exclude(target: Path) -> None:
    info = target / ".git" / "info"
    info.mkdir(exist_ok=True)
    (info / "exclude").write_text("/.venv/\n__pycache__/\n.pytest_cache/\n")


def _commit(target: Path, message: str) -> None:
    _git(target, "add", "--all", "--force", "--", ".", ":(exclude).venv")
    _git(target, "commit", "--quiet", "--allow-empty", "--no-verify", "-m", message)


def _git(target: Path, *args: str) -> None:
    who = {"NAME": "bridle demo", "EMAIL": "demo@bridle.invalid"}
    people = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_LITERAL_PATHSPECS": "0"}
    run_git(*args, cwd=target, env={**people, **quiet})
