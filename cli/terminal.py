"""What a person sees while a session runs: lines on standard error, colours only on a terminal.

Threat model: the model's text and the agent's output pass through here to a terminal, so control sequences are
taken out of everything and nothing of theirs is read as markup.
"""

from __future__ import annotations

import json
import sys
import time

from rich.console import Console
from rich.markup import escape

from agent.autonomy.visible import visible
from agent.journal import (
    AnyEvent,
    AttemptMade,
    CallFinished,
    CallStarted,
    CheckRun,
    Delivered,
    GateDecided,
    LevelChanged,
    ModelReplied,
    PatchTaken,
    SandboxOpened,
    SessionEnded,
    SessionStarted,
    UserMessage,
)
from agent.session import Report

SHOWN_ARGUMENT = 100
SHOWN_LINES = 8


def console() -> Console:
    """The console for people: standard error, so that standard output stays for results."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


class TerminalWatcher:
    """Shows a session as it happens."""

    def __init__(self, out: Console) -> None:
        self.out = out
        self._midline = False
        self._calls: dict[str, str] = {}

    def text(self, piece: str) -> None:
        """The model's words, as they come."""
        if piece:
            self.out.print(escape(visible(piece)), end="", style="dim")
            self._midline = True
        elif self._midline:
            self.line("[yellow]the answer broke off and is asked for again[/]")

    def note(self, line: str) -> None:
        """A thing to know."""
        self.line(f"[yellow]note[/] {escape(visible(line))}")

    def line(self, markup: str) -> None:
        """One whole line."""
        if self._midline:
            self.out.print()
            self._midline = False
        self.out.print(markup)

    def event(self, event: AnyEvent) -> None:
        """One event of the journal, in a line or a few, or not at all."""
        match event:
            case SandboxOpened():
                self.line(
                    f"[green]sandbox[/] {event.backend} · image {escape(event.image)} · {event.seconds:.1f} s"
                )
            case UserMessage(by="harness", role="user"):
                self.line(f"[yellow]told the model[/] {escape(visible(_brief(event.text)))}")
            case CallStarted():
                self.line(f"[bold cyan]{event.tool}[/] {escape(visible(_arguments(event.arguments)))}")
            case CallFinished():
                self._result(event)
            case GateDecided() if event.by not in {"level", "table"}:
                self.line(f"[magenta]gate[/] {event.verdict} · {escape(visible(event.cause))}")
            case LevelChanged():
                self.line(f"[magenta]autonomy[/] {event.before} → {event.after}")
            case AttemptMade():
                how = (
                    "[green]passes[/]" if event.passed else f"[red]{escape(visible(event.problem or 'fails'))}[/]"
                )
                self.line(
                    f"[bold cyan]attempt {event.number}[/] {escape(event.path)} {escape(event.target)} · {how}"
                )
            case CheckRun():
                where = " on the patch alone" if event.fresh else ""
                how = "[green]passes[/]" if event.passed else "[red]does not pass[/]"
                self.line(f"[bold]check[/]{where} {escape(event.command)} {how} [dim]{event.seconds:.1f} s[/]")
            case PatchTaken():
                self.line(f"[bold]patch[/] {event.files} files, +{event.added} -{event.removed}")
                for flagged in event.flagged:
                    self.line(f"  [yellow]![/] {escape(visible(flagged))}")
                for skipped in event.skipped:
                    self.line(f"  [dim]{escape(visible(skipped))}[/]")
            case Delivered():
                self.line(f"[bold green]branch {escape(event.branch)}[/] {event.commit[:12]}")
            case ModelReplied() if self._midline:
                self.line("")
            case _:
                pass

    def _result(self, event: CallFinished) -> None:
        lines = visible(event.text).splitlines()
        colour = "dim" if event.ok else "red"
        for line in lines[:SHOWN_LINES]:
            self.line(f"  [{colour}]{escape(line[:200])}[/]")
        if len(lines) > SHOWN_LINES:
            self.line(f"  [dim]… {len(lines) - SHOWN_LINES} more lines[/]")


class QuietWatcher:
    """Shows nothing but notes: for `--json`."""

    def event(self, event: AnyEvent) -> None:
        """Nothing."""

    def text(self, piece: str) -> None:
        """Nothing."""

    def note(self, line: str) -> None:
        """On standard error."""
        print(f"bridle: {visible(line)}", file=sys.stderr)


def show_report(out: Console, report: Report) -> None:
    """How it ended, and what to do next."""
    good = report.exit_code == 0
    out.print()
    if report.summary:
        out.print(escape(visible(report.summary.strip())))
    colour = "green" if good else "red"
    word = report.outcome.value.replace("_", " ")
    out.print(f"[bold {colour}]{word}[/]: {escape(visible(report.detail))}")
    used = report.spent
    price = f", ${used.cost:.4f}" if used.cost is not None else ""
    out.print(
        f"[dim]{used.steps} model turns, {used.input_tokens} tokens in ({used.cached_tokens} cached), "
        f"{used.output_tokens} out{price}, {report.seconds:.0f} s · session {report.session}[/]"
    )
    if report.branch:
        out.print(f"See it:  git diff ...{report.branch}")
        out.print(f"Take it: git merge {report.branch}")
    elif report.patch:
        out.print(f"The changes so far: bridle show {report.session} --diff")
    if report.resumable:
        out.print(f"Go on:   bridle resume {report.session}")


def show_journal(out: Console, events: list[AnyEvent]) -> None:
    """A finished or dead session, as it looked while it ran, with what was asked and how it ended."""
    watcher = TerminalWatcher(out)
    for event in events:
        match event:
            case SessionStarted():
                when = time.strftime("%Y-%m-%d %H:%M", time.localtime(event.time))
                watcher.line(f"[bold]session {event.session}[/] · {when} · {escape(visible(event.repository))}")
                watcher.line(escape(visible(event.task)))
            case ModelReplied():
                watcher.text(event.text)
                watcher.event(event)
            case SessionEnded():
                word = event.outcome.value.replace("_", " ")
                watcher.line(f"[bold]{word}[/]: {escape(visible(event.detail))}")
            case _:
                watcher.event(event)


def _brief(text: str) -> str:
    first = text.strip().splitlines()[0] if text.strip() else ""
    return first[:160] + ("…" if len(first) > 160 or "\n" in text.strip() else "")


def _arguments(raw: str) -> str:
    values = json.loads(raw)
    parts = [value if isinstance(value, str) else json.dumps(value) for value in values.values()]
    shown = " ".join(" ".join(part.split()) for part in parts)
    return shown[:SHOWN_ARGUMENT] + ("…" if len(shown) > SHOWN_ARGUMENT else "")
