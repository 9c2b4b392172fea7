"""What a person sees of a question: the call in a frame, and below it what it could do and why it is asked.

Threat model: everything in the frame, and the directory, is the agent's text. It is made visible (`visible.py`),
never read as markup, and folded inside a border, so that none of it can act on the terminal or pass for a line
of Bridle's own. What is too long is cut with the count told.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TextIO

from agent.autonomy.questions import Question
from agent.autonomy.touched import touched
from agent.autonomy.visible import shorten, visible
from agent.autonomy.words import EFFECT_WORDS, in_order, level_words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

MAX_COLUMNS = 500
"""Characters of one line before it is cut."""
OWN_LINES = 12
"""Lines that a question needs besides the call itself."""
MAX_CAUSES = 2
"""Reasons that are told for one effect; the journal has more."""
MAX_NAMED = 8
"""Paths, and hosts, that are named."""
MAX_CAUSE = 100
"""Characters of a part of a call, and of a reason."""


def make_console(stream: TextIO) -> Console:
    """A console that takes text as text: no markup, no emoji codes, no highlighting. Respects NO_COLOR."""
    from rich.console import Console

    return Console(file=stream, markup=False, emoji=False, highlight=False)


def show(question: Question, console: Console) -> None:
    """Print the question. The prompt itself is the approver's."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    room = max(console.height - OWN_LINES, 12)
    call = shorten(visible(call_text(question)), lines=max(room // 2, 4), columns=MAX_COLUMNS)
    room -= call.text.count("\n") + 1
    diff = shorten(visible(question.preview.diff.rstrip("\n")), lines=max(room, 6), columns=MAX_COLUMNS)
    body = Group(Text(call.text, overflow="fold"), *([coloured(diff.text)] if diff.text else []))
    console.print()
    console.print(Panel(body, title=f"{question.tool}: allow this?", title_align="left", padding=(0, 1)))
    if not (call.whole and diff.whole):
        left_out = call.lines_left_out + diff.lines_left_out
        console.print(f"Not all of it is shown ({left_out} more lines): d shows everything.", style="yellow")
    if causes := cause_lines(question):
        told = Text("\n".join(causes), overflow="fold")
        console.print(Panel(told, title="where that comes from", title_align="left", padding=(0, 1)))
    for effect in in_order(question.effects):
        asks = effect in question.because
        line = f"  could {EFFECT_WORDS[effect]} ({effect}){'' if asks else ', which needs no question'}"
        console.print(Text(line, style="bold" if asks else "dim"))
    why = f"{level_words(question.level)} asks before that; w says more"
    console.print(Text(f"  because {why if question.by == 'table' else visible(question.cause)}", overflow="fold"))
    for line in touched_lines(question):
        console.print(Text(line, overflow="fold"))
    if question.cwd:
        console.print(Text(f"  in {shorten(visible(question.cwd), lines=1, columns=200).text}", overflow="fold"))
    if question.same > 1:
        often = f"  the model makes this call {question.same} times in this turn; one answer is for all of them"
        console.print(Text(often, style="yellow"))
    for advice in question.advice:
        console.print(Text(f"  advice of {visible(advice)}", style="yellow", overflow="fold"))
    if question.note:
        console.print(Text(f"  note: {visible(question.note)}", style="yellow", overflow="fold"))


def cause_lines(question: Question) -> list[str]:
    """Which parts of the call could have the effects that are asked about, and why: a few lines an effect."""
    lines: list[str] = []
    for effect in in_order(question.because):
        causes = [cause for cause in question.preview.causes if cause.effect is effect]
        for cause in causes[:MAX_CAUSES]:
            part = visible(shorten(cause.text.replace("\n", " "), lines=1, columns=MAX_CAUSE).text)
            lines.append(f"{effect}: {part}: {visible(shorten(cause.reason, lines=1, columns=MAX_CAUSE).text)}")
        if len(causes) > MAX_CAUSES:
            lines.append(f"{effect}: and {len(causes) - MAX_CAUSES} more reasons")
    return lines


def touched_lines(question: Question) -> list[str]:
    """The paths and hosts that the call names, in a line each."""
    if question.described is None:
        return []
    named = touched(question.described)
    lines = []
    for label, values in (("touches", named.paths), ("hosts", named.hosts)):
        if values:
            more = f" and {len(values) - MAX_NAMED} more" if len(values) > MAX_NAMED else ""
            told = ", ".join(_one_line(value) for value in values[:MAX_NAMED])
            lines.append(f"  {label} {told}{more}")
    return [*lines, "  and what is not in the command's words"] if named.unsaid and lines else lines


def call_text(question: Question) -> str:
    """The call in full: the preview's words, and every argument that they do not show.

    Where there is a diff, texts of several lines are what it was made from; they are not repeated.
    """
    preview = question.preview
    parts = [part for part in (preview.title, preview.detail) if part]
    if preview.title.removeprefix("$ ") in preview.detail:
        parts = [preview.detail]
    told = "\n".join([*parts, preview.diff])
    for name, value in question.arguments.items():
        text = _argument(value)
        if text not in told and not (preview.diff and "\n" in text):
            parts.append(f"{name}: {text}")
    return "\n".join(parts)


def everything(question: Question) -> str:
    """The whole question as plain, visible text, for paging."""
    return visible("\n".join(part for part in (call_text(question), question.preview.diff.rstrip("\n")) if part))


def coloured(diff: str) -> Text:
    """A unified diff with the usual colours."""
    from rich.text import Text

    text = Text(overflow="fold")
    for number, line in enumerate(diff.split("\n")):
        text.append("\n" if number else "")
        text.append(line, style=_style(line))
    return text


def _style(line: str) -> str:
    if line.startswith(("+++", "---")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan", "[": "dim"}.get(line[:1], "")


def _one_line(text: str) -> str:
    return shorten(visible(text).replace("\n", r"\n"), lines=1, columns=MAX_CAUSE).text


def _argument(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
