"""`bridle audit`: every decision of a session, and whether its record is whole.

Threat model: calls, reasons and what was shown are the agent's text: made harmless for people, exact for `--json`.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from agent.audit import Audit, Decision

SHOWN = 200
SHOWN_LINES = 40


def audit(
    session: Annotated[str, typer.Argument(help="The session's id, the beginning of it, or `last`.")],
    head: Annotated[str, typer.Option(help="A head that you kept: does the journal still hold it?")] = "",
    shown: Annotated[bool, typer.Option("--shown", help="Also what was shown with each question.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List what was decided, by whom and why, and check that no line was changed or cut. Exit 3 when one was."""
    from dataclasses import asdict

    from agent.audit import audit as make_audit
    from agent.chain import check
    from agent.journal import JournalDamaged, read_events
    from agent.outcomes import Outcome, UsageProblem
    from agent.store import Store

    folder = Store().find(session)
    try:
        checked = check(folder.journal, head.strip().lower())
        events = read_events(folder.journal)
    except FileNotFoundError as error:
        raise UsageProblem(f"session {folder.id} has no journal") from error
    except JournalDamaged as error:
        for problem in checked.problems:
            typer.echo(f"bridle: {problem}", err=True)
        raise UsageProblem(f"the journal of session {folder.id} cannot be read: {error}") from error
    found = make_audit(folder.id, events, checked)
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    else:
        _show(found, shown=shown)
    if checked.problems:
        raise typer.Exit(Outcome.CHECKS_FAIL.exit_code)


def _show(found: Audit, *, shown: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    for each in found.decisions:
        _decision(out, each, shown=shown)
    if found.totals:
        table = Table(box=None, pad_edge=False)
        for heading in ("level", "decisions", "asked", "allowed", "denied", "waited"):
            table.add_column(heading, justify="right")
        for total in found.totals:
            counts = (total.allowed + total.denied, total.asked, total.allowed, total.denied)
            table.add_row(str(total.level), *map(str, counts), f"{total.waited:.1f} s")
        out.print(table)
    for question in found.open:
        out.print(f"open: question {question}; `bridle approve {found.session}` answers it", style="yellow")
    chain = found.chain
    for problem in chain.problems:
        out.print(f"BROKEN: {problem}", style="red")
    if not chain.problems:
        words = (
            "unbroken"
            if chain.chained == chain.lines
            else f"unbroken since line {chain.lines - chain.chained + 1}"
        )
        out.print(
            f"chain: {words if chain.chained else 'none (written by an older version)'}, {chain.lines} lines"
        )
    out.print(f"head: {chain.head}")


def _decision(out: Console, each: Decision, *, shown: bool) -> None:
    """One decision: a line for the call, one for why, and where wanted what was shown."""
    from rich.text import Text

    from agent.autonomy.visible import shorten, visible
    from tools.text import one_line

    when = time.strftime("%H:%M:%S", time.localtime(each.time))
    colour = "green" if each.verdict == "allow" else "red"
    call = one_line(f"{each.tool} {each.arguments or f'({each.call})'}", SHOWN)
    out.print(Text.assemble(f"{each.number:>4} {when} ", (each.verdict, colour), f" {call}"))
    waited = f" after {each.seconds:.1f} s ({', '.join(each.answers)})" if each.answers else ""
    edited = " · edited" if each.edited else ""
    who = f"{one_line(each.by)}{waited}{edited}"
    effects = ", ".join(each.effects)
    out.print(Text(f"     could {effects} · level {each.level} · by {who}", style="dim"))
    reason = f" · {each.reason}" if each.reason and each.reason != each.cause else ""
    out.print(Text(f"     {one_line(each.cause + reason, 4 * SHOWN)}", style="dim"))
    for advice in each.advice:
        out.print(Text(f"     advice: {one_line(advice, 2 * SHOWN)}", style="dim"))
    if shown and each.shown:
        text = shorten(visible(each.shown), lines=SHOWN_LINES, columns=SHOWN).text
        out.print(Text("\n".join(f"     | {line}" for line in text.split("\n"))))
