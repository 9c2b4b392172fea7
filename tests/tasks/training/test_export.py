"""`bridle suite export`: what a trainer reads, held against the formats' own models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from atif import Trajectory
from support.project import bridle
from support.service import Answer, Script, Service, submit

import tasks
from tasks.training.rollouts import redacted

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]

TASK = Path(tasks.__file__).parent / "bundled" / "bug-rolling-mean"
GOOD = ("edit", {"path": "rolling.py", "old": "len(values) - window)]", "new": "len(values) - window + 1)]"})
WRONG = ("edit", {**GOOD[1], "new": "len(values) - window + 2)]"})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three attempts: one that passes, one that fails, and one whose call is no JSON."""
    out = tmp_path_factory.mktemp("run") / "out"
    done = [Answer(text="off by one", calls=[GOOD]), submit()]
    wrong = [Answer(calls=[WRONG]), submit()]
    broken = [Answer(calls=[("read", "{nonsense")]), Answer(calls=[WRONG]), submit()]
    model = Service([*done, *wrong, *broken])
    try:
        command = ["suite", "run", str(TASK), "--model", "scripted", "--base-url", model.url]
        made = bridle(*command, "--attempts", "3", "--jobs", "1", "--out", str(out))
    finally:
        model.close()
    assert made.code == 0, made.err
    return out


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_chat_lines_hold_what_the_model_saw_and_what_it_was_worth(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "chat.jsonl"
    done = bridle("suite", "export", str(run), "--out", str(out), "--json")
    assert json.loads(done.out) == {"written": 3, "scored": 3, "without_conversation": 0, "without_tools": 0}
    passed, failed, broken = lines(out)
    assert [each["reward"] for each in (passed, failed, broken)] == [1.0, 0.0, 0.0]
    assert len({each["group"] for each in (passed, failed, broken)}) == 1
    roles = [each["role"] for each in passed["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "tool"]
    assert passed["mask"] == [role == "assistant" for role in roles]
    assert passed["messages"][2]["tool_calls"][0]["function"] == {"name": "edit", "arguments": json.dumps(GOOD[1])}
    assert {tool["function"]["name"] for tool in passed["tools"]} >= {"shell", "edit", "submit"}
    assert "window + 1" in passed["patch"]
    assert broken["messages"][2]["tool_calls"][0]["function"]["arguments"] == "{nonsense"
    assert failed["failure"] == "outcome.wrong"
    assert passed["failure"] is None
    assert "feedback" not in passed


def test_atif_documents_are_valid(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "atif"
    assert bridle("suite", "export", str(run), "--format", "atif", "--out", str(out)).code == 0
    documents = [json.loads(path.read_text()) for path in sorted(out.iterdir())]
    read = [Trajectory.model_validate(each) for each in documents]
    assert [each.extra["reward"] for each in read if each.extra] == [1.0, 0.0, 0.0]
    steps = read[0].steps
    assert [step.source for step in steps] == ["system", "user", "agent", "agent"]
    assert steps[2].tool_calls is not None
    assert steps[2].observation is not None
    assert steps[2].tool_calls[0].arguments == GOOD[1]
    assert steps[2].observation.results[0].source_call_id == steps[2].tool_calls[0].tool_call_id
    assert read[0].final_metrics is not None
    assert read[0].final_metrics.total_prompt_tokens == 200
    calls = read[2].steps[2].tool_calls
    assert calls is not None
    assert calls[0].arguments == {"invalid_arguments": "{nonsense"}


def test_episodes_are_chains_of_messages_with_masks(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "traces.jsonl"
    assert bridle("suite", "export", str(run), "--format", "episodes", "--out", str(out)).code == 0
    for episode in lines(out):
        (trace,) = episode["traces"]
        nodes = trace["nodes"]
        assert [node["parent"] for node in nodes] == [None, *range(len(nodes) - 1)]
        assert [node["sampled"] for node in nodes] == [n["message"]["role"] == "assistant" for n in nodes]
        assert all(nodes[call["node"]]["sampled"] for call in trace["calls"])
    assert [line["traces"][0]["rewards"]["grader"]["score"] for line in lines(out)] == [1.0, 0.0, 0.0]


def test_only_what_passes_and_only_groups_that_teach(run: Path, tmp_path: Path) -> None:
    def export(name: str, *options: str) -> int:
        out = tmp_path / name
        assert bridle("suite", "export", str(run), "--out", str(out), *options).code == 0
        return len(lines(out))

    assert export("passed", "--passed") == 1
    assert export("mixed", "--informative", "3") == 3
    assert export("too-few", "--informative", "4") == 0


def test_what_is_there_is_not_written_over_and_no_run_is_no_run(run: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    done = bridle("suite", "export", str(run), "--out", str(tmp_path / "there"))
    assert done.code == 2
    assert "is there already" in done.err
    assert (tmp_path / "there").read_text() == "mine"
    assert bridle("suite", "export", str(tmp_path), "--out", str(tmp_path / "x")).code == 2


def test_token_ids_and_probabilities_come_along_where_the_service_gives_them(
    tmp_path: Path, service: Callable[[Script], Service]
) -> None:
    def whole(prompt: list[int], output: list[int], call: tuple[str, dict[str, Any]]) -> Answer:
        function = {"name": call[0], "arguments": json.dumps(call[1])}
        message = {"tool_calls": [{"id": f"call_{prompt[-1]}", "type": "function", "function": function}]}
        content = [{"token": "x", "logprob": -0.5} for _ in output]
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls", "token_ids": output}
        choice["logprobs"] = {"content": content}
        usage = {"prompt_tokens": len(prompt), "completion_tokens": len(output)}
        body = {"choices": [choice], "usage": usage, "model": "m", "prompt_token_ids": prompt}
        return Answer(raw=json.dumps(body).encode())

    model = service([whole([1, 2, 3], [4, 5], GOOD), whole([1, 2, 3, 4, 5, 6], [7], ("submit", {"summary": "s"}))])
    config = tmp_path / "config.toml"
    config.write_text("tokens = true\n")
    out, to = tmp_path / "out", tmp_path / "traces.jsonl"
    command = ["suite", "run", str(TASK), "--model", "scripted", "--base-url", model.url, "--out", str(out)]
    done = bridle(*command, env={"BRIDLE_CONFIG": str(config)})
    assert done.code == 0, done.err
    assert model.requests[0]["logprobs"] is True
    assert bridle("suite", "export", str(out), "--format", "episodes", "--out", str(to)).code == 0
    sampled = [node for node in lines(to)[0]["traces"][0]["nodes"] if node["sampled"]]
    assert [node["token_ids"] for node in sampled] == [[1, 2, 3, 4, 5], [6, 7]]
    assert [node["mask"] for node in sampled] == [[False] * 3 + [True] * 2, [False, True]]
    assert [node["logprobs"] for node in sampled] == [[-0.5, -0.5], [-0.5]]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("ask ann.b@example.org", "ask <address>"),
        ("see /home/ann/notes", "see <home>/notes"),
        ("use sk-abcdefghijklmnop1234", "use <key>"),
        ("no, use the parser in lib/", "no, use the parser in lib/"),
    ],
)
def test_feedback_is_redacted(said: str, left: str) -> None:
    assert redacted(said) == left
