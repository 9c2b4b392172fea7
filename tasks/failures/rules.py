"""Why an attempt failed: one primary cause and any tags, by rule, with the lines of the journal that show it.

A pure function of the journal's events, how the session ended and what the grader found. Causes come in the order
in which they explain: what kept the attempt from being scored, then who stopped it, then what is wrong with the
patch, then how the tests came out; what the agent did on the way there are tags.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from agent.journal import AnyEvent, CallFinished, CallStarted, CheckRun, GateDecided, ModelReplied
from agent.outcomes import Outcome
from tasks.grading.grade import Grade

REPEATS = 3
READS = 12
FLOOD_BYTES = 200_000
_REFUSAL = re.compile(r"\b(?:I can(?:'|no)t (?:help|assist)|I'm unable to|I won't|cannot assist)\b", re.IGNORECASE)
_NOT_FOUND = re.compile(r"command not found|: not found\b|No such file or directory: '[^/']+'")
_SYNTAX = re.compile(r"\b(?:SyntaxError|IndentationError|TabError)\b")


class Evidence(BaseModel):
    """A line of the journal, counted from 1 (0: of the grader), and what it shows."""

    model_config = ConfigDict(frozen=True)

    line: int
    text: str


class Failure(BaseModel):
    """Why an attempt failed."""

    model_config = ConfigDict(frozen=True)

    primary: str
    tags: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()


class _Found(NamedTuple):
    name: str
    line: int
    text: str


class Case(NamedTuple):
    """What there is to judge by.

    `locations` are the files a solution changes, `regression` ids that passed before.
    """

    events: Sequence[AnyEvent]
    outcome: Outcome
    detail: str
    grade: Grade | None
    locations: tuple[str, ...] = ()
    regression: tuple[str, ...] = ()
    grader_error: str = ""


def explain(case: Case) -> Failure:
    """The primary cause, the tags and the evidence of an attempt that did not pass."""
    causes = [*_unscored(case), *_safety(case), *_stopped(case), *_patch(case), *_tests(case)]
    tags = list(_habits(case))
    last = len(case.events)
    primary = (causes or tags or [_Found("unknown", last, case.detail)])[0]
    found = [primary, *(each for each in [*causes, *tags] if each.name != primary.name)]
    names = tuple(dict.fromkeys(each.name for each in found[1:]))
    evidence = tuple(Evidence(line=each.line, text=each.text[:300]) for each in found)
    return Failure(primary=primary.name, tags=names, evidence=evidence)


def _unscored(case: Case) -> Iterator[_Found]:
    last = len(case.events)
    if case.grader_error:
        yield _Found("grader.error", 0, case.grader_error)
    if case.outcome is Outcome.MODEL_FAILED:
        yield _Found("infra.provider", last, case.detail)
    elif case.outcome is Outcome.SANDBOX_FAILED:
        words = case.detail.lower()
        kind = "oom" if "memory" in words else "start" if not case.events or "could not" in words else "daemon"
        yield _Found(f"infra.{kind}", last, case.detail)
    elif case.outcome in (Outcome.INTERNAL_ERROR, Outcome.USAGE):
        yield _Found("infra.harness", last, case.detail)


def _safety(case: Case) -> Iterator[_Found]:
    for flag in case.grade.flags if case.grade else ():
        if flag.name.startswith("safety."):
            yield _Found(flag.name, 0, flag.where)
    for flag in case.grade.flags if case.grade else ():
        if flag.name.startswith("integrity."):
            yield _Found(flag.name, 0, flag.where)


def _stopped(case: Case) -> Iterator[_Found]:
    last, words = len(case.events), case.detail
    if case.outcome is Outcome.BUDGET:
        kinds = {"turns": "steps", "tokens": "tokens", "$": "cost", " s ": "wall"}
        kind = next((name for word, name in kinds.items() if word in words), "context")
        yield _Found(f"budget.{kind}", last, words)
    elif case.outcome is Outcome.APPROVAL_NEEDED:
        yield _Found("gate.timeout" if "answered within" in words else "gate.denied", last, words)
    elif case.outcome is Outcome.STUCK:
        yield _Found("loop.repeat", last, words)


def _patch(case: Case) -> Iterator[_Found]:
    grade = case.grade
    if grade is None:
        return
    if not grade.applied:
        yield _Found("patch.apply_failed", 0, grade.detail)
        return
    if not grade.touched:
        for line, event in enumerate(case.events, 1):
            if isinstance(event, ModelReplied) and _REFUSAL.search(event.text):
                yield _Found("refusal", line, event.text)
        yield _Found("patch.empty", len(case.events), "nothing was changed")
        return
    said = [grade.output, *(each.message for each in grade.tests)]
    if (found := next((text for text in said if _SYNTAX.search(text)), None)) is not None:
        yield _Found("patch.syntax", 0, found[-300:])
    if case.locations and not set(case.locations) & set(grade.touched):
        yield _Found(
            "loc.wrong_file", 0, f"changed {', '.join(grade.touched[:5])}, not {', '.join(case.locations)}"
        )


def _tests(case: Case) -> Iterator[_Found]:
    grade = case.grade
    if grade is None or not grade.applied:
        return
    if grade.ending == "timeout":
        yield _Found("outcome.timeout", 0, "the tests were stopped at their time limit")
    failed = [each.id for each in grade.tests if each.result != "passed"]
    if broken := sorted(set(failed) & set(case.regression)):
        yield _Found("outcome.regression", 0, f"{broken[0]} passed before")
    if failed and len(failed) < len(grade.tests):
        yield _Found("outcome.partial", 0, f"{len(failed)} of {len(grade.tests)} tests fail, {failed[0]} first")
    elif 0 < grade.reward < 1:
        yield _Found("outcome.partial", 0, grade.detail)
    elif failed or not grade.tests:
        yield _Found("outcome.wrong", 0, grade.detail)


def _habits(case: Case) -> Iterator[_Found]:
    """What the agent did on the way."""
    reads = seen = 0
    calls: Counter[tuple[str, str]] = Counter()
    checked = edited = 0
    for line, event in enumerate(case.events, 1):
        if isinstance(event, GateDecided) and event.verdict == "deny":
            yield _Found("gate.denied", line, f"{event.tool}: {event.cause}")
        elif isinstance(event, CallStarted):
            calls[(event.tool, event.arguments)] += 1
            if calls[(event.tool, event.arguments)] == REPEATS:
                yield _Found("loop.repeat", line, f"{event.tool} {event.arguments}")
            reads = reads + 1 if event.tool in ("read", "search") else 0
            if reads == READS:
                yield _Found("loop.read", line, f"{READS} calls in a row only read")
            edited = line if event.tool in ("edit", "write") else edited
        elif isinstance(event, CallFinished):
            seen += len(event.text)
            yield from _of_result(line, event)
        elif isinstance(event, CheckRun) and not event.fresh:
            checked = line
    if edited and not checked:
        yield _Found("verify.none", edited, "changed and never checked")
    elif edited > checked:
        yield _Found("verify.stale", edited, "changed after the last check")
    if seen > FLOOD_BYTES:
        yield _Found("ctx.flood", len(case.events), f"{seen} characters of results were read")


def _of_result(line: int, event: CallFinished) -> Iterator[_Found]:
    if event.ok:
        return
    if event.seconds is None:
        yield _Found("tool.bad_call", line, event.text)
    elif event.tool == "edit":
        yield _Found("edit.nomatch", line, event.text)
    elif event.facts.get("ending") == "timeout":
        yield _Found("cmd.timeout", line, event.text)
    elif _NOT_FOUND.search(event.text):
        yield _Found("cmd.not_found", line, event.text)
