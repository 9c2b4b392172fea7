"""The two answers of a person that take more than a key: what "always" means, and which parts of an edit to make.

Threat model: see `terminal.py`. In both, Enter alone chooses nothing and goes back or asks again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from agent.asked import AlwaysScope
from agent.autonomy.answers import Always, Edit, No, Yes
from agent.autonomy.approvers.screen import MAX_COLUMNS, coloured
from agent.autonomy.hunks import Change, change_of, with_accepted
from agent.autonomy.proposals import Proposal
from agent.autonomy.questions import Question
from agent.autonomy.visible import shorten, visible
from agent.autonomy.words import names

if TYPE_CHECKING:
    from rich.console import Console

Ask = Callable[[str], Awaitable[str]]
"""One line from the person."""
MAX_HUNK_LINES = 60
SCOPES: dict[str, tuple[AlwaysScope, str]] = {
    "s": ("session", "for the rest of this session"),
    "h": ("hour", "for an hour"),
    "r": ("repository", "in this repository, as a rule in your own state"),
}
REJECTED = "rejected all hunks"


async def choose_always(question: Question, console: Console, ask: Ask) -> Always | None:
    """What is allowed from now on, and for how long; None to go back to the question."""
    chosen = await _which(question, console, ask) if question.proposals else None
    if question.proposals and chosen is None:
        return None
    scope: AlwaysScope = "session"
    how_long = SCOPES["s"][1]
    if chosen is not None:
        there = {key: value for key, value in SCOPES.items() if key != "r" or chosen.rule is not None}
        keys = " · ".join(f"{key} {words}" for key, (_, words) in there.items())
        console.print(f"For how long? {keys}", style="dim")
        while (typed := (await ask("Scope (Enter alone goes back): ")).strip().lower()) not in there:
            if not typed:
                console.print("Nothing was allowed; the question stands.")
                return None
            console.print(f"One of: {', '.join(there)}.")
        scope, how_long = there[typed]
    words = chosen.words if chosen is not None else question.always
    bounds = f"{visible(words)}, if it can do no more than: {names(question.effects)}"
    console.print(f"Allowed {how_long}: {bounds}.")
    return Always(chosen, scope)


async def _which(question: Question, console: Console, ask: Ask) -> Proposal | None:
    console.print("What is allowed from now on, if it can do no more than this call?")
    for number, each in enumerate(question.proposals, 1):
        words = shorten(visible(each.words).replace("\n", r"\n"), lines=1, columns=MAX_COLUMNS).text
        console.print(f"  {number}  {words} · {_so_far(question, each)}")
    if len(question.proposals) == 1:
        return question.proposals[0]
    while typed := (await ask("Number (Enter alone goes back): ")).strip():
        if typed.isascii() and typed.isdigit() and 1 <= int(typed) <= len(question.proposals):
            return question.proposals[int(typed) - 1]
        console.print(f"A number from 1 to {len(question.proposals)}.")
    console.print("Nothing was allowed; the question stands.")
    return None


def _so_far(question: Question, proposal: Proposal) -> str:
    if question.history is None:
        return "what it would have matched is not known here"
    matched, total = question.history(proposal)
    calls = "call" if total == 1 else "calls"
    return f"would have matched {matched} of {total} {calls} so far"


async def walk_hunks(question: Question, console: Console, ask: Ask) -> Yes | No | Edit | None:
    """Each changed place, accepted or rejected; None where there is nothing to walk through, or the person goes
    back.
    """
    change = change_of(question)
    if change is None or not change.hunks:
        console.print("There are no hunks here: y allows the call as it is, n refuses it.")
        return None
    if question.arguments.get("all") is True:
        console.print("What is accepted is done in every place that the edit is about.")
    accepted: set[int] = set()
    for number in range(len(change.hunks)):
        _show_hunk(change, number, console)
        if (kept := await _accepted(number, len(change.hunks), console, ask)) is None:
            console.print("Nothing was decided; the question stands.")
            return None
        if kept:
            accepted.add(number)
    if not accepted:
        return No(REJECTED)
    if len(accepted) == len(change.hunks):
        return Yes()
    console.print(f"{len(accepted)} of {len(change.hunks)} hunks are made.")
    return Edit(with_accepted(question, change, accepted))


def _show_hunk(change: Change, number: int, console: Console) -> None:
    text = visible(change.shown(change.hunks[number]))
    console.print(coloured(shorten(text, lines=MAX_HUNK_LINES, columns=MAX_COLUMNS).text))


async def _accepted(number: int, many: int, console: Console, ask: Ask) -> bool | None:
    while True:
        match (
            (await ask(f"Hunk {number + 1} of {many}: y accepts it, n rejects it, b goes back? ")).strip().lower()
        ):
            case "y" | "yes":
                return True
            case "n" | "no":
                return False
            case "b" | "back":
                return None
            case _:
                console.print("y, n or b; Enter alone answers nothing.")
