"""What shell_effects makes of lines that were written to deceive it, and of those that agents run all day."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from corpora.report import CWD, Report, judge, load

from agent.autonomy.levels import Level
from tools.protocol import EVERY_EFFECT, Effect
from tools.shell_effects import explained, shell_effects

READ = frozenset({Effect.READ})


@pytest.fixture(scope="module")
def report() -> Report:
    """Both corpora, judged once."""
    return judge()


def test_no_effect_is_missed(report: Report, record_property: Callable[[str, object], None]) -> None:
    for line in report.lines():
        record_property("summary: shell effects on the corpora", line)
    assert not [(judged.line.command, sorted(judged.missed)) for judged in report.missed]


def test_few_questions_are_asked_for_nothing(report: Report) -> None:
    assert report.needless(Level.CONTAINED) <= 0.05
    assert report.needless(Level.ASK) <= 0.05
    assert report.needless(Level.EDIT) <= 0.05
    assert report.needless(Level.FULL) == 0


def test_most_lines_have_exactly_their_effects(report: Report) -> None:
    assert sum(judged.exact for judged in report.benign) / len(report.benign) >= 0.95


def test_every_effect_has_a_cause_in_the_line(report: Report) -> None:
    for judged in [*report.hostile, *report.benign]:
        found = explained(judged.line.command, CWD)
        assert {cause.effect for cause in found.causes} == found.effects - READ
        assert all(cause.text and cause.reason for cause in found.causes), judged.line.command


def test_the_documentation_has_the_figures(report: Report) -> None:
    page = (Path(__file__).parents[2] / "docs" / "autonomy.md").read_text(encoding="utf-8")
    table = page.partition("<!-- corpora:")[2].partition("<!-- end -->")[0]
    assert re.findall(r"\| ([\d.]+(?: %)?) \|$", table, re.MULTILINE) == report.figures()


@pytest.mark.parametrize("name", ["hostile", "benign"])
def test_the_corpora_are_large_and_repeat_nothing(name: str) -> None:
    commands = [line.command for line in load(name)]
    assert len(commands) == len({re.sub(r"\s+", " ", command) for command in commands}) >= 400


# Defines each line as a function, in a restricted shell that finds no program, and prints bash's spelling of it.
SPELL = r"""
for line; do unset -f f; eval "f() {
$line
}" && declare -f f; printf '\0'; done
"""


@pytest.mark.parametrize("name", ["hostile", "benign"])
def test_bash_reads_the_lines_as_the_tree_does(name: str, tmp_path: Path) -> None:
    """Bash's own spelling of a line must have the effects that ours has: both mean the same to it."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    commands = [line.command for line in load(name)]
    argv = [bash, "--norc", "-r", "-c", SPELL, "bash", *commands]
    done = subprocess.run(argv, env={"PATH": "/nowhere"}, cwd=tmp_path, capture_output=True, text=True, check=True)
    compared = 0
    for command, printed in zip(commands, done.stdout.split("\0"), strict=False):
        spelled = re.fullmatch(r"f \(\) *\n\{ *\n(.*)\n\}\n", printed, re.DOTALL)
        if spelled is None:
            continue  # bash refuses it: nothing of it would run
        ours, theirs = shell_effects(command, CWD), shell_effects(spelled[1], CWD)
        assert ours == theirs or EVERY_EFFECT in (ours, theirs), (command, spelled[1])
        compared += 1
    assert compared >= 0.95 * len(commands)
