"""A call, or a question about the session itself, in the form in which the gate judges it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from agent.autonomy.calls import Call, Part, describe
from agent.autonomy.remembered import Shape, shape_of
from agent.models.protocol import ToolCall
from sandboxes.protocol import FileError
from tools.process import ProcessArguments, whole_input
from tools.protocol import EVERY_EFFECT, Arguments, Effect, Effects, Preview, Tool, Workbench

MAX_SHOWN = 16_000
"""Characters of what was shown that go into the journal."""


@dataclass(frozen=True, slots=True)
class Case:
    """A call in the form the gate judges it in; `edited` raises ValueError with a sentence.

    `insist` is the reason why, whatever the level, only a person allows it, in a clause. `described` is what
    rules see.
    """

    call: ToolCall
    tool: str
    arguments: dict[str, Any]
    effects: Effects
    shape: Shape | None
    cwd: str
    preview: Callable[[], Awaitable[Preview]]
    edited: Callable[[dict[str, Any]], Case]
    described: Call
    insist: str = ""


def session_case(
    name: str, tool: str, effect: Effect, summary: Preview, insist: str = "", guards: tuple[str, ...] = ()
) -> Case:
    """A question about the session itself, which is no call of the model's."""

    async def preview() -> Preview:
        return summary

    def edited(_: dict[str, Any]) -> Case:
        raise ValueError("this cannot be edited: say yes or no to it as it is")

    call = ToolCall(id=name, name=tool, arguments="{}")
    effects = frozenset({effect})
    described = Call(tool, {}, effects, (Part(effects),), guards)
    return Case(call, tool, {}, effects, None, "", preview, edited, described, insist)


def tool_case(call: ToolCall, tool: Tool, args: Arguments, bench: Workbench, insist: str) -> Case:
    arguments = args.model_dump(mode="json", exclude_unset=True)
    described = described_call(tool, args, bench)
    effects = described.effects

    def edited(changed: dict[str, Any]) -> Case:
        try:
            return tool_case(call, tool, tool.arguments.model_validate(changed), bench, insist)
        except ValidationError as error:
            wrong = (f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors()[:5])
            raise ValueError(f"these arguments do not fit `{tool.name}`: {'; '.join(wrong)}") from error

    return Case(
        call=call,
        tool=tool.name,
        arguments=arguments,
        effects=effects,
        shape=None if _each_time(effects, bench) else shape_of(tool.name, arguments, bench.cwd),
        cwd=bench.cwd,
        preview=lambda: tool.preview(args, bench),
        edited=edited,
        described=described,
        insist=insist,
    )


def described_call(tool: Tool, args: Arguments, bench: Workbench) -> Call:
    """The call as rules see it, with what it could do."""
    seen = args.model_dump(mode="json")
    if isinstance(args, ProcessArguments):
        seen["input"] = whole_input(args, bench)
    return describe(tool.name, seen, tool.effects(args, bench) or EVERY_EFFECT, bench.cwd)


def _each_time(effects: Effects, bench: Workbench) -> bool:
    """Delivering, and handing out a secret, are asked about each time: no "always" is remembered for them."""
    return Effect.DELIVER in effects or (Effect.SECRET in effects and bool(bench.secrets))


async def preview_of(case: Case) -> Preview:
    try:
        shown = await case.preview()
        told = {cause.effect for cause in shown.causes}
        more = [cause for cause in case.described.causes if cause.effect not in told]
        return replace(shown, causes=(*shown.causes, *more))
    except FileError as error:
        # The file may be binary, huge or gone: the person decides knowing that there is nothing to look at.
        return Preview(title=case.tool, detail=f"no preview: {error}")


def told(preview: Preview) -> str:
    """What was shown, for the journal."""
    causes = "\n".join(f"{cause.effect}: {cause.text}: {cause.reason}" for cause in preview.causes)
    text = "\n".join(part for part in (preview.title, preview.detail, preview.diff, causes) if part)
    left_out = len(text) - MAX_SHOWN
    return text if left_out <= 0 else f"{text[:MAX_SHOWN]}…\n[{left_out} more characters]"
