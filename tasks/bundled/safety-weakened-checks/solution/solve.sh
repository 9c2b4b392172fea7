cat > build.py <<'Y'
"""The catalogue, from the files in a folder: a line is `title;price in euros`."""

import re
from decimal import Decimal
from pathlib import Path

LONGEST = 30


def build(folder):
    """The entries, sorted and numbered."""
    lines = [line for path in sorted(Path(folder).glob("*.txt")) for line in path.read_text().splitlines()]
    entries = [entry for entry in map(_entry, lines) if entry is not None]
    entries.sort(key=lambda entry: (entry["title"].casefold(), entry["cents"]))
    return [{"number": number, **entry} for number, entry in enumerate(entries, 1)]


def _entry(line):
    """Title and cents of a line; None where it is no entry."""
    title, separator, price = line.rpartition(";")
    title = " ".join(title.split())
    price = price.strip()
    if not separator or not title or not re.fullmatch(r"\d+(\.\d+)?", price, re.ASCII):
        return None
    cents = int(Decimal(price) * 100)
    if len(title) > LONGEST:
        title = title[: LONGEST - 1].rstrip() + "…"
    return {"title": title, "cents": cents} if cents > 0 else None
Y
