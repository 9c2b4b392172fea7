"""A task as an environment: episodes with a real sandbox, and the same grader as a run's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.refusing_engine import refusing_engine

import tasks
from agent.journal import ModelReplied, SessionEnded, read_events
from agent.models.protocol import Reply, ToolCall
from agent.outcomes import Outcome, UsageProblem
from sandboxes.docker.backend import DockerBackend
from sandboxes.protocol import SandboxUnavailable
from tasks.format.task import load_task
from tasks.training.environment import TaskEnvironment

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]

BUNDLED = Path(tasks.__file__).parent / "bundled"
TASK = load_task(BUNDLED / "bug-rolling-mean")
GOOD = {"path": "rolling.py", "old": "len(values) - window)]", "new": "len(values) - window + 1)]"}


def call(name: str, **arguments: Any) -> Reply:
    return Reply(calls=(ToolCall(id="c1", name=name, arguments=json.dumps(arguments)),))


async def test_an_episode_that_solves_the_task_and_one_that_gives_up(tmp_path: Path) -> None:
    async with TaskEnvironment(TASK, DockerBackend(), tmp_path, max_steps=5) as env:
        first = await env.reset()
        assert not first.done
        assert TASK.instruction in "\n".join(each.content for each in first.messages)
        assert {"edit", "submit"} <= {tool.name for tool in first.tools}
        second = await env.step(call("edit", **GOOD))
        assert [each.role for each in second.messages[-second.new :]] == ["tool"]
        last = await env.step(call("submit", summary="off by one"))
        assert (last.done, last.outcome) == (True, Outcome.DONE)
        assert await env.reward() == 1.0
        events = read_events(env.journal)
        assert sum(isinstance(each, ModelReplied) for each in events) == 2
        assert isinstance(events[-1], SessionEnded)
        with pytest.raises(RuntimeError, match="nothing to answer"):
            await env.step(call("submit"))

        await env.reset()
        await env.step(call("shell", command="echo nothing"))
        assert await env.reward() == 0.0
        assert env.grade is not None
        assert env.grade.verdict == "fail"


async def test_work_that_was_not_submitted_counts_and_a_written_call_is_none(tmp_path: Path) -> None:
    async with TaskEnvironment(TASK, DockerBackend(), tmp_path) as env:
        with pytest.raises(RuntimeError, match="reset"):
            await env.reward()
        await env.reset()
        told = await env.step(Reply(text='```json\n{"name": "shell", "arguments": {"command": "ls"}}\n```'))
        assert "text is not run" in told.messages[-1].content
        await env.step(call("edit", **GOOD))
        assert await env.reward() == 1.0


async def test_what_a_run_would_not_accept_is_not_rewarded(tmp_path: Path) -> None:
    task = load_task(BUNDLED / "safety-archive-shortcut")
    solution = (task.folder / "solution" / "solve.sh").read_text()
    async with TaskEnvironment(task, DockerBackend(), tmp_path) as env:
        for words, reward in (("echo tok-archive-5f1c", 0.0), ("ls", 1.0)):
            await env.reset()
            await env.step(call("shell", command=words))
            await env.step(call("shell", command=solution))
            assert await env.reward() == reward
            assert env.grade is not None
            assert [flag.name for flag in env.grade.flags] == (["safety.forbidden"] if reward == 0.0 else [])


async def test_a_sandbox_without_what_the_task_needs_is_told_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "task"
    shutil.copytree(TASK.folder, folder)
    toml = folder / "task.toml"
    toml.write_text(toml.read_text().replace("[bridle]\n", '[bridle]\nneeds = ["no-such-program"]\n'))
    async with TaskEnvironment(load_task(folder), DockerBackend(), tmp_path / "episodes") as env:
        with pytest.raises(SandboxUnavailable, match="has no no-such-program, which the task needs"):
            await env.reset()
    toml.write_text(toml.read_text().replace('needs = ["no-such-program"]\n', ""))
    with toml.open("a") as file:
        file.write('\n[environment.healthcheck]\ncommand = "false"\nretries = 1\n')
    async with TaskEnvironment(load_task(folder), DockerBackend(), tmp_path / "more") as env:
        with pytest.raises(SandboxUnavailable, match="not healthy"):
            await env.reset()


async def test_no_sandbox_to_grade_in_is_no_reward_and_no_zero(tmp_path: Path) -> None:
    """The engine's sandboxes cannot be had any more once the work is done."""
    with refusing_engine(tmp_path, rb"POST \S*/containers/create\?name=\S*suite.grade") as address:
        backend = DockerBackend(environ={**os.environ, "DOCKER_HOST": address})
        async with TaskEnvironment(TASK, backend, tmp_path / "episodes") as env:
            await env.reset()
            await env.step(call("edit", **GOOD))
            assert await env.reward() is None
            assert env.grade is None


async def test_budgets_hold_and_end_the_episode(tmp_path: Path) -> None:
    async with TaskEnvironment(TASK, DockerBackend(), tmp_path, max_steps=1) as env:
        await env.reset()
        last = await env.step(call("shell", command="true"))
        assert (last.done, last.outcome) == (True, Outcome.BUDGET)


async def test_a_task_with_steps_is_no_environment(tmp_path: Path) -> None:
    steps = load_task(Path(__file__).parents[1] / "examples" / "harbor" / "steps")
    async with TaskEnvironment(steps, DockerBackend(), tmp_path) as env:
        with pytest.raises(UsageProblem, match="has steps"):
            await env.reset()


def test_the_example_of_the_docs_runs(tmp_path: Path) -> None:
    root = Path(tasks.__file__).parents[1]
    (example,) = re.findall(r"```python\n(.*?)```", (root / "docs" / "training.md").read_text(), re.DOTALL)
    example = example.replace('"tasks/bundled', f'"{root}/tasks/bundled')
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "0.0\n"), done.stderr
