"""What a run of the benchmarks found, as it is kept in a JSON file, and what is promised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "latest.json"

Unit = Literal["ms", "MB", "MB/s", "/min"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(Strict):
    """One contender at one thing: the median and, where there are enough of them, the 99th percentile of `n`."""

    subject: str
    what: str
    contender: str
    unit: Unit
    p50: float
    p99: float | None = None
    n: int = 1
    note: str = ""


class Environment(Strict):
    """Where it was measured. No names of machines, people or folders."""

    date: str
    processor: str
    cores: int
    memory_gb: float
    system: str
    python: str
    versions: dict[str, str]
    """The engine and the peers."""


class Run(Strict):
    """One run. `load` is the mean number of processes that wanted a processor in the minute before it."""

    environment: Environment
    load: float
    seconds: float
    figures: list[Figure]
    missing: dict[str, str]
    """Contenders that were not there, and how to get them."""

    def find(self, subject: str, what: str, contender: str) -> Figure | None:
        """A figure, if it was measured."""
        same = (subject, what, contender)
        return next((f for f in self.figures if (f.subject, f.what, f.contender) == same), None)


class Target(Strict):
    """What is promised of one of Bridle's figures: at most (for MB/s at least) so much; or so much of a peer's."""

    subject: str
    what: str
    limit: float
    unit: Unit = "ms"
    part: Literal["p50", "p99"] = "p50"
    contender: str = "bridle"
    of: str | None = None
    """With a peer named, `limit` is the most that Bridle's figure may be as a part of that peer's."""


TARGETS = (
    Target(subject="exec", what="no-op command", limit=3),
    Target(subject="exec", what="no-op command, 8 busy sandboxes", limit=10, part="p99"),
    Target(subject="files", what="read 10 kB", limit=2),
    Target(subject="files", what="edit 10 kB", limit=2),
    Target(subject="files", what="write 10 kB", limit=2),
    Target(subject="files", what="the read tool", limit=2),
    Target(subject="files", what="the read tool, a folder", limit=2),
    Target(subject="files", what="the write tool", limit=2),
    Target(subject="files", what="the edit tool", limit=2),
    Target(subject="files", what="the search tool, lines", limit=2),
    Target(subject="files", what="the search tool, names", limit=2),
    Target(subject="ready", what="ready", limit=350),
    Target(subject="ready", what="ready", limit=25, contender="bridle, from the pool"),
    Target(subject="checkpoints", what="checkpoint, little changed", limit=300),
    Target(subject="checkpoints", what="checkpoint, little changed after 200 MB", limit=300),
    Target(subject="checkpoints", what="restore, little changed", limit=1000),
    Target(subject="checkpoints", what="fork, little changed", limit=1000),
    Target(subject="output", what="host memory for 200 MB of output", limit=20, unit="MB"),
    Target(subject="cpu", what="processor time of 1,000 commands", limit=1 / 20, of="docker exec"),
    Target(subject="memory", what="resident in an idle sandbox", limit=15, unit="MB"),
    Target(subject="stream", what="output seen after", limit=50),
    Target(subject="stream", what="output seen after", limit=50, part="p99"),
)


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest value that `part` (0 to 1) of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def figure(subject: str, what: str, contender: str, unit: Unit, values: Sequence[float], note: str = "") -> Figure:
    """Many measurements as one figure; a 99th percentile takes at least 30 of them."""
    p99 = percentile(values, 0.99) if len(values) >= 30 else None
    p50 = percentile(values, 0.5)
    return Figure(
        subject=subject, what=what, contender=contender, unit=unit, p50=p50, p99=p99, n=len(values), note=note
    )
