"""What models are told of the tools, and what becomes of what they send."""

import json

import pytest
from pydantic import ValidationError

from tools.edit import EditArguments
from tools.read import ReadArguments
from tools.registry import default_tools, describe
from tools.write import WriteArguments


def test_every_tool_has_a_small_and_complete_schema() -> None:
    tools = default_tools()
    assert list(tools) == ["shell", "process", "read", "search", "edit", "write", "git", "submit"]
    for name, tool in tools.items():
        told = describe(tool)
        assert told.name == name == tool.name
        assert 40 < len(told.description) < 500
        assert told.parameters["type"] == "object"
        assert told.parameters["additionalProperties"] is False
        assert all(spec["description"] for spec in told.parameters["properties"].values())
        text = json.dumps(told.parameters)
        assert "$ref" not in text
        assert "title" not in text
        assert "Arguments of" not in text
        assert len(text) < 2000


def test_the_schema_says_what_must_be_given() -> None:
    required = {name: describe(tool).parameters.get("required", []) for name, tool in default_tools().items()}
    assert required == {
        "shell": ["command"],
        "process": ["action"],
        "read": ["path"],
        "search": [],
        "edit": ["path", "old", "new"],
        "write": ["path", "content"],
        "git": ["action"],
        "submit": ["summary"],
    }


def test_null_stands_for_the_default_of_what_may_be_left_out() -> None:
    assert ReadArguments.model_validate({"path": "a", "start_line": None}).start_line == 1
    assert EditArguments.model_validate({"path": "a", "old": "a", "new": "b", "all": None}).all is False
    with pytest.raises(ValidationError):
        ReadArguments.model_validate({"path": None})
    with pytest.raises(ValidationError):
        ReadArguments.model_validate({"path": "a", "unknown": None})


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(ValidationError, match="surrogate"):
        WriteArguments.model_validate(json.loads('{"path": "a", "content": "x\\ud800"}'))
    with pytest.raises(ValidationError, match="surrogate"):
        WriteArguments.model_validate(json.loads('{"path": "a\\udc80", "content": "x"}'))
