"""`bridle suite export`: attempts as data for training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.suite.common import Json, say

FormatName = Annotated[
    Literal["atif", "chat", "episodes"],
    typer.Option("--format", "-f", help="atif (a file an attempt), chat or episodes (JSON lines)."),
]


def export(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="The --out folders of runs.")],
    out: Annotated[
        Path, typer.Option(help="The file to write, or for atif the folder; it must not be there yet.")
    ],
    format_: FormatName = "chat",
    informative: Annotated[
        int | None,
        typer.Option(
            min=2, metavar="K", help="Only tasks with K or more scored attempts of which some pass and some fail."
        ),
    ] = None,
    passed: Annotated[bool, typer.Option("--passed", help="Only attempts that pass.")] = False,
    clean: Annotated[bool, typer.Option("--clean", help="Only attempts without a flag integrity.*.")] = False,
    feedback: Annotated[
        bool, typer.Option("--feedback", help="With what people answered, changed and said, redacted.")
    ] = False,
    json: Json = False,
) -> None:
    """Write rollouts with verifiable rewards: what the model saw and said, and what the grader made of it."""
    from tasks.reports.reading import load_run
    from tasks.training.export import export_rollouts
    from tasks.training.rollouts import informative as only_informative
    from tasks.training.rollouts import read_rollouts

    loaded = [load_run(each) for each in runs]
    if stale := sum(run.stale for run in loaded):
        say(f"{stale} attempts are of another agent, task or version, and left out")
    rollouts = [each for run in loaded for each in read_rollouts(run, feedback=feedback)]
    kept = rollouts if informative is None else only_informative(rollouts, informative)
    kept = [each for each in kept if (each.passed or not passed) and not (clean and each.integrity)]
    written = export_rollouts(kept, format_, out)
    if json:
        typer.echo(written.model_dump_json())
        return
    say(f"{written.written} of {len(rollouts)} attempts written to {out}, {written.scored} of them with a reward")
    if written.without_conversation:
        say(f"{written.without_conversation} attempts without a conversation are left out: {format_} has no place")
    if written.without_tools:
        say(f"{written.without_tools} attempts come without definitions of tools: another Bridle made them")
