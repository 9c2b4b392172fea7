"""Rollouts: what a model saw and said in an attempt, and what that was worth. Pure functions of a run's folder.

    run folder → results and journals → rollouts → (informative ones) → one of the formats in formats.py

The reward is the grader's; an attempt that was not scored has none, which is not zero. The messages are those that
the model was sent, to the letter, without what was rewound.

Threat model: what is exported leaves this machine. The values of secrets never entered the journal. What people
said and did is left out unless it is asked for, and then without addresses, home folders and what looks like a
key. The workspace's text and the model's are exported as they are: they are the data.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agent.context.conversation import TURN, Conversation
from agent.journal import (
    AnyEvent,
    GateDecided,
    JournalDamaged,
    ModelReplied,
    ModelRequested,
    SessionStarted,
    UserMessage,
    read_events,
)
from agent.models.fingerprint import tools_fingerprint
from agent.models.protocol import Message, Tokens, ToolSpec, Usage
from agent.outcomes import UsageProblem
from agent.standing import standing
from tasks.reports.reading import LoadedRun
from tasks.runs.results import AttemptResult, RunFile, attempt_folder
from tools.registry import default_tools, describe

_PRIVATE = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", "<address>"),
        (r"(?:/home/|/Users/|C:\\Users\\)[^/\\\s'\"]+", "<home>"),
        (r"\b(?:sk|pk|rk|ghp|gho|ghs|github_pat|glpat|xox[abp]|AKIA|ASIA|hf|pypi)[-_A-Za-z0-9]{12,}", "<key>"),
        (r"\b[A-Fa-f0-9]{40,}\b", "<key>"),
        (r"\beyJ[\w-]+\.[\w-]+\.[\w-]+", "<key>"),
    )
)


class Feedback(BaseModel):
    """What a person said to a call, or meanwhile: `arguments` is what they made of the call."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["allow", "deny", "edit", "remark"]
    call: str | None = None
    text: str = ""
    arguments: str | None = None


class Turn(BaseModel):
    """What is known of one answer of the model's. `purpose` is `turn` in a conversation."""

    model_config = ConfigDict(frozen=True)

    text: str = ""
    purpose: str = TURN
    time: float
    model: str = ""
    usage: Usage = Usage()
    cost: float | None = None
    finish: str = "stop"
    tokens: Tokens | None = None


class Rollout(BaseModel):
    """One attempt. `group` is shared by all attempts at the same task with the same agent.

    `turns` are in the order of the assistant messages, `alone` those outside the conversation. `tools` is None
    where the definitions that the model was sent are not those of this version.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    group: str
    task: str
    task_hash: str
    number: int
    category: str
    difficulty: str
    agent: dict[str, object]
    version: str
    model: str
    reward: float | None
    passed: bool | None
    outcome: str
    failure: str | None
    failure_tags: tuple[str, ...]
    integrity: tuple[str, ...]
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] | None
    turns: tuple[Turn, ...]
    alone: tuple[Turn, ...]
    times: tuple[float, ...]
    cost: float | None
    seconds: float
    patch: str
    feedback: tuple[Feedback, ...] | None


def read_rollouts(run: LoadedRun, *, feedback: bool = False) -> list[Rollout]:
    """The rollouts of a run, by task and number. Raises UsageProblem where a journal is damaged.

    Those alone that are the run's: what another agent left in its folder would be exported under a wrong name.
    """
    folders = ((each, attempt_folder(run.folder, each.task, each.number)) for each in run.results)
    return [_rollout(result, run.file, folder, feedback) for result, folder in folders]


def informative(rollouts: Sequence[Rollout], least: int) -> list[Rollout]:
    """Those of groups that teach something: at least `least` scored attempts, some passed and some not."""
    groups: dict[str, list[bool]] = {}
    for each in rollouts:
        if each.passed is not None:
            groups.setdefault(each.group, []).append(each.passed)
    kept = {name for name, passed in groups.items() if len(passed) >= least and len(set(passed)) == 2}
    return [each for each in rollouts if each.group in kept]


def redacted(text: str) -> str:
    """`text` without mail addresses, names of home folders and what looks like a key."""
    for pattern, instead in _PRIVATE:
        text = pattern.sub(instead, text)
    return text


def _rollout(result: AttemptResult, about: RunFile, folder: Path, feedback: bool) -> Rollout:
    events = standing(_events(folder / "journal.jsonl"))
    task_hash = about.tasks.get(result.task, "")
    same = [task_hash, about.agent, *([about.allowed] if about.allowed else [])]
    group = hashlib.sha256(json.dumps(same, sort_keys=True, default=str).encode()).hexdigest()
    started = next((each for each in events if isinstance(each, SessionStarted)), None)
    turns = _turns(events)
    flags = result.grade.flags if result.grade else ()
    failure = result.failure
    patch = folder / "patch.diff"
    return Rollout(
        id=started.session if started else f"{result.task}/{result.number}",
        group=group[:16],
        task=result.task,
        task_hash=task_hash,
        number=result.number,
        category=result.category,
        difficulty=result.difficulty,
        agent=about.agent,
        version=about.version,
        model=next((turn.model for turn in turns if turn.model), ""),
        reward=result.grade.reward if result.grade and result.status != "unscored" else None,
        passed=None if result.status == "unscored" else result.status == "pass",
        outcome=result.outcome.value,
        failure=failure.primary if failure else None,
        failure_tags=tuple(failure.tags) if failure else (),
        integrity=tuple(sorted({flag.name for flag in flags})),
        messages=tuple(Conversation(events).messages),
        tools=_tools(events),
        turns=tuple(turn for turn in turns if turn.purpose == TURN),
        alone=tuple(turn for turn in turns if turn.purpose != TURN),
        times=tuple(_times(events)),
        cost=result.spent.cost,
        seconds=result.seconds,
        patch=patch.read_bytes().decode("utf-8", "replace") if patch.is_file() else "",
        feedback=tuple(_feedback(events)) if feedback else None,
    )


def _events(journal: Path) -> list[AnyEvent]:
    try:
        return read_events(journal)
    except FileNotFoundError:
        return []
    except JournalDamaged as error:
        raise UsageProblem(f"{error}: this attempt cannot be exported, remove its folder and run again") from error


def _turns(events: Iterable[AnyEvent]) -> list[Turn]:
    found, purpose = [], TURN
    for event in events:
        if isinstance(event, ModelRequested):
            purpose = event.purpose
        elif isinstance(event, ModelReplied):
            found.append(
                Turn(
                    text=event.text,
                    purpose=purpose,
                    time=event.time,
                    model=event.model,
                    usage=event.usage,
                    cost=event.cost,
                    finish=event.finish,
                    tokens=event.tokens,
                )
            )
    return found


def _times(events: Iterable[AnyEvent]) -> list[float]:
    """When each message of the conversation came to be; as Conversation takes them."""
    times: list[float] = []
    conversation = Conversation()
    for event in events:
        before = len(conversation.messages)
        conversation.add(event)
        times += [event.time] * (len(conversation.messages) - before)
    return times


def _tools(events: Iterable[AnyEvent]) -> tuple[ToolSpec, ...] | None:
    """The tools as this version describes them, if those are what the model was sent."""
    asked = next((each for each in events if isinstance(each, ModelRequested) and each.purpose == TURN), None)
    if asked is None:
        return None
    specs = tuple(
        ToolSpec(name=each.name, description=each.description, parameters=each.parameters)
        for each in map(describe, default_tools().values())
    )
    return specs if tools_fingerprint(specs) == asked.tools else None


def _feedback(events: Iterable[AnyEvent]) -> Iterable[Feedback]:
    """What came of a person: answers to questions, calls they changed, remarks while the agent worked."""
    for event in events:
        if isinstance(event, UserMessage) and event.meanwhile:
            yield Feedback(kind="remark", text=redacted(event.text))
        elif isinstance(event, GateDecided) and event.answers:
            edited = event.edited_arguments
            yield Feedback(
                kind="edit" if edited is not None else event.verdict,
                call=event.call,
                text=redacted(event.reason),
                arguments=None if edited is None else redacted(edited),
            )
