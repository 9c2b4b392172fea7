"""The same attempt for every contender: a bundled task, commands, the edit that solves it, and its tests."""

from __future__ import annotations

from pathlib import Path

TASK = Path(__file__).resolve().parents[2] / "tasks" / "bundled" / "bug-rolling-mean"
EDIT = "sed -i 's/len(values) - window)/len(values) - window + 1)/' rolling.py"
LOOK = ("ls", "cat rolling.py", "grep -n def rolling.py", "true")


def commands(count: int) -> list[str]:
    """What the model asks for, one command a turn; the last one is the edit."""
    return [LOOK[number % len(LOOK)] for number in range(count - 1)] + [EDIT]
