cd src/tidemark
cat > version.py <<'Y'
"""The version, which everything may import."""

__version__ = "1.4.0"
Y
cat > __init__.py <<'Y'
"""Tide tables."""

from tidemark.ports import Port, port
from tidemark.report import report
from tidemark.version import __version__

__all__ = ["Port", "__version__", "port", "report"]
Y
sed -i 's/from tidemark import __version__/from tidemark.version import __version__/' formats/__init__.py
cat > ports.py <<'Y'
"""Ports and their tides."""

import json
from pathlib import Path

from tidemark.formats import line


class Port:
    def __init__(self, name, tides):
        self.name, self.tides = name, tides

    def __str__(self):
        return summary(self)


def summary(some_port):
    return line(some_port.name, max(some_port.tides), min(some_port.tides))


def port(name):
    """The port of that name. Raises LookupError."""
    known = json.loads((Path(__file__).parent / "tables" / "ports.json").read_text())
    if name not in known:
        raise LookupError(f"no port {name!r}")
    return Port(name, known[name])
Y
cat > report.py <<'Y'
"""Reports on ports."""

from tidemark.ports import Port, port, summary


def report(names):
    """A line for each name or Port."""
    ports = [each if isinstance(each, Port) else port(each) for each in names]
    return "".join(f"{summary(each)}\n" for each in ports)
Y
cat > __main__.py <<'Y'
"""python -m tidemark"""

import sys

from tidemark.command import main

sys.exit(main())
Y
cd ../..
sed -i 's/>=3.13/>=3.11/; s/tidemark.main:run/tidemark.command:main/; s/^packages = .*/packages = ["tidemark", "tidemark.formats"]/' pyproject.toml
