"""What `bridle doctor` looks at: Python, git, the engine, the models, the state folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from dataclasses import replace

from agent.models.profiles import LOCAL, REPLAY
from agent.outcomes import UsageProblem
from agent.settings import load
from agent.store import state_dir
from sandboxes.protocol import Check
from sandboxes.select import BACKENDS, WEAKER, BackendChoice, make_backend


async def checkup() -> list[Check]:
    """All checks, in the order in which a newcomer needs them. Changes nothing."""
    return [_python(), _git(), *await _backends(), *_models(), _state()]


async def _backends() -> list[Check]:
    """Both backends, and which one is used; the other one need not be there."""
    choice: BackendChoice = "auto"
    runtime: str | None = None
    with contextlib.suppress(UsageProblem):  # told with the models
        settings = load({})
        choice, runtime = settings.backend, settings.runtime
    found = {
        name: await make_backend(name, runtime=runtime if name == "docker" else None).check() for name in BACKENDS
    }
    engine = bool(found["docker"]) and found["docker"][0].ok
    falls_back = choice == "auto" and runtime is None and not engine and all(c.ok for c in found["bubblewrap"])
    used = "bubblewrap" if choice == "bubblewrap" or falls_back else "docker"
    detail = f"{used} (`backend` is {choice})"
    if used == "bubblewrap":
        detail += f"; what it does not promise: {WEAKER}"
    checks = [Check("Sandboxes", ok=True, detail=detail)]
    for name in BACKENDS:
        checks += [replace(check, needed=name == used) for check in found[name]]
    return checks


def _python() -> Check:
    return Check("python", True, f"{sys.version.split()[0]} at {sys.executable}")


def _git() -> Check:
    path = shutil.which("git")
    return Check("git", path is not None, path or "not on PATH", "apt-get install git (or your system's way)")


def _models() -> list[Check]:
    from agent.models.embedded import model_status
    from agent.models.select import default_model_name

    local = model_status()
    try:
        settings = load({})
        name = default_model_name()
    except UsageProblem as problem:
        return [local, Check("settings", False, str(problem), "correct the file or the variable it names")]
    reachable = settings.base_url or os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL")
    usable = local.ok if name == LOCAL else name.startswith(REPLAY) or bool(reachable)
    mend = "bridle model pull, or set BRIDLE_MODEL and OPENAI_API_KEY"
    model = Check("model", usable, f"`{name}` is used unless --model names another", mend)
    return [local, model] if name == LOCAL else [model]


def _state() -> Check:
    folder = state_dir()
    mend = "set BRIDLE_STATE_DIR to a folder you can write to"
    try:
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        ok = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
        free = shutil.disk_usage(there).free >> 30
    except OSError as error:
        return Check("state", False, f"{folder}: {error.strerror}", mend)
    return Check("state", ok, f"{folder}, {free} GiB free", mend)
