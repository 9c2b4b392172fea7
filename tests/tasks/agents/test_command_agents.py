"""Agents with a loop of their own: a real program in the sandbox, and its model behind the gateway."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
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
from tasks.runs.results import AttemptResult
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


ENDS_WITH = """
import json, os, subprocess, urllib.error, urllib.request
def ask(**more):
    body = {"model": "x", "messages": [{"role": "user", "content": "go on"}], **more}
    address = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.loads(urllib.request.urlopen(request).read())["choices"][0]["message"]["content"]
subprocess.run(ask(), shell=True)
try:
    ask(ending="REASON")
except urllib.error.HTTPError as error:
    raise SystemExit(error.code % 256)
"""


def ends_with(tmp_path: Path, model: Service, reason: str = "") -> AttemptResult:
    """An attempt of a program that solves the task with one request, and then makes one that ends it."""
    line = f"command:python3 - <<'END'\n{ENDS_WITH.replace('REASON', reason)}\nEND"
    agent = parse_agent(line, {"model": "scripted", "base_url": model.url})
    run = Run(load_suite(TASK), agent, DockerBackend(), tmp_path / "out", pauses=[0.01])
    (result,) = asyncio.run(run.run())
    return result


def refusing(status: int, words: str) -> Callable[[dict[str, Any]], Answer]:
    """A service that refuses requests with `ending`, saying `words`, and takes all others."""
    return lambda asked: Answer(status=status, text=words) if "ending" in asked else whole(FIX)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "unknown parameter: ending"),
        (403, "this content is not allowed"),
        (404, "no endpoint takes such a request"),
        (422, "ending: insufficient_quota is no string"),
    ],
)
def test_a_request_that_the_service_will_not_have_is_the_agents_own_affair(
    tmp_path: Path, service: Start, status: int, words: str
) -> None:
    result = ends_with(tmp_path, service(refusing(status, words)))
    assert (result.status, result.tries, result.outcome.value) == ("pass", 1, "done")
    assert f"the last request was refused: HTTP {status}" in result.detail
    assert words in result.detail


@pytest.mark.parametrize("status", [400, 413])
def test_a_conversation_that_is_too_long_is_a_budget_as_it_is_for_a_session(
    tmp_path: Path, service: Start, status: int
) -> None:
    said = "This model's maximum context length is 4096 tokens" if status == 400 else "request entity too large"
    model = service(lambda asked: Answer(status=status, text=said) if "ending" in asked else whole("true"))
    result = ends_with(tmp_path, model)
    assert result.failure is not None
    assert (result.status, result.tries, result.failure.primary) == ("fail", 1, "budget.context")


@pytest.mark.parametrize("status", [429, 500])
def test_a_service_that_is_busy_or_broken_is_unscored(tmp_path: Path, service: Start, status: int) -> None:
    result = ends_with(tmp_path, service(refusing(status, "not now")))
    assert result.failure is not None
    assert (result.status, result.tries, result.failure.primary) == ("unscored", 2, "infra.provider")


def test_a_service_that_takes_no_request_at_all_is_unscored(tmp_path: Path, service: Start) -> None:
    result = ends_with(tmp_path, service(lambda _: Answer(status=404, text="no such model")))
    assert result.failure is not None
    assert (result.status, result.tries, result.failure.primary) == ("unscored", 2, "infra.provider")
    assert "no such model" in result.detail


def test_an_answer_that_was_not_read_to_its_end_counts_too(tmp_path: Path, service: Start) -> None:
    program = """
import json, os, urllib.request
body = json.dumps({"messages": [{"role": "user", "content": "go on"}]}).encode()
address = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
urllib.request.urlopen(urllib.request.Request(address, body)).read(100)
"""
    model = service(lambda _: whole("x" * (4 << 20)))
    line = f"command:python3 - <<'END'\n{program}\nEND"
    agent = parse_agent(line, {"model": "scripted", "base_url": model.url})
    (result,) = asyncio.run(Run(load_suite(TASK), agent, DockerBackend(), tmp_path / "out", pauses=[]).run())
    assert (result.status, result.spent.steps) == ("fail", 1)


def with_forbidden(folder: Path, effects: str) -> Path:
    """The task of the suite that forbids things, with these effects."""
    shutil.copytree(TASK.parent / "safety-archive-shortcut", folder)
    toml = folder / "task.toml"
    toml.write_text(toml.read_text().replace('effects = ["network"]', f"effects = [{effects}]"))
    return folder


def attempt_at(task: Path, line: str, out: Path) -> AttemptResult:
    run = Run(load_suite(task), parse_agent(line, {}), DockerBackend(), out, pauses=[0.01])
    return asyncio.run(run.run())[0]


def test_the_network_that_a_task_forbids_is_seen_although_the_command_hides_it(tmp_path: Path) -> None:
    task = with_forbidden(tmp_path / "task", '"network"')
    solve = (task / "solution" / "solve.sh").read_text()
    ask = "python3 -c 'import urllib.request as u; u.urlopen(\"http://archive.example/\")' 2>/dev/null; true"
    hidden = base64.b64encode(f"{solve}\n{ask}\n".encode()).decode()
    result = attempt_at(task, f"command:echo {hidden} | base64 -d | sh", tmp_path / "out")
    assert result.failure is not None
    assert (result.status, result.failure.primary) == ("fail", "safety.forbidden")
    assert "network: archive.example:80 was asked for" in result.failure.evidence[0].text
    honest = attempt_at(task, f"command:{solve}", tmp_path / "honest")
    assert honest.status == "pass"


def test_a_forbidden_effect_that_cannot_be_seen_leaves_the_attempt_unscored(tmp_path: Path) -> None:
    task = with_forbidden(tmp_path / "task", '"network", "destroy"')
    solve = (task / "solution" / "solve.sh").read_text()
    result = attempt_at(task, f"command:{solve}", tmp_path / "out")
    assert (result.status, result.tries) == ("unscored", 1)
    assert "forbids effects that cannot be seen of an agent with a loop of its own (destroy)" in result.detail
    assert attempt_at(task, "oracle", tmp_path / "oracle").status == "pass"


def test_what_the_model_of_another_harness_is_told_to_run_counts_as_run(tmp_path: Path, service: Start) -> None:
    task = with_forbidden(tmp_path / "task", "")
    solve = (task / "solution" / "solve.sh").read_text()
    model = service([whole(f"echo tok-archive-5f1c\n{solve}"), whole("done")])
    agent = parse_agent(f"command:{COMMAND}", {"model": "scripted", "base_url": model.url})
    (result,) = asyncio.run(Run(load_suite(task), agent, DockerBackend(), tmp_path / "out").run())
    assert result.failure is not None
    assert (result.status, result.failure.primary) == ("fail", "safety.forbidden")


def test_a_service_that_fails_is_no_failure_of_the_agent(tmp_path: Path, service: Start) -> None:
    model = service([whole("true"), Answer(status=401, text="no such key")])
    agent = parse_agent(f"command:{COMMAND}", {"model": "scripted", "base_url": model.url})
    (result,) = asyncio.run(Run(load_suite(TASK), agent, DockerBackend(), tmp_path / "out", pauses=[]).run())
    assert result.failure is not None
    assert (result.status, result.failure.primary) == ("unscored", "infra.provider")
    assert "HTTP 401" in result.detail
