"""The `submit` tool: the model says that its work is done. Whether it is, others find out."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tools.protocol import Arguments, Effect, Effects, Preview, ToolResult, Workbench
from tools.text import visible


class SubmitArguments(Arguments):
    """Arguments of `submit`."""

    summary: str = Field(
        min_length=1,
        max_length=8000,
        description="What was wrong, what you changed and how you checked it, in a few sentences for the user.",
    )


class Submit:
    """Ends the work."""

    name: ClassVar[str] = "submit"
    description: ClassVar[str] = (
        "Say that the work is finished. Call it once, alone and last, after you have checked the change by "
        "running it. The workspace as it is then becomes the patch: remove what does not belong in it first."
    )
    arguments: ClassVar[type[Arguments]] = SubmitArguments

    def effects(self, args: SubmitArguments, bench: Workbench) -> Effects:
        """None on the world: verifying and delivering are decided on their own."""
        return frozenset({Effect.READ})

    async def preview(self, args: SubmitArguments, bench: Workbench) -> Preview:
        """The summary."""
        return Preview("submit", detail=visible(args.summary))

    async def run(self, args: SubmitArguments, bench: Workbench) -> ToolResult:
        """Nothing happens here; the loop acts on `submitted`."""
        return ToolResult("Submitted.", facts={"summary": args.summary}, submitted=True)
