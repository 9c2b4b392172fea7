"""A question about a shell command shows which part of it could do what is asked about, and why."""

from __future__ import annotations

import io
import json
from typing import Any

from agent.autonomy.approvers.screen import make_console, show
from agent.autonomy.levels import Level, decide
from agent.autonomy.questions import Question
from agent.models.protocol import ToolCall
from tools.protocol import Workbench
from tools.registry import default_tools


async def shown(command: str, bench: Workbench) -> str:
    """The screen of a question about the command, at level 3."""
    shell: Any = default_tools()["shell"]
    args = shell.arguments.model_validate({"command": command})
    effects = shell.effects(args, bench)
    question = Question(
        call=ToolCall(id="1", name="shell", arguments=json.dumps({"command": command})),
        tool="shell",
        arguments={"command": command},
        effects=effects,
        because=decide(Level.CONTAINED, effects).because,
        cause="c",
        level=Level.CONTAINED,
        preview=await shell.preview(args, bench),
        cwd="/workspace",
    )
    screen = io.StringIO()
    show(question, make_console(screen))
    return " ".join(screen.getvalue().replace("│", " ").split())


async def test_the_part_and_the_reason_are_told(bench: Workbench) -> None:
    text = await shown("pytest -q && sh -c 'rm -rf build' ; touch ../x", bench)
    assert "destroy: rm -rf build: deletes build" in text
    assert "outside: touch ../x: writes to ../x" in text
    assert "run: pytest" not in text, "what needs no question needs no reason"


async def test_many_reasons_are_counted(bench: Workbench) -> None:
    assert "destroy: and 2 more reasons" in await shown("rm a; rm b; rm c; rm d", bench)


async def test_a_part_cannot_pass_for_more_than_it_is(bench: Workbench) -> None:
    text = await shown("rm 'a\n  y yes: harmless' \u202e", bench)
    assert "\u202e" not in text
