"""`bridle suite make`: a suite from a repository, a folder, or a package."""

from __future__ import annotations

import json as encoder
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from cli.fix import BackendName
from cli.suite.common import Jobs, Json, pick_backend, sandboxed, say, shown
from cli.suite.selecting import read_tasks, selection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tasks.making.making import Making
    from tasks.making.storing import Made
    from tasks.making.twins import Related

T = TypeVar("T")


def make(
    out: Annotated[Path, typer.Option(help="The folder for the suite; new, or empty.")],
    source: Annotated[
        str | None, typer.Option("--from", help="A repository, a folder, or a package (NAME or NAME==VERSION).")
    ] = None,
    twin_of: Annotated[
        Path | None,
        typer.Option(help="Instead, make twins of the tasks of this suite (`bundled` for Bridle's own)."),
    ] = None,
    twins: Annotated[str, typer.Option(help="Kinds of twins: renamed, bug, or both.")] = "renamed,bug",
    variants: Annotated[
        str | None, typer.Option(help="Instead, vary instructions of --of: wording, order, format, typos.")
    ] = None,
    of: Annotated[Path | None, typer.Option(help="The suite whose instructions are varied.")] = None,
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Tasks that are wanted.")] = 20,
    sites: Annotated[str, typer.Option(help="Bugs in a task: 1, 2, 3, or a range such as 1..3.")] = "1",
    seed: Annotated[int, typer.Option(help="The same seed and source make the same suite.")] = 0,
    only: Annotated[
        list[str] | None, typer.Option(help="Put bugs only into files that this pattern (as in .gitignore) names.")
    ] = None,
    verify: Annotated[
        str | None,
        typer.Option(help="The pytest command whose arguments select the tests, such as `pytest -k fast`."),
    ] = None,
    jobs: Jobs = 2,
    backend: BackendName = None,
    json: Json = False,
) -> None:
    """Put bugs into a project that its tests notice, tell each in words, prove it, and store it as a task."""
    if twin_of is not None or variants is not None:
        _related(out, twin_of, twins, variants, of, seed, jobs, backend, json=json)
    from tasks.making.making import Making

    project = _project(source, only or [])
    for note in project.notes:
        say(note)
    making = Making(
        project=project,
        backend=pick_backend(backend),
        out=out.absolute(),
        wanted=n,
        seed=seed,
        sites=_sites(sites),
        jobs=jobs,
        select=_select(verify),
    )
    made = sandboxed(lambda: _follow(making, making.run, quiet=json))
    if json:
        typer.echo(made.model_dump_json())
    else:
        _show(made, out)
    if making.stopped:
        raise typer.Exit(130)
    raise typer.Exit(0 if len(made.tasks) >= n else 3)


def _related(
    out: Path,
    twin_of: Path | None,
    twins: str,
    variants: str | None,
    of: Path | None,
    seed: int,
    jobs: int,
    backend: str | None,
    *,
    json: bool,
) -> NoReturn:
    """Twins, or variants, of a suite."""
    from agent.outcomes import UsageProblem
    from tasks.making.related import TWINS
    from tasks.making.twins import Related
    from tasks.making.variants import GROUPS

    suite = twin_of if twin_of is not None else of
    if suite is None or (twin_of is not None and variants is not None):
        raise UsageProblem("give --twin-of SUITE for twins, or --variants KINDS --of SUITE for variants")
    known, option = (TWINS, "--twins") if variants is None else (tuple(GROUPS), "--variants")
    kinds = (twins if variants is None else variants).split(",")
    if wrong := [kind for kind in kinds if kind not in known]:
        raise UsageProblem(f"{option}: {wrong[0]!r} is none of {', '.join(known)}")
    made = Related(read_tasks(suite, selection()), pick_backend(backend), out.absolute(), seed=seed, jobs=jobs)
    work = made.twins if variants is None else made.variants
    sandboxed(lambda: _follow(made, lambda: work(kinds), quiet=json))
    if json:
        typer.echo(encoder.dumps({"made": made.made, "left_out": made.left_out, "complete": not made.stopped}))
    else:
        typer.echo(shown(f"{len(made.made)} tasks made of {len(made.tasks)}, in {out}"))
        for name, why in made.left_out.items():
            typer.echo(shown(f"  --  {name}: {why}"))
    raise typer.Exit(130 if made.stopped else 0 if made.made else 3)


def _project(source: str | None, only: list[str]) -> Any:
    from dataclasses import replace

    from agent.outcomes import UsageProblem
    from tasks.making.package import from_package, is_package
    from tasks.making.project import from_folder

    if source is None:
        raise UsageProblem("there is nothing to make tasks from: give --from with a folder or a package")
    if Path(source).exists() or "/" in source or not is_package(source):
        return from_folder(Path(source), only)
    say(f"{source} is no folder here, so the package of that name is fetched")
    return replace(from_package(source), only=tuple(only))


def _sites(text: str) -> tuple[int, int]:
    from agent.outcomes import UsageProblem

    low, _, high = text.partition("..")
    if not (low in ("1", "2", "3") and (high or low) in ("1", "2", "3") and low <= (high or low)):
        raise UsageProblem(f"--sites {text}: give 1, 2, 3, or a range such as 1..3")
    return int(low), int(high or low)


def _select(command: str | None) -> list[str]:
    """The arguments of a pytest command."""
    import shlex

    from agent.outcomes import UsageProblem

    if command is None:
        return []
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageProblem(f"--verify {command!r} is no command: {error}") from error
    at = next((n for n, word in enumerate(words) if word.rsplit("/", 1)[-1] in ("pytest", "py.test")), None)
    if at is None:
        raise UsageProblem(f"--verify {command!r}: tasks are made from pytest's tests, so give a pytest command")
    return words[at + 1 :]


def _follow(making: Making | Related, work: Callable[[], Awaitable[T]], *, quiet: bool) -> T:
    """Do it with a progress bar on a terminal; Ctrl-C ends it and keeps what is proven."""
    import asyncio
    import signal

    def stop() -> None:
        say("ending after what is under way; what is proven is kept")
        making.stop()

    async def under_signals() -> T:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        return await work()

    if quiet or not sys.stderr.isatty():
        return asyncio.run(under_signals())
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("taking in", total=None)

        def step(what: str, done: int, total: int) -> None:
            progress.update(bar, description=what, completed=done, total=total)

        making.step = step
        return asyncio.run(under_signals())


def _show(made: Made, out: Path) -> None:
    """What was made, and what became of all that was tried."""
    typer.echo(f"{len(made.tasks)} tasks in {shown(str(out))}, from {made.tests} tests that pass twice")
    for name, count in made.counts.items():
        typer.echo(f"  {count:6} {name}")
    levels = {level: sum(each.difficulty == level for each in made.tasks) for level in ("easy", "medium", "hard")}
    typer.echo("  " + ", ".join(f"{count} {level}" for level, count in levels.items()))
