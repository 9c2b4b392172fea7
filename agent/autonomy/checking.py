"""What would become of a shell command, and what it would take to have it allowed: for `bridle rules check`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.autonomy.calls import describe
from agent.autonomy.judging import Judgement, judge
from agent.autonomy.levels import Level, Verdict, decide
from agent.autonomy.rules import Placed
from agent.autonomy.words import could, in_order, level_words
from sandboxes.protocol import WORKSPACE, Sandbox
from tools.protocol import EVERY_EFFECT, Workbench
from tools.shell import Shell, ShellArguments


class Checked(BaseModel):
    """What the gate would say to a command. `because` names the rule or the cell of the table; `needed` is what
    it would take to have it allowed without a question, "" where it is.
    """

    model_config = ConfigDict(frozen=True)

    command: str
    effects: tuple[str, ...]
    decision: Verdict
    because: str
    needed: str = ""


def check(
    command: str, level: Level, rules: Iterable[Placed], *, cwd: str = WORKSPACE, listed: bool = False
) -> Checked:
    """Judge a command as the gate would if it ran in `cwd`. Never raises for what the command is."""
    rules = tuple(rules)
    try:
        args = ShellArguments(command=command)
    except ValidationError as error:
        words = error.errors()[0]["msg"].removeprefix("Value error, ")
        reason = f"the shell tool does not take it: {words}"
        return Checked(
            command=command,
            effects=tuple(in_order(EVERY_EFFECT)),
            decision="deny",
            because=reason,
            needed="another command",
        )
    effects = Shell().effects(args, Workbench(cast("Sandbox", None), cwd)) or EVERY_EFFECT  # it needs no sandbox
    call = describe("shell", args.model_dump(mode="json"), effects, cwd)
    effects = call.effects
    judged = judge(level, call, rules, listed=listed)
    return Checked(
        command=command,
        effects=tuple(in_order(effects)),
        decision=judged.verdict,
        because=judged.cause,
        needed=_needed(level, judged, rules, listed=listed),
    )


def _needed(level: Level, judged: Judgement, rules: tuple[Placed, ...], *, listed: bool) -> str:
    """What it would take, in a sentence without its full stop."""
    if judged.verdict == "allow":
        return ""
    if judged.by == "guarded":
        return "a person's yes each time; only level 5 full allows it without one, and shows it"
    if judged.by != "table":
        other = [placed.label for placed in rules if placed.why in judged.reasons and placed.label != judged.by]
        return f"to take out or narrow {', '.join([judged.by, *other])}"
    free = next(each for each in Level if decide(each, judged.because, listed=listed).verdict == "allow")
    if level is Level.PLAN:
        return f"{level_words(free)}; no rule allows what level 0 refuses"
    return f"{level_words(free)}, or an allow rule for each part that could {could(judged.because)}"
