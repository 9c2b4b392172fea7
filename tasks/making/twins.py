"""Suites made of suites: twins of known tasks, and variants of their instructions, each proven like any task.

    a renamed twin: the same problem under other names      a bug twin: another bug where the known one was
    a variant: the same task, asked for otherwise

A bug twin starts from the task as its solution leaves it, so that what a model remembers of the known bug is of no
use. The task's own tests have to notice the new one.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.outcomes import UsageProblem
from agent.repository.archive import read_archive
from sandboxes.protocol import Backend
from tasks.agents.work import Agent
from tasks.environments.prepare import prepare
from tasks.format.task import Task, load_suite, load_task
from tasks.grading.delivery import write_tree
from tasks.making.making import Making
from tasks.making.project import Origin, from_files
from tasks.making.renaming import write_renamed
from tasks.making.variants import write_variants
from tasks.runs.checking import check
from tasks.runs.results import attempt_folder
from tasks.runs.runner import Run


def _nobody(_: str, __: int, ___: int) -> None:
    """Nobody follows."""


@dataclass
class Related:
    """Twins or variants of `tasks`, made below `out`. What could not be made or proven is in `left_out`."""

    tasks: Sequence[Task]
    backend: Backend
    out: Path
    seed: int = 0
    jobs: int = 2
    step: Callable[[str, int, int], None] = _nobody
    stopped: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    made: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    _making: Making | None = None

    def stop(self) -> None:
        """Begin nothing new; what is proven is kept."""
        self.stopped = True
        if self._making is not None:
            self._making.stop()

    async def twins(self, kinds: Collection[str]) -> None:
        """A twin of each kind, `renamed` or `bug`, for each task. Raises UsageProblem, SandboxError."""
        work = self._begin()
        try:
            for number, task in enumerate(self.tasks):
                self.step(task.name, number, len(self.tasks))
                if "renamed" in kinds and not self.stopped:
                    await self._renamed(task, work)
                if "bug" in kinds and not self.stopped:
                    await self._bug(task, work)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    async def variants(self, groups: Collection[str]) -> None:
        """The tasks with the variants of these groups. They are what they were, so nothing has to be proven."""
        work = self._begin()
        shutil.rmtree(work, ignore_errors=True)
        for number, task in enumerate(self.tasks):
            self.step(task.name, number, len(self.tasks))
            self.made += await asyncio.to_thread(write_variants, task, groups, self.out, self.seed)
        load_suite(self.out)

    def _begin(self) -> Path:
        if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise UsageProblem(f"{self.out} is there already and not empty: name another --out")
        work = self.out / ".making"
        work.mkdir(parents=True)
        return work

    async def _renamed(self, task: Task, work: Path) -> None:
        name = f"{task.name}.renamed"
        if not await asyncio.to_thread(write_renamed, task, work / name):
            self.left_out[name] = "no name in it can be replaced safely"
            return
        await self._prove(work / name, work)

    async def _prove(self, folder: Path, work: Path) -> None:
        """Keep a twin that can be believed."""
        try:
            (found,) = await check([load_task(folder)], {}, self.backend, work / "proof", self.jobs, values=False)
            problem = found.left_out or next(iter(found.problems), "")
        except UsageProblem as error:
            problem = str(error)
        shutil.rmtree(work / "proof", ignore_errors=True)
        if problem:
            self.left_out[folder.name] = f"it is not proven: {problem}"
            return
        folder.rename(self.out / folder.name)
        self.made.append(folder.name)

    async def _bug(self, task: Task, work: Path) -> None:
        """Another bug in the files that the known task's solution changes."""
        name, table = f"{task.name}.bug", task.bridle
        python = [path for path in table.locations if path.endswith(".py")]
        if not table.expected or table.tests != "folder" or not python or task.file.environment.docker_image:
            self.left_out[name] = "it takes tests by id over the host's toolchain, and a solution in Python files"
            return
        solved = await self._solved(task, work / "solved")
        if solved is None:
            self.left_out[name] = "the known task's own solution does not pass here"
            return
        files, executable = solved
        tests = {p.relative_to(task.folder / "tests").as_posix(): p for p in (task.folder / "tests").rglob("*")}
        origin = Origin(
            kind="task",
            name=task.name,
            sha256=hashlib.sha256(task.hash.encode()).hexdigest(),
            date=table.date or datetime.date(1970, 1, 1),
        )
        project = from_files(files, executable, origin).with_tests(
            {path: file.read_bytes() for path, file in tests.items() if file.is_file()}, tuple(python)
        )
        out = work / "bug"
        self._making = Making(project, self.backend, out, 1, seed=self.seed, jobs=self.jobs, twin_of=task.name)
        try:
            made = await self._making.run()
        except UsageProblem as error:
            self.left_out[name] = str(error)
            return
        finally:
            self._making = None
        if made.tasks:
            (out / made.tasks[0].name).rename(self.out / name)
            self.made.append(name)
        else:
            self.left_out[name] = (
                "none of the bugs that were tried is one that its tests notice and words can tell"
            )
        shutil.rmtree(out, ignore_errors=True)

    async def _solved(self, task: Task, place: Path) -> tuple[dict[str, bytes], list[str]] | None:
        """The task's files as its solution leaves them, and which of them are executable."""
        run = Run(tasks=[task], agent=Agent(kind="oracle"), backend=self.backend, out=place / "run", jobs=1)
        (result,) = await run.run()
        if result.status != "pass":
            return None
        prepared = await asyncio.to_thread(prepare, task, place / "task")
        tree = place / "tree.tar"
        patch = attempt_folder(place / "run", task.name, 1) / "patch.diff"
        await asyncio.to_thread(write_tree, prepared, patch, tree)
        files = {path.decode("utf-8", "replace"): content.read() for path, content in read_archive(tree)}
        executable = [path.decode("utf-8", "replace") for path, e in prepared.base.files.items() if e.mode & 0o100]
        shutil.rmtree(place, ignore_errors=True)
        return files, executable
