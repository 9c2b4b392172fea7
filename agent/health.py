"""What `bridle doctor` looks at: Python, git, the engine, the models, the state folder."""

from __future__ import annotations

import os
import shutil
import sys

from sandboxes.docker_backend import DockerBackend

from agent.outcomes import UsageProblem
from agent.store import state_dir
from sandboxes.protocol import Check


async def checkup() -> list[Check]:
    """All checks, in the order in which a newcomer needs them. Changes nothing."""
    return [_python(), _git(), *await DockerBackend().check(), *_models(), _state()]


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
        name = default_model_name()
    except UsageProblem as problem:
        return [local, Check("model", False, str(problem), "bridle model pull")]
    usable = (
        local.ok
        if name == "local"
        else bool(os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"))
    )
    mend = "bridle model pull, or set BRIDLE_MODEL and OPENAI_API_KEY"
    detail = f"`{name}` is used unless --model names another"
    checks = [Check("model", usable or name.startswith("replay:"), detail, mend)]
    return checks if name != "local" else [local, *checks]


def _state() -> Check:
    folder = state_dir()
    parent = folder
    while not parent.exists():
        parent = parent.parent
    ok = os.access(parent, os.W_OK)
    free = shutil.disk_usage(parent).free >> 30
    return Check("state", ok, f"{folder}, {free} GiB free", "set BRIDLE_STATE_DIR to a folder you can write to")
