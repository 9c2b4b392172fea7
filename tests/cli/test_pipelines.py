"""Workflows, in docs/ci.md and of this repository: they call commands that there are, and give nothing away."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.core import TyperGroup

from cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = ("docs/ci.md", "docs/reports.md", "docs/numbers.md")
OWN = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SAME_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"


def snippets() -> list[Any]:
    """The YAML of docs/ci.md, read."""
    return [
        yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", (ROOT / PAGES[0]).read_text(), re.DOTALL)
    ]


def workflows() -> list[Any]:
    """Everything for GitHub. In YAML 1.1 the key `on` reads as true."""
    return [yaml.safe_load(path.read_text()) for path in OWN] + [each for each in snippets() if "jobs" in each]


def steps() -> Iterator[dict[str, Any]]:
    for workflow in workflows():
        for job in workflow["jobs"].values():
            yield from job["steps"]


def scripts() -> list[str]:
    """Every script that a pipeline runs."""
    found = [each["run"] for each in steps() if "run" in each]
    for each in snippets():
        for job in each.values():
            if isinstance(job, dict) and "script" in job:
                found += [*job.get("before_script", []), *job["script"]]
    return found


def commands() -> list[list[str]]:
    """Every `bridle` command in a script, or in an indented block of the pages."""
    lines = [line for script in scripts() for line in script.replace("\\\n", " ").splitlines()]
    for page in PAGES:
        lines += re.findall(r"^    (bridle .*)$", (ROOT / page).read_text(), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines if line.strip().startswith("bridle ")]


def test_there_is_what_is_tested() -> None:
    assert [path.name for path in OWN] == ["ci.yml", "suite.yml"]
    assert len(snippets()) == 2
    assert len(commands()) >= 13


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_is_one_with_these_options(words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    rest = words[1:]
    while isinstance(command, TyperGroup):
        name, *rest = rest
        assert name in command.commands, f"there is no command {name}"
        command = command.commands[name]
    assert len(rest) < len(words) - 1
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in rest if word.startswith("-")} <= known


def test_every_script_is_one_a_shell_can_read() -> None:
    for script in scripts():
        plain = re.sub(r"\$\{\{.*?\}\}", "x", script)
        assert (
            subprocess.run(["bash", "-n", "-c", plain], capture_output=True, text=True, check=False).stderr == ""
        )


def test_scripts_of_this_repository_are_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in OWN:
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            for step in job["steps"]:
                for line in step.get("run", "").splitlines():
                    words = shlex.split(line)
                    assert words[0] != "make" or set(words[1:]) <= targets
                    for script in (word for word in words if word.startswith((".ci/", "scripts/"))):
                        assert os.access(ROOT / script, os.X_OK)


@pytest.mark.parametrize("workflow", workflows(), ids=lambda each: each["name"])
def test_a_workflow_can_read_and_nothing_more_and_has_an_end(workflow: Any) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert set(workflow["concurrency"]) == {"group", "cancel-in-progress"}
    triggers = set(workflow[True])
    assert triggers <= {"push", "pull_request", "schedule", "workflow_dispatch"}
    for job in workflow["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 90
        assert "permissions" not in job
        if "secrets." in str(job):
            assert "pull_request" not in triggers or SAME_REPOSITORY in job["if"]
            holders = [step for step in job["steps"] if "secrets." in str(step)]
            assert all("secrets." not in str(step.get("run", "")) for step in holders), (
                "a secret is no text of a script"
            )
            assert [step["run"].split("bridle ")[1].split()[1] for step in holders] == ["run"], (
                "one step alone has it"
            )


def test_actions_are_pinned_by_commit_and_leave_no_credentials() -> None:
    used = [each for each in steps() if "uses" in each]
    assert len(used) >= 8
    for each in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", each["uses"]), each["uses"]
        if each["uses"].startswith("actions/checkout@"):
            assert each["with"]["persist-credentials"] is False


def test_no_expression_of_a_stranger_gets_into_a_script() -> None:
    for script in scripts():
        assert not re.search(r"\$\{\{\s*github\.(event|head_ref)", script)
