"""The verify command: finding it, running it, telling the model about it."""

from __future__ import annotations

import configparser
import tomllib
from pathlib import Path

from agent.journal import CheckRun
from sandboxes.protocol import WORKSPACE, Sandbox

PYTEST = "python3 -m pytest -q"
_OUTPUT_BYTES = 16384


def find_check(repository: Path, paths: list[str]) -> str | None:
    """The verify command of a pytest project, or None when this does not look like one.

    `paths` are the files taken in, relative to `repository`. Configuration is only parsed, never run.
    """
    names = set(paths)
    configured = (
        "pytest.ini" in names
        or ("pyproject.toml" in names and _has_pytest_table(repository / "pyproject.toml"))
        or ("setup.cfg" in names and _has_section(repository / "setup.cfg", "tool:pytest"))
        or ("tox.ini" in names and _has_section(repository / "tox.ini", "pytest"))
    )
    tests = any(_is_test_file(path) for path in paths)
    return PYTEST if tests or (configured and "conftest.py" in names) else None


def import_path(paths: list[str]) -> str:
    """PYTHONPATH inside the sandbox, so that the copy is imported and not an installed original."""
    src_layout = any(path.startswith("src/") and path.endswith(".py") for path in paths)
    return f"{WORKSPACE}/src:{WORKSPACE}" if src_layout else WORKSPACE


async def run_check(sandbox: Sandbox, command: str, *, limit: float, fresh: bool = False) -> CheckRun:
    """Run the verify command with the sandbox's shell; `limit` is in seconds."""
    result = await sandbox.exec([sandbox.shell, "-c", command], timeout=limit, max_output=_OUTPUT_BYTES)
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
    return f"`{check.command}` fails with exit code {check.exit_code}"


def _is_test_file(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def _has_pytest_table(path: Path) -> bool:
    try:
        return "pytest" in tomllib.loads(path.read_text("utf-8", "replace")).get("tool", {})
    except (OSError, tomllib.TOMLDecodeError, AttributeError):
        return False


def _has_section(path: Path, section: str) -> bool:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(path.read_text("utf-8", "replace"))
    except (OSError, configparser.Error):
        return False
    return parser.has_section(section)
