"""What an attempt did, condensed for a page: its steps, and its patch line by line. All of it is bounded.

Threat model: everything here is the agent's. It is returned as text, marked as nothing; the page escapes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from agent.asked import QuestionAsked
from agent.journal import (
    AnyEvent,
    CallFinished,
    CallStarted,
    CheckRun,
    GateDecided,
    JournalDamaged,
    LevelChanged,
    ModelReplied,
    PatchTaken,
    SessionEnded,
    UserMessage,
    read_events,
)

MAX_STEPS = 60
MAX_TEXT = 1200
MAX_LINES = 300
MAX_COLUMNS = 240
MAX_PATCH_BYTES = 256 << 10
MAX_JOURNAL_BYTES = 64 << 20
LineKind = Literal["file", "hunk", "add", "del", "same"]


class Step(NamedTuple):
    """Something that happened: the journal's line, what kind it is, a title, and more to read."""

    line: int
    kind: str
    title: str
    body: str = ""


class Steps(NamedTuple):
    """The steps that are shown, and how many are not; or why there are none."""

    shown: tuple[Step, ...]
    left_out: int = 0
    problem: str = ""


class DiffLine(NamedTuple):
    """A line of a patch."""

    kind: LineKind
    text: str


class Diff(NamedTuple):
    """The lines of a patch that are shown, and how many lines or bytes are not."""

    lines: tuple[DiffLine, ...]
    left_out: str = ""


def read_steps(journal: Path) -> Steps:
    """The steps of an attempt, from its journal."""
    try:
        if journal.stat().st_size > MAX_JOURNAL_BYTES:
            return Steps((), problem=f"the journal is larger than {MAX_JOURNAL_BYTES >> 20} MiB")
        events = read_events(journal)
    except FileNotFoundError:
        return Steps((), problem="there is no journal")
    except JournalDamaged as error:
        return Steps((), problem=str(error))
    return steps_of(events)


def steps_of(events: Sequence[AnyEvent]) -> Steps:
    """The first steps and the last ones, at most MAX_STEPS."""
    every = [step for line, event in enumerate(events, 1) for step in _steps(line, event)]
    if len(every) <= MAX_STEPS:
        return Steps(tuple(every))
    half, left_out = MAX_STEPS // 2, len(every) - MAX_STEPS
    gap = Step(0, "gap", f"{left_out} steps are left out here")
    return Steps((*every[:half], gap, *every[-half:]), left_out)


def _steps(line: int, event: AnyEvent) -> Iterator[Step]:
    match event:
        case UserMessage(role="user"):
            yield Step(line, "message", f"{event.by} says", cut(event.text))
        case ModelReplied() if event.text.strip():
            yield Step(line, "said", "model says", cut(event.text))
        case GateDecided() if event.verdict == "deny" or event.answers:
            by = f", {', '.join(event.answers)} by {event.by}" if event.answers else ""
            yield Step(line, "gate", f"{event.verdict} {event.tool}{by}", cut(event.reason or event.cause))
        case QuestionAsked():
            yield Step(line, "gate", f"asks: {event.title}", cut(event.detail))
        case LevelChanged():
            yield Step(line, "gate", f"level {event.before} → {event.after}")
        case CallStarted():
            yield Step(line, "call", event.tool, cut(_arguments(event.arguments)))
        case CallFinished():
            took = f", {event.seconds:.2f} s" if event.seconds is not None else ""
            kind, word = ("result", "ok") if event.ok else ("bad", "failed")
            yield Step(line, kind, f"{event.tool}: {word}{took}", cut(event.text))
        case CheckRun():
            kind, word = ("result", "passes") if event.passed else ("bad", "fails")
            where = " in a fresh sandbox" if event.fresh else ""
            yield Step(line, kind, f"check {word}{where}: {event.command[:200]}", cut(event.output))
        case PatchTaken():
            words = f"patch: {event.files} files, +{event.added} -{event.removed}"
            yield Step(line, "end", words, cut(event.summary))
        case SessionEnded():
            yield Step(line, "end", f"ends: {event.outcome}", cut(event.detail))


def _arguments(text: str) -> str:
    """JSON arguments as a person reads them: a name and a value a line, texts without quotes."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(said, dict):
        return text
    return "\n".join(
        f"{key}: {value if isinstance(value, str) else json.dumps(value)}" for key, value in said.items()
    )


def cut(text: str, most: int = MAX_TEXT) -> str:
    """The beginning and the end of a long text, with the count of what is between them."""
    text = text.strip("\n")
    if len(text) <= most:
        return text
    head, tail = most * 2 // 3, most // 3
    return f"{text[:head]}\n[… {len(text) - head - tail} characters left out …]\n{text[-tail:]}"


def read_diff(patch: Path) -> Diff:
    """The first lines of a patch. No patch is one without lines."""
    try:
        with patch.open("rb") as file:
            data = file.read(MAX_PATCH_BYTES)
            more = patch.stat().st_size - len(data)
    except FileNotFoundError:
        return Diff(())
    lines = data.decode("utf-8", "replace").split("\n")
    lines = lines[:-1] if lines and not lines[-1] else lines
    shown = tuple(_diff_lines(lines[:MAX_LINES]))
    said = [f"{len(lines) - MAX_LINES} lines"] if len(lines) > MAX_LINES else []
    said += [f"{more} bytes"] if more > 0 else []
    return Diff(shown, " and ".join(said))


def _diff_lines(lines: Sequence[str]) -> Iterator[DiffLine]:
    in_hunk = False
    for line in lines:
        kind: LineKind = "same"
        if line.startswith("diff --git "):
            kind, in_hunk = "file", False
        elif line.startswith("@@"):
            kind, in_hunk = "hunk", True
        elif not in_hunk:
            kind = "file"
        elif line.startswith("+"):
            kind = "add"
        elif line.startswith("-"):
            kind = "del"
        over = len(line) - MAX_COLUMNS
        yield DiffLine(kind, line if over <= 0 else f"{line[:MAX_COLUMNS]} [… {over} characters …]")
