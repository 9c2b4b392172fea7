"""`bridle suite run`: attempts at tasks, and their reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.fix import BackendName, BaseUrl, MaxCost, MaxSteps, MaxTokens, ModelName, Price, Strategy
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
)
from cli.suite.follow import follow
from cli.suite.reporting import (
    BaselinePath,
    Html,
    Junit,
    Markdown,
    MaxRegressions,
    MinCoverage,
    MinPassRate,
    Wanted,
    WriteBaseline,
    report_on,
    show,
)
from cli.suite.selecting import Category, Difficulty, Names, Sample, Seed, Split, read_tasks, selection

AgentName = Annotated[str, typer.Option(help="oracle, nop, bridle, command:LINE, or script:FILE.")]


def run(
    suite: Suite,
    out: Annotated[Path, typer.Option(help="The run's folder; given again, the run goes on.")],
    agent: AgentName = "bridle",
    split: Split = None,
    category: Category = None,
    difficulty: Difficulty = None,
    task: Names = None,
    sample: Sample = None,
    seed: Seed = 0,
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
    allow_network: AllowNetwork = False,
    build_network: BuildNetwork = False,
    task_env: TaskEnv = None,
    html: Html = None,
    junit: Junit = None,
    markdown: Markdown = None,
    baseline: BaselinePath = None,
    write_baseline: WriteBaseline = None,
    min_pass_rate: MinPassRate = None,
    min_coverage: MinCoverage = None,
    max_regressions: MaxRegressions = None,
    regrade: Annotated[
        bool, typer.Option("--regrade", help="Grade failed patches twice: flaky tests show.")
    ] = False,
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
    from tasks.reports.reading import load_run
    from tasks.runs.runner import Run

    wanted = Wanted(html, junit, markdown, write_baseline, baseline, min_pass_rate, min_coverage, max_regressions)
    before = wanted.read_baseline()
    tasks = read_tasks(suite, selection(split, category, difficulty, task, sample, seed))
    wanted.check_baseline(before, tasks)
    for each in tasks:
        for note in each.notes:
            say(f"{each.name}: {note}")
    chosen = parse_agent(agent, options)
    made = Run(
        tasks=tasks,
        agent=chosen,
        backend=pick_backend(backend),
        out=out.absolute(),
        attempts=attempts,
        jobs=jobs,
        allowed=allowed(allow_network, build_network, task_env),
        regrade=regrade,
    )
    sandboxed(lambda: follow(made, quiet=json))
    report = report_on(load_run(made.out), wanted, before, stopped=made.stopped)
    if json:
        typer.echo(report.model_dump_json())
    else:
        show(report)
    raise typer.Exit(report.ending.code)
