"""`bridle clean`: remove what killed processes left behind, and show what it was."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from agent.housekeeping import Swept
    from agent.store import SessionFolder, Store


def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go; change nothing.")] = False,
    all_sessions: Annotated[
        bool,
        typer.Option(
            "--all-sessions",
            help="Checkpoints of sessions that could still go on, too; with --older-than, those sessions as well.",
        ),
    ] = False,
    older_than: Annotated[
        float | None,
        typer.Option(
            metavar="DAYS", min=0, help="Drop finished sessions, journal and patch included, after a yes."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Say yes to dropping sessions.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Remove what killed processes left: sandboxes, checkpoints, half-written files. What lives is not touched."""
    import asyncio

    from agent.housekeeping import Reaper, Swept, drop_session, finished_sessions, sweep
    from agent.store import Store
    from sandboxes.select import BACKENDS, make_backend

    store = Store()
    dropped = Swept()
    if older_than is not None:
        old = finished_sessions(store, older_than, all_sessions=all_sessions)
        if old and not dry_run and not yes:
            _ask(old, older_than, asked_for_json=as_json)
        dropped.gone = [gone for folder in old if (gone := drop_session(folder, dry_run=dry_run))]
    backends: list[Reaper] = [make_backend(name) for name in BACKENDS]
    swept = asyncio.run(sweep(store, backends, dry_run=dry_run, all_sessions=all_sessions))
    swept.gone = dropped.gone + swept.gone
    if as_json:
        _print_json(swept, dry_run=dry_run)
    else:
        _print_table(store, swept, dry_run=dry_run)


def _ask(old: list[SessionFolder], days: float, *, asked_for_json: bool) -> None:
    """Have a person say yes to losing sessions. Raises UsageProblem where nobody can."""
    from agent.outcomes import UsageProblem

    count = f"{len(old)} session{'s' if len(old) > 1 else ''}"
    if asked_for_json or not sys.stdin.isatty():
        raise UsageProblem(f"dropping {count} older than {days:g} days needs --yes; --dry-run shows which")
    for folder in old:
        typer.echo(f"  {folder.id}", err=True)
    if not typer.confirm(f"Drop {count}, journal and patch included?", err=True):
        raise typer.Exit(5)


def _print_json(swept: Swept, *, dry_run: bool) -> None:
    from dataclasses import asdict

    answer = {"dry_run": dry_run, "removed": [asdict(each) for each in swept.gone], "bytes": swept.size}
    typer.echo(json.dumps({**answer, "problems": swept.problems}))


def _print_table(store: Store, swept: Swept, *, dry_run: bool) -> None:
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table
    from rich.text import Text

    from agent.autonomy.visible import visible

    out = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for heading in ("what", "session", "size"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "size" else "left")
    table.add_column("name", overflow="fold")
    for each in swept.gone:
        name = visible(each.name).replace("\n", r"\n").removeprefix(f"{store.sessions / each.session}/")
        note = ", work kept" if each.saved else ""
        table.add_row(each.what + note, Text(visible(each.session)), decimal(each.size), Text(name))
    if swept.gone:
        out.print(table)
    count = f"{len(swept.gone)} thing{'' if len(swept.gone) == 1 else 's'}"
    if not swept.gone:
        out.print("Nothing was left behind.")
    elif dry_run:
        out.print(f"Would remove {count}, {decimal(swept.size)}.")
    else:
        out.print(f"Removed {count}, {decimal(swept.size)}.")
    for problem in swept.problems:
        out.print(Text(f"Not cleaned: {visible(problem)}", style="yellow"))
