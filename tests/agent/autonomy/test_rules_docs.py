"""The rules in docs/rules.md are rules, and their examples hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.autonomy.rulebook import count_examples, failures, parse_rules
from agent.autonomy.rules import Rule

PAGE = Path(__file__).parents[3] / "docs" / "rules.md"
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_examples_of_the_page_hold(block: str) -> None:
    rules = parse_rules(block.encode(), "docs/rules.md")
    assert count_examples(rules) > 5
    assert list(failures(rules)) == []


def test_every_condition_is_explained() -> None:
    told = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert [*told, "name", "reason", "match", "not_match"] == sorted(
        Rule.model_fields, key=[*told, "name", "reason", "match", "not_match"].index
    )
    assert BLOCKS
