"""A run as reports read it: what was planned, and the results that are still valid for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from agent.autonomy.levels import Level
from tasks.runs.results import AttemptResult, Kind, RunFile, read_run, read_run_file


class LoadedRun(NamedTuple):
    """A run's folder, read. `stale` counts results of tasks, agents or versions that are no longer the run's."""

    folder: Path
    file: RunFile
    results: tuple[AttemptResult, ...]
    stale: int = 0

    @property
    def name(self) -> str:
        """What reports call the run's agent."""
        return agent_name(self.file.agent)


class Tally(NamedTuple):
    """One task of a run: attempts that were planned, scored and passed."""

    task: str
    kind: Kind
    planned: int
    scored: int
    passed: int


def load_run(folder: Path) -> LoadedRun:
    """The run in `folder`. Raises UsageProblem for a folder that is no run, or a result that is damaged."""
    file, found = read_run_file(folder), read_run(folder)
    results = tuple(each for each in found if _belongs(each, file))
    return LoadedRun(folder, file, results, len(found) - len(results))


def _belongs(result: AttemptResult, file: RunFile) -> bool:
    return result.task in file.tasks and result.number <= file.attempts and result.key == file.key(result.task)


def tallies(run: LoadedRun) -> list[Tally]:
    """Each task of the run, those without any result too, by name."""
    return list(_tallies(run))


def _tallies(run: LoadedRun) -> Iterator[Tally]:
    for task in sorted(run.file.tasks):
        mine = [each for each in run.results if each.task == task]
        kind = run.file.kinds.get(task) or (_kind(mine[0]) if mine else Kind())
        scored = [each for each in mine if each.status != "unscored"]
        passed = sum(each.status == "pass" for each in scored)
        yield Tally(task, kind, run.file.attempts, len(scored), passed)


def _kind(result: AttemptResult) -> Kind:
    return Kind(category=result.category, difficulty=result.difficulty, split=result.split)


def agent_name(agent: Mapping[str, object]) -> str:
    """An agent in a few words: its kind, and what a session was told to work with."""
    options = agent.get("options")
    said = options if isinstance(options, Mapping) else {}
    words = [str(agent.get("kind", "agent")), str(said.get("model") or ""), str(said.get("strategy") or "")]
    command = str(agent.get("command") or "")
    if command and agent.get("kind") == "command":
        words.append(command if len(command) <= 60 else command[:59] + "…")
    level = said.get("autonomy")
    if isinstance(level, int) and level in set(Level):
        words.append(f"at level {level} {Level(level).label}")
    elif isinstance(level, str):
        words.append(f"at level {level}")
    return " ".join(word for word in words if word)
