"""What the suite runs over: every backend with every kind of image it opens. A new backend adds to KINDS."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import docker
import pytest

from sandboxes.bubblewrap.backend import BubblewrapBackend, default_folder
from sandboxes.bubblewrap.sandbox import BubblewrapSandbox
from sandboxes.bubblewrap.scratch import PLACES
from sandboxes.docker.backend import DockerBackend
from sandboxes.ownership import RUN_LABEL
from sandboxes.protocol import Backend, Sandbox


class Outside(Protocol):
    """What someone else on the host can do to a sandbox."""

    def kill(self, box: Sandbox) -> None:
        """Kill everything in it."""

    def pause(self, box: Sandbox) -> None:
        """Let nothing in it run any more."""

    def resume(self, box: Sandbox) -> None:
        """Undo pause()."""

    def remove(self, box: Sandbox) -> None:
        """Remove it and all it holds."""

    def first_process(self, box: Sandbox) -> int:
        """The process id on the host of its first process."""

    def left(self, prefix: str) -> list[str]:
        """What there is of runs whose ids begin so: sandboxes, checkpoints, and what is half made or half gone."""

    def close(self) -> None:
        """Give up what this holds."""


class OnTheEngine:
    """The owner of a Docker engine. See `Outside`."""

    def __init__(self) -> None:
        self._client: Any = docker.APIClient(**docker.utils.kwargs_from_env(), version="auto", timeout=60)

    def kill(self, box: Sandbox) -> None:
        self._client.kill(box.name)

    def pause(self, box: Sandbox) -> None:
        self._client.pause(box.name)

    def resume(self, box: Sandbox) -> None:
        self._client.unpause(box.name)

    def remove(self, box: Sandbox) -> None:
        self._client.remove_container(box.name, force=True)

    def first_process(self, box: Sandbox) -> int:
        return int(self._client.inspect_container(box.name)["State"]["Pid"])

    def left(self, prefix: str) -> list[str]:
        wanted = {"label": RUN_LABEL}
        things = [
            *self._client.containers(all=True, filters=wanted),
            *self._client.images(all=True, filters=wanted),
        ]
        return [str(t["Id"]) for t in things if t["Labels"][RUN_LABEL].startswith(prefix)]

    def close(self) -> None:
        self._client.close()


class InNamespaces:
    """The user whose processes and files they are. See `Outside`."""

    def kill(self, box: Sandbox) -> None:
        os.kill(self.first_process(box), signal.SIGKILL)

    def pause(self, box: Sandbox) -> None:
        os.kill(self.first_process(box), signal.SIGSTOP)

    def resume(self, box: Sandbox) -> None:
        os.kill(self.first_process(box), signal.SIGCONT)

    def remove(self, box: Sandbox) -> None:
        self.kill(box)
        shutil.rmtree(default_folder(os.environ) / box.name)

    def first_process(self, box: Sandbox) -> int:
        assert isinstance(box, BubblewrapSandbox)
        return box.pid

    def left(self, prefix: str) -> list[str]:
        home = default_folder(os.environ)
        found = [*home.glob(f"*{prefix}*"), *home.glob(f".*{prefix}*"), *home.glob(f"checkpoints/*{prefix}*")]
        return [str(each) for each in [*found, *home.glob(f"checkpoints/.*{prefix}*")]]

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to have a sandbox. `image` is `host` or the fixture that makes one.

    `needs` are fixtures that skip loudly where the backend cannot run, and `mark` (of pytest) says that they may.
    `runner`: is there a resident runner in it (the image has Python)? `scratch` are mounts that can be written,
    since what they show is the sandbox's own.
    """

    name: str
    make_backend: Callable[[], Backend]
    image: str
    outside: Callable[[], Outside]
    needs: tuple[str, ...] = ()
    mark: str = "docker"
    runner: bool = True
    scratch: tuple[str, ...] = ()


KINDS = [
    Kind("docker-host", DockerBackend, "host", OnTheEngine, ("engine",)),
    Kind("docker-debian", DockerBackend, "debian_image", OnTheEngine, ("engine",)),
    Kind("docker-no-python", DockerBackend, "no_python_image", OnTheEngine, ("engine",), runner=False),
    Kind("docker-busybox", DockerBackend, "busybox_image", OnTheEngine, ("engine",), runner=False),
    Kind(
        "bubblewrap",
        BubblewrapBackend,
        "host",
        InNamespaces,
        ("bubblewrap",),
        "bubblewrap",
        scratch=tuple(PLACES.values()),
    ),
]


def params(which: Callable[[Kind], bool] = lambda kind: True) -> list[Any]:
    """The kinds of which that is true, as parameters of a test."""
    return [
        pytest.param(kind, id=kind.name, marks=getattr(pytest.mark, kind.mark)) for kind in KINDS if which(kind)
    ]


WITH_A_RUNNER = pytest.mark.parametrize("kind", params(lambda kind: kind.runner), indirect=True, scope="session")
WITHOUT_A_RUNNER = pytest.mark.parametrize(
    "kind", params(lambda kind: not kind.runner), indirect=True, scope="session"
)
"""For what only some kinds promise. test_without_a_runner.py says what the others do instead."""
