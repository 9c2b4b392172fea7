"""The story of an attempt, on one screen: how it ended and why, what was done, what was changed, which tests fail.

Lines of the story are data from the journal and the grader: untrusted text, cut to one line each. Whoever prints
them shows control characters as such.
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from agent.journal import AnyEvent, AttemptMade, JournalDamaged, read_events
from agent.repository.plumbing import GitFailed, run_git, split
from tasks.failures.found import Failure
from tasks.failures.turns import Turn, turns
from tasks.failures.words import first_words
from tasks.runs.results import AttemptResult

WIDTH = 100
"""Columns of a line."""
LINES = 40
"""Lines of a story."""
MAX_EVIDENCE, MAX_CHANGED, MAX_TESTS = 7, 4, 6
LEAST_STEPS = 6

Tone = Literal["good", "bad", "doubtful", "plain", "quiet", "head"]


class Line(NamedTuple):
    """One line of a story, and how it is meant: what a terminal makes a colour of."""

    text: str
    tone: Tone = "plain"


class Step(BaseModel):
    """One thing that was done, or several alike in a row; `line` is the journal's."""

    model_config = ConfigDict(frozen=True)

    line: int
    text: str
    tone: Tone = "plain"
    times: int = 1


class Story(BaseModel):
    """What is told of an attempt."""

    model_config = ConfigDict(frozen=True)

    task: str
    number: int
    status: str
    outcome: str
    detail: str
    failure: Failure | None
    seconds: float
    tries: int
    turns: int
    tokens: int
    cost: float | None
    steps: tuple[Step, ...]
    changed: tuple[str, ...]
    graded: str
    failing: tuple[str, ...]
    passed: int
    next: tuple[str, ...]


def story(result: AttemptResult, folder: Path, run: Path) -> Story:
    """What there is to tell; the journal and the patch are read from the attempt's `folder`."""
    journal, patch = folder / "journal.jsonl", folder / "patch.diff"
    events, problem = _events(journal)
    grade = result.grade
    failing = [each for each in grade.tests if each.result != "passed"] if grade else []
    return Story(
        task=result.task,
        number=result.number,
        status=result.status,
        outcome=result.outcome.value,
        detail=result.detail,
        failure=result.failure,
        seconds=result.seconds,
        tries=result.tries,
        turns=result.spent.steps,
        tokens=result.spent.tokens,
        cost=result.spent.cost,
        steps=(Step(line=0, text=problem, tone="bad"),) if problem else tuple(_steps(events)),
        changed=tuple(_changed(patch)),
        graded=grade.detail if grade else "not graded",
        failing=tuple(f"{each.id}: {first_words(each.message) or each.result}" for each in failing),
        passed=len(grade.tests) - len(failing) if grade else 0,
        next=_next(journal, patch, run, result),
    )


def told(it: Story) -> list[Line]:
    """The story in at most LINES lines of at most WIDTH columns."""
    head, foot = list(_head(it)), list(_foot(it))
    room = max(LEAST_STEPS, LINES - len(head) - len(foot) - 2)
    steps = _condensed(it.steps, room)
    return [Line(_cut(each.text), each.tone) for each in [*head, *steps, *foot]][:LINES]


def _head(it: Story) -> Iterator[Line]:
    tone: Tone = "good" if it.status == "pass" else "bad" if it.status == "fail" else "doubtful"
    yield Line(f"{it.task}/{it.number}: {it.status}: {it.outcome}, {_one(it.detail)}", tone)
    cost = f", ${it.cost:.4f}" if it.cost is not None else ""
    tries = f", {it.tries} tries" if it.tries > 1 else ""
    yield Line(f"{it.seconds:g} s, {it.turns} model turns, {it.tokens} tokens{cost}{tries}", "quiet")
    if it.failure is not None:
        yield Line("")
        yield Line(f"why: {it.failure.primary}", "head")
        for number, each in enumerate(it.failure.evidence[:MAX_EVIDENCE]):
            name = it.failure.primary if number == 0 else it.failure.tags[number - 1]
            where = f"line {each.line}" if each.line else "grader"
            text = f"  {name}, {where}: {_one(each.text)}"
            if number:
                yield Line(text, "quiet")
            else:
                yield from map(Line, textwrap.wrap(text, WIDTH, subsequent_indent="    ", max_lines=3))
        if (more := len(it.failure.evidence) - MAX_EVIDENCE) > 0:
            yield Line(f"  and {', '.join(it.failure.tags[-more:])}", "quiet")
    yield Line("")
    yield Line("what was done (lines of the journal):", "head")


def _foot(it: Story) -> Iterator[Line]:
    yield Line("")
    changed = [f"  {each}" for each in it.changed[:MAX_CHANGED]]
    more = len(it.changed) - MAX_CHANGED
    yield Line("changed:" if it.changed else "changed: nothing", "head")
    yield from (Line(each) for each in changed)
    if more > 0:
        yield Line(f"  and {more} more", "quiet")
    yield Line(f"graded: {_one(it.graded)}", "head")
    yield from (Line(f"  {_one(each)}", "bad") for each in it.failing[:MAX_TESTS])
    if (more := len(it.failing) - MAX_TESTS) > 0:
        yield Line(f"  and {more} more that do not pass", "quiet")
    yield Line("next:", "head")
    yield from (Line(f"  {each}") for each in it.next)


def _condensed(steps: Sequence[Step], room: int) -> list[Line]:
    """The steps in `room` lines: the first and, mostly, the last ones."""
    lines = [_line(each) for each in steps] or [Line("  nothing", "quiet")]
    if len(lines) <= room:
        return lines
    first = max(1, room // 3)
    last = room - first - 1
    return [*lines[:first], Line(f"  … {len(lines) - first - last} more …", "quiet"), *lines[-last:]]


def _line(step: Step) -> Line:
    times = f" ({step.times} times in a row)" if step.times > 1 else ""
    return Line(f"  {step.line:4} {_one(step.text)[: WIDTH - 30] if times else _one(step.text)}{times}", step.tone)


def _steps(events: Sequence[AnyEvent]) -> Iterator[Step]:
    """What was done, in order; the same several times in a row is one step."""
    done = [(each.line, *_said(each)) for each in turns(events)]
    done += [(line, *_proposal(each)) for line, each in enumerate(events, 1) if isinstance(each, AttemptMade)]
    last: Step | None = None
    for line, text, tone in sorted(done):
        if last is not None and (last.text, last.tone) == (text, tone):
            last = last.model_copy(update={"times": last.times + 1})
            continue
        if last is not None:
            yield last
        last = Step(line=line, text=text, tone=tone)
    if last is not None:
        yield last


def _proposal(made: AttemptMade) -> tuple[str, Tone]:
    ending = "passes" if made.passed else made.problem or "does not pass"
    return f"proposal {made.number} for {made.target} in {made.path}: {ending}", "good" if made.passed else "bad"


def _said(turn: Turn) -> tuple[str, Tone]:
    """A turn in a line: what was called, and how it came out."""
    if turn.kind == "words":
        return f"says: {_one(turn.text)}", "quiet"
    if turn.tool == "submit":
        return f"submits: {turn.given.get('summary', '')}", "plain" if turn.ok else "bad"
    what = turn.command or turn.path or turn.arguments
    head = f"{turn.tool or 'call'} {_one(what)[:60]}"
    if turn.kind == "denied":
        return f"{head} → denied: {_one(turn.reason)}", "doubtful"
    if turn.kind == "cut":
        return f"{head} → cut short", "doubtful"
    if turn.kind == "bad":
        return f"{head} → no such call: {_one(turn.text)}", "bad"
    return f"{head} → {_ending(turn)}", "plain" if turn.ok else "bad"


def _ending(turn: Turn) -> str:
    lines = [line.strip() for line in turn.text.strip().splitlines() if line.strip()]
    if turn.tool == "edit" and turn.ok:
        return first_words(str(turn.given.get("new"))) or "(taken out)"
    if turn.tool not in ("shell", "check"):
        return "ok" if turn.ok else lines[0] if lines else "failed"
    shown = [line for line in lines if not line.startswith("[exit")]
    code = "" if turn.ok else f"exit {turn.facts.get('exit_code')}; "
    if turn.facts.get("ending") not in ("exited", None):
        code = f"{turn.facts['ending']}; "
    return f"{code}{shown[-1] if shown else 'no output'}"


def _changed(patch: Path) -> Iterator[str]:
    """The files of a patch, and how many lines of each came and went."""
    if not patch.is_file() or not patch.stat().st_size:
        return
    try:
        counted = run_git("apply", "--numstat", "-z", "--", str(patch.absolute()), cwd=patch.parent)
    except GitFailed as error:
        yield f"(the patch cannot be read: {error.text})"
        return
    for each in split(counted):
        added, removed, path = each.decode("utf-8", "replace").split("\t", 2)
        yield f"{path} (+{added} -{removed})" if added != "-" else f"{path} (binary)"


def _next(journal: Path, patch: Path, run: Path, result: AttemptResult) -> tuple[str, ...]:
    """Commands to look further with, the run as it was given unless that is too long for a line."""
    name = f"{result.task}/{result.number}"
    explain = f"bridle suite explain {shlex.quote(str(run))} {name}"
    if len(explain) > WIDTH - len("  --journal"):
        explain = f"bridle suite explain RUN {name}"
    found = [f"{explain} --journal"] if journal.is_file() else []
    return (*found, f"{explain} --diff") if patch.is_file() and patch.stat().st_size else tuple(found)


def _events(journal: Path) -> tuple[Sequence[AnyEvent], str]:
    try:
        return read_events(journal), ""
    except FileNotFoundError:
        return [], "there is no journal: nothing had begun"
    except JournalDamaged as error:
        return [], str(error)


def _one(text: str) -> str:
    return " ".join(text.split())


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
