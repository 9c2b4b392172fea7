"""`bridle suite run`: attempts at tasks, and their reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

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

if TYPE_CHECKING:
    from tasks.runs.on_ray import OnRay
    from tasks.runs.runner import Run

AgentName = Annotated[
    str, typer.Option(help="oracle, nop, bridle, command:LINE, script:FILE, cheats, or cheat:NAME.")
]


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
    executor: Annotated[
        Literal["here", "ray"], typer.Option(help="Make attempts in this process, or on a Ray cluster.")
    ] = "here",
    ray_address: Annotated[
        str | None, typer.Option(help="The cluster's address (default: RAY_ADDRESS, else one on this machine).")
    ] = None,
    model_rate: Annotated[
        float | None, typer.Option(min=0.01, help="Model turns a minute, of all attempts together.")
    ] = None,
    model_jobs: Annotated[int | None, typer.Option(min=1, help="Model turns at a time.")] = None,
    run_cost: Annotated[float | None, typer.Option(min=0, help="US dollars for the whole run.")] = None,
    run_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens for the whole run.")] = None,
    run_time: Annotated[float | None, typer.Option(min=0.1, help="Seconds for the whole run.")] = None,
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
    from tasks.agents.pacing import Pace
    from tasks.agents.work import parse_agent
    from tasks.reports.reading import load_run
    from tasks.runs.limits import RunLimits
    from tasks.runs.runner import Run

    wanted = Wanted(html, junit, markdown, write_baseline, baseline, min_pass_rate, min_coverage, max_regressions)
    before = wanted.read_baseline()
    tasks = read_tasks(suite, selection(split, category, difficulty, task, sample, seed))
    wanted.check_baseline(before, tasks)
    for each in tasks:
        for note in each.notes:
            say(f"{each.name}: {note}")
    chosen, may = parse_agent(agent, options), allowed(allow_network, build_network, task_env)
    made = Run(
        tasks=tasks,
        agent=chosen,
        backend=pick_backend(backend),
        out=out.absolute(),
        attempts=max(attempts, len(chosen.scripts)),
        jobs=jobs,
        allowed=may,
        regrade=regrade,
        limits=RunLimits(cost=run_cost, tokens=run_tokens, seconds=run_time),
        pace=Pace(model_rate, model_jobs),
    )
    if executor == "ray":
        made.executor = _on_ray(made, backend, ray_address, model_rate or model_jobs)
    sandboxed(lambda: follow(made, quiet=json))
    report = report_on(load_run(made.out), wanted, before, stopped=made.stopped, over=made.over)
    if json:
        typer.echo(report.model_dump_json())
    else:
        show(report)
    raise typer.Exit(report.ending.code)


def _on_ray(run: Run, backend: str | None, address: str | None, paced: float | None) -> OnRay:
    from agent.outcomes import UsageProblem
    from tasks.runs.on_ray import OnRay

    if paced:
        raise UsageProblem(
            "--model-rate and --model-jobs hold in one process: leave them out with --executor ray, give --jobs"
        )
    return OnRay(run.agent, backend, address, allowed=run.allowed, regrade=run.regrade)
