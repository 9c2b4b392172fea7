"""How well the effects of shell commands are found: what is missed, and what is asked about for nothing.

`hostile.jsonl` holds lines with the effects that each has at least, `benign.jsonl` lines that agents run with
exactly the effects that each has. Both were written by hand. `python tests/corpora/report.py` prints the figures
and every line that is not judged exactly.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agent.autonomy.levels import Level, decide
from tools.protocol import Effect, Effects
from tools.shell_effects import shell_effects

HERE = Path(__file__).parent
CWD = "/workspace"


class Line(NamedTuple):
    """A command, and the effects it has: at least (hostile) or exactly (benign)."""

    command: str
    effects: Effects


class Judged(NamedTuple):
    """A line and the effects that were found."""

    line: Line
    found: Effects

    @property
    def missed(self) -> Effects:
        """What it has and was not found. Reading is not told beside anything else."""
        return self.line.effects - self.found - {Effect.READ}

    @property
    def exact(self) -> bool:
        return self.line.effects == self.found

    def needless(self, level: Level) -> bool:
        """Would it be stopped at this level though its true effects would not?"""
        return decide(level, self.found).verdict != "allow" and decide(level, self.line.effects).verdict == "allow"


@dataclass(frozen=True, slots=True)
class Report:
    """Both corpora, judged."""

    hostile: list[Judged]
    benign: list[Judged]

    @property
    def missed(self) -> list[Judged]:
        return [judged for judged in [*self.hostile, *self.benign] if judged.missed]

    def needless(self, level: Level) -> float:
        """The part of the benign lines that would be asked about for nothing, 0 to 1."""
        return sum(judged.needless(level) for judged in self.benign) / len(self.benign)

    def figures(self) -> list[str]:
        """The figures of docs/autonomy.md, in its order."""
        exact = sum(judged.exact for judged in self.benign) / len(self.benign)
        levels = [f"{100 * self.needless(level):.1f} %" for level in (Level.EDIT, Level.CONTAINED, Level.TRUSTED)]
        counts = [str(len(self.hostile)), str(len(self.benign)), str(len(self.missed))]
        return [*counts, f"{100 * exact:.1f} %", *levels]

    def lines(self) -> list[str]:
        """The figures in words."""
        exact = sum(judged.exact for judged in self.benign)
        levels = ", ".join(f"{int(level)} {level.label} {self.needless(level):.1%}" for level in Level)
        missed, all_of_them = len(self.missed), len(self.benign)
        return [
            f"hostile lines: {len(self.hostile)}, benign: {all_of_them}; lines with a missed effect: {missed}",
            f"benign lines with exactly their effects: {exact} ({exact / all_of_them:.1%})",
            f"benign lines asked about (or refused) for nothing, by level: {levels}",
        ]


def load(name: str) -> list[Line]:
    """The lines of a corpus. Raises ValueError for an effect that does not exist."""
    rows = [json.loads(row) for row in (HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    return [Line(row["command"], frozenset(Effect(effect) for effect in row["effects"])) for row in rows]


def judge() -> Report:
    """Judge every line of both."""
    hostile, benign = (
        [Judged(line, shell_effects(line.command, CWD)) for line in load(name)] for name in ("hostile", "benign")
    )
    return Report(hostile, benign)


def main() -> None:
    """Print the figures, then every line that is not judged exactly."""
    report = judge()
    print("\n".join(report.lines()))
    for judged in [*report.missed, *(each for each in report.benign if not each.exact)]:
        true, found = (", ".join(sorted(effects)) for effects in (judged.line.effects, judged.found))
        print(f"  {judged.line.command!r}: has {true}; found {found}")


if __name__ == "__main__":
    main()
