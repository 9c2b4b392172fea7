"""`bridle approve`: the questions that wait for a person, and their answers.

Threat model: everything in a question but its cause is the agent's text, shown the way the terminal shows it while
a session runs. An answer is given to what was shown: it carries the question's hash, and holds for nothing else.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from agent.approving import OpenQuestion
    from agent.asked import QuestionAnswerKind

NOT_HERE = "Here it is y, n, a, w, d or q: editing and the level are for `bridle resume` at a terminal."


def approve(
    name: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A session or a question; without it, all are listed.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Run it, exactly as shown.")] = False,
    no: Annotated[str | None, typer.Option("--no", metavar="REASON", help="Do not; the model reads why.")] = None,
    always: Annotated[
        bool, typer.Option("--always", help="Yes, and to the same when the session goes on.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; never ask.")] = False,
) -> None:
    """Answer what a session asks while nobody is at its terminal. Exit 5 when the question stays open."""
    from agent.approving import find_question, give, open_questions
    from agent.outcomes import Outcome, UsageProblem
    from agent.store import Store

    store = Store()
    if sum((yes, no is not None, always)) > 1:
        raise UsageProblem("give one of --yes, --no and --always")
    answered = yes or always or no is not None
    if name is None:
        if answered:
            raise UsageProblem("name the session or the question that is answered; `bridle approve` lists them")
        _list(open_questions(store), as_json=as_json)
        return
    question = find_question(store, name)
    kind: QuestionAnswerKind | None = "yes" if yes else "always" if always else "no" if no is not None else None
    if kind is None and not as_json:
        kind, no = _ask(question)
    gone_on = kind is not None and give(store, question, kind, no or "")
    if as_json:
        typer.echo(json.dumps({**_as_dict(question), "answer": kind, "gone_on": gone_on}))
    elif kind is not None:
        _tell(question, kind, gone_on=gone_on)
    if kind is None:
        raise typer.Exit(Outcome.APPROVAL_NEEDED.exit_code)


def _ask(question: OpenQuestion) -> tuple[QuestionAnswerKind | None, str | None]:
    """Show the question; ask for the answer where there is a terminal. None leaves the question open."""
    import asyncio

    from agent.autonomy.answers import Always, No, Quit, Yes
    from agent.autonomy.approvers.screen import make_console, show
    from agent.autonomy.approvers.terminal import TerminalApprover
    from agent.autonomy.pending import as_question

    shown = as_question(question.asked)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        show(shown, make_console(sys.stdout))
        typer.echo(f"question {question.asked.id} is open: answer with --yes, --no REASON or --always", err=True)
        return None, None
    while True:
        match asyncio.run(TerminalApprover().ask(shown)):
            case Yes():
                return "yes", None
            case Always():
                return "always", None
            case No(reason):
                return "no", reason
            case Quit():
                return None, None
            case _:
                typer.echo(NOT_HERE, err=True)


def _list(questions: list[OpenQuestion], *, as_json: bool) -> None:
    if as_json:
        for each in questions:
            typer.echo(json.dumps(_as_dict(each)))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from tools.text import one_line

    if not questions:
        typer.echo("No question waits.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("question", "session", "asked", "state", "call"):
        table.add_column(heading, no_wrap=heading != "call")
    for each in questions:
        asked = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.asked.time))
        state = "waits" if each.live else "stopped"
        call = Text(one_line(f"{each.asked.tool} {each.asked.title}"))
        table.add_row(each.asked.id, each.session, asked, state, call)
    Console().print(table)


def _as_dict(question: OpenQuestion) -> dict[str, Any]:
    asked = question.asked.model_dump(mode="json", exclude={"type"})
    return {"session": question.session, "task": question.task, "open": question.live, "question": asked}


def _tell(question: OpenQuestion, kind: str, *, gone_on: bool) -> None:
    """What was answered, and what comes next."""
    from tools.text import one_line

    asked = question.asked
    typer.echo(f"{kind}: {one_line(f'{asked.tool} {asked.title}')}")
    if gone_on:
        typer.echo(f"Session {question.session} goes on.")
    else:
        typer.echo(f"Go on: bridle resume {question.session}")
