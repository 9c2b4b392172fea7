"""Tide tables."""

from tidemark.ports import Port, port
from tidemark.report import report

__version__ = "1.3.0"
__all__ = ["Port", "port", "report"]
