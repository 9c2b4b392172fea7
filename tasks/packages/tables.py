"""A suite's tasks as a table for its documentation."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.packages.suites import Listed


def markdown_table(listed: Sequence[Listed]) -> str:
    """A row a task, in Markdown: name, category, difficulty, split, date, and where the files come from."""
    rows = ["| task | category | difficulty | split | date | files |", "|---|---|---|---|---|---|"]
    for each in listed:
        table = each.file.bridle
        files = "here" if table.source is None else f"{table.source.package} ({table.source.license})"
        date = str(table.date or "–")
        rows.append(f"| `{each.name}` | {each.category} | {each.difficulty} | {each.split} | {date} | {files} |")
    return "\n".join(rows) + "\n"
