"""Killed at ten different moments: nothing of the dead is left, the living are left alone, the work goes on."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.project import FIXED, bridle, containers, finish, git, make_project, start
from support.service import Answer, Script, Service, submit

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]

MEND = "sed -i 's/ (len(values) - 1)/ len(values)/' calc.py; sleep 0.3"
MOMENTS = [
    ("session.started", 1),
    ("sandbox.opened", 1),
    ("model.requested", 1),
    ("model.replied", 1),
    ("call.started", 1),
    ("call.finished", 1),
    ("model.requested", 2),
    ("check.run", 1),
    ("patch.taken", 1),
    ("check.run", 2),
]


def policy(request: dict[str, Any]) -> Answer:
    """Mends, and mends again when the last call was interrupted; submits after a mend that is known to be done."""
    results = [message["content"] for message in request["messages"] if message["role"] == "tool"]
    if results and "[exit 0;" in results[-1]:
        return submit()
    return Answer(calls=[("shell", {"command": MEND})])


@pytest.mark.parametrize(("event", "count"), MOMENTS, ids=[f"{event}-{count}" for event, count in MOMENTS])
def test_killed_at(
    event: str, count: int, tmp_path: Path, own_state: Path, service: Callable[[Script], Service]
) -> None:
    project = make_project(tmp_path / "project")
    model = service(policy)
    common = ["--repo", str(project), "--model", "scripted", "--base-url", model.url, "-a", "full", "--json"]
    process = start("fix", "mean() is wrong", *common)
    journal = _appears(own_state, event, count)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    session = journal.parent.name

    done = bridle("resume", session, "--json")

    assert done.code == 0, done.err
    assert git(project, "branch", "--list", "bridle/*", "--format=%(refname:short)") == done.report["branch"]
    assert git(project, "show", f"{done.report['branch']}:calc.py") + "\n" == FIXED
    assert containers(session) == []


def test_killed_between_the_branch_and_its_record(
    tmp_path: Path, own_state: Path, service: Callable[[Script], Service]
) -> None:
    project = make_project(tmp_path / "project")
    common = [
        "--repo",
        str(project),
        "--model",
        "scripted",
        "--base-url",
        service(policy).url,
        "-a",
        "full",
        "--json",
    ]
    done = bridle("fix", "mean() is wrong", *common)
    journal = own_state / "sessions" / done.report["session"] / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    cut = next(number for number, line in enumerate(lines) if b'"type":"delivered"' in line)
    journal.write_bytes(b"".join(lines[:cut]))
    journal.with_suffix(".head").unlink()  # it was written later, and would say that the end was cut off

    again = bridle("resume", done.report["session"], "--json")

    assert again.code == 0, again.err
    assert again.report["commit"] == done.report["commit"]
    assert git(project, "branch", "--list", "bridle/*", "--format=%(refname:short)") == done.report["branch"]


def test_a_start_leaves_the_work_of_another_state_folder_to_it(
    tmp_path: Path, own_state: Path, service: Callable[[Script], Service]
) -> None:
    project = make_project(tmp_path / "project")
    common = ["--repo", str(project), "--model", "m", "--base-url", service(policy).url, "-a", "full", "--json"]
    process = start("fix", "a", *common)
    session = _appears(own_state, "call.finished", 1).parent.name
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    other = {"BRIDLE_STATE_DIR": str(tmp_path / "other")}
    assert bridle("fix", "b", *common, env=other).code == 0
    assert len(containers(session)) == 1
    again = bridle("resume", session, "--json")
    assert again.code == 0, again.err
    assert "as they were last saved" in bridle("show", session, "--json").out
    assert containers(session) == []


def test_a_start_leaves_the_living_alone(
    tmp_path: Path, own_state: Path, service: Callable[[Script], Service]
) -> None:
    held = threading.Event()
    living_model = service([Answer(wait=held, calls=[("shell", {"command": MEND})]), submit()])
    common = ["--model", "scripted", "-a", "full", "--json"]
    living = start(
        "fix", "a", "--repo", str(make_project(tmp_path / "a")), "--base-url", living_model.url, *common
    )
    journal = _appears(own_state, "model.requested", 1)
    other = bridle(
        "fix", "b", "--repo", str(make_project(tmp_path / "b")), "--base-url", service(policy).url, *common
    )
    assert other.code == 0, other.err
    assert len(containers(journal.parent.name)) == 1
    held.set()
    assert finish(living).code == 0


def _appears(state: Path, event: str, count: int) -> Path:
    """The journal, as soon as it has `count` events of the type."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for journal in state.glob("sessions/*/journal.jsonl"):
            if journal.read_text().count(f'"type":"{event}"') >= count:
                return journal
        time.sleep(0.002)
    raise AssertionError(f"{event} never appeared")
