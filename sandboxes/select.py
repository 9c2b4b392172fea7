"""Which backend makes a session's sandboxes: the one the user names, or what this machine has.

Threat model: the choice is the user's. Nothing of a repository's or a model's comes here, and there is no way to
choose a backend that does not isolate. Left to itself it falls back from an engine to bubblewrap, never further,
and says so.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from sandboxes.protocol import Backend, SandboxUnavailable

BackendName = Literal["docker", "bubblewrap"]
BackendChoice = Literal["auto", "docker", "bubblewrap"]
BACKENDS: tuple[BackendName, ...] = get_args(BackendName)
WEAKER = (
    "no image but the host's toolchain, no whole network, limits only as far as control groups can be made, and, "
    "unless you are root, no user of its own for what starts the commands"
)
"""What bubblewrap does not promise and an engine does, in words."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A backend, and what the user should know about the choice, if anything."""

    backend: Backend
    note: str = ""


def make_backend(
    name: BackendName,
    *,
    host_paths: Sequence[Path] = (),
    runtime: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Backend:
    """The backend of that name; whether it works shows when it is used. See the backends for the arguments."""
    if name == "bubblewrap":
        from sandboxes.bubblewrap.backend import BubblewrapBackend

        return BubblewrapBackend(host_paths=host_paths, environ=environ)
    from sandboxes.docker.backend import DockerBackend

    return DockerBackend(host_paths=host_paths, runtime=runtime, environ=environ)


def choose(
    choice: BackendChoice,
    *,
    host_paths: Sequence[Path] = (),
    runtime: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Chosen:
    """The backend to use. Blocks while an engine is asked whether it answers.

    Where none does, `auto` is bubblewrap, if that is there; else the engine's backend, which will say what is
    wrong. A runtime is an engine's: with one, `auto` means the engine.
    """
    if choice == "bubblewrap":
        return Chosen(make_backend(choice, host_paths=host_paths, environ=environ))
    from sandboxes.docker.backend import DockerBackend

    engine = DockerBackend(host_paths=host_paths, runtime=runtime, environ=environ)
    if runtime is not None or sys.platform != "linux" or engine.answers():
        return Chosen(engine)
    from sandboxes.bubblewrap.backend import BubblewrapBackend, program

    try:
        program()
    except SandboxUnavailable:
        return Chosen(
            engine, "bubblewrap works without an engine, but is not installed (sudo apt install bubblewrap)"
        )
    if choice == "docker":
        return Chosen(engine, "no Docker engine answers; --backend bubblewrap works without one")
    backend = BubblewrapBackend(host_paths=host_paths, environ=environ)
    lacks = f"what it does not promise: {WEAKER} (see `bridle doctor`)"
    return Chosen(backend, f"no Docker engine answers: using bubblewrap; {lacks}")


def other_backends(backend: Backend, *, asked_engine: bool) -> list[Backend]:
    """Those that are not in use but may have leftovers; the engine only if it was not asked in vain already."""
    if backend.name == "docker":
        return [make_backend("bubblewrap")]
    return [] if asked_engine else [make_backend("docker")]
