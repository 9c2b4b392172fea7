"""The verify command at work: it runs what the agent wrote, so it passes the gate like any other command.

A command that the user gave is approved by having been given. One that was found, or that the repository suggests,
is judged by the level, and where that asks, a person's yes counts for the session, or until the slider goes down.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from agent.autonomy.gate import Gate
from agent.autonomy.levels import Level
from agent.checks import run_check
from agent.journal import AnyEvent, CheckRun, GateDecided
from agent.models.protocol import ToolCall
from sandboxes.protocol import Sandbox
from tools.protocol import Tool, Workbench


class CheckDenied(Exception):
    """The verify command may not run; `quit` says that the person ended the session."""

    def __init__(self, reason: str, *, quit_now: bool) -> None:
        super().__init__(reason)
        self.quit = quit_now


@dataclass(slots=True)
class Verification:
    """The command that has to pass. `seconds` is its limit; `given` says that it is the user's own. `allowed` is
    the level at which it was, if it was.
    """

    command: str
    seconds: float
    given: bool
    allowed: Level | None = None

    async def run(
        self,
        gate: Gate,
        shell: Tool,
        bench: Workbench,
        record: Callable[[AnyEvent], object],
        *,
        fresh: Sandbox | None = None,
    ) -> CheckRun:
        """Run it in the bench's sandbox, or in a `fresh` one. Raises CheckDenied, SandboxLost."""
        if self.allowed is None or (gate.level < self.allowed and not self.given):
            await self._ask(gate, shell, bench, record)
        sandbox = fresh or bench.sandbox
        event = await run_check(
            sandbox, self.command, limit=self.seconds, fresh=fresh is not None, live=bench.live
        )
        record(event)
        return event

    async def _ask(self, gate: Gate, shell: Tool, bench: Workbench, record: Callable[[AnyEvent], object]) -> None:
        arguments = {"command": self.command}
        args = shell.arguments.model_validate(arguments)
        if self.given:
            effects = tuple(sorted(effect.value for effect in shell.effects(args, bench)))
            cause = "the user gave this command to verify with"
            level = int(gate.level)
            record(
                GateDecided(
                    call="verify",
                    tool=shell.name,
                    effects=effects,
                    level=level,
                    verdict="allow",
                    cause=cause,
                    by="user",
                )
            )
        else:
            call = ToolCall(id="verify", name=shell.name, arguments=json.dumps(arguments))
            ruling = await gate.review(call, shell, args, bench)
            if ruling.verdict != "allow":
                raise CheckDenied(ruling.reason, quit_now=ruling.quit)
            self.command = str(ruling.arguments["command"])
        self.allowed = gate.level
