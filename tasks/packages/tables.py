"""The tasks of a suite as a table for its documentation.

`python -m tasks.packages.tables PAGE` brings the bundled suite's page up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tasks.packages.suites import BUNDLED, Listed, list_suite

BEGIN, END = "<!-- begin of the table: make table -->\n", "<!-- end of the table -->\n"


def markdown_table(listed: Sequence[Listed]) -> str:
    """A row a task, in Markdown: name, category, difficulty, split, date, and where the files come from."""
    rows = ["| task | category | difficulty | split | date | files |", "|---|---|---|---|---|---|"]
    for each in listed:
        table = each.file.bridle
        files = "here" if table.source is None else f"{table.source.package} ({table.source.license})"
        date = str(table.date or "–")
        rows.append(f"| `{each.name}` | {each.category} | {each.difficulty} | {each.split} | {date} | {files} |")
    return "\n".join(rows) + "\n"


def with_table(page: str, table: str) -> str:
    """The page with the table in its place. Raises ValueError when it has none."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no place for the table: {BEGIN.strip()} … {END.strip()}")
    return f"{head}{BEGIN}\n{table}\n{END}{tail}"


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.write_text(with_table(place.read_text(), markdown_table(list_suite(Path(BUNDLED)))))
