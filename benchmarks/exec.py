"""How fast commands run in a sandbox that is up, beside the other ways, in one run.

Each contender is a process of its own, with a container of its own over the same image and the same read-only
folders; the calls are interleaved, so that whatever else the machine does hits all alike:

* bridle         a command through the resident runner
* docker exec    the `docker` command, as a person would type it
* docker SDK     `exec_create` and `exec_start` of the Docker SDK for Python
* mini-swe-agent the Docker environment class of mini-swe-agent, from the package index, in its own virtual
                 environment (without the model libraries, which this class does not import)

Run it with `python benchmarks/exec.py [--json] [--rounds N]`. It needs a Docker engine on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PEER = "mini-swe-agent==2.4.6"
PEER_NEEDS = ("pydantic>=2,<3", "python-dotenv>=1,<2", "platformdirs>=4,<5", "rich>=13,<16")
FLOOD = 200_000_000
FLOOD_COMMAND = f"yes {'x' * 79} | head -c {FLOOD}"
TARGETS = {"no-op": 3.0, "open": 350.0, "file": 2.0, "flood": 20.0}


# --- contenders, each in a process of its own -----------------------------------------------------------------


class Bridle:
    """A sandbox of ours, driven from one event loop."""

    def __init__(self, setup: dict[str, Any]) -> None:
        sys.path.insert(0, str(ROOT))
        from sandboxes.docker.backend import DockerBackend
        from sandboxes.protocol import SandboxSpec

        self._loop = asyncio.new_event_loop()
        self._backend, self._spec = DockerBackend(), SandboxSpec("benchmark")
        self._box: Any = None
        self._count = 0

    def open(self) -> None:
        self._box = self._loop.run_until_complete(self._backend.open(self._spec))

    def noop(self) -> None:
        result = self._loop.run_until_complete(self._box.exec(["true"]))
        assert result.exit_code == 0

    def bash(self) -> None:
        result = self._loop.run_until_complete(self._box.exec(["bash", "-lc", "true"]))
        assert result.exit_code == 0

    def write(self) -> None:
        self._count += 1
        self._loop.run_until_complete(self._box.write("file.txt", b"%010d" % self._count * 1000))

    def read(self) -> None:
        assert len(self._loop.run_until_complete(self._box.read("file.txt"))) == 10_000

    def flood(self) -> None:
        result = self._loop.run_until_complete(self._box.exec(["sh", "-c", FLOOD_COMMAND]))
        assert result.output.total == FLOOD

    def close(self) -> None:
        self._loop.run_until_complete(self._box.close())


class Container:
    """What the other ways share: a container started as mini-swe-agent starts one."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self._setup = setup
        self._id = ""

    def open(self) -> None:
        command = ["docker", "run", "-d", "--rm", *self._setup["run_args"], self._setup["image"], "sleep", "1h"]
        self._id = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def close(self) -> None:
        subprocess.run(["docker", "rm", "-f", self._id], capture_output=True, check=True)


class Cli(Container):
    def noop(self) -> None:
        subprocess.run(["docker", "exec", self._id, "true"], capture_output=True, check=True)

    def bash(self) -> None:
        subprocess.run(["docker", "exec", self._id, "bash", "-lc", "true"], capture_output=True, check=True)


class Sdk(Container):
    def __init__(self, setup: dict[str, Any]) -> None:
        super().__init__(setup)
        import docker

        self._client = docker.APIClient(**docker.utils.kwargs_from_env(), version="auto")

    def _run(self, command: list[str]) -> None:
        number = self._client.exec_create(self._id, command)["Id"]
        self._client.exec_start(number)
        assert self._client.exec_inspect(number)["ExitCode"] == 0

    def noop(self) -> None:
        self._run(["true"])

    def bash(self) -> None:
        self._run(["bash", "-lc", "true"])

    def write(self) -> None:
        import io
        import tarfile

        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            info = tarfile.TarInfo("file.txt")
            info.size = 10_000
            tar.addfile(info, io.BytesIO(bytes(10_000)))
        assert self._client.put_archive(self._id, "/tmp", out.getvalue())

    def read(self) -> None:
        pieces, _ = self._client.get_archive(self._id, "/tmp/file.txt")
        assert len(b"".join(pieces)) > 10_000


class MiniSweAgent:
    def __init__(self, setup: dict[str, Any]) -> None:
        import logging

        logging.disable()
        os.environ["MSWEA_SILENT_STARTUP"] = "1"
        os.environ["MSWEA_GLOBAL_CONFIG_DIR"] = setup["folder"]
        self._setup = setup
        self._env: Any = None

    def open(self) -> None:
        from minisweagent.environments.docker import DockerEnvironment  # type: ignore[import-not-found]

        run_args = ["--rm", *self._setup["run_args"]]
        self._env = DockerEnvironment(image=self._setup["image"], cwd="/", run_args=run_args, timeout=300)

    def bash(self) -> None:
        assert self._env.execute({"command": "true"})["returncode"] == 0

    noop = bash  # it always goes through `bash -lc`

    def flood(self) -> None:
        assert len(self._env.execute({"command": FLOOD_COMMAND})["output"]) == FLOOD

    def close(self) -> None:
        subprocess.run(["docker", "rm", "-f", self._env.container_id], capture_output=True, check=True)
        self._env.container_id = None


CONTENDERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "bridle": Bridle,
    "docker exec": Cli,
    "docker SDK": Sdk,
    "mini-swe-agent": MiniSweAgent,
}


def serve(name: str, setup: dict[str, Any]) -> None:
    """In a contender's process: do what each line says and answer with seconds and growth of memory in bytes."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a contender prints is no answer
    contender = CONTENDERS[name](setup)
    is_open = False
    for line in sys.stdin:
        action = getattr(contender, line.strip(), None)
        if action is None:
            print("null", file=answers)
            continue
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.perf_counter()
        action()
        seconds = time.perf_counter() - begun
        growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        is_open = line.strip() != "close"
        print(json.dumps([seconds, growth * 1024]), file=answers)
    if is_open:  # the run has failed
        contender.close()


# --- the run --------------------------------------------------------------------------------------------------


class Process:
    """A contender, seen from the run."""

    def __init__(self, name: str, python: str, setup: dict[str, Any]) -> None:
        self.name = name
        self.seconds: dict[str, list[float]] = {}
        self.growth: dict[str, int] = {}
        command = [python, __file__, "--serve", name, "--setup", json.dumps(setup)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, action: str, times: int = 1) -> bool:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for _ in range(times):
            self._process.stdin.write(action + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline() or '"it ended"')
            if answer is None:
                return False
            if isinstance(answer, str):
                raise SystemExit(f"{self.name} did not survive {action}")
            self.seconds.setdefault(action, []).append(answer[0])
            self.growth[action] = max(answer[1], self.growth.get(action, 0))
        return True

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def peer_python() -> str:
    """The Python of mini-swe-agent's own virtual environment, made at first."""
    from platformdirs import user_cache_path

    folder = user_cache_path("bridle") / "benchmarks" / PEER.replace("==", "-")
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        print(f"making a virtual environment with {PEER} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for packages in (["--no-deps", PEER], list(PEER_NEEDS)):
            done = subprocess.run([*pip, *packages], capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{PEER} could not be installed:\n{done.stderr}")
        (folder / ".ready").touch()
    return str(python)


def shared_setup(folder: Path) -> dict[str, Any]:
    """The image and folders that Bridle's host image uses, as arguments of `docker run` for the others."""
    sys.path.insert(0, str(ROOT))
    from sandboxes.docker.engine import Engine
    from sandboxes.docker.host_image import ensure_image, folder_mounts
    from sandboxes.toolchain import find_toolchain

    tools = find_toolchain(os.environ)
    run_args = ["--network", "none", "-e", "PATH=" + ":".join(tools.path)]
    for place in [*folder_mounts(), *tools.mounts]:
        run_args += ["-v", f"{place}:{place}:ro"]
    return {"image": ensure_image(Engine()), "run_args": run_args, "folder": str(folder)}


def run(rounds: int) -> list[Process]:
    peer = peer_python()
    setup = shared_setup(Path(peer).parents[1] / "config")
    names = [n for n in CONTENDERS if shutil.which("docker") or n == "bridle"]
    contenders = [Process(n, peer if n == "mini-swe-agent" else sys.executable, setup) for n in names]
    try:
        measure(contenders, rounds)
    finally:
        for contender in contenders:
            contender.end()
    return contenders


def measure(contenders: list[Process], rounds: int) -> None:
    for contender in contenders:  # imports and first connections are not what is measured
        contender.do("open")
        contender.do("close")
        contender.seconds.clear()
    for _ in range(5):
        for contender in contenders:
            contender.do("open")
            contender.do("close")
    for contender in contenders:
        contender.do("open")
        contender.do("noop", 3)
        del contender.seconds["noop"]
    for _ in range(rounds):
        for contender in contenders:
            times = 10 if contender.name == "bridle" else 1
            for action in ("noop", "bash", "write", "read"):
                contender.do(action, times)
    for contender in contenders:
        contender.do("flood")
        contender.do("close")


def figures(contenders: list[Process]) -> dict[str, dict[str, Any]]:
    """Medians and 99th percentiles in milliseconds, memory in megabytes, by contender."""
    table: dict[str, dict[str, Any]] = {}
    for contender in contenders:
        row: dict[str, Any] = {}
        for action, seconds in contender.seconds.items():
            ordered = sorted(seconds)
            p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
            row[action] = {"median_ms": statistics.median(ordered) * 1e3, "p99_ms": p99 * 1e3, "n": len(ordered)}
        if "flood" in contender.growth:
            row["flood"]["host_mb"] = contender.growth["flood"] / 1e6
        table[contender.name] = row
    return table


def show(table: dict[str, dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    view = Table("what", "contender", "median", "p99", "× bridle", "target")
    rows = [
        ("no-op", "noop", TARGETS["no-op"]),
        ("bash -lc true", "bash", None),
        ("write 10 kB", "write", TARGETS["file"]),
        ("read 10 kB", "read", TARGETS["file"]),
        ("ready, image present", "open", TARGETS["open"]),
        ("200 MB of output", "flood", None),
    ]
    for title, action, target in rows:
        ours = table["bridle"][action]["median_ms"]
        for name, row in table.items():
            if action not in row:
                continue
            median = row[action]["median_ms"]
            verdict = (
                f"≤ {target:g} ms: {'met' if median <= target else 'MISSED'}"
                if target and name == "bridle"
                else ""
            )
            cells = (f"{median:.2f} ms", f"{row[action]['p99_ms']:.2f} ms", f"{median / ours:.1f}", verdict)
            view.add_row(title if name == "bridle" else "", name, *cells)
        view.add_section()
    for name, row in table.items():
        if "flood" in row:
            used = row["flood"]["host_mb"]
            met = "met" if used <= TARGETS["flood"] else "MISSED"
            verdict = f"≤ {TARGETS['flood']:g} MB: {met}" if name == "bridle" else ""
            title = "host memory of that" if name == "bridle" else ""
            view.add_row(title, name, f"{used:.1f} MB", "", "", verdict)
    Console(width=110).print(view)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--rounds", type=int, default=50, help="calls of each peer (ten times as many of ours)")
    parser.add_argument("--serve", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--setup", default="{}", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, json.loads(arguments.setup))
        return
    table = figures(run(arguments.rounds))
    if arguments.json:
        print(json.dumps(table, indent=2))
    else:
        show(table)


if __name__ == "__main__":
    main()
