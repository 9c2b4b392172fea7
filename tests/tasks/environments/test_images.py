"""Tasks with images of their own, from the command line: built, worked in, graded, and built no second time."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.images import EXAMPLES_BASE, busybox, examples_base
from support.project import bridle
from support.service import Answer, Script, Service, submit

from agent.journal import CallFinished, read_events
from sandboxes.docker.backend import DockerBackend
from sandboxes.docker.engine import Engine
from sandboxes.docker.images import BuildFailed
from sandboxes.protocol import WORKSPACE
from tasks.agents.work import parse_agent
from tasks.environments.allowed import Allowed
from tasks.environments.images import task_image
from tasks.format.task import load_suite, load_task
from tasks.runs.runner import Run

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine", "base")]
HARBOR = Path(__file__).parents[1] / "examples" / "harbor"


WRITE = 'echo hi > /out/hi.txt\n[ "$PWD" = / ] || echo hi > hi.txt\n'
LOOK = """
mkdir -p /logs/verifier
find / -xdev -name "*planted*" 2>/dev/null
if [ -e /data/kept ]; then echo 1; else echo 0; fi > /logs/verifier/reward.txt
"""
PLANT = """
packages=$HOME/.local/lib/python3.11/site-packages
mkdir -p $packages $HOME/bin /data/site-packages /data/deep /data/usercustomize.planted /tests /logs/verifier
for place in $packages $HOME $HOME/bin /data/site-packages /tests /logs/verifier; do
    echo x > $place/.planted
    echo x > $place/planted.pth
done
echo x > /data/conftest.planted
echo kept > /data/kept
ln -s /usr/bin /data/deep/link
echo x > /data/conftest.py
echo x > /data/sitecustomize.py
"""


@pytest.fixture(scope="module")
def base() -> None:
    examples_base(Engine().client())


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from busybox(Engine().client(), tmp_path_factory.mktemp("busybox"))


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A task that greets, with files of its image and a place beside the working folder."""
    return Path(shutil.copytree(HARBOR / "hello", tmp_path / "hello"))


def run(task: Path, agent: str, out: Path, *more: str) -> dict[str, Any]:
    done = bridle("suite", "run", str(task), "--agent", agent, "--out", str(out), "--json", *more)
    assert done.out, done.err
    found: dict[str, Any] = json.loads((out / "attempts" / task.name / "1" / "result.json").read_text())
    return found


@pytest.mark.parametrize("name", ["hello", "rewards"])
def test_an_unchanged_task_is_proven(name: str) -> None:
    done = bridle("suite", "check", str(HARBOR / name))
    assert (done.code, done.out) == (0, f"ok  {name}\n"), done.err


def test_a_second_run_builds_nothing_and_a_changed_dockerfile_is_built(task: Path, tmp_path: Path) -> None:
    first = task_image(load_task(task), Allowed())
    assert run(task, "nop", tmp_path / "b")["status"] == "fail"
    assert task_image(load_task(task), Allowed()) == first
    (task / "environment" / "name.txt").write_text("Grace\n")
    second = task_image(load_task(task), Allowed())
    assert first is not None
    assert second is not None
    assert (first.name != second.name, first.origin != second.origin) == (True, True)
    subprocess.run(["docker", "rmi", second.name], capture_output=True, check=True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("RUN echo no luck >&2; exit 7", "no luck"),
        ("RUN python3 -c 'import socket; socket.create_connection((\"192.0.2.1\", 9), 5)'", "unreachable"),
        ("RUN sleep 60", "it said nothing for"),
        ("ADD http://192.0.2.1/data.txt .", "downloads http://192.0.2.1/data.txt"),
        ("COPY --from=nowhere/at-all:1 /a /b", "begins from nowhere/at-all:1"),
        ("NOT a Dockerfile", "cannot be built"),
    ],
)
def test_a_build_that_fails_says_why(task: Path, line: str, words: str) -> None:
    with (task / "environment" / "Dockerfile").open("a") as file:
        file.write(line + "\n")
    text = (task / "task.toml").read_text().replace("build_timeout_sec = 120.0", "build_timeout_sec = 5.0")
    (task / "task.toml").write_text(text)
    with pytest.raises(BuildFailed, match=r"Dockerfile ") as error:
        task_image(load_task(task), Allowed())
    assert words in str(error.value)


def test_an_image_that_is_not_there_is_named(task: Path, tmp_path: Path) -> None:
    text = (task / "task.toml").read_text().replace("cpus = 1", 'docker_image = "nowhere/at-all:1"')
    (task / "task.toml").write_text(text)
    result = run(task, "nop", tmp_path / "out")
    assert (result["status"], result["failure"]["primary"]) == ("unscored", "infra.build")
    assert "get it with `docker pull nowhere/at-all:1`" in result["detail"]


def test_a_named_image_with_files_of_the_tasks_own(task: Path, tmp_path: Path) -> None:
    (task / "environment" / "Dockerfile").unlink()
    (task / "environment" / "files").mkdir()
    (task / "environment" / "files" / "name.txt").write_text("Ada\n")
    text = (
        (task / "task.toml").read_text().replace("cpus = 1", f'docker_image = "{EXAMPLES_BASE}"\nworkdir = "/app"')
    )
    (task / "task.toml").write_text(text)
    (task / "solution" / "solve.sh").write_text(
        "mkdir -p /app/empty/kept /notes; touch /app/empty/kept/x\n"
        'echo "$GREETING, $(cat name.txt)" | tee greeting.txt > /notes/log.txt\n'
    )
    assert run(task, "oracle", tmp_path / "out")["status"] == "pass"


def test_what_decides_how_tests_run_does_not_come_along(task: Path, tmp_path: Path) -> None:
    (task / "tests" / "test.sh").write_text(LOOK)
    script = tmp_path / "plant.sh"
    script.write_text(PLANT)
    result = run(task, f"script:{script}", tmp_path / "out")
    assert result["status"] == "pass"
    said = result["grade"]["output"]
    assert sorted(line for line in said.splitlines() if "planted" in line) == [
        "/data/conftest.planted",
        "/data/usercustomize.planted",
    ]


def test_a_folder_that_the_task_names_is_the_agents(task: Path, tmp_path: Path) -> None:
    with (task / "environment" / "Dockerfile").open("a") as file:
        file.write(
            "RUN mkdir -p /etc/service/deep && echo old > /etc/service/deep/port && echo x > /etc/service/gone\n"
        )
    with (task / "task.toml").open("a") as file:
        file.write('\n[bridle]\npaths = ["/etc/service"]\n')
    (task / "tests" / "test.sh").write_text(
        "#!/bin/sh\nmkdir -p /logs/verifier\n"
        'good=0; [ "$(cat /etc/service/deep/port)" = 80 ] && [ ! -e /etc/service/gone ] && good=1\n'
        "echo $good > /logs/verifier/reward.txt\n"
    )
    line = "command:echo 80 > /etc/service/deep/port; rm /etc/service/gone"
    assert run(task, line, tmp_path / "out")["status"] == "pass"


def test_a_variable_of_this_machine_is_given_only_when_allowed(
    task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORD_FOR_TASKS", "hello")
    text = (task / "task.toml").read_text().replace('"hello"', '"${WORD_FOR_TASKS}"')
    (task / "task.toml").write_text(text)
    command = ["suite", "run", str(task), "--agent", "oracle", "--out", str(tmp_path / "out")]
    refused = bridle(*command)
    assert (refused.code, "--task-env WORD_FOR_TASKS" in refused.err) == (2, True)
    result = run(task, "oracle", tmp_path / "out", "--task-env", "WORD_FOR_TASKS")
    assert result["status"] == "pass", result["detail"]


def test_a_session_works_in_the_tasks_image_and_beside_its_folder(
    task: Path, tmp_path: Path, service: Callable[[Script], Service]
) -> None:
    command = (task / "solution" / "solve.sh").read_text()
    model = service([Answer(calls=[("shell", {"command": command})]), submit("greeted")])
    options = ["--model", "scripted", "--base-url", model.url]
    result = run(task, "bridle", tmp_path / "out", *options)
    assert (result["status"], result["outcome"]) == ("pass", "done"), result["detail"]


@pytest.mark.parametrize(("more", "status"), [("", "pass"), ("sleep 60 >/dev/null 2>&1 & ", "fail")])
def test_an_image_without_python_is_graded_by_its_test_sh(
    task: Path, tmp_path: Path, bare: str, more: str, status: str
) -> None:
    dockerfile = task / "environment" / "Dockerfile"
    dockerfile.write_text(
        dockerfile.read_text().replace(EXAMPLES_BASE, bare).replace(" && chmod 1777 /var/tmp", "")
    )
    tests = task / "tests" / "test.sh"
    tests.write_text(tests.read_text().replace("#!/bin/bash\n", f"#!/bin/sh\n{more}"))
    result = run(task, "oracle", tmp_path / "out")
    assert result["status"] == status, result["detail"]
    assert [flag["name"] for flag in result["grade"]["flags"]] == (["integrity.daemon"] if more else [])


def test_a_sandbox_that_is_not_healthy_is_not_scored(task: Path, tmp_path: Path) -> None:
    with (task / "task.toml").open("a") as file:
        file.write(
            '\n[environment.healthcheck]\ncommand = "echo no service; false"\ninterval_sec = 0\nretries = 2\n'
        )
    made = Run(load_suite(task), parse_agent("nop", {}), DockerBackend(), tmp_path / "out", pauses=[])
    (result,) = asyncio.run(made.run())
    assert (result.status, result.grade) == ("unscored", None)
    assert "`echo no service; false` failed 2 times: no service" in result.detail


@pytest.mark.parametrize("workdir", ["", "/not/in/the/image"])
def test_where_the_image_has_no_working_folder_the_workspace_is_empty(tmp_path: Path, workdir: str) -> None:
    task = tmp_path / "bare"
    (task / "tests").mkdir(parents=True)
    (task / "solution").mkdir()
    where = f'workdir = "{workdir}"\n' if workdir else ""
    (task / "task.toml").write_text(f'[environment]\ndocker_image = "{EXAMPLES_BASE}"\n{where}')
    (task / "instruction.md").write_text("Write hi to /out/hi.txt and to hi.txt of the working folder.\n")
    (task / "solution" / "solve.sh").write_text(f"set -e\nls {workdir or WORKSPACE}\nmkdir /out\n{WRITE}")
    reward = f"test -s /out/hi.txt{f' && test -s {workdir}/hi.txt' if workdir else ''} && echo 1 || echo 0"
    (task / "tests" / "test.sh").write_text(f"({reward}) > /logs/verifier/reward.txt\n")
    assert run(task, "oracle", tmp_path / "out")["status"] == "pass"
    journal = read_events(tmp_path / "out" / "attempts" / "bare" / "1" / "journal.jsonl")
    (said,) = [each.text for each in journal if isinstance(each, CallFinished)]
    assert said == "", "the workspace held something"
