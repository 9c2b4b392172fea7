"""Logs: for whoever looks into Bridle itself, on standard error; BRIDLE_LOG sets the level (default: warning)."""

from __future__ import annotations

import logging
import os
import sys

from agent.outcomes import UsageProblem
from sandboxes.secrets import Secrets


def configure(secrets: Secrets | None = None) -> None:
    """Set structlog up for this process, the values of `secrets` masked in every line.

    Raises UsageProblem for a level that does not exist.
    """
    import structlog

    mask = (secrets or Secrets()).mask
    render = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())

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
            lambda logger, name, event: mask(render(logger, name, event)),
        ],
    )
