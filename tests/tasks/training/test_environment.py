"""A task as an environment: episodes with a real sandbox, and the same grader as a run's."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tasks
from agent.journal import ModelReplied, SessionEnded, read_events
from agent.models.protocol import Reply, ToolCall
from agent.outcomes import Outcome, UsageProblem
from sandboxes.docker.backend import DockerBackend
from tasks.format.task import load_task
from tasks.training.environment import TaskEnvironment

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]

TASK = load_task(Path(tasks.__file__).parent / "bundled" / "bug-rolling-mean")
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
