"""Every test has its own state folder; what a run requires and does not find (an engine, a model) fails it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from support.service import Script, Service

from sandboxes.ownership import KEEPER_LABEL

# A machine with other work makes examples slowly, which says nothing of a test.
# Continuous integration tries the same examples each time: a change is not refused for what another one did.
hypothesis.settings.register_profile(
    "patient",
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    deadline=None,
    derandomize="BRIDLE_REQUIRE_ENGINE" in os.environ,
)
hypothesis.settings.load_profile("patient")

MISSING = "NO "
"""How the reason of a skip begins when a program, an engine or a model is missing that the test is about."""
_SKIPPED: list[str] = []


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own, and none of the developer's settings."""
    folder = tmp_path_factory.mktemp("state")
    for name in [*os.environ]:
        if name.startswith(("BRIDLE_", "OPENAI_")) and name not in {"BRIDLE_CACHE_DIR", "BRIDLE_REQUIRE_ENGINE"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("BRIDLE_STATE_DIR", str(folder))
    (folder / "config.toml").touch()
    monkeypatch.setenv("BRIDLE_CONFIG", str(folder / "config.toml"))
    return folder


@pytest.fixture(scope="session", autouse=True)
def no_checkpoints_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Drops the checkpoints of sessions that tests left able to go on: nobody will go on with them."""
    yield
    done = (
        subprocess.run(
            ["docker", "images", "--filter", f"label={KEEPER_LABEL}", "--format", "{{.ID}}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if shutil.which("docker")
        else None
    )
    if done is None or done.returncode != 0 or not done.stdout:
        return
    form = f'{{{{.Id}}}} {{{{index .Config.Labels "{KEEPER_LABEL}"}}}}'
    found = subprocess.run(
        ["docker", "inspect", "--type", "image", "--format", form, *done.stdout.split()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    ).stdout
    ours = [line.split()[0] for line in found.splitlines() if f" {tmp_path_factory.getbasetemp()}/" in line]
    if ours:
        subprocess.run(["docker", "rmi", "--force", *ours], capture_output=True, timeout=300, check=False)


@pytest.fixture
def service() -> Iterator[Callable[[Script], Service]]:
    """Starts scripted model services and closes them."""
    started: list[Service] = []

    def start(script: Script) -> Service:
        started.append(Service(script))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker engine that answers, or a loud skip."""
    try:
        done = subprocess.run(["docker", "version"], capture_output=True, timeout=20, check=False)
    except FileNotFoundError:
        pytest.skip("NO DOCKER: the docker command is missing; these tests prove nothing until it is there")
    if done.returncode != 0:
        pytest.skip("NO DOCKER ENGINE ANSWERS: these tests prove nothing until one does")


@pytest.fixture(scope="session")
def bubblewrap() -> None:
    """The bwrap program, or a loud skip. That it does not work here is a failure."""
    if shutil.which("bwrap") is None:
        pytest.skip("NO BUBBLEWRAP: the bwrap command is missing; these tests prove nothing until it is there")


_LONG_FIRST = ("cli/test_demo.py", "tasks/", "cli/", "sandboxes/", "agent/", "")
"""Beginnings of the paths of test files, those that take long first."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that at the end no worker is left alone with one of them."""
    here = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        path = item.path.relative_to(here).as_posix()
        return next(number for number, start in enumerate(_LONG_FIRST) if path.startswith(start))

    items.sort(key=rank)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple) and f": {MISSING}" in report.longrepr[2]:
        _SKIPPED.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _SKIPPED and os.environ.get("BRIDLE_REQUIRE_ENGINE"):
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    _print_figures(terminalreporter)
    if _SKIPPED:
        terminalreporter.section("SKIPPED FOR WANT OF AN ENGINE, A PROGRAM OR A MODEL", red=True)
        terminalreporter.line(f"{len(_SKIPPED)} tests, the first of them {_SKIPPED[0]}")
        if os.environ.get("BRIDLE_REQUIRE_ENGINE"):
            terminalreporter.line("BRIDLE_REQUIRE_ENGINE is set, so the run has failed")


def _print_figures(terminalreporter: pytest.TerminalReporter) -> None:
    """Figures that tests recorded as properties named `summary: TITLE`, under their titles."""
    figures: dict[str, list[str]] = {}
    for report in [*terminalreporter.stats.get("passed", []), *terminalreporter.stats.get("failed", [])]:
        for name, value in getattr(report, "user_properties", []) if getattr(report, "when", "") == "call" else []:
            if name.startswith("summary: "):
                figures.setdefault(name.removeprefix("summary: "), []).append(str(value))
    for title, lines in figures.items():
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.line(line)
