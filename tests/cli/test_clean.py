"""`bridle clean` as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.project import bridle, containers, make_project, start
from support.service import Answer, Script, Service

SLOW = Answer(calls=[("shell", {"command": "echo begun > begun; sleep 30"})])


def killed_session(tmp_path: Path, own_state: Path, model: Service) -> str:
    """The id of a session whose process was killed while its sandbox was at work."""
    project = make_project(tmp_path / "project")
    process = start(
        *("fix", "mean() is wrong", "--repo", str(project), "--model", "m", "--base-url", model.url),
        *("-a", "full", "--verify", "true", "--json"),
    )
    end = time.monotonic() + 60
    while not any('"call.started"' in path.read_text() for path in own_state.glob("sessions/*/journal.jsonl")):
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    return next(iter((own_state / "sessions").iterdir())).name


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_what_a_killed_session_left_is_shown_then_removed_and_its_work_is_kept(
    tmp_path: Path, own_state: Path, service: Callable[[Script], Service]
) -> None:
    session = killed_session(tmp_path, own_state, service([SLOW]))
    (own_state / "sessions" / session / "workspace.part").write_bytes(bytes(5000))

    would = bridle("clean", "--dry-run", "--json")
    assert would.code == 0, would.err
    assert containers(session)

    done = bridle("clean")
    assert done.code == 0, done.err
    assert "sandbox, work kept" in done.out
    assert "half a file" in done.out
    assert session in done.out
    assert containers(session) == []
    found = {(each["what"], each["session"]): each for each in would.report["removed"]}
    assert found["half a file", session]["size"] == 5000
    assert found["sandbox", session]["saved"] is True
    assert would.report["bytes"] >= 5000
    assert (own_state / "sessions" / session / "workspace.tar").stat().st_size > 0
    again = bridle("clean", "--json").report["removed"]
    assert session not in [each["session"] for each in again]


def test_without_an_engine_it_cleans_what_it_can_and_says_so(own_state: Path) -> None:
    folder = own_state / "sessions" / "20200101-000000-0000"
    folder.mkdir(parents=True)
    os.utime(folder, (0, 0))
    done = bridle("clean", env={"DOCKER_HOST": "unix:///nowhere/docker.sock"})
    assert done.code == 0, done.err
    assert "Removed 1 thing" in done.out
    assert "Not cleaned: No Docker engine answers" in done.out
    assert not folder.exists()


def test_sessions_are_dropped_only_after_a_yes(own_state: Path) -> None:
    folder = own_state / "sessions" / "20200101-000000-0000"
    folder.mkdir(parents=True)
    lines: list[dict[str, Any]] = [
        {"type": "session.started", "session": folder.name, "version": "1", "task": "t", "repository": "/r"},
        {"type": "delivered", "branch": "b", "commit": "c"},
    ]
    text = "".join(
        json.dumps({"seq": n, "time": 1.0, "options": {}, **line}) + "\n" for n, line in enumerate(lines)
    )
    (folder / "journal.jsonl").write_text(text)
    os.utime(folder / "journal.jsonl", (0, 0))
    nowhere = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}

    refused = bridle("clean", "--older-than", "30", env=nowhere)
    assert (refused.code, folder.exists()) == (2, True)
    assert "--yes" in refused.err
    would = bridle("clean", "--older-than", "30", "--dry-run", "--json", env=nowhere)
    assert [each["what"] for each in would.report["removed"]] == ["session"]
    assert folder.exists()
    done = bridle("clean", "--older-than", "30", "--yes", env=nowhere)
    assert (done.code, folder.exists()) == (0, False)
