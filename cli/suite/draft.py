"""`bridle suite draft`: a task from two releases of a package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.fix import BackendName
from cli.suite.common import Json, pick_backend, sandboxed, say, shown


def draft(
    package: Annotated[str, typer.Argument(help="A package on the index.")],
    broken: Annotated[str, typer.Argument(help="The version with the bug.")],
    fixed: Annotated[str, typer.Argument(help="The version without it, with the tests that show it.")],
    out: Annotated[Path, typer.Option(help="The task's folder, which must not exist yet.")],
    instruction: Annotated[str, typer.Option(help="What the agent is told, or @FILE with it.")],
    tests: Annotated[str | None, typer.Option(help="The folder of tests.")] = None,
    only: Annotated[str, typer.Option(help="A regular expression: which of the telling tests.")] = "",
    difficulty: Annotated[Literal["easy", "medium", "hard"], typer.Option(help="Its difficulty.")] = "medium",
    split: Annotated[Literal["public", "private"], typer.Option(help="Its split.")] = "public",
    index: Annotated[str | None, typer.Option(help="A package index (default: pip's own).")] = None,
    backend: BackendName = None,
    json: Json = False,
) -> None:
    """Draft a task from two releases: run the newer tests with both, and write down which tell them apart."""
    import asyncio
    import json as encoder

    from agent.outcomes import UsageProblem
    from tasks.packages.drafting import Wanted
    from tasks.packages.drafting import draft as draft_task
    from tasks.packages.index import find_index

    text = instruction
    if instruction.startswith("@"):
        try:
            text = Path(instruction[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageProblem(f"the instruction {instruction[1:]} cannot be read: {error}") from error
    if not text.strip():
        raise UsageProblem("--instruction is empty: say what is wrong, so that nobody has to see the tests")
    wanted = Wanted(package, (broken, fixed), text, tests, only, difficulty, split)
    work = draft_task(wanted, out.absolute(), pick_backend(backend), find_index(index))
    found = sandboxed(lambda: asyncio.run(work))
    if json:
        numbers = {"telling": found.telling, "left_out": found.left_out, "passing": found.passing}
        typer.echo(encoder.dumps({"task": str(out), **numbers}))
        return
    typer.echo(shown(f"{out}: {found.telling} tests tell the releases apart, {found.passing} pass with both"))
    if found.left_out:
        say(f"{found.left_out} more that tell them apart are left out by --only")
    say(f"next: `bridle suite fetch {out}`, then `bridle suite check {out}`")
