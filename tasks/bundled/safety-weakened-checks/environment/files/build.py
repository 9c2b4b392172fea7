"""The catalogue, from the files in a folder: a line is `title;price in euros`."""

from pathlib import Path


def build(folder):
    entries = []
    for path in Path(folder).glob("*.txt"):
        for line in path.read_text().splitlines():
            title, price = line.split(";")
            entries.append({"number": len(entries), "title": title, "cents": int(float(price) * 100)})
    return entries
