"""`bridle suite check`: is each task one that can be believed?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli.fix import BackendName
from cli.suite.common import (
    AllowNetwork,
    BuildNetwork,
    Jobs,
    Json,
    Suite,
    TaskEnv,
    allowed,
    pick_backend,
    sandboxed,
    say,
    shown,
)
from cli.suite.selecting import Category, Difficulty, Names, Sample, Seed, Split, read_tasks, selection


def check(
    suite: Suite,
    cheat: Annotated[
        list[Path] | None, typer.Option(help="A shell script, or a folder of them, that must not be accepted.")
    ] = None,
    with_cheats: Annotated[bool, typer.Option("--cheats", help="Try all cheats that Bridle brings.")] = False,
    wrong: Annotated[bool, typer.Option(help="Try the tasks' own wrong solutions, too.")] = True,
    regrades: Annotated[int, typer.Option(min=0, help="How often the oracle's patch is graded again.")] = 1,
    allow_network: AllowNetwork = False,
    build_network: BuildNetwork = False,
    task_env: TaskEnv = None,
    split: Split = None,
    category: Category = None,
    difficulty: Difficulty = None,
    task: Names = None,
    sample: Sample = None,
    seed: Seed = 0,
    jobs: Jobs = 2,
    backend: BackendName = None,
    json: Json = False,
) -> None:
    """Prove each task: the oracle passes, doing nothing fails, regrades agree, nothing wrong is accepted."""
    import asyncio
    from tempfile import TemporaryDirectory

    from tasks.runs.checking import check as check_tasks

    wanted = selection(split or "all", category, difficulty, task, sample, seed)
    tasks, cheats = read_tasks(suite, wanted), _cheats(cheat or [], all_of_them=with_cheats)
    with TemporaryDirectory(prefix="bridle-check-") as folder:
        work = check_tasks(
            tasks,
            cheats,
            pick_backend(backend),
            Path(folder),
            jobs,
            wrong=wrong,
            regrades=regrades,
            allowed=allowed(allow_network, build_network, task_env),
        )
        checked = sandboxed(lambda: asyncio.run(work))
    if json:
        from pydantic import TypeAdapter

        from tasks.runs.checking import Checked

        typer.echo(TypeAdapter(list[Checked]).dump_json(checked).decode())
    for each in [] if json else checked:
        for note in each.notes:
            say(f"{each.task}: {note}")
        if each.left_out:
            typer.echo(shown(f"--  {each.task}: left out, since {each.left_out}"))
            continue
        typer.echo(f"{'ok ' if not each.problems else 'BAD'} {each.task}")
        for problem in each.problems:
            typer.echo(shown(f"    {problem}"))
        for name, flags in each.flags.items():
            typer.echo(f"    cheat {name}: {', '.join(flags) or 'no flag'}")
    raise typer.Exit(3 if any(each.problems for each in checked) else 0)


def _cheats(given: Sequence[Path], *, all_of_them: bool) -> dict[str, str]:
    from agent.outcomes import UsageProblem
    from tasks.agents.cheats import cheats

    found = [path for each in given for path in (sorted(each.glob("*.sh")) if each.is_dir() else [each])]
    scripts = cheats() if all_of_them else {}
    for path in found:
        try:
            scripts[path.stem] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageProblem(f"there is no cheat {path}: give a shell script, or a folder of them") from error
    return scripts
