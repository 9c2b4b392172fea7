"""Making a suite of a project: bugs are put in and tried, told in words, proven, and stored.

    baseline, twice → lines that tests reach → bugs, spread → one sandbox: write, test, put back
        → fails some tests and not all, twice alike → instruction → task → proven like any task → stored

Everything that is chosen depends on the seed and the project alone, so that the same two give the same folder.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from agent.outcomes import UsageProblem
from sandboxes.protocol import Backend
from tasks.format.task import content_hash, load_task
from tasks.making.baseline import Baseline, measure
from tasks.making.choosing import Bug, call_names, difficulty, is_like, spread, together
from tasks.making.mutations.find import find_mutations, mutate
from tasks.making.mutations.text import Mutation
from tasks.making.observing import Lab, Observed, Saw, Version
from tasks.making.project import Project
from tasks.making.storing import SUITE, Content, Entry, Made, Site, write_task
from tasks.making.wording import instruction
from tasks.runs.checking import check

BATCH = 8
TRIES_PER_TASK = 40
"""Candidates that are run for each task that is wanted, before it is given up."""
FEWEST_TRIES = 200


Group = list[tuple[Mutation, ...]]
"""Candidates that are run one after the other, each of one or several mutations."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A candidate that is worth a task, if it can be proven."""

    bug: Bug
    mutated: dict[str, bytes]
    text: str


def _nobody(_: str, __: int, ___: int) -> None:
    """Nobody follows."""


@dataclass
class Making:
    """One suite in the making. `step` is told what is done, how far it is and of how much."""

    project: Project
    backend: Backend
    out: Path
    wanted: int
    seed: int = 0
    sites: tuple[int, int] = (1, 1)
    jobs: int = 2
    select: Sequence[str] = ()
    prefix: str = ""
    twin_of: str = ""
    step: Callable[[str, int, int], None] = _nobody
    stopped: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    entries: list[Entry] = field(default_factory=list)
    _kept: list[Bug] = field(default_factory=list)
    _singles: list[Bug] = field(default_factory=list)
    _saw: dict[Mutation, dict[str, Saw]] = field(default_factory=dict)
    _baseline: Baseline | None = None
    _tries: int = field(init=False)

    def __post_init__(self) -> None:
        self._tries = max(FEWEST_TRIES, TRIES_PER_TASK * self.wanted)

    def stop(self) -> None:
        """Begin nothing new; what is proven is kept."""
        self.stopped = True

    async def run(self) -> Made:
        """Make the suite at `out`, an empty folder or none. Raises UsageProblem, SandboxError."""
        if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise UsageProblem(f"{self.out} is there already and not empty: name another --out")
        if not any(path.endswith(".py") for path in self.project.kit):
            name = self.project.origin.name
            raise UsageProblem(
                f"{name} has no tests, so nothing would notice a bug: some source archives have none"
            )
        self.out.mkdir(parents=True, exist_ok=True)
        work = self.out / ".making"
        lab = Lab(self.project, self.backend, self.select)
        try:
            self._baseline = await measure(lab, self.step)
            await self._make(lab, work)
        finally:
            await lab.close()
            shutil.rmtree(work, ignore_errors=True)
            made = self._made()
            if made.tests:
                (self.out / SUITE).write_text(made.model_dump_json(indent=1) + "\n")
            elif not any(self.out.iterdir()):
                self.out.rmdir()
        return made

    def _made(self) -> Made:
        base = self._baseline
        return Made(
            version=version("bridle"),
            source=self.project.origin,
            seed=self.seed,
            sites=self.sites,
            wanted=self.wanted,
            only=self.project.only,
            tests=len(base.tests) if base else 0,
            left_out=base.left_out if base else 0,
            counts=dict(sorted(self.counts.items())),
            tasks=tuple(self.entries),
            complete=not self.stopped,
        )

    async def _make(self, lab: Lab, work: Path) -> None:
        candidates = self._candidates()
        self.counts["candidates"] = len(candidates)
        low, high = self.sites
        shares = _split(self.wanted, range(low, high + 1))
        chance = random.Random(self.seed)  # noqa: S311 -- chosen again by whoever has the seed
        singles = _batches((each,) for each in candidates)
        for sites in range(1, high + 1):
            goal = sum(share for number, share in shares.items() if number <= sites)
            if sites == 1:
                await self._fill(lab, work, singles, goal)
            else:
                await self._fill_several(lab, work, sites, singles, goal, chance)

    async def _fill_several(
        self, lab: Lab, work: Path, sites: int, singles: Iterator[Group], goal: int, chance: random.Random
    ) -> None:
        """Put known bugs together until the suite has `goal` tasks; where too few are known, find more."""
        seen: set[tuple[Mutation, ...]] = set()
        while len(self.entries) < goal and not self.stopped and self._tries > 0:
            found = together(self._singles, sites, self._calls(), chance)
            groups = [tuple(bug.mutations[0] for bug in group) for group in found]
            new = [group for group in groups if group not in seen]
            seen |= set(new)
            await self._fill(lab, work, _batches(new), goal)
            if len(self.entries) >= goal:
                break
            more = next(singles, None)
            if more is None and not new:
                break
            if more is not None:
                await self._try(lab, more, store=False)

    def _calls(self) -> dict[tuple[str, str], set[str]]:
        found: dict[tuple[str, str], set[str]] = {}
        for path in self._baseline_lines():
            found |= call_names(path, self.project.files[path])
        return found

    def _baseline_lines(self) -> dict[str, dict[int, frozenset[str]]]:
        assert self._baseline is not None
        return self._baseline.lines

    def _candidates(self) -> list[Mutation]:
        found: list[Mutation] = []
        for path, lines in sorted(self._baseline_lines().items()):
            try:
                found += find_mutations(path, self.project.files[path], lines)
            except ValueError:
                self.counts["files left out"] += 1
        chance = random.Random(self.seed)  # noqa: S311 -- chosen again by whoever has the seed
        return spread(found, chance)

    async def _fill(self, lab: Lab, work: Path, batches: Iterator[Group], goal: int) -> None:
        """Try groups of mutations, some at a time, until the suite has `goal` tasks."""
        ready: list[Tried] = []
        while len(self.entries) < goal and not self.stopped and self._tries > 0:
            batch = next(batches, None)
            if batch is not None:
                ready += await self._try(lab, batch, store=True)
            if ready and (batch is None or len(ready) >= min(2 * self.jobs, goal - len(self.entries))):
                await self._prove(ready, work, goal)
                ready = []
            if batch is None:
                break
        if ready and not self.stopped:
            await self._prove(ready, work, goal)

    async def _try(self, lab: Lab, batch: Group, *, store: bool) -> list[Tried]:
        """Run the tests that reach each group, a second time where some fail; what is worth a task."""
        changed = [(group, files) for group in batch if (files := self._files(group)) is not None]
        self.counts["no other program"] += len(batch) - len(changed)
        self.step(f"bugs tried ({self.counts['tried']})", len(self.entries), self.wanted)
        versions = [Version(files=files, ids=self._ids(group)) for group, files in changed]
        first = await lab.run(versions, seconds=self._seconds)
        self.counts["tried"] += len(changed)
        self._tries -= len(batch)
        good = [
            (group, files, seen) for (group, files), seen in zip(changed, first, strict=True) if self._may_be(seen)
        ]
        repeated = [Version(files=files, ids=self._ids(group)) for group, files, _ in good]
        again = await lab.run(repeated, seconds=self._seconds, seed=1)
        found: list[Tried] = []
        for (group, files, one), two in zip(good, again, strict=True):
            if (tried := self._judge(group, files, one, two, store=store)) is not None:
                found.append(tried)
        return found

    def _files(self, group: Sequence[Mutation]) -> dict[str, bytes] | None:
        files = {}
        for path in sorted({each.path for each in group}):
            mutated = mutate(self.project.files[path], [each for each in group if each.path == path])
            if mutated is None:
                return None
            files[path] = mutated
        return files

    def _ids(self, group: Sequence[Mutation]) -> tuple[str, ...]:
        """The tests that reach the bug; none, for all, where the import does or most tests do."""
        assert self._baseline is not None
        found: set[str] = set()
        for each in group:
            if each.line in self._baseline.imported.get(each.path, ()):
                return ()
            found |= self._baseline.lines[each.path].get(each.line, frozenset())
        return tuple(sorted(found)) if 0 < len(found) < len(self._baseline.tests) / 2 else ()

    @property
    def _seconds(self) -> float:
        assert self._baseline is not None
        return max(10.0, 5 + 5 * self._baseline.seconds)

    def _may_be(self, seen: Observed) -> bool:
        """Whether some tests fail and not by an accident of the whole run; counts why not."""
        assert self._baseline is not None
        failing = seen.failing & set(self._baseline.tests)
        if seen.ending:
            self.counts["hangs"] += 1
        elif seen.problem:
            self.counts["cannot be imported"] += 1
        elif not failing:
            self.counts["no test fails"] += 1
        elif len(failing) == len(self._baseline.tests):
            self.counts["all tests fail"] += 1
        else:
            return True
        return False

    def _judge(
        self, group: tuple[Mutation, ...], files: dict[str, bytes], one: Observed, two: Observed, *, store: bool
    ) -> Tried | None:
        assert self._baseline is not None
        tests = set(self._baseline.tests)
        failing = two.failing & tests
        if two.ending or two.problem or one.failing & tests != failing or set(one.tests) != set(two.tests):
            self.counts["not the same twice"] += 1
            return None
        if failing == tests:
            self.counts["all tests fail"] += 1
            return None
        bug = Bug(group, failing)
        saw = _agreed(one, two, failing)
        self.counts["found"] += 1
        if len(group) == 1:
            self._singles.append(bug)
            self._saw[group[0]] = saw
        if not store:
            return None
        if is_like(bug, self._kept):
            self.counts["near-duplicate"] += 1
            return None
        text = instruction(saw, self._shows(group, saw))
        if text is None:
            self.counts["cannot be told"] += 1
            return None
        self._kept.append(bug)
        return Tried(bug, files, text)

    def _shows(self, group: tuple[Mutation, ...], saw: dict[str, Saw]) -> list[set[str]]:
        """For each of several bugs the tests that see it as when it is alone: one may hide another."""
        if len(group) == 1:
            return []
        return [{test for test, seen in self._saw[each].items() if saw.get(test) == seen} for each in group]

    async def _prove(self, ready: Sequence[Tried], work: Path, goal: int) -> None:
        """Write the tasks, prove them as any suite's are, and keep those that can be believed."""
        assert self._baseline is not None
        self.step("proving", len(self.entries), self.wanted)
        self.counts["not needed"] += max(0, len(ready) - (goal - len(self.entries)))
        ready = ready[: goal - len(self.entries)]
        place = work / "tasks"
        shutil.rmtree(place, ignore_errors=True)
        names = {f"{self.name}-{len(self.entries) + number:03d}": each for number, each in enumerate(ready, 1)}
        for name, each in names.items():
            write_task(place / name, self._content(each))
        tasks = [load_task(place / name) for name in names]
        checked = {
            each.task: each
            for each in await check(tasks, {}, self.backend, work / "proof", self.jobs, values=False)
        }
        shutil.rmtree(work / "proof", ignore_errors=True)
        for name, each in names.items():
            if checked[name].problems or checked[name].left_out:
                self.counts["not proven"] += 1
                continue
            final = f"{self.name}-{len(self.entries) + 1:03d}"
            (place / name).rename(self.out / final)
            self.entries.append(self._entry(final, each))
            self.counts["kept"] += 1

    @property
    def name(self) -> str:
        """What the tasks are called, without their number."""
        plain = "".join(char if char.isascii() and char.isalnum() else "-" for char in self.project.origin.name)
        return self.prefix or plain.strip("-").lower() or "project"

    def _content(self, tried: Tried) -> Content:
        assert self._baseline is not None
        failing = tried.bug.failing
        parts = []
        for left in tried.bug.mutations if len(tried.bug.mutations) > 1 else ():
            files = {path: self.project.files[path] for path in tried.mutated}
            mutated = mutate(files[left.path], [left])
            parts.append({**files, left.path: mutated if mutated is not None else files[left.path]})
        return Content(
            project=self.project,
            mutated=tried.mutated,
            failing=failing,
            passing=[test for test in self._baseline.tests if test not in failing],
            instruction=tried.text,
            difficulty=difficulty(len(tried.bug.mutations), len(failing) / len(self._baseline.tests)),
            seconds=self._baseline.seconds,
            twin_of=self.twin_of,
            parts=tuple(parts),
        )

    def _entry(self, name: str, tried: Tried) -> Entry:
        assert self._baseline is not None
        share = len(tried.bug.failing) / len(self._baseline.tests)
        sites = tuple(
            Site(path=m.path, line=m.line, function=m.function, kind=m.kind) for m in tried.bug.mutations
        )
        return Entry(
            name=name,
            sites=sites,
            failing=tuple(sorted(tried.bug.failing)),
            share=round(share, 4),
            difficulty=difficulty(len(sites), share),
            hash=content_hash(self.out / name),
            of=self.twin_of,
        )


def _batches(groups: Iterable[tuple[Mutation, ...]]) -> Iterator[Group]:
    left = iter(groups)
    while batch := list(islice(left, BATCH)):
        yield batch


def _agreed(one: Observed, two: Observed, failing: Iterable[str]) -> dict[str, Saw]:
    """What each failing test saw, where both runs saw the same."""
    found = {}
    for test in failing:
        seen = [run.tests[test].saw for run in (one, two) if test in run.tests]
        if seen and seen[0] is not None and all(each == seen[0] for each in seen):
            found[test] = seen[0]
    return found


def _split(wanted: int, sites: Iterable[int]) -> dict[int, int]:
    """How many tasks of each number of sites: alike, and the rest to the fewest."""
    numbers = list(sites)
    each, rest = divmod(wanted, len(numbers))
    return {number: each + (n < rest) for n, number in enumerate(numbers)}
