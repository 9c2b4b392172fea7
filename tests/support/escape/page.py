"""The attempts as a table in Markdown, between two markers of a page."""

from __future__ import annotations

from collections.abc import Sequence

from support.escape.scene import Attempt

BEGIN = "<!-- the table: made by `make table`, do not edit -->"
END = "<!-- the end of the table -->"


def with_table(page: str, groups: Sequence[tuple[str, Sequence[Attempt]]]) -> str:
    """The page with what stands between the markers replaced. Raises ValueError when it has no markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no place for the table: {BEGIN} and {END} are missing")
    return f"{before}{BEGIN}\n\n{_table(groups)}\n{END}{after}"


def _table(groups: Sequence[tuple[str, Sequence[Attempt]]]) -> str:
    parts = []
    for title, rows in groups:
        lines = [f"### {title}", "", "| attempt | what is tried | what holds it | tried on |", "|---|---|---|---|"]
        lines += [f"| `{row.id}` {row.title} | {row.tried} | {row.held} | {', '.join(row.on)} |" for row in rows]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)
