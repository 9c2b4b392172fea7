"""A rollout in the formats that trainers and viewers read. Pure functions from a Rollout to what JSON takes.

    atif      the Agent Trajectory Interchange Format 1.7 (Harbor's RFC 0001), one document an attempt
    chat      one line an attempt: messages and tools as in Chat Completions, and which messages to learn from
    episodes  one line an attempt, as in `traces.jsonl` of verifiers 0.4 (version 1 of its traces)

What a format has no field for is under `extra` or `info`. Reward is null where the attempt was not scored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal

from agent.models.protocol import Message, ToolCall
from agent.models.wire import is_object, wire_text, wire_tool
from tasks.training.rollouts import Rollout, Turn

Format = Literal["atif", "chat", "episodes"]
ATIF = "ATIF-v1.7"
_Json = dict[str, Any]


def chat(rollout: Rollout) -> _Json:
    """One line of chat-format JSONL. `mask` says for each message whether the model wrote it.

    `tokens` has an entry for each message that it wrote. Arguments of calls are the text it wrote, JSON or not.
    """
    return {
        "id": rollout.id,
        "group": rollout.group,
        "messages": [_chat_message(each) for each in rollout.messages],
        "tools": None if rollout.tools is None else [wire_tool(each) for each in rollout.tools],
        "mask": [each.role == "assistant" for each in rollout.messages],
        "tokens": [turn.tokens and turn.tokens.model_dump(mode="json") for turn in rollout.turns],
        "reward": rollout.reward,
        "passed": rollout.passed,
        "integrity": list(rollout.integrity),
        **_about(rollout),
    }


def atif(rollout: Rollout) -> _Json:
    """An ATIF document; what a turn was worth in tokens and money is in its `metrics`."""
    steps = list(_atif_steps(rollout))
    steps += [{"source": "agent", **_atif_turn(turn, (), {"purpose": turn.purpose})} for turn in rollout.alone]
    every = (*rollout.turns, *rollout.alone)
    definitions = None if rollout.tools is None else [wire_tool(each) for each in rollout.tools]
    return _without_none(
        {
            "schema_version": ATIF,
            "session_id": rollout.id,
            "trajectory_id": f"{rollout.group}-{rollout.number}",
            "agent": _without_none(
                {
                    "name": f"bridle {rollout.agent.get('kind', '')}".strip(),
                    "version": rollout.version,
                    "model_name": rollout.model or None,
                    "tool_definitions": definitions,
                }
            ),
            "steps": [{"step_id": number, **step} for number, step in enumerate(steps, 1)],
            "final_metrics": _without_none(
                {
                    "total_prompt_tokens": sum(turn.usage.input for turn in every),
                    "total_completion_tokens": sum(turn.usage.output for turn in every),
                    "total_cached_tokens": sum(turn.usage.cached for turn in every),
                    "total_cost_usd": rollout.cost,
                    "total_steps": len(steps),
                }
            ),
            "extra": {
                "reward": rollout.reward,
                "passed": rollout.passed,
                "group": rollout.group,
                "integrity": list(rollout.integrity),
                **_about(rollout),
            },
        }
    )


def episode(rollout: Rollout) -> _Json:
    """One line of `traces.jsonl`: an episode with one trace, its messages as a chain of nodes."""
    identity = {
        "type": "BridleTask",
        "key": rollout.task,
        "hash": rollout.task_hash,
        "data": {"idx": 0, "name": rollout.task, "prompt": None},
    }
    scored = rollout.reward is not None
    reward = {"score": rollout.reward, "weight": 1.0} if scored else None
    tools = [] if rollout.tools is None else [each.model_dump() for each in rollout.tools]
    nodes = list(_nodes(rollout))
    if nodes and tools:
        nodes[0]["tools"] = tools
    trace = {
        "version": 1,
        "id": rollout.id,
        "verifiers": {"version": "0.4.0"},
        "task": identity,
        "agent": {"config": {"model": rollout.model}, "name": "bridle", "trainable": True},
        "tools": tools,
        "nodes": nodes,
        "calls": [
            {"node": node, "model": turn.model, "finish_reason": _finish(turn), "usage": _usage(turn)}
            for node, turn in zip(_written(rollout), rollout.turns, strict=False)
        ],
        "rewards": {"grader": reward},
        "metrics": {"passed": None if rollout.passed is None else float(rollout.passed)},
        "info": {"integrity": list(rollout.integrity), **_about(rollout)},
        "is_completed": True,
        "ok": scored,
        "stop_condition": rollout.outcome,
    }
    return {
        "id": rollout.id,
        "env": {"id": "bridle"},
        "task": identity,
        "group": {"id": rollout.group},
        "ok": scored,
        "traces": [trace],
    }


FORMATS: dict[Format, Callable[[Rollout], _Json]] = {"atif": atif, "chat": chat, "episodes": episode}


def _about(rollout: Rollout) -> _Json:
    """What every format carries of the attempt besides what happened in it."""
    said: _Json = {
        "task": rollout.task,
        "task_hash": rollout.task_hash,
        "attempt": rollout.number,
        "category": rollout.category,
        "difficulty": rollout.difficulty,
        "agent": rollout.agent,
        "version": rollout.version,
        "outcome": rollout.outcome,
        "failure": rollout.failure,
        "failure_tags": list(rollout.failure_tags),
        "seconds": rollout.seconds,
        "cost_usd": rollout.cost,
        "patch": rollout.patch,
    }
    if rollout.feedback is not None:
        said["feedback"] = [each.model_dump(mode="json") for each in rollout.feedback]
    return said


def _chat_message(message: Message) -> _Json:
    said: _Json = {"role": message.role, "content": wire_text(message)}
    if message.role == "tool":
        said["tool_call_id"] = message.tool_call_id or ""
    if message.tool_calls:
        said["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return said


def _atif_steps(rollout: Rollout) -> Iterator[_Json]:
    turns = iter(rollout.turns)
    open_step: _Json | None = None
    for message, time in zip(rollout.messages, rollout.times, strict=True):
        if message.role == "tool":
            if open_step is not None:
                result = {"source_call_id": message.tool_call_id, "content": wire_text(message)}
                open_step.setdefault("observation", {"results": []})["results"].append(result)
            continue
        if open_step is not None:
            yield open_step
            open_step = None
        if message.role == "assistant":
            open_step = {"source": "agent", **_atif_turn(next(turns), message.tool_calls, {})}
        else:
            yield {"source": message.role, "timestamp": _iso(time), "message": message.content}
    if open_step is not None:
        yield open_step


def _atif_turn(turn: Turn, calls: tuple[ToolCall, ...], extra: _Json) -> _Json:
    tokens = turn.tokens
    metrics = {
        "prompt_tokens": turn.usage.input,
        "completion_tokens": turn.usage.output,
        "cached_tokens": turn.usage.cached,
        "cost_usd": turn.cost,
        "prompt_token_ids": list(tokens.prompt) if tokens and tokens.prompt else None,
        "completion_token_ids": list(tokens.output) if tokens and tokens.output else None,
        "logprobs": list(tokens.logprobs) if tokens and tokens.logprobs else None,
    }
    step = {
        "timestamp": _iso(turn.time),
        "model_name": turn.model or None,
        "message": turn.text,
        "tool_calls": [_atif_call(call) for call in calls] or None,
        "metrics": _without_none(metrics),
        "extra": extra or None,
    }
    return _without_none(step)


def _atif_call(call: ToolCall) -> _Json:
    """A call; arguments that are no JSON object are kept as the text they are."""
    arguments = json.loads(call.arguments) if is_object(call.arguments) else {"invalid_arguments": call.arguments}
    return {"tool_call_id": call.id, "function_name": call.name, "arguments": arguments}


def _nodes(rollout: Rollout) -> Iterator[_Json]:
    """The conversation as a chain. Token ids are on what the model sampled, and on what came before it where the
    service told the whole prompt of each turn, and each prompt goes on from the last turn."""
    turns = list(rollout.turns)
    spans = _spans(turns)
    number = 0
    for index, message in enumerate(rollout.messages):
        sampled = message.role == "assistant"
        node: _Json = {"parent": index - 1 if index else None, "message": _verifiers_message(message)}
        node |= {"sampled": sampled, "timestamp": rollout.times[index]}
        if sampled:
            before, tokens = spans[number], turns[number].tokens
            if tokens is not None and tokens.output:
                node["token_ids"] = [*before, *tokens.output]
                node["mask"] = [False] * len(before) + [True] * len(tokens.output)
                node["logprobs"] = list(tokens.logprobs)
            number += 1
        yield node


def _spans(turns: list[Turn]) -> list[tuple[int, ...]]:
    """For each turn, the tokens of its prompt that are new since the turn before; none where that is not known."""
    spans: list[tuple[int, ...]] = []
    so_far: tuple[int, ...] = ()
    for turn in turns:
        tokens = turn.tokens
        whole = tokens is not None and tokens.prompt[: len(so_far)] == so_far and len(tokens.prompt) > len(so_far)
        if tokens is None or not whole:
            return [()] * len(turns)
        spans.append(tokens.prompt[len(so_far) :])
        so_far = tokens.prompt + tokens.output
    return spans


def _verifiers_message(message: Message) -> _Json:
    if message.role == "assistant":
        calls = [
            {"id": call.id, "type": "function", "name": call.name, "arguments": call.arguments}
            for call in message.tool_calls
        ]
        return {"role": "assistant", "content": message.content or None, "tool_calls": calls or None}
    said: _Json = {"role": message.role, "content": wire_text(message)}
    if message.role == "tool":
        said["tool_call_id"] = message.tool_call_id or ""
    return said


def _written(rollout: Rollout) -> list[int]:
    return [index for index, each in enumerate(rollout.messages) if each.role == "assistant"]


def _usage(turn: Turn) -> _Json:
    fresh = turn.usage.input - turn.usage.cached
    return {
        "prompt_tokens": fresh,
        "completion_tokens": turn.usage.output,
        "cached_input_tokens": turn.usage.cached,
        "cost": turn.cost,
    }


def _finish(turn: Turn) -> str | None:
    return turn.finish if turn.finish in ("stop", "length", "tool_calls") else None


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _without_none(said: _Json) -> _Json:
    return {name: value for name, value in said.items() if value is not None}
