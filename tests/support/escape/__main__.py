"""Bring the table in docs/security.md up to date."""

from __future__ import annotations

from pathlib import Path

from support.escape import GROUPS
from support.escape.page import with_table

PAGE = Path(__file__).parents[3] / "docs" / "security.md"

if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(), GROUPS))
