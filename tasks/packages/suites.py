"""A suite as a list: which tasks there are, which of them are wanted, and which still have to be fetched."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

import tasks
from agent.outcomes import UsageProblem
from tasks.format.task import Difficulty, Split, Task, TaskFile, find_tasks, load_task, read_task_file
from tasks.packages.fetched import find_made

BUNDLED = "bundled"
"""What the suite that comes with Bridle is called."""
Asked = Literal["public", "private", "all"]


@dataclass(frozen=True, slots=True)
class Listed:
    """A task of a suite. `whole` is the folder it can be run from; None when it has to be fetched first."""

    folder: Path
    file: TaskFile
    whole: Path | None

    @property
    def name(self) -> str:
        """The task's name."""
        return self.folder.name

    @property
    def category(self) -> str:
        """See Task.category."""
        own = self.file.bridle.category
        return own if own != "other" else str(self.file.metadata.get("category", own))

    @property
    def difficulty(self) -> Difficulty:
        """As the task has it."""
        return self.file.bridle.difficulty

    @property
    def split(self) -> Split:
        """As the task has it."""
        return self.file.bridle.split


class Selection(BaseModel):
    """Which tasks of a suite are wanted. `names` are patterns; `sample` so many of them, drawn by `seed`.

    Without `split`, the bundled suite means its public tasks, and a suite of your own means all of it.
    """

    model_config = ConfigDict(frozen=True)

    split: Asked | None = None
    categories: tuple[str, ...] = ()
    difficulties: tuple[Difficulty, ...] = ()
    names: tuple[str, ...] = ()
    sample: int | None = Field(default=None, ge=1)
    seed: int = 0


def suite_folder(suite: Path) -> Path:
    """The folder that a user means: `bundled`, or a path."""
    return Path(tasks.__file__).parent / BUNDLED if str(suite) == BUNDLED else suite


def list_suite(suite: Path, cache: Path | None = None) -> list[Listed]:
    """The tasks of a suite, by name. Raises UsageProblem for a wrong task.toml."""
    listed = []
    for folder in find_tasks(suite_folder(suite)):
        file = read_task_file(folder)
        fetched = file.bridle.source is not None and not (folder / file.bridle.files).is_dir()
        listed.append(Listed(folder, file, find_made(folder, cache) if fetched else folder))
    return listed


def choose(listed: Sequence[Listed], wanted: Selection, suite: Path) -> list[Listed]:
    """Those that are wanted. Raises UsageProblem when there are none, or a named one is not there."""
    split = wanted.split or ("public" if str(suite) == BUNDLED else "all")
    if stray := [each for each in wanted.names if not any(fnmatchcase(task.name, each) for task in listed)]:
        raise UsageProblem(f"{suite} has no task {stray[0]}: `bridle suite list {suite} --split all` names them")
    found = [
        each
        for each in listed
        if split in ("all", each.split)
        and (not wanted.categories or each.category in wanted.categories)
        and (not wanted.difficulties or each.difficulty in wanted.difficulties)
        and (not wanted.names or any(fnmatchcase(each.name, name) for name in wanted.names))
    ]
    if not found:
        raise UsageProblem(
            f"no task of {suite} is wanted by these options: `bridle suite list {suite}` shows them"
        )
    if wanted.sample is not None and wanted.sample < len(found):
        drawn = random.Random(wanted.seed).sample(found, wanted.sample)  # noqa: S311 -- a draw to be repeated
        found = sorted(drawn, key=lambda each: each.name)
    return found


def load_listed(listed: Sequence[Listed]) -> tuple[list[Task], list[Listed]]:
    """The tasks that can be run, and those that have to be fetched first. Raises UsageProblem."""
    there = [load_task(each.whole) for each in listed if each.whole is not None]
    return there, [each for each in listed if each.whole is None]
