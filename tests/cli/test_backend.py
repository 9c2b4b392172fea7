"""Which backend a session's sandboxes are made by: chosen by the user, or what there is; and kept."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.project import EDIT, FIXED, bridle, containers, git, make_project, start
from support.service import Answer, Script, Service, submit

from sandboxes.docker.backend import DockerBackend

pytestmark = [pytest.mark.bubblewrap, pytest.mark.usefixtures("bubblewrap")]

Start = Callable[[Script], Service]
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
INSTALL = (
    "shell",
    {"command": "mkdir -p ~/.local/bin && echo 'echo tool' > ~/.local/bin/tool && echo kept > note"},
)
DESTROY = ("shell", {"command": "rm -rf calc.py tests note ~/.local"})
LOOK = ("shell", {"command": "sh ~/.local/bin/tool; ls"})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


def fix(project: Path, service: Service, *more: str) -> list[str]:
    model = ["--model", "scripted", "--base-url", service.url]
    return ["fix", "mean() is wrong", "--repo", str(project), *model, "-a", "full", *more]


def opened(session: str) -> dict[str, Any]:
    """The latest opening of a sandbox in a session's journal."""
    lines = [json.loads(line) for line in bridle("show", session, "--json").out.splitlines()]
    return [line for line in lines if line["type"] == "sandbox.opened"][-1]


async def drop_all(session: str) -> None:
    """Drop the checkpoints that a session has on the engine."""
    for each in await DockerBackend().checkpoints(session):
        await DockerBackend().drop(each)


def left(state: Path) -> list[str]:
    """Sandboxes and checkpoints that bubblewrap has left."""
    home = state / "bubblewrap"
    names = [each.name for each in home.iterdir() if each.name not in ("etc", "checkpoints")]
    return names + [each.name for each in (home / "checkpoints").glob("*")]


def test_without_an_engine_it_is_bubblewrap_and_says_so(project: Path, service: Start, own_state: Path) -> None:
    model = service([Answer(calls=[EDIT]), submit("divide by n")])
    done = bridle(*fix(project, model, "--json"), env=NO_ENGINE)
    assert done.code == 0, done.err + done.out
    assert "no Docker engine answers: using bubblewrap" in done.err
    assert "does not promise" in done.err
    assert done.report["backend"] == "bubblewrap"
    assert git(project, "show", f"{done.report['branch']}:calc.py") + "\n" == FIXED
    assert opened(done.report["session"])["backend"] == "bubblewrap"
    assert left(own_state) == []


def test_a_session_in_bubblewrap_is_rewound_and_goes_on_there(
    project: Path, service: Start, own_state: Path
) -> None:
    model = service(
        [
            Answer("one", [INSTALL]),
            Answer("two", [DESTROY]),
            Answer("again", [LOOK]),
            Answer(calls=[EDIT]),
            submit(),
        ]
    )
    done = bridle(*fix(project, model, "--backend", "bubblewrap", "--max-steps", "2", "--json"))
    assert done.code == 4, done.err + done.out
    assert done.report["backend"] == "bubblewrap"
    assert "using bubblewrap" not in done.err
    session = done.report["session"]
    found = bridle("rewind", session, "--json", env=NO_ENGINE).report
    assert [point["before"].split()[0] for point in found["checkpoints"]] == ["task", "shell", "end"]
    assert all(point["held"] for point in found["checkpoints"])
    assert found["bytes"] > 0
    [line] = bridle("sessions", "--disk", "--json", env=NO_ENGINE).out.splitlines()
    assert json.loads(line)["checkpoint_bytes"] == found["bytes"]

    back = bridle("rewind", session, "--to", "2", "--yes", env=NO_ENGINE)
    assert back.code == 0, back.err
    assert "+ calc.py" in back.out
    again = bridle("resume", session, "--max-steps", "9", "--json", env={"BRIDLE_BACKEND": "docker"})
    assert again.code == 0, again.err + again.out
    assert again.report["backend"] == "bubblewrap", "it goes on where it began, whatever the settings say now"
    assert git(project, "show", f"{again.report['branch']}:calc.py") + "\n" == FIXED
    looked = "\n".join(str(m.get("content")) for m in model.requests[3]["messages"])
    assert "tool\n" in looked, "what was installed outside the workspace is back"
    assert containers(session) == []
    assert left(own_state) == []


def test_a_dead_session_s_work_goes_on(project: Path, service: Start, own_state: Path) -> None:
    model = service(
        [
            Answer(calls=[EDIT, INSTALL]),
            Answer(calls=[("shell", {"command": "sleep 300"})]),
            Answer(calls=[LOOK]),
            submit(),
        ]
    )
    process = start(*fix(project, model, "--backend", "bubblewrap", "--json"))
    while len(model.requests) < 2:
        assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()
    [line] = bridle("sessions", "--json").out.splitlines()
    session = json.loads(line)["id"]
    again = bridle("resume", session, "--json", env=NO_ENGINE)
    assert again.code == 0, again.err + again.out
    looked = "\n".join(str(m.get("content")) for m in model.requests[3]["messages"])
    assert "tool\n" in looked
    assert left(own_state) == []


def test_a_session_of_bubblewrap_is_cleaned_up_by_the_next_of_docker(
    engine: None, project: Path, service: Start, own_state: Path
) -> None:
    model = service([Answer(calls=[("shell", {"command": "sleep 300"})])])
    process = start(*fix(project, model, "--backend", "bubblewrap", "--json"))
    while not model.requests:
        assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()
    assert any(name.startswith("bridle-") for name in left(own_state))
    done = bridle(*fix(project, service([Answer(calls=[EDIT]), submit()]), "--backend", "docker"))
    assert done.code == 0, done.err + done.out
    assert "whose owner is dead; its work is kept" in done.err
    assert not any(name.startswith("bridle-") for name in left(own_state))


@pytest.mark.parametrize("given", [["--image", "python:3.12"], []])
def test_an_image_is_refused_with_the_way_out(project: Path, service: Start, given: list[str]) -> None:
    if not given:
        (project / "bridle.toml").write_text('image = "python:3.12"\n')
    done = bridle(*fix(project, service([submit()]), "--json", *given), env=NO_ENGINE)
    assert done.code == 2
    detail = done.report["detail"]
    assert "python:3.12" in detail
    assert "--image host" in detail
    assert "--backend docker" in detail
    assert ("bridle.toml" in detail) == (not given)


def test_a_runtime_is_docker_s(project: Path, service: Start) -> None:
    model = service([submit()])
    done = bridle(*fix(project, model, "--backend", "bubblewrap", "--runtime", "runsc"))
    assert done.code == 2
    assert "runsc" in done.err
    assert "--backend docker" in done.err
    alone = bridle(*fix(project, model, "--runtime", "runsc", "--json"), env=NO_ENGINE)
    assert alone.code == 8, "with a runtime there is no falling back"
    wrong = bridle(*fix(project, model, "--runtime", "a b"))
    assert wrong.code == 2
    assert "runtime" in wrong.err


def test_a_backend_that_does_not_exist_is_refused(project: Path, service: Start) -> None:
    for name in ("local", "none", ""):
        done = bridle(*fix(project, service([submit()]), "--backend", name), env={"BRIDLE_BACKEND": "host"})
        assert done.code == 2, name
        assert "backend" in done.err


def test_a_repository_cannot_choose(project: Path, service: Start) -> None:
    for line in ('backend = "bubblewrap"', 'runtime = "runc"'):
        (project / "bridle.toml").write_text(line + "\n")
        done = bridle(*fix(project, service([submit()])))
        assert done.code == 2
        assert "bridle.toml" in done.err


def test_docker_that_was_asked_for_is_not_replaced(project: Path, service: Start) -> None:
    done = bridle(*fix(project, service([submit()]), "--backend", "docker", "--json"), env=NO_ENGINE)
    assert (done.code, done.report["outcome"]) == (8, "sandbox_failed")
    assert "No Docker engine answers" in done.report["detail"]
    assert "--backend bubblewrap" in done.err


@pytest.mark.docker
def test_a_session_of_docker_can_go_on_in_bubblewrap(engine: None, project: Path, service: Start) -> None:
    model = service([Answer(calls=[EDIT]), Answer(calls=[INSTALL]), submit()])
    done = bridle(*fix(project, model, "--max-steps", "1", "--backend", "docker", "--json"))
    assert done.code == 4, done.err + done.out
    session = done.report["session"]
    alone = bridle("resume", session, "--max-steps", "9", "--json", env=NO_ENGINE)
    assert (alone.code, alone.report["backend"]) == (8, "docker"), "it goes on where it began, or says it cannot"
    assert "--backend bubblewrap" in alone.err
    again = bridle("resume", session, "--max-steps", "9", "--backend", "bubblewrap", "--json", env=NO_ENGINE)
    assert again.code == 0, again.err + again.out
    assert "from the saved workspace alone" in again.err
    assert git(project, "show", f"{again.report['branch']}:calc.py") + "\n" == FIXED
    asyncio.run(drop_all(session))


@pytest.mark.docker
def test_the_engine_s_runtime_is_kept(engine: None, project: Path, service: Start) -> None:
    unknown = bridle(*fix(project, service([submit()]), "--runtime", "no-such", "--json"))
    assert unknown.code == 8
    assert "no runtime no-such" in unknown.report["detail"]
    assert "runc" in unknown.report["detail"]
    model = service([Answer(calls=[EDIT]), submit()])
    done = bridle(*fix(project, model, "--runtime", "runc", "--max-steps", "1", "--json"))
    assert done.code == 4, done.err + done.out
    session = done.report["session"]
    assert (opened(session)["runtime"], done.report["backend"]) == ("runc", "docker")
    again = bridle("resume", session, "--max-steps", "9", "--json", env={"BRIDLE_RUNTIME": "no-such"})
    assert again.code == 0, again.err + again.out
    assert opened(session)["runtime"] == "runc"


def test_the_doctor_says_what_is_used(own_state: Path) -> None:
    done = bridle("doctor", "--json", env=NO_ENGINE)
    checks = {line["what"]: line for line in map(json.loads, done.out.splitlines())}
    assert checks["Sandboxes"]["detail"].startswith("bubblewrap (`backend` is auto); what it does not promise")
    assert (checks["Docker engine"]["ok"], checks["Docker engine"]["needed"]) == (False, False)
    assert checks["Bubblewrap"]["ok"]
    assert checks["Bubblewrap"]["needed"]
    assert "limit" in checks["Bubblewrap"]["detail"]
    (own_state / "config.toml").write_text('backend = "docker"\n')
    strict = bridle("doctor", env=NO_ENGINE)
    assert strict.code == 2
    assert "missing Docker engine" in strict.out


def test_clean_takes_what_bubblewrap_left(project: Path, service: Start, own_state: Path) -> None:
    model = service([Answer(calls=[EDIT]), submit()])
    done = bridle(*fix(project, model, "--backend", "bubblewrap", "--max-steps", "1", "--json"))
    assert done.code == 4
    assert len(left(own_state)) == 2
    would = bridle("clean", "--all-sessions", "--dry-run", "--json", env=NO_ENGINE).report
    assert [each["what"] for each in would["removed"]] == ["checkpoint", "checkpoint"]
    assert len(left(own_state)) == 2
    assert bridle("clean", "--json", env=NO_ENGINE).report["removed"] == [], "the session can still go on"
    bridle("clean", "--all-sessions", "--json", env=NO_ENGINE)
    assert left(own_state) == []
    again = bridle("resume", done.report["session"], "--max-steps", "9", "--json")
    assert again.code == 0, again.err
    assert subprocess.run(["git", "log", "-1"], cwd=project, capture_output=True, check=True)
