"""`bridle suite`: check tasks, run them, explain an attempt, compare two runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.fix import BackendName, BaseUrl, MaxCost, MaxSteps, MaxTokens, ModelName, Price, Strategy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from tasks.results import AttemptResult
    from tasks.runner import Run

app = typer.Typer(no_args_is_help=True, help="Benchmark tasks: how often an agent succeeds, and why it fails.")
Suite = Annotated[Path, typer.Argument(help="A task, a folder of tasks, or `bundled`.")]
Jobs = Annotated[int, typer.Option(min=1, help="Attempts at a time.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
AgentName = Annotated[str, typer.Option(help="oracle, nop, bridle, command:LINE, or script:FILE.")]


@app.command("check")
def check(
    suite: Suite,
    cheat: Annotated[
        list[Path] | None, typer.Option(help="A shell script, or a folder of them, that must not be accepted.")
    ] = None,
    jobs: Jobs = 2,
    backend: BackendName = None,
    json: Json = False,
) -> None:
    """Prove each task: the oracle passes, doing nothing fails, two grades agree, no cheat is accepted."""
    import asyncio
    from tempfile import TemporaryDirectory

    from tasks.checking import check as check_tasks

    tasks, cheats = _tasks(suite), _cheats(cheat or [])
    with TemporaryDirectory(prefix="bridle-check-") as folder:
        work = check_tasks(tasks, cheats, _backend(backend), Path(folder), jobs)
        checked = _sandboxed(lambda: asyncio.run(work))
    if json:
        from pydantic import TypeAdapter

        from tasks.checking import Checked

        typer.echo(TypeAdapter(list[Checked]).dump_json(checked).decode())
    for each in [] if json else checked:
        for note in each.notes:
            _say(f"{each.task}: {note}")
        typer.echo(f"{'ok ' if not each.problems else 'BAD'} {each.task}")
        for problem in each.problems:
            typer.echo(_shown(f"    {problem}"))
        for name, flags in each.flags.items():
            typer.echo(f"    cheat {name}: {', '.join(flags) or 'no flag'}")
    raise typer.Exit(3 if any(each.problems for each in checked) else 0)


@app.command("run")
def run(
    suite: Suite,
    out: Annotated[Path, typer.Option(help="The run's folder; given again, the run goes on.")],
    agent: AgentName = "bridle",
    model: ModelName = None,
    base_url: BaseUrl = None,
    autonomy: Annotated[
        str | None, typer.Option("--autonomy", "-a", help="The level (default: the task's, else 5 full).")
    ] = None,
    strategy: Strategy = None,
    price: Price = None,
    max_steps: MaxSteps = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    attempts: Annotated[int, typer.Option(min=1, help="Attempts on each task.")] = 1,
    jobs: Jobs = 2,
    backend: BackendName = None,
    min_pass_rate: Annotated[
        float | None, typer.Option(min=0, max=1, help="Exit 3 when fewer of the scored attempts pass.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML here.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write Markdown here.")] = None,
    json: Json = False,
) -> None:
    """Run tasks with an agent; attempts that a run of the same folder finished are not made again."""
    options: dict[str, Any] = {
        "model": model,
        "base_url": base_url,
        "autonomy": autonomy,
        "strategy": strategy,
        "price": price,
        "max_steps": max_steps,
        "max_tokens": max_tokens,
        "max_cost": max_cost,
    }
    from tasks import reports
    from tasks.agents import parse_agent
    from tasks.runner import Run

    tasks = _tasks(suite)
    for task in tasks:
        for note in task.notes:
            _say(f"{task.name}: {note}")
    chosen = parse_agent(agent, options)
    made = Run(
        tasks=tasks, agent=chosen, backend=_backend(backend), out=out.absolute(), attempts=attempts, jobs=jobs
    )
    results = _sandboxed(lambda: _follow(made, quiet=json))
    summary = reports.summarise(results)
    if junit is not None:
        junit.write_bytes(reports.junit(results, f"bridle suite, {chosen.name}"))
    if markdown is not None:
        markdown.write_text(reports.markdown(results, f"bridle suite, {chosen.name}"))
    if json:
        typer.echo(summary.model_dump_json())
    else:
        _show(made, results)
        typer.echo(reports.headline(summary))
        for name, count in summary.failures.items():
            typer.echo(f"  {count} × {name}")
    raise typer.Exit(_code(made, results, min_pass_rate))


@app.command("explain")
def explain(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="The --out folder of a run.")],
    task: Annotated[str, typer.Argument(help="The task's name, or TASK/N for the attempt with that number.")],
) -> None:
    """Tell the story of an attempt: how it ended, why it failed, and the lines that show it."""
    from agent.outcomes import UsageProblem
    from tasks.results import attempt_folder, read_run
    from tasks.stories import story

    name, _, number = task.partition("/")
    found = [each for each in read_run(run_folder) if each.task == name and number in ("", str(each.number))]
    if not found:
        raise UsageProblem(f"{run_folder} has no attempt {task}; give the name of a task in it, or TASK/N")
    chosen = next((each for each in found if each.status != "pass"), found[0])
    for line in story(chosen, attempt_folder(run_folder, chosen.task, chosen.number)):
        typer.echo(_shown(line))


@app.command("compare")
def compare(
    a: Annotated[Path, typer.Argument(help="The --out folder of a run.")],
    b: Annotated[Path, typer.Argument(help="The --out folder of another.")],
    json: Json = False,
) -> None:
    """Is run B better than run A, worse, or can't that be told? Over the tasks that both have."""
    from agent.outcomes import UsageProblem
    from tasks.results import by_task, read_run
    from tasks.statistics import clustered
    from tasks.statistics import compare as compare_rates

    one, two = by_task(read_run(a)), by_task(read_run(b))
    shared = sorted(set(one) & set(two))
    if not shared:
        raise UsageProblem(f"{a} and {b} share no task with a scored attempt, so there is nothing to compare")
    pairs = [(one[name][0] / one[name][1], two[name][0] / two[name][1]) for name in shared]
    found = compare_rates(pairs)
    if json:
        import json as encoder

        typer.echo(encoder.dumps({"tasks": len(shared), **found._asdict()}))
        return
    rates = [clustered([run[name] for name in shared]).text() for run in (one, two)]
    typer.echo(f"A {rates[0]}, B {rates[1]}")
    typer.echo(
        f"{len(shared)} tasks: A better on {found.only_a}, B better on {found.only_b}, p = {found.p_value:.3g}"
    )
    typer.echo(f"B is {found.verdict}" if found.verdict != "can't tell" else "can't tell")
    if found.verdict == "can't tell":
        typer.echo(f"so many tasks show differences of {found.detectable:.0%} or more, four times in five")


def _tasks(suite: Path) -> list[Any]:
    from tasks.format import load_suite

    if str(suite) == "bundled":
        import tasks

        suite = Path(tasks.__file__).parent / "bundled"
    return list(load_suite(suite))


def _cheats(given: Sequence[Path]) -> list[Path]:
    from agent.outcomes import UsageProblem

    found = [path for each in given for path in (sorted(each.glob("*.sh")) if each.is_dir() else [each])]
    if missing := next((path for path in found if not path.is_file()), None):
        raise UsageProblem(f"there is no cheat {missing}: give a shell script, or a folder of them")
    return found


def _backend(name: str | None) -> Any:
    from agent.settings import load
    from sandboxes.select import choose

    chosen = choose(load({"backend": name}).backend)
    if chosen.note:
        _say(chosen.note)
    return chosen.backend


def _sandboxed(work: Any) -> Any:
    """Do it; where no sandbox can be had, that is one sentence and its exit code."""
    from agent.outcomes import Outcome
    from sandboxes.protocol import SandboxError

    try:
        return work()
    except SandboxError as error:
        _say(str(error))
        raise typer.Exit(Outcome.SANDBOX_FAILED.exit_code) from error


def _follow(run: Run, *, quiet: bool) -> list[AttemptResult]:
    """Run, with a live table on a terminal and a line an attempt elsewhere; Ctrl-C ends it in good order."""
    import asyncio
    import signal

    async def under_signals() -> list[AttemptResult]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, run.stop)
        try:
            return await run.run()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    if quiet:
        return asyncio.run(under_signals())
    if not sys.stderr.isatty():
        run.done = lambda each: _say(f"{each.task}/{each.number}: {each.status}{_why(each)}")
        return asyncio.run(under_signals())
    from rich.console import Console
    from rich.live import Live

    with Live(_table(run), console=Console(stderr=True), transient=True) as live:
        run.done = lambda _: live.update(_table(run))
        return asyncio.run(under_signals())


def _table(run: Run) -> Table:
    """How far a run is: a row a task."""
    from rich.table import Table

    total = len(run.tasks) * run.attempts
    cost = sum(each.spent.cost or 0.0 for each in run.results)
    table = Table(title=f"{len(run.results)} of {total} attempts" + (f", ${cost:.2f}" if cost else ""))
    for column in ("task", "passed", "failed", "unscored", "why"):
        table.add_column(column)
    for task in run.tasks:
        mine = [each for each in run.results if each.task == task.name]
        counts = [str(sum(each.status == status for each in mine)) for status in ("pass", "fail", "unscored")]
        causes = sorted({each.failure.primary for each in mine if each.failure})
        table.add_row(task.name, *counts, ", ".join(causes))
    return table


def _show(run: Run, results: Sequence[AttemptResult]) -> None:
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(_table(run))
        return
    for each in results:
        typer.echo(_shown(f"{each.status:8} {each.task}/{each.number}{_why(each)}"))


def _why(result: AttemptResult) -> str:
    return f" ({result.failure.primary})" if result.failure else ""


def _code(run: Run, results: Sequence[AttemptResult], least: float | None) -> int:
    """130 when it was stopped, 8 when nothing could be scored, 3 below the rate that was asked for."""
    if run.stopped:
        return 130
    scored = [each for each in results if each.status != "unscored"]
    if not scored:
        return 8
    rate = sum(each.status == "pass" for each in scored) / len(scored)
    return 3 if least is not None and rate < least else 0


def _shown(line: str) -> str:
    from agent.autonomy.visible import visible

    return visible(line)


def _say(line: str) -> None:
    typer.echo(_shown(f"suite: {line}"), err=True)
