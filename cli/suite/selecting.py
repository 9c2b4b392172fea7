"""Which tasks of a suite are meant: options that commands share, and what they come to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from cli.suite.common import say

if TYPE_CHECKING:
    from tasks.format.task import Task
    from tasks.packages.suites import Selection

Split = Annotated[
    Literal["public", "private", "all"] | None,
    typer.Option(help="Which split (default of `run bundled`: public; else all)."),
]
Category = Annotated[list[str] | None, typer.Option(help="Tasks of this category only; repeatable.")]
Difficulty = Annotated[list[str] | None, typer.Option(help="easy, medium or hard tasks only; repeatable.")]
Names = Annotated[
    list[str] | None, typer.Option("--task", help="Tasks with this name only; * and ? are patterns; repeatable.")
]
Sample = Annotated[int | None, typer.Option(min=1, help="So many of them, drawn at random.")]
Seed = Annotated[int, typer.Option(help="What --sample draws by.")]


def selection(
    split: Literal["public", "private", "all"] | None = None,
    category: list[str] | None = None,
    difficulty: list[str] | None = None,
    names: list[str] | None = None,
    sample: int | None = None,
    seed: int = 0,
) -> Selection:
    """What the options ask for. Raises UsageProblem."""
    from agent.outcomes import UsageProblem
    from tasks.format.task import Difficulty
    from tasks.packages.suites import Selection

    known: dict[str, Difficulty] = {each: each for each in get_args(Difficulty)}
    if stray := [each for each in difficulty or () if each not in known]:
        raise UsageProblem(f"--difficulty {stray[0]}: give {', '.join(known)}")
    return Selection(
        split=split,
        categories=tuple(category or ()),
        difficulties=tuple(known[each] for each in difficulty or ()),
        names=tuple(names or ()),
        sample=sample,
        seed=seed,
    )


def read_tasks(suite: Path, wanted: Selection) -> list[Task]:
    """The wanted tasks that can be run; those that have to be fetched first are told in one line."""
    from agent.outcomes import UsageProblem
    from tasks.packages.suites import choose, list_suite, load_listed

    there, missing = load_listed(choose(list_suite(suite), wanted, suite))
    how = f"`bridle suite fetch {suite}`"
    if missing and not there:
        raise UsageProblem(f"the files of {_tasks(len(missing))} of {suite} are not fetched yet: {how}")
    if missing:
        say(f"{_tasks(len(missing))} left out, since their files are not fetched yet: {how}")
    return there


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count} tasks"
