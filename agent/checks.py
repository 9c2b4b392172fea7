"""The verify command: finding it, running it, telling the model about it."""

from __future__ import annotations

from collections.abc import Callable

from agent.journal import CheckRun
from sandboxes.protocol import WORKSPACE, Sandbox

PYTEST = "python3 -m pytest -q"
PROBE = ["python3", "-c", "import pytest"]
"""Fails where PYTEST cannot even start."""
_OUTPUT_BYTES = 16384


def find_check(paths: list[str]) -> str | None:
    """The verify command of a pytest project, or None when this does not look like one.

    `paths` are those of the files taken in, relative to the repository. They are all that is looked at: the
    repository's files may be links to anywhere.
    """
    names = {path.rsplit("/", 1)[-1] for path in paths}
    if "pytest.ini" in paths or "conftest.py" in names or any(_is_test_file(name) for name in names):
        return PYTEST
    return None


def needs_pytest(check: str) -> bool:
    """Whether `check` is the command that was found here, which cannot work where PROBE fails."""
    return check == PYTEST


def import_path(paths: list[str]) -> str:
    """PYTHONPATH inside the sandbox, so that the copy is imported and not an installed original."""
    src_layout = any(path.startswith("src/") and path.endswith(".py") for path in paths)
    return f"{WORKSPACE}/src:{WORKSPACE}" if src_layout else WORKSPACE


async def run_check(
    sandbox: Sandbox,
    command: str,
    *,
    limit: float,
    fresh: bool = False,
    live: Callable[[bytes], None] | None = None,
) -> CheckRun:
    """Run the verify command with the sandbox's shell; `limit` is in seconds, `live` is shown what it prints."""
    result = await sandbox.exec(
        [sandbox.shell, "-c", command], timeout=limit, max_output=_OUTPUT_BYTES, on_output=live
    )
    return CheckRun(
        command=command,
        exit_code=result.exit_code,
        ending=result.ending,
        passed=result.ending == "exited" and result.exit_code == 0,
        output=result.output.text(),
        seconds=round(result.seconds, 3),
        fresh=fresh,
    )


def in_words(check: CheckRun) -> str:
    """One line on how a check ended."""
    if check.passed:
        return f"`{check.command}` passes"
    if check.ending == "timeout":
        return f"`{check.command}` was stopped after {check.seconds:.0f} s without an answer (--verify-timeout)"
    if check.ending == "out_of_memory":
        return f"`{check.command}` ran out of the sandbox's memory"
    if check.ending == "disk_full":
        return f"`{check.command}` filled the sandbox's disk"
    return f"`{check.command}` fails with exit code {check.exit_code}"


def _is_test_file(name: str) -> bool:
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))
