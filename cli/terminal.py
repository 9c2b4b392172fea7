"""What a person sees while a session runs: lines on standard error, colours only on a terminal.

Threat model: the model's text and the agent's output pass through here to a terminal. Everything is printed by
`_line` and `_block`, which make it harmless and never read it as markup; what is one line stays one line, so that
no file name can draw a line of its own. A screen that is gone (a closed pipe, a hung-up terminal) ends no session.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.text import Text

from agent.asked import AlwaysGranted, ConstraintHeard
from agent.autonomy.visible import visible
from agent.journal import (
    AnyEvent,
    AttemptMade,
    CallFinished,
    CallStarted,
    CheckpointMade,
    CheckRun,
    Delivered,
    GateDecided,
    LevelChanged,
    ModelReplied,
    PatchTaken,
    SandboxOpened,
    SessionEnded,
    SessionRewound,
    SessionStarted,
    UserMessage,
)
from agent.network_events import NetworkFinished, NetworkRequested
from agent.session import Report
from cli.live import LiveOutput
from tools.text import plural

SHOWN_ARGUMENT = 100
SHOWN_LINES = 8
SHOWN_COLUMNS = 200
COUNT_SECONDS = 0.2
"""How often the count of lines that are not shown is brought up to date."""

Part = str | tuple[str, str]
"""Text, or text and its style."""


class Screen(Console):
    """A console that goes quiet for good once nobody can read it, where rich would end the program."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, or do nothing when the reader is gone."""
        try:
            super().print(*objects, **options)
        except OSError:
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        """Send what is still unwritten, and all that follows, nowhere."""
        self.quiet = True
        with contextlib.suppress(OSError):  # no descriptor behind it
            nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            os.dup2(nowhere, self.file.fileno())
            os.close(nowhere)


def console() -> Console:
    """The console for people: standard error, so that standard output stays for results."""
    return Screen(stderr=True, highlight=False, soft_wrap=True)


def _line(out: Console, *parts: Part) -> None:
    """Print one line made of `parts`, harmless and as they are."""
    split = [(part, "") if isinstance(part, str) else part for part in parts]
    out.print(Text.assemble(*((visible(text).replace("\n", r"\n"), style) for text, style in split)))


def _block(out: Console, text: str, *, end: str = "\n", style: str = "") -> None:
    """Print text that may have many lines, harmless and as it is."""
    out.print(Text(visible(text), style=style), end=end)


class TerminalWatcher:
    """Shows a session as it happens. Never raises for what it is shown, or for a screen that is gone."""

    def __init__(self, out: Console, mask: Callable[[str], str] = str) -> None:
        """`mask` takes the values of secrets out of a line that is shown."""
        self.out = out
        self._mask = mask
        self._midline = False
        self._live = LiveOutput(mask)
        self._counted = 0.0

    def text(self, piece: str) -> None:
        """The model's words, as they come."""
        if piece:
            _block(self.out, piece, end="", style="dim")
            self._midline = True
        elif self._midline:
            self.line(("the answer broke off and is asked for again", "yellow"))

    def output(self, piece: bytes) -> None:
        """What a command prints, as it comes; of very long output the beginning and a count."""
        text = self._live.feed(piece)
        if text:
            _block(self.out, text, end="", style="dim")
            self._midline = not text.endswith("\n")
        now = time.monotonic()
        if self._live.hidden and self.out.is_terminal and now >= self._counted + COUNT_SECONDS:
            self._counted = now
            count = f"  … {plural(self._live.hidden, 'more line')}"
            self.out.print(Text(count.ljust(SHOWN_ARGUMENT // 2), style="dim"), end="\r")

    def _end_output(self) -> bool:
        """Show the rest of what a command printed; was there anything?"""
        live, self._live = self._live, LiveOutput(self._mask)
        if text := live.end():
            _block(self.out, text, end="", style="dim")
            self._midline = False
        return live.any

    def note(self, line: str) -> None:
        """A thing to know."""
        self.line(("note", "yellow"), " ", line)

    def line(self, *parts: Part) -> None:
        """One whole line."""
        self.end_line()
        _line(self.out, *parts)

    def end_line(self) -> None:
        """Go to the next line when the model's words stopped in the middle of one."""
        if self._midline:
            self.out.print()
            self._midline = False

    def event(self, event: AnyEvent) -> None:
        """One event of the journal, in a line or a few, or not at all."""
        match event:
            case SandboxOpened():
                reach = f" · network {event.network}" if event.network != "none" else ""
                runtime = f" ({event.runtime})" if event.runtime else ""
                where = f" {event.backend}{runtime} · image {event.image}{reach} · {event.seconds:.1f} s"
                self.line(("sandbox", "green"), where)
            case CheckpointMade():
                self.line((f"checkpoint {event.number} before {_brief(event.before)}", "dim"))
            case SessionRewound():
                self.line(("rewound", "yellow"), f" to checkpoint {event.to}")
            case UserMessage(by="harness", role="user"):
                self.line(("told the model", "yellow"), " ", _brief(event.text))
            case UserMessage(meanwhile=True):
                self.line(("you said", "magenta"), " ", _brief(event.text))
            case CallStarted():
                self._end_output()
                self.line((event.tool, "bold cyan"), " ", _arguments(event.arguments))
            case CallFinished():
                self._result(event)
            case GateDecided() if event.by != "table":
                self.line(("gate", "magenta"), f" {event.verdict} · {event.cause}")
            case ConstraintHeard():
                does = "refused from now on" if event.applied else "left to the level"
                self.line(("you said", "magenta"), f" {event.said} · {does}: {_words(event.rule)}")
            case NetworkRequested() if event.verdict != "allowed":
                place = f" {event.method} {event.host}:{event.port}" if event.host else ""
                self.line(("network", "magenta"), place, " ", (event.verdict, "red"), f": {event.why}")
            case NetworkFinished():
                moved = f" · {event.up} bytes up, {event.down} down · {event.seconds:.1f} s"
                problem = f" · {event.problem}" if event.problem else ""
                self.line(("network", "magenta"), f" {event.method} {event.host}:{event.port}{moved}{problem}")
            case AlwaysGranted():
                until = f" until {time.strftime('%H:%M', time.localtime(event.until))}" if event.until else ""
                where = f" in {event.label}" if event.label else ""
                self.line(("always", "magenta"), f" {_brief(event.words)} · {event.scope}{until}{where}")
            case LevelChanged():
                self.line(("autonomy", "magenta"), f" {event.before} → {event.after}")
            case AttemptMade():
                how = ("passes", "green") if event.passed else (event.problem or "fails", "red")
                self.line((f"attempt {event.number}", "bold cyan"), f" {event.path} {event.target} · ", how)
            case CheckRun():
                self._end_output()
                where = " on the patch alone" if event.fresh else ""
                how = ("passes", "green") if event.passed else ("does not pass", "red")
                self.line(("check", "bold"), f"{where} {event.command} ", how, (f" {event.seconds:.1f} s", "dim"))
            case PatchTaken():
                self._patch(event)
            case Delivered():
                self.line((f"branch {event.branch}", "bold green"), f" {event.commit[:12]}")
            case ModelReplied():
                self.end_line()
            case _:
                pass

    def _result(self, event: CallFinished) -> None:
        lines = visible(event.text).splitlines()
        if self._end_output():
            lines = lines[-1:]  # the rest has been seen
        for text in lines[:SHOWN_LINES]:
            self.line("  ", (text[:SHOWN_COLUMNS], "dim" if event.ok else "red"))
        if len(lines) > SHOWN_LINES:
            self.line((f"  … {len(lines) - SHOWN_LINES} more lines", "dim"))

    def _patch(self, event: PatchTaken) -> None:
        self.line(("patch", "bold"), f" {plural(event.files, 'file')}, +{event.added} -{event.removed}")
        for flagged in event.flagged:
            self.line("  ", ("!", "yellow"), f" {flagged}")
        for skipped in event.skipped:
            self.line("  ", (skipped, "dim"))


class QuietWatcher:
    """Shows nothing but notes: for `--json`."""

    def __init__(self) -> None:
        self._out = console()

    def event(self, event: AnyEvent) -> None:
        """Nothing."""

    def text(self, piece: str) -> None:
        """Nothing."""

    def output(self, piece: bytes) -> None:
        """Nothing."""

    def note(self, line: str) -> None:
        """On standard error."""
        _line(self._out, f"bridle: {line}")


def show_report(out: Console, report: Report) -> None:
    """How it ended, and what to do next."""
    out.print()
    if report.summary:
        _block(out, report.summary.strip())
    colour = "green" if report.exit_code == 0 else "red"
    _line(out, (report.outcome.value.replace("_", " "), f"bold {colour}"), f": {report.detail}")
    used = report.spent
    price = f", ${used.cost:.4f}" if used.cost is not None else ""
    turns = f"{used.steps} model turns, {used.input_tokens} tokens in ({used.cached_tokens} cached), "
    _line(
        out,
        (f"{turns}{used.output_tokens} out{price}, {report.seconds:.0f} s · session {report.session}", "dim"),
    )
    if report.branch:
        _line(out, f"See it:  git diff ...{report.branch}")
        _line(out, f"Take it: git merge {report.branch}")
    elif report.patch:
        _line(out, f"The changes so far: bridle show {report.session} --diff")
    if report.question:
        _line(out, f"Answer:  bridle approve {report.session}")
    if report.plan is not None:
        _line(out, f"Edit it: {report.plan}")
        _line(out, f"Run it:  bridle resume {report.session} --autonomy contained")
    elif report.resumable:
        _line(out, f"Go on:   bridle resume {report.session}")


def show_journal(out: Console, events: list[AnyEvent]) -> None:
    """A finished or dead session, as it looked while it ran, with what was asked and how it ended."""
    watcher = TerminalWatcher(out)
    for event in events:
        match event:
            case SessionStarted():
                when = time.strftime("%Y-%m-%d %H:%M", time.localtime(event.time))
                watcher.line((f"session {event.session}", "bold"), f" · {when} · {event.repository}")
                _block(out, event.task)
            case ModelReplied():
                watcher.text(event.text)
                watcher.event(event)
            case SessionEnded():
                watcher.line((event.outcome.value.replace("_", " "), "bold"), f": {event.detail}")
            case _:
                watcher.event(event)


def _words(rule: dict[str, Any]) -> str:
    """The conditions of a rule, in short."""
    parts = (f"{name} {', '.join(map(str, value))}" for name, value in rule.items() if isinstance(value, list))
    return _brief("; ".join(parts))


def _brief(text: str) -> str:
    first = text.strip().splitlines()[0] if text.strip() else ""
    return first[:160] + ("…" if len(first) > 160 or "\n" in text.strip() else "")


def _arguments(raw: str) -> str:
    """A call's arguments on one line: texts as they are, others by name; the raw text if it is no object.

    Which secrets it is handed is always shown, however long the rest is.
    """
    handed = ""
    try:
        values = json.loads(raw)
        if secrets := values.pop("secrets", None):
            handed = f" · with the secrets {', '.join(map(str, secrets))}"
        parts = [v if isinstance(v, str) else f"{name}={json.dumps(v)}" for name, v in values.items()]
    except (ValueError, AttributeError, TypeError, RecursionError):
        parts = [raw]
    shown = " ".join(" ".join(part.split()) for part in parts)
    return shown[:SHOWN_ARGUMENT] + ("…" if len(shown) > SHOWN_ARGUMENT else "") + handed
