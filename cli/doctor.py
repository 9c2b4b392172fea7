"""`bridle doctor`: what is there, what is missing, and the command that mends it."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Say what is there and what is missing, with the command that mends it. Exit 2 when something is missing."""
    import asyncio
    from dataclasses import asdict

    from agent.health import checkup

    checks = asyncio.run(checkup())
    if as_json:
        for check in checks:
            typer.echo(json.dumps(asdict(check)))
    else:
        from rich.console import Console
        from rich.markup import escape

        from agent.autonomy.visible import visible

        out = Console(highlight=False, soft_wrap=True)
        for check in checks:
            missing = "[red]missing[/]" if check.needed else "[dim]not here[/]"
            mark = "[green]ok     [/]" if check.ok else missing
            out.print(f"{mark} {check.what}: {escape(visible(check.detail))}")
            if not check.ok and check.mend:
                out.print(f"        {'mend it' if check.needed else 'if wanted'}: {escape(visible(check.mend))}")
    if not all(check.ok for check in checks if check.needed):
        raise typer.Exit(2)
