"""Run by test_terminal_approver.py inside a pseudo-terminal: a gate, a tool, and the terminal approver.

Arguments: a JSON scenario and the file for the result. Not a test itself.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import select
import signal
import sys
import termios
from pathlib import Path
from typing import Any, ClassVar

from agent.autonomy.approvers import default_approver
from agent.autonomy.approvers.compose import Timed
from agent.autonomy.gate import Gate
from agent.autonomy.levels import Level
from agent.autonomy.rules import Placed, Rule
from agent.journal import AnyEvent, ModelReplied
from agent.models.protocol import ToolCall
from tools.protocol import Arguments, Effect, Effects, Preview, ToolResult, Workbench


class ShellArguments(Arguments):
    command: str = ""
    claims: tuple[Effect, ...] = (Effect.NETWORK,)
    diff: str = ""
    path: str = "a.txt"
    content: str = ""
    old: str = ""
    new: str = ""
    before: str | None = None


class Shell:
    """Claims what it is told to, and has the diff it is given."""

    description: ClassVar[str] = ""
    arguments: ClassVar[type[Arguments]] = ShellArguments

    def __init__(self, name: str) -> None:
        self.name = name

    def effects(self, args: ShellArguments, bench: Workbench) -> Effects:
        return frozenset(args.claims)

    async def preview(self, args: ShellArguments, bench: Workbench) -> Preview:
        return Preview(f"$ {args.command}", diff=args.diff, before=args.before)

    async def run(self, args: ShellArguments, bench: Workbench) -> ToolResult:
        return ToolResult("")


def keep(rule: Rule) -> Placed:
    return Placed("allow", rule, "own.toml", 1)


async def main(scenario: dict[str, Any], result: dict[str, Any]) -> None:
    events: list[AnyEvent] = []
    approver = default_approver()
    if seconds := scenario.get("timeout"):
        approver = Timed(approver, seconds)
    gate = Gate(Level(scenario.get("level", 3)), approver, events.append, events=events, keep=keep)
    result["approver"] = approver.name
    if scenario.get("handle_sigint", True):
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
    gone: Any = None
    bench = Workbench(sandbox=gone, cwd=scenario.get("cwd", "/workspace"))
    tool: Any = Shell(scenario.get("tool", "shell"))
    try:
        for number, arguments in enumerate(scenario["calls"]):
            print(f"CALL {number}", flush=True)
            if scenario.get("wait_for_type_ahead"):
                select.select([sys.stdin], [], [], 30)
            args = ShellArguments.model_validate(arguments)
            call = ToolCall(id=str(number), name=tool.name, arguments=args.model_dump_json(exclude_unset=True))
            events.append(ModelReplied(text="", calls=(call,)))
            if scenario.get("one_turn") and not number:
                gate.begin_turn([call] * len(scenario["calls"]))
            ruling = await gate.review(call, tool, args, bench)
            result["rulings"].append(
                {"verdict": ruling.verdict, "reason": ruling.reason, "quit": ruling.quit, **ruling.arguments}
            )
    except asyncio.CancelledError:
        result["ending"] = "cancelled"
        raise
    finally:
        result["level"] = int(gate.level)
        result["events"] = [e.model_dump(mode="json") for e in events if not isinstance(e, ModelReplied)]


if __name__ == "__main__":
    outcome: dict[str, Any] = {"rulings": [], "ending": "done"}
    if sys.stdin.isatty():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        before = termios.tcgetattr(0)
    try:
        asyncio.run(main(json.loads(sys.argv[1]), outcome))
    except asyncio.CancelledError:
        pass
    except KeyboardInterrupt:
        outcome["ending"] += " interrupted"
    if sys.stdin.isatty():
        outcome["terminal_restored"] = termios.tcgetattr(0) == before
    Path(sys.argv[2]).write_text(json.dumps(outcome))
