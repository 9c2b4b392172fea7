"""`bridle suite run`: attempts at tasks, and their reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.fix import BackendName, BaseUrl, MaxCost, MaxSteps, MaxTokens, ModelName, Price, Strategy
from cli.suite.common import Jobs, Json, Suite, pick_backend, read_tasks, sandboxed, say
from cli.suite.follow import follow, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.runs.results import AttemptResult
    from tasks.runs.runner import Run

AgentName = Annotated[str, typer.Option(help="oracle, nop, bridle, command:LINE, or script:FILE.")]


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
    from tasks.agents.work import parse_agent
    from tasks.reports import summary as reports
    from tasks.runs.runner import Run

    tasks = read_tasks(suite)
    for task in tasks:
        for note in task.notes:
            say(f"{task.name}: {note}")
    chosen = parse_agent(agent, options)
    made = Run(
        tasks=tasks, agent=chosen, backend=pick_backend(backend), out=out.absolute(), attempts=attempts, jobs=jobs
    )
    results = sandboxed(lambda: follow(made, quiet=json))
    summary = reports.summarise(results)
    if junit is not None:
        junit.write_bytes(reports.junit(results, f"bridle suite, {chosen.name}"))
    if markdown is not None:
        markdown.write_text(reports.markdown(results, f"bridle suite, {chosen.name}"))
    if json:
        typer.echo(summary.model_dump_json())
    else:
        show(made, results)
        typer.echo(reports.headline(summary))
        for name, count in summary.failures.items():
            typer.echo(f"  {count} × {name}")
    raise typer.Exit(_code(made, results, min_pass_rate))


def _code(run: Run, results: Sequence[AttemptResult], least: float | None) -> int:
    """130 when it was stopped, 8 when nothing could be scored, 3 below the rate that was asked for."""
    if run.stopped:
        return 130
    scored = [each for each in results if each.status != "unscored"]
    if not scored:
        return 8
    rate = sum(each.status == "pass" for each in scored) / len(scored)
    return 3 if least is not None and rate < least else 0
