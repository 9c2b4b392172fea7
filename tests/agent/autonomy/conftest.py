"""A tool that claims what it is told to claim, and a workbench whose sandbox is gone: the gate needs no more."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from sandboxes.protocol import FileError, SandboxLost
from tools.protocol import Arguments, Effect, Effects, Preview, ToolResult, Workbench


class ClaimArguments(Arguments):
    path: str = "a.txt"
    claims: tuple[Effect, ...] = ()
    note: str = ""


class Claim:
    """A tool of the name and the claims one gives it."""

    description: ClassVar[str] = "claims effects"
    arguments: ClassVar[type[Arguments]] = ClaimArguments

    def __init__(self, name: str) -> None:
        self.name = name

    def effects(self, args: ClaimArguments, bench: Workbench) -> Effects:
        return frozenset(args.claims)

    async def preview(self, args: ClaimArguments, bench: Workbench) -> Preview:
        if args.note == "unreadable":
            raise FileError("too_large", args.path)
        if args.note == "lost":
            raise SandboxLost("the sandbox is gone")
        return Preview(f"{self.name} {args.path}", diff=f"+{args.note}", detail=" ".join(args.claims))

    async def run(self, args: ClaimArguments, bench: Workbench) -> ToolResult:
        return ToolResult("done")


@pytest.fixture(scope="session")
def claim() -> type[Claim]:
    """The tool's class: `claim("edit")` is remembered by its path, any other name by all arguments."""
    return Claim


@pytest.fixture(scope="session")
def bench() -> Workbench:
    """A workbench with no sandbox behind it: nothing in the gate may touch one."""
    gone: Any = None
    return Workbench(sandbox=gone)
