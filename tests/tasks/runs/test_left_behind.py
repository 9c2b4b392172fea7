"""What a killed run of a suite leaves is nobody's to save: the next start of anything removes it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.project import bridle, start
from support.service import Answer, Script, Service

import tasks

pytestmark = [pytest.mark.bubblewrap, pytest.mark.usefixtures("bubblewrap")]
ROLLING = Path(tasks.__file__).parent / "bundled" / "bug-rolling-mean"
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


@pytest.mark.parametrize("agent", ["script", "session"])
def test_a_killed_runs_sandboxes_are_removed_by_any_start(
    agent: str, tmp_path: Path, own_state: Path, service: Callable[[Script], Service]
) -> None:
    (tmp_path / "sleep.sh").write_text("sleep 300\n")
    model = service(lambda _: Answer(calls=[("shell", {"command": "sleep 300"})]))
    agents = {
        "script": ["--agent", f"script:{tmp_path / 'sleep.sh'}"],
        "session": ["--model", "scripted", "--base-url", model.url],
    }
    command = ["suite", "run", str(ROLLING), *agents[agent], "--out", str(tmp_path / "out")]
    process = start(*command, "--backend", "bubblewrap", env=NO_ENGINE)
    deadline = time.monotonic() + 90
    while not (left := sandboxes(own_state)) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    time.sleep(2)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert (tmp_path / "out").is_dir()
    left = sandboxes(own_state)
    assert left

    would = bridle("clean", "--dry-run", "--json", env=NO_ENGINE).report
    assert {each["name"] for each in would["removed"] if each["what"] == "sandbox"} == left

    another = ["suite", "run", str(ROLLING), "--agent", "nop", "--out", str(tmp_path / "another")]
    done = bridle(*another, "--backend", "bubblewrap", env=NO_ENGINE)
    assert "whose owner is dead" in done.err
    assert sandboxes(own_state) == set()
    assert json.loads(bridle("clean", "--json", env=NO_ENGINE).out)["removed"] == []


def sandboxes(state: Path) -> set[str]:
    """The sandboxes below a state folder."""
    return {path.parent.name for path in (state / "bubblewrap").glob("*/owner.json")}
