"""Attempts to get out of a sandbox, as data: what is tried for real, and what holds it.

`python -m support.escape` (with `tests` on the path) writes the table into docs/security.md.
"""

from __future__ import annotations

from support.escape import bombs, configuration, files, git, kernel, network, output, places, runner
from support.escape.scene import Attempt

GROUPS: tuple[tuple[str, tuple[Attempt, ...]], ...] = (
    ("The kernel", kernel.ROWS),
    ("The runner", runner.ROWS),
    ("Using everything up", bombs.ROWS),
    ("Places of the host and of others", places.ROWS),
    ("The network", network.ROWS),
    ("Files and archives", files.ROWS),
    ("Git on the host", git.ROWS),
    ("What the repository says", configuration.ROWS),
    ("What is printed and what is asked for", output.ROWS),
)
