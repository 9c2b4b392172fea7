"""The tools there are, and how each is described to a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tools.edit import Edit
from tools.git import Git
from tools.process import Process
from tools.protocol import Tool
from tools.read import Read
from tools.search import Search
from tools.shell import shell_with
from tools.submit import Submit
from tools.write import Write


@dataclass(frozen=True, slots=True)
class ToolDescription:
    """A tool as a model is told of it; `parameters` is the JSON schema of its arguments."""

    name: str
    description: str
    parameters: dict[str, Any]


def default_tools(secrets: Sequence[str] = ()) -> dict[str, Tool]:
    """All tools by name, in the order in which they are shown. `secrets` are those that commands can be given."""
    tools: list[Tool] = [shell_with(secrets), Process(), Read(), Search(), Edit(), Write(), Git(), Submit()]
    return {tool.name: tool for tool in tools}


def describe(tool: Tool) -> ToolDescription:
    """Name, description and schema of a tool, without the titles that pydantic adds and no model needs."""
    schema = tool.arguments.model_json_schema()
    properties = {name: _plain(spec) for name, spec in schema["properties"].items()}
    parameters = {"type": "object", "properties": properties, "additionalProperties": False}
    if "required" in schema:
        parameters["required"] = schema["required"]
    return ToolDescription(tool.name, tool.description, parameters)


def _plain(spec: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key != "title"}
