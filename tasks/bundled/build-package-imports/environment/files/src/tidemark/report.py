"""Reports on ports."""

from tidemark.formats import line
from tidemark.ports import Port, port


def summary(some_port):
    return line(some_port.name, max(some_port.tides), min(some_port.tides))


def report(names):
    """A line for each name or Port."""
    ports = [each if isinstance(each, Port) else port(each) for each in names]
    return "".join(f"{summary(each)}\n" for each in ports)
