"""docs/approvals.md cannot drift from the code: its tables and schema are compared, its examples are run."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from agent.autonomy.answers import Answer, No, Pass, Yes
from agent.autonomy.approvers.policy import PolicyApprover, read_policy
from agent.autonomy.approvers.program import PASSED_ON, Decision, ProgramApprover, as_json
from agent.autonomy.gate import Question
from agent.autonomy.levels import Level
from agent.models.protocol import ToolCall
from agent.settings import OnAsk
from cli.main import app
from tools.protocol import Effect, Preview

PAGE = (Path(__file__).parents[3] / "docs" / "approvals.md").read_text()


def block(name: str) -> str:
    found = re.search(rf"<!-- {name}[^>]*-->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert found is not None, name
    return found[1].strip()


def fenced(name: str) -> str:
    return "\n".join(block(name).splitlines()[1:-1]) + "\n"


def question(tool: str, *effects: Effect, insist: str = "", **arguments: Any) -> Question:
    return Question(
        call=ToolCall(id="1", name=tool, arguments=json.dumps(arguments)),
        tool=tool,
        arguments=arguments,
        effects=frozenset(effects),
        because=frozenset(effects),
        cause="c",
        level=Level.ASK,
        preview=Preview(tool),
        cwd="/workspace",
        insist=insist,
    )


def test_the_fields_of_a_question_are_those_a_program_gets() -> None:
    fields = re.findall(r"^\| `(\w+)` \|", block("question"), re.MULTILINE)
    assert fields == list(as_json(question("shell", Effect.RUN, command="ls"), "s"))


def test_the_schema_of_a_decision_is_that_of_the_code() -> None:
    schema = Decision.model_json_schema()
    properties = schema["properties"]
    assert json.loads(fenced("decision")) == {
        "type": schema["type"],
        "properties": {
            "decision": {"enum": properties["decision"]["enum"]},
            "reason": {key: properties["reason"][key] for key in ("type", "maxLength")},
            "arguments": {"type": properties["arguments"]["anyOf"][0]["type"]},
        },
        "required": schema["required"],
        "additionalProperties": schema["additionalProperties"],
    }


def test_what_becomes_of_a_question_and_the_environment_are_listed() -> None:
    assert re.findall(r"^\| `(\w+)`(?: \(default\))? \|", PAGE, re.MULTILINE)[:4] == list(get_args(OnAsk))
    listed = re.search(r"Its environment is (.*?) as far", PAGE, re.DOTALL)
    assert listed is not None
    assert re.findall(r"`(\w+)`", listed[1]) == list(PASSED_ON)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (question("write", Effect.WRITE, path="migrations/1.sql"), No),
        (question("edit", Effect.WRITE, path="src/../migrations/x"), No),
        (question("edit", Effect.WRITE, path="src/pkg/a.py"), Yes),
        (question("edit", Effect.WRITE, path="/workspace/src/a.py"), Yes),
        (question("edit", Effect.WRITE, path="src/../../etc/passwd"), Pass),
        (question("edit", Effect.WRITE, Effect.OUTSIDE, path="src/a.py"), Pass),
        (question("shell", Effect.WRITE, command="touch src/a.py"), Pass),
        (question("deliver", Effect.DELIVER), Yes),
        (question("deliver", Effect.DELIVER, insist="it changes what runs"), Pass),
    ],
)
async def test_the_policy_of_the_page(asked: Question, said: type[Answer | Pass], tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(fenced("example: policy"))
    path.chmod(0o644)
    assert type(await PolicyApprover(read_policy(path), "p").ask(asked)) is said


async def test_the_program_of_the_page(tmp_path: Path) -> None:
    path = tmp_path / "approver"
    path.write_text(fenced("example: program").replace("/usr/bin/env python3", sys.executable))
    path.chmod(0o700)
    approver = ProgramApprover(str(path), "s", timeout=60)
    assert isinstance(await approver.ask(question("shell", Effect.RUN, command="make test")), Yes)
    refused = await approver.ask(question("shell", Effect.RUN, command="rm -rf ."))
    assert refused == No("only make is run here", by="program approver")


def test_every_option_of_the_page_is_one_of_the_command() -> None:
    options = {}
    for command in ("fix", "approve", "audit"):
        shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
        options[command] = set(re.findall(r"--[a-z-]+", shown.output))
    named = set(re.findall(r"`(--[a-z-]+)", PAGE))
    assert named <= set().union(*options.values()), named - set().union(*options.values())
    for line in re.findall(r"^    bridle (.*?)(?: {2,}#.*)?$", PAGE, re.MULTILINE):
        command = line.split()[0]
        if command in options:
            assert set(re.findall(r"--[a-z-]+", line)) <= options[command], line
