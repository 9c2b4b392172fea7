"""The run: every contender a process of its own, calls interleaved, and everything removed at the end.

Interleaved, whatever else the machine does hits all alike. Whatever ends the run (an error, Ctrl-C, SIGTERM), each
contender closes what it made, and what one that was killed has left is found by its label and removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import docker.errors

from benchmarks.contenders import OURS, PEERS
from benchmarks.figures import ROOT, Figure, Unit, figure
from sandboxes.docker.engine import Engine
from sandboxes.docker.host_image import ensure_image
from sandboxes.host_root import folder_mounts
from sandboxes.ownership import RUN_LABEL
from sandboxes.toolchain import find_toolchain

PEER_VENV = ROOT / ".venv-bench"
RUN = "bridle-benchmark"
"""The run id of our sandboxes; the label, network and images of the others."""
PACKAGES = {"docker SDK": "docker", "mini-swe-agent": "minisweagent", "swe-rex": "swerex"}
OURS_MORE = 10
"""How many calls of ours come on one of a peer's: they take a tenth of the time or less."""
END_SECONDS = 90.0


class Answer(NamedTuple):
    """How long an action took, what it returned, and the most bytes by which its process grew meanwhile."""

    seconds: float
    value: Any
    growth: int


class Failed(Exception):
    """A contender could not do what it was asked; the message is its own last words."""


class Contender:
    """A contender's process, seen from the run."""

    def __init__(self, name: str, python: Path, setup: Mapping[str, Any]) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by `end`
        self._process = subprocess.Popen(
            [str(python), "-m", "benchmarks.serve", name, json.dumps(setup)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,  # Ctrl-C is for the run alone
        )
        self._answer()

    @property
    def pid(self) -> int:
        """The process that drives it."""
        return self._process.pid

    @property
    def is_ours(self) -> bool:
        return self.name.startswith("bridle")

    def do(self, action: str, **arguments: Any) -> Answer | None:
        """Have it do something; None when it has no such thing. Raises Failed."""
        found = self._ask(action, arguments)
        return None if found is None else Answer(**found)

    def can(self, action: str) -> bool:
        """Has it such a thing? Raises Failed."""
        return bool(self._ask("can", {"what": action}))

    def _ask(self, action: str, arguments: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"do": action, "with": arguments}).encode() + b"\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        self._process.wait()
        self._errors.seek(0)
        words = self._errors.read().decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        raise Failed(f"{self.name}: {words[-1][:300]}")

    def end(self) -> None:
        """Let it close what it made, and wait; killed when that takes too long."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()


class Bench:
    """The contenders that are here, and why the others are not."""

    def __init__(self) -> None:
        self.missing: dict[str, str] = {}
        self.contenders: list[Contender] = []
        self._setup, self._peer = _setup()
        self._all: list[Contender] = []

    def begin(self) -> None:
        """Start every contender that is here, and have it work once. Raises Failed when that is Bridle."""
        names = [name for name in (*OURS, *PEERS) if self._is_here(name)]
        self.contenders = [c for c in map(self._first, names) if c is not None]

    def _is_here(self, name: str) -> bool:
        package = PACKAGES.get(name)
        if name == "bridle, bubblewrap" and not shutil.which("bwrap"):
            self.missing[name] = "not installed: apt install bubblewrap"
        elif name == "docker exec" and not shutil.which("docker"):
            self.missing[name] = "not installed: the docker command"
        elif name in ("mini-swe-agent", "swe-rex") and not _has(self._python(name), str(package)):
            self.missing[name] = f"not installed: pip install {name}"
        return name not in self.missing

    def _python(self, name: str) -> Path:
        return self._peer if name in ("mini-swe-agent", "swe-rex") else Path(sys.executable)

    def _first(self, name: str) -> Contender | None:
        """A contender that has shown once that it works; imports and first connections are then behind it."""
        try:
            made = self.fresh(name)
            made.do("open")
            made.do("noop")
            made.do("close")
        except Failed as e:
            if not name.startswith("bridle,") and name in OURS:
                raise
            self.missing[name] = f"does not work here: {e}"
            return None
        return made

    def fresh(self, name: str) -> Contender:
        """A process more, of a contender by name. Raises Failed."""
        made = Contender(name, self._python(name), self._setup)
        self._all.append(made)
        return made

    @contextlib.contextmanager
    def opened(self) -> Iterator[list[Contender]]:
        """All contenders, each with a container that has run its first commands."""
        for contender in self.contenders:
            contender.do("open")
            for _ in range(3):
                contender.do("noop")
        yield self.contenders
        for contender in self.contenders:
            contender.do("close")

    def interleaved(
        self, subject: str, rounds: int, actions: Mapping[str, str], *, unit: Unit = "ms"
    ) -> list[Figure]:
        """Times of actions (what they are called, and what they are), one contender after the other, in rounds."""
        seconds: dict[tuple[str, str], list[float]] = {}
        for _ in range(rounds):
            for contender in self.contenders:
                for what, action in actions.items():
                    for _ in range(OURS_MORE if contender.is_ours else 1):
                        if (answer := contender.do(action)) is None:
                            break
                        seconds.setdefault((what, contender.name), []).append(answer.seconds * 1e3)
        return [figure(subject, what, name, unit, times) for (what, name), times in seconds.items()]

    def end(self) -> None:
        """Close everything."""
        for contender in self._all:
            contender.end()


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    """The contenders, for one run at a time on this machine; nothing of theirs is left afterwards."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a script has started this
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    with (Path(tempfile.gettempdir()) / f"{RUN}.{os.getuid()}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("Another run of the benchmarks is under way; wait for it.") from None
        sweep()  # what a run that was killed may have left
        try:
            made = Bench()
            try:
                made.begin()
                yield made
            finally:
                _ignore_signals()
                made.end()
        finally:
            _ignore_signals()
            sweep()
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _ignore_signals() -> None:
    """What is left to do has to be done."""
    for handled in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(handled, signal.SIG_IGN)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def sweep() -> None:
    """Remove every container, network and image of benchmark runs. There is one run at a time."""
    client = Engine().client()
    ours = [{"label": label} for label in (RUN, f"{RUN_LABEL}={RUN}")]
    for wanted in ours:
        for container in client.containers(all=True, filters=wanted):
            client.remove_container(container["Id"], force=True, v=True)
    images = {image["Id"]: image["Created"] for wanted in ours for image in client.images(filters=wanted)}
    for image in sorted(images, key=lambda each: images[each], reverse=True):  # what is made of others goes first
        with contextlib.suppress(docker.errors.ImageNotFound):  # gone with the one made of it
            client.remove_image(image, force=True)
    for network in client.networks(filters={"label": RUN}):
        client.remove_network(network["Id"])


def _has(python: Path, package: str) -> bool:
    """Can this Python import a package?"""
    if not python.exists():
        return False
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
    return subprocess.run([python, "-c", code], check=False).returncode == 0


def _setup() -> tuple[dict[str, Any], Path]:
    """What the contenders are told: image, mounts, a network that leads nowhere; and the Python of the peers."""
    engine = Engine()
    tools = find_toolchain(os.environ)
    python = PEER_VENV / "bin" / "python"
    mounts = [*map(str, folder_mounts()), *map(str, tools.mounts)]
    run_args = ["--label", RUN, "-e", "PATH=" + ":".join(map(str, tools.path))]
    for place in mounts:
        run_args += ["-v", f"{place}:{place}:ro"]
    peer_mounts: list[str] = []
    if python.exists():
        base = str(python.resolve().parents[1])
        for place in (str(PEER_VENV), base):
            if not any(Path(place).is_relative_to(mounted) for mounted in mounts):
                peer_mounts += ["-v", f"{place}:{place}:ro"]
    engine.client().create_network(RUN, internal=True, labels={RUN: ""})
    setup = {
        "run": RUN,
        "image": ensure_image(engine),
        "mounts": mounts,
        "path": ":".join(map(str, tools.path)),
        "images": RUN,
        "network": RUN,
        "run_args": run_args,
        "peer_python": str(python),
        "peer_mounts": peer_mounts,
        "folder": str(PEER_VENV / "config"),
    }
    return setup, python
