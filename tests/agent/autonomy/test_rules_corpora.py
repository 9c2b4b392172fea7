"""Rules on lines that were written to deceive, and on those that agents run all day."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from corpora.report import CWD, load

from agent.autonomy.calls import describe
from agent.autonomy.guarded import guarded
from agent.autonomy.judging import judge
from agent.autonomy.levels import Level
from agent.autonomy.rules import Placed, Rule
from tools.protocol import Effect
from tools.shell_effects import shell_effects


def verdicts(name: str, shape: str) -> Iterator[tuple[str, frozenset[Effect], str]]:
    rules = [Placed("deny", Rule(commands=(shape,)), "config.toml", 1)]
    for line in load(name):
        made = describe("shell", {"command": line.command}, shell_effects(line.command, CWD), CWD)
        yield line.command, line.effects, judge(Level.FULL, made, rules).verdict


def test_lines_that_hide_a_refused_command_are_refused_or_asked_about() -> None:
    hiding = [
        (line, verdict)
        for line, effects, verdict in verdicts("hostile", "rm *")
        if Effect.DESTROY in effects and re.search(r"(?<!git )\brm\b", line)
    ]
    assert len(hiding) > 200
    assert not [line for line, verdict in hiding if verdict == "allow"]
    assert sum(verdict == "deny" for _, verdict in hiding) > len(hiding) * 0.6


@pytest.mark.parametrize(
    ("shape", "command"), [("rm *", r"\brm\b"), ("git push *", r"\bgit push\b"), ("curl *", r"\bcurl\b")]
)
def test_lines_without_it_are_left_alone(shape: str, command: str) -> None:
    stopped = [(line, verdict) for line, _, verdict in verdicts("benign", shape) if verdict != "allow"]
    assert stopped
    assert all(verdict == "deny" and re.search(command, line) for line, verdict in stopped)


def test_nothing_that_is_run_all_day_is_guarded() -> None:
    for line in load("benign"):
        made = describe("shell", {"command": line.command}, shell_effects(line.command, CWD), CWD)
        assert guarded(made) == (), line.command
