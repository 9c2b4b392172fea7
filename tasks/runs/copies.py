"""Does a sandbox show another copy of the library that a task is about? A mended one would be the solution.

Only what Python imports there is looked for; other places of a toolchain may hold copies, too.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

from agent.workspace import open_workspace
from sandboxes.protocol import WORKSPACE, Backend
from tasks.environments.allowed import Allowed
from tasks.environments.prepare import prepare
from tasks.format.task import Task

_LOOK = """
import importlib.util, json, sys
found = {}
for name in json.load(sys.stdin):
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        continue
    if spec is not None:
        found[name] = spec.origin or ", ".join(spec.submodule_search_locations or ())
print(json.dumps(found))
"""


async def copies(task: Task, backend: Backend, folder: Path, allowed: Allowed) -> list[str]:
    """A sentence for each module of a task of two releases that its sandbox has. Raises SandboxError."""
    names = sorted({_module(each) for each in task.bridle.locations})
    if task.bridle.source is None or not names:
        return []
    prepared = prepare(task, folder, allowed)
    spec = prepared.spec("suite.look", folder / "state")
    sandbox = await open_workspace(backend, spec, prepared.archive, WORKSPACE)
    try:
        command = ["python3", "-I", "-c", _LOOK]
        asked = json.dumps(names).encode()
        result = await sandbox.exec(command, cwd="/", stdin=asked, timeout=60, max_output=65536)
    finally:
        await sandbox.close()
    try:
        found = json.loads(result.output.text()) if result.exit_code == 0 else {}
    except ValueError:
        found = {}
    return [
        f"the sandbox has {name} of its own ({str(place)[:200]}): if that is a mended one, an agent can read it"
        for name, place in sorted(found.items())
    ]


def _module(path: str) -> str:
    """The top-level module that a file of the library belongs to."""
    parts = PurePosixPath(path).parts
    first = parts[1] if parts[0] == "src" and len(parts) > 1 else parts[0]
    return first.removesuffix(".py")
