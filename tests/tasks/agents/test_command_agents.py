"""Agents with a loop of their own: a real program in the sandbox, and its model behind the gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.project import bridle
from support.service import Answer, Script, Service

import tasks
from agent.journal import ModelReplied, read_events
from sandboxes.docker.backend import DockerBackend
from tasks.agents.work import parse_agent
from tasks.format.task import load_suite
from tasks.runs.runner import Run

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]

Start = Callable[[Script], Service]
TASK = Path(tasks.__file__).parent / "bundled" / "bug-rolling-mean"
FIX = "sed -i 's/len(values) - window)/len(values) - window + 1)/' rolling.py"
AGENT = """
import json, os, subprocess, urllib.request
messages = [{"role": "user", "content": open(os.environ["BRIDLE_TASK"]).read()}]
stream = os.environ.get("KIND") == "stream"
for _ in range(2):
    body = {"model": os.environ["BRIDLE_MODEL"], "messages": messages, "stream": stream}
    address = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    key = os.environ["OPENAI_API_KEY"]
    headers = {"Content-Type": "application/json", "Authorization": "Bearer " + key}
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)
    text = urllib.request.urlopen(request).read().decode()
    if stream:
        pieces = [json.loads(l[5:]) for l in text.splitlines() if l.startswith("data: {")]
        said = "".join(p["choices"][0]["delta"].get("content", "") for p in pieces if p["choices"])
    else:
        said = json.loads(text)["choices"][0]["message"]["content"]
    if said == "done":
        break
    subprocess.run(said, shell=True)
"""
COMMAND = f"python3 - <<'END'\n{AGENT}\nEND"


def whole(text: str) -> Answer:
    message = {"role": "assistant", "content": text}
    body: dict[str, Any] = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    body["usage"] = {"prompt_tokens": 120, "completion_tokens": 8}
    return Answer(raw=json.dumps(body).encode())


def run(tmp_path: Path, model: Service, *options: str, kind: str = "") -> tuple[dict[str, Any], Path]:
    out = tmp_path / "out"
    command = [
        "suite",
        "run",
        str(TASK),
        "--agent",
        f"command:KIND={kind} {COMMAND}",
        "--model",
        "scripted",
        "--base-url",
        model.url,
    ]
    done = bridle(*command, "--price", "1/2", "--out", str(out), *options)
    assert done.code == 0, done.err
    attempt = out / "attempts" / TASK.name / "1"
    return json.loads((attempt / "result.json").read_text()), attempt


@pytest.mark.parametrize("kind", ["", "stream"])
def test_its_model_is_reached_and_what_it_took_is_counted(tmp_path: Path, service: Start, kind: str) -> None:
    answers = (
        [whole(FIX), whole("done")] if not kind else [Answer(text=FIX, prompt_tokens=120), Answer(text="done")]
    )
    model = service(answers)
    result, attempt = run(tmp_path, model, kind=kind)
    assert result["status"] == "pass"
    assert result["spent"]["steps"] == 2
    assert result["spent"]["input_tokens"] >= 220
    assert result["spent"]["cost"] > 0
    assert model.requests[0]["model"] == "scripted"
    said = [each.text for each in read_events(attempt / "journal.jsonl") if isinstance(each, ModelReplied)]
    assert said == [FIX, "done"]


def test_a_budget_ends_it(tmp_path: Path, service: Start) -> None:
    model = service(lambda _: whole("true"))
    result, _ = run(tmp_path, model, "--max-steps", "1")
    assert (result["outcome"], len(model.requests)) == ("budget", 1)
    assert result["failure"]["primary"] == "budget.steps"


def test_a_service_that_fails_is_no_failure_of_the_agent(tmp_path: Path, service: Start) -> None:
    model = service([whole("true"), Answer(status=401, text="no such key")])
    agent = parse_agent(f"command:{COMMAND}", {"model": "scripted", "base_url": model.url})
    (result,) = asyncio.run(Run(load_suite(TASK), agent, DockerBackend(), tmp_path / "out", pauses=[]).run())
    assert result.failure is not None
    assert (result.status, result.failure.primary) == ("unscored", "infra.provider")
    assert "HTTP 401" in result.detail
