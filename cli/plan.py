"""At a terminal, what becomes of a plan: it is run at a level, edited, or kept.

Threat model: the plan is the model's text. It is shown as the report shows it, made harmless; only the user's own
editor opens the file.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
from pathlib import Path

from agent.autonomy.approvers.terminal import TerminalApprover
from agent.autonomy.levels import Level, parse_level
from agent.autonomy.visible import visible
from cli.terminal import console

CHOICES = "r run it · e edit it · k keep it for later"


async def offer(plan: Path) -> Level | None:
    """Ask until the plan is to be run, and at which level; None keeps it. So does whatever goes wrong."""
    out, asker = console(), TerminalApprover()
    try:
        while True:
            match (await asker.line(f"The plan: {CHOICES}? ")).strip().lower():
                case "r" | "run":
                    if (level := await _level(asker)) is not None:
                        return level
                case "e" | "edit":
                    await _edit(plan, asker)
                    out.print(visible(plan.read_text(errors="replace").strip()), markup=False)
                case "k" | "keep":
                    return None
                case _:
                    out.print(f"Enter alone chooses nothing: {CHOICES}.", markup=False)
    except (EOFError, KeyboardInterrupt, OSError):
        return None


async def _level(asker: TerminalApprover) -> Level | None:
    choices = ", ".join(f"{int(level)} {level.label}" for level in Level if level is not Level.PLAN)
    while typed := (await asker.line(f"At which level ({choices}; Enter alone goes back)? ")).strip():
        try:
            level = parse_level(typed)
        except ValueError:
            continue
        if level is not Level.PLAN:
            return level
    return None


async def _edit(plan: Path, asker: TerminalApprover) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if editor:
        await asyncio.to_thread(subprocess.run, [*shlex.split(editor), str(plan)], check=False)
        return
    text = plan.read_text(errors="replace").strip()
    edited = await asker.line("Esc, then Enter, when done:\n", default=visible(text), multiline=True)
    if edited.strip():
        plan.write_text(f"{edited.strip()}\n")
