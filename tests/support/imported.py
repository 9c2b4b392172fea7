"""Everything that a run of `bridle` imports, for the process that others are forked from."""

from __future__ import annotations

import importlib
import pkgutil

import agent
import cli
import sandboxes
import tasks
import tools

for _package in (agent, cli, sandboxes, tasks, tools):
    for _found in pkgutil.walk_packages(_package.__path__, f"{_package.__name__}."):
        if not {"inside", "bundled", "cheats"} & {*_found.name.split(".")}:
            importlib.import_module(_found.name)
