"""The documentation says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from agent.journal import AnyEvent
from agent.outcomes import EXIT_CODES
from agent.settings import Settings

ROOT = Path(__file__).parent.parent


def test_every_outcome_is_documented_with_its_exit_code() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", (ROOT / "docs/outcomes.md").read_text(), re.MULTILINE)
    assert {name: int(code) for code, name in rows} == {o.value: code for o, code in EXIT_CODES.items()}


def test_every_event_is_documented() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \|", (ROOT / "docs/journal.md").read_text(), re.MULTILINE)
    union = get_args(AnyEvent)[0]
    assert rows == [event.model_fields["type"].default for event in get_args(union)]


def test_every_link_of_the_documents_leads_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_setting_is_documented() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    assert rows == list(Settings.model_fields)
