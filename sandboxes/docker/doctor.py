"""What `bridle doctor` says about the docker backend."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandboxes.docker import host_image
from sandboxes.docker.engine import ENGINE_ERRORS, Engine, runtimes, socket_path
from sandboxes.protocol import Check, SandboxUnavailable
from sandboxes.toolchain import find_toolchain


def checks(
    engine: Engine, environ: Mapping[str, str], host_paths: Sequence[Path], runtime: str | None = None
) -> list[Check]:
    """The engine, its runtime and limits, and the host's toolchain. Blocks; never raises."""
    try:
        client = engine.client()
        version, info = client.version(), client.info()
    except (SandboxUnavailable, *ENGINE_ERRORS) as e:
        problem = e if isinstance(e, SandboxUnavailable) else engine.unavailable(e)
        return [Check("Docker engine", ok=False, detail=str(problem), mend=_mend(engine))]
    found = [Check("Docker engine", ok=True, detail=f"Docker {version.get('Version')} at {engine.address}")]
    names = runtimes(info)
    used = runtime or info.get("DefaultRuntime") or "its own"
    detail = f"{used} is used; the engine has {', '.join(names)}"
    if runtime is not None and runtime not in names:
        detail = f"the engine has no runtime {runtime}, only {', '.join(names)}"
    known = runtime is None or runtime in names
    found.append(Check("Container runtime", ok=known, detail=detail, mend="install it, or set another `runtime`"))
    missing = [name for name, key in (("memory", "MemoryLimit"), ("process", "PidsLimit")) if not info.get(key)]
    if missing:
        detail = f"the engine's kernel does not enforce {' and '.join(missing)} limits"
        found.append(Check("Sandbox limits", ok=False, detail=detail, mend="enable these cgroup controllers"))
    return [*found, _host_image(engine, environ, host_paths)]


def _host_image(engine: Engine, environ: Mapping[str, str], host_paths: Sequence[Path]) -> Check:
    try:
        reason = host_image.why_impossible(engine)
        tools = find_toolchain(environ, host_paths)
    except (SandboxUnavailable, *ENGINE_ERRORS) as e:
        reason = str(e)
    if reason:
        return Check("Host image", ok=False, detail=reason, mend="use --image NAME")
    python = next((p for p in tools.path if (Path(p) / "python3").exists()), "?")
    return Check("Host image", ok=True, detail=f"the host's toolchain, Python from {python}")


def _mend(engine: Engine) -> str:
    path = socket_path(engine.address)
    if sys.platform == "darwin":
        return "install and start Docker Desktop, colima or another Docker engine"
    if path is None:
        return "start the engine that DOCKER_HOST or the Docker context names"
    if path.exists():
        return "sudo usermod -aG docker $USER, then log in again; or sudo systemctl restart docker"
    if shutil.which("dockerd") is None:
        return "sudo apt install docker.io (or your system's Docker package)"
    return "sudo systemctl start docker"
