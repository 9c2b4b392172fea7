"""Logs: for whoever looks into Bridle itself, on standard error; BRIDLE_LOG sets the level (default: warning)."""

from __future__ import annotations

import logging
import os
import sys

from agent.outcomes import UsageProblem


def configure() -> None:
    """Set structlog up for this process. Raises UsageProblem for a level that does not exist."""
    import structlog

    name = os.environ.get("BRIDLE_LOG", "warning").upper()
    level = logging.getLevelNamesMapping().get(name)
    if level is None:
        raise UsageProblem(f"BRIDLE_LOG={name.lower()} is no level: choose debug, info, warning or error")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
    )
