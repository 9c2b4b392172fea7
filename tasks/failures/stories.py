"""The story of an attempt, on one screen: what was asked, what was done, how it ended and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agent.journal import AnyEvent, CallStarted, CheckRun, GateDecided, JournalDamaged, ModelReplied, read_events
from tasks.runs.results import AttemptResult

MAX_STEPS = 14
WIDTH = 110


def story(result: AttemptResult, folder: Path) -> list[str]:
    """Lines to print; the journal and the patch are read from the attempt's folder."""
    lines = [f"{result.task}/{result.number}: {result.status} ({result.outcome}: {result.detail})"]
    lines.append(f"{result.seconds:g} s, {result.spent.steps} model turns, {result.spent.tokens} tokens")
    if (failure := result.failure) is not None:
        lines += ["", f"why: {failure.primary}" + (f"  ({', '.join(failure.tags)})" if failure.tags else "")]
        for each in failure.evidence:
            lines.append(_cut(f"  {f'line {each.line}' if each.line else 'grader'}: {each.text}"))
    lines += ["", "what was done:", *_steps(folder / "journal.jsonl")]
    if (grade := result.grade) is not None:
        lines += ["", f"graded: {grade.detail}; changed {', '.join(grade.touched) or 'nothing'}"]
        lines += [
            _cut(f"  {each.result} {each.id} {each.message}") for each in grade.tests if each.result != "passed"
        ]
        lines += [_cut(f"  {flag.name}: {flag.where}") for flag in grade.flags]
    return [*lines, "", f"all of it: {folder / 'journal.jsonl'} and {folder / 'patch.diff'}"]


def _steps(journal: Path) -> list[str]:
    try:
        events = read_events(journal)
    except FileNotFoundError:
        return ["  (no journal)"]
    except JournalDamaged as error:
        return [f"  ({error})"]
    steps = [_cut(f"  {line:4} {text}") for line, event in enumerate(events, 1) for text in _words(event)]
    if len(steps) <= MAX_STEPS:
        return steps
    half = MAX_STEPS // 2
    return [*steps[:half], f"  … {len(steps) - MAX_STEPS} more …", *steps[-half:]]


def _words(event: AnyEvent) -> Iterator[str]:
    if isinstance(event, CallStarted):
        yield f"{event.tool} {event.arguments}"
    elif isinstance(event, GateDecided) and event.verdict == "deny":
        yield f"denied {event.tool}: {event.cause}"
    elif isinstance(event, CheckRun):
        yield f"check {'passes' if event.passed else 'fails'}: {event.command}"
    elif isinstance(event, ModelReplied) and event.text.strip():
        yield f"says: {event.text}"


def _cut(text: str) -> str:
    line = " ".join(text.split()) if "\n" in text else text
    indent = text[: len(text) - len(text.lstrip())]
    line = indent + line.lstrip()
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
