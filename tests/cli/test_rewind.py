"""`bridle rewind` as a user runs it: what would change is shown, and what is undone no longer counts."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.project import BRIDLE, ENVIRONMENT, FIXED, bridle, containers, git, make_project, start
from support.refusing_engine import refusing_engine
from support.service import Answer, Script, Service, submit

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]

Start = Callable[[Script], Service]
MEND = ("shell", {"command": "sed -i 's/ (len(values) - 1)/ len(values)/' calc.py"})
INSTALL = (
    "shell",
    {"command": "mkdir -p ~/.local/bin && echo 'echo tool' > ~/.local/bin/tool && echo kept > note"},
)
DESTROY = ("shell", {"command": "rm -rf calc.py tests note ~/.local; echo new > new.txt"})
LOOK = ("shell", {"command": "sh ~/.local/bin/tool; ls"})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture(autouse=True)
def nothing_left(own_state: Path) -> Iterator[None]:
    yield
    for session in own_state.glob("sessions/*"):
        for image in images(session.name):
            subprocess.run(["docker", "rmi", "-f", image], capture_output=True, check=False)


def images(session: str) -> list[str]:
    """The checkpoints of a session, as the engine names them, newest first."""
    command = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "bridle-checkpoint"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.split() if session in line]


def begin(project: Path, service: Service, *more: str) -> str:
    """Run a session that its budget of steps ends; its id."""
    given = ["--model", "scripted", "--base-url", service.url, "-a", "full", "--json", *more]
    done = bridle("fix", "mean() is wrong", "--repo", str(project), *given)
    assert done.code == 4, done.err + done.out
    return str(done.report["session"])


def listed(session: str) -> list[dict[str, Any]]:
    found = bridle("rewind", session, "--json")
    assert found.code == 0, found.err
    return list(found.report["checkpoints"])


def events(session: str, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in bridle("show", session, "--json").out.splitlines()]
    return [line for line in lines if line["type"] == kind]


def messages(service: Service, request: int) -> list[str]:
    return [str(message.get("content")) for message in service.requests[request]["messages"]]


def test_back_before_the_destruction_and_on_to_the_end(project: Path, service: Start) -> None:
    model = service(
        [
            Answer("one", [INSTALL]),
            Answer("two", [DESTROY]),
            Answer("three", [("shell", {"command": "echo more > more.txt"})]),
            Answer("again", [LOOK]),
            Answer("mend", [MEND]),
            submit(),
        ]
    )
    session = begin(project, model, "--max-steps", "3")
    found = listed(session)
    assert [point["before"].split()[0] for point in found] == ["task", "shell", "end"]
    assert [point["turns"] for point in found] == [3, 1, 0]
    assert all(point["held"] for point in found)
    assert "shell rm -rf" in bridle("rewind", session).out

    planned = bridle("rewind", session, "--to", "2", "--json")

    assert planned.code == 5
    changes = planned.report["changes"]
    assert changes["added"]["paths"] == ["calc.py", "note", "tests/test_calc.py"]
    assert changes["removed"]["paths"] == ["more.txt", "new.txt"]
    assert (planned.report["turns"], planned.report["rewound"]) == (1, False)
    assert events(session, "session.rewound") == []
    refused = bridle("rewind", session, "--to", "2")
    assert refused.code == 5
    assert "--yes" in refused.err
    assert "+ calc.py" in refused.out
    assert "1 turn " in refused.out

    done = bridle("rewind", session, "--to", "2", "--yes")

    assert done.code == 0, done.err
    [line] = bridle("sessions", "--disk", "--json").out.splitlines()
    assert json.loads(line)["outcome"] == "rewound"
    assert json.loads(line)["checkpoint_bytes"] > 0
    again = bridle("resume", session, "--max-steps", "9", "--json")
    assert again.code == 0, again.err + again.out
    assert git(project, "show", f"{again.report['branch']}:calc.py") + "\n" == FIXED
    asked = "\n".join(messages(model, 3))
    assert "The user took the session back" in asked
    assert "those outside the workspace too" in asked
    assert "two" in asked  # the turn whose call was undone; it has its honest result
    assert "three" not in asked
    assert "interrupted before this call began" in asked
    assert any("tool\n" in text and "note" in text for text in messages(model, 4))
    assert images(session) == []
    assert containers(session) == []
    assert bridle("rewind", session, "--to", "1").code == 2


def test_back_to_the_start_begins_the_conversation_anew(project: Path, service: Start) -> None:
    model = service([Answer("one", [DESTROY]), Answer("two", [MEND]), submit()])
    session = begin(project, model, "--max-steps", "1")
    assert bridle("rewind", session, "--to", "1", "--yes", "--json").report["rewound"] is True
    done = bridle("resume", session, "--max-steps", "2", "--json")
    assert done.code == 0, done.err + done.out
    assert [message["role"] for message in model.requests[1]["messages"]] == ["system", "user"]
    assert messages(model, 1)[1] == "mean() is wrong"


def test_what_was_undone_can_be_gone_back_to(project: Path, service: Start) -> None:
    model = service([Answer("one", [MEND]), Answer("two", [("read", {"path": "calc.py"})]), submit()])
    session = begin(project, model, "--max-steps", "1")
    assert bridle("rewind", session, "--to", "1", "--yes").code == 0
    assert [point["turns"] for point in listed(session)] == [0, None]
    back = bridle("rewind", session, "--to", "2", "--yes", "--json")
    assert back.report["changes"]["changed"]["paths"] == ["calc.py"]
    done = bridle("resume", session, "--max-steps", "9", "--json")
    assert done.code == 0, done.err + done.out
    assert "one" in messages(model, 1)


def test_killed_in_a_call_then_taken_back(project: Path, service: Start, own_state: Path) -> None:
    model = service(
        [
            Answer("one", [INSTALL]),
            Answer("two", [("shell", {"command": "rm -rf tests; echo x > calc.py; sleep 100"})]),
            Answer("mend", [MEND]),
            submit(),
        ]
    )
    given = ["--model", "scripted", "--base-url", model.url, "-a", "full", "--json"]
    process = start("fix", "mean() is wrong", "--repo", str(project), *given)
    session = started_calls(own_state, 2)
    changed = ["docker", "exec", *containers(session), "grep", "-q", "^x$", "/workspace/calc.py"]
    end = time.monotonic() + 60
    while subprocess.run(changed, capture_output=True, check=False).returncode != 0:
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)

    planned = bridle("rewind", session, "--to", "2", "--json")

    assert planned.report["changes"]["added"]["paths"] == ["tests/test_calc.py"]
    assert planned.report["changes"]["changed"]["paths"] == ["calc.py"]
    assert [point["before"].split()[0] for point in listed(session)] == ["task", "shell", "end"]
    assert bridle("rewind", session, "--to", "2", "--yes").code == 0
    assert containers(session) == []
    done = bridle("resume", session, "--json")
    assert done.code == 0, done.err + done.out
    assert git(project, "show", f"{done.report['branch']}:calc.py") + "\n" == FIXED


def test_killed_and_resumed_with_what_was_installed(project: Path, service: Start, own_state: Path) -> None:
    model = service(
        [
            Answer("one", [INSTALL]),
            Answer("two", [("shell", {"command": "sleep 100"})]),
            Answer("three", [LOOK]),
            Answer("mend", [MEND]),
            submit(),
        ]
    )
    given = ["--model", "scripted", "--base-url", model.url, "-a", "full", "--json"]
    process = start("fix", "mean() is wrong", "--repo", str(project), *given)
    session = started_calls(own_state, 2)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    done = bridle("resume", session, "--json")
    assert done.code == 0, done.err + done.out
    assert any("tool\n" in text for text in messages(model, 3))


def test_killed_between_the_journal_and_the_files(project: Path, service: Start, own_state: Path) -> None:
    model = service([Answer("one", [DESTROY]), Answer("two", [("read", {"path": "calc.py"})])])
    session = begin(project, model, "--max-steps", "1")
    folder = own_state / "sessions" / session
    before = (folder / "workspace.tar").read_bytes()
    assert bridle("rewind", session, "--to", "2", "--yes").code == 0
    (folder / "workspace.tar").rename(folder / "rewind-2.tar")
    (folder / "workspace.tar").write_bytes(before)
    for image in images(session):  # so that the saved workspace is what counts
        subprocess.run(["docker", "rmi", "-f", image], capture_output=True, check=True)
    done = bridle("resume", session, "--max-steps", "2", "--json")
    assert "from the saved workspace alone" in done.err
    assert events(session, "session.resumed")[-1]["saved_workspace"] is True
    assert "def mean" in events(session, "call.finished")[-1]["text"]
    assert list(folder.glob("rewind-*")) == []


def test_a_dropped_checkpoint_is_said_to_be_gone(project: Path, service: Start) -> None:
    session = begin(project, service([Answer("one", [DESTROY])]), "--max-steps", "1")
    for image in images(session):
        subprocess.run(["docker", "rmi", "-f", image], capture_output=True, check=True)
    assert [point["held"] for point in listed(session)] == [False, False, False]
    gone = bridle("rewind", session, "--to", "2", "--yes")
    assert gone.code == 2
    assert "checkpoint 2" in gone.err
    assert "no longer there" in gone.err
    none = bridle("rewind", session, "--to", "7", "--yes")
    assert none.code == 2
    assert "no checkpoint 7" in none.err
    assert bridle("rewind", "nonsense").code == 2


def test_a_person_is_asked(project: Path, service: Start) -> None:
    session = begin(project, service([Answer("one", [DESTROY])]), "--max-steps", "1")
    for answer, code in ((b"n\n", 5), (b"y\n", 0)):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [BRIDLE, "rewind", session, "--to", "2"],
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **ENVIRONMENT},
        )
        os.write(ours, answer)
        _, err = process.communicate(timeout=60)
        os.close(ours)
        os.close(theirs)
        assert b"Go back to checkpoint 2?" in err
        assert process.returncode == code
        assert len(events(session, "session.rewound")) == (code == 0)


def test_what_cannot_be_saved_is_not_destroyed_unasked(project: Path, service: Start, tmp_path: Path) -> None:
    """An engine that refuses to commit: told once, and what could be lost waits for a person."""
    model = service([Answer("one", [MEND]), Answer("two", [DESTROY]), submit()])
    with refusing_engine(tmp_path, rb"POST \S*/commit\?") as address:
        given = ["--model", "scripted", "--base-url", model.url, "-a", "full", "--json"]
        done = bridle("fix", "mean", "--repo", str(project), *given, env={"DOCKER_HOST": address})
    assert done.code == 0, done.err + done.out
    assert done.err.count("no checkpoint") == 1
    session = done.report["session"]
    [refused] = [event for event in events(session, "gate.decided") if event["verdict"] == "deny"]
    assert "no checkpoint holds" in refused["cause"]
    assert "cannot be taken back" in messages(model, 2)[-1]
    assert events(session, "checkpoint.made") == []


def started_calls(state: Path, count: int) -> str:
    """The id of the session, as soon as that many calls have begun."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for journal in state.glob("sessions/*/journal.jsonl"):
            if journal.read_text().count('"type":"call.started"') >= count:
                return journal.parent.name
        time.sleep(0.01)
    raise AssertionError("the call never began")
