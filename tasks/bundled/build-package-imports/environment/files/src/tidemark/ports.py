"""Ports and their tides."""

import json
from pathlib import Path

from tidemark.report import summary


class Port:
    def __init__(self, name, tides):
        self.name, self.tides = name, tides

    def __str__(self):
        return summary(self)


def port(name):
    """The port of that name. Raises LookupError."""
    known = json.loads(Path("src/tidemark/tables/ports.csv.json").read_text())
    if name not in known:
        raise LookupError(f"no port {name!r}")
    return Port(name, known[name])
