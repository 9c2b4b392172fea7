"""The others: the `docker` command, the Docker SDK, and the sandboxes of mini-swe-agent and SWE-ReX.

Their containers carry a label, so that what is left of a run that was killed can be told and removed.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import secrets
import subprocess
import tarfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.contenders import CHANGE, FLOOD, FLOOD_COMMAND, TICKER, Ticks
from benchmarks.contenders.attempts import TASK, commands

SIZE = 10_000
PORT = 8000
ALIVE_SECONDS = 60.0
WORK = "/tmp/work"


def docker(*words: str) -> str:
    """Run the `docker` command; what it printed. Raises CalledProcessError."""
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout.strip()


def work_on_task(box: str, count: int, run: Callable[[str], object]) -> None:
    """An attempt in a running container: the files, the commands, the task's tests."""
    docker("exec", box, "mkdir", "-p", f"{WORK}/tests")
    docker("cp", f"{TASK}/environment/files/.", f"{box}:{WORK}")
    for command in commands(count):
        run(command)
    docker("cp", f"{TASK}/tests/.", f"{box}:{WORK}/tests")
    run(f"cd {WORK} && PYTHONPATH={WORK} python3 -m pytest -q -p no:cacheprovider tests")


class Container:
    """What all of them have: a container started as mini-swe-agent starts one."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self._setup = setup
        self._id = ""
        self._fork = ""
        self._saved = ""
        self._count = 0

    def _run(self, image: str) -> str:
        return docker("run", "-d", "--rm", *self._setup["run_args"], "--network", "none", image, "sleep", "1h")

    def open(self) -> None:
        self._id = self._run(self._setup["image"])

    def close(self) -> None:
        self.end_fork()
        if self._id:
            docker("rm", "-f", self._id)
            self._id = ""
        self.forget()

    def first(self) -> int:
        """The number of the first process, on the host."""
        return int(docker("inspect", "-f", "{{.State.Pid}}", self._id))

    def end_fork(self) -> None:
        if self._fork:
            docker("rm", "-f", self._fork)
            self._fork = ""

    def forget(self) -> None:
        if self._saved:
            docker("rmi", "-f", self._saved)  # its name, where a container still needs it
            self._saved = ""

    def _text(self) -> bytes:
        self._count += 1
        return b"%010d" % self._count * (SIZE // 10)


class Cli(Container):
    """The `docker` command, as a person would type it."""

    def attempts(self, count: int, jobs: int, commands: int) -> None:
        """So many attempts at a task: a container each, a `docker exec` a command, and the tests in there."""

        def attempt(_: int) -> None:
            box = self._run(self._setup["image"])
            try:
                work_on_task(box, commands, lambda command: docker("exec", "-w", WORK, box, "sh", "-c", command))
            finally:
                docker("rm", "-f", box)

        with ThreadPoolExecutor(jobs) as threads:
            list(threads.map(attempt, range(count)))

    def _exec(self, *words: str) -> None:
        subprocess.run(["docker", "exec", self._id, *words], capture_output=True, check=True)

    def noop(self) -> None:
        self._exec("true")

    def bash(self) -> None:
        self._exec("bash", "-lc", "true")

    def flood(self) -> None:
        command = ["docker", "exec", self._id, "sh", "-c", FLOOD_COMMAND]
        assert len(subprocess.run(command, capture_output=True, check=True).stdout) == FLOOD

    def stream(self, lines: int, pause: float) -> list[float]:
        ticks = Ticks()
        command = ["docker", "exec", self._id, "python3", "-c", TICKER, str(lines), str(pause)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            while data := os.read(process.stdout.fileno(), 1 << 16):
                ticks.feed(data, time.monotonic_ns())
        return ticks.delays

    def change(self, folder: str, count: int, size: int) -> None:
        self._exec("sh", "-c", CHANGE, "sh", folder, str(count), str(size))

    def save(self) -> None:
        self.forget()
        self._saved = f"{self._setup['images']}:{secrets.token_hex(4)}"
        docker("commit", self._id, self._saved)

    def restore(self) -> None:
        docker("rm", "-f", self._id)
        self._id = self._run(self._saved)

    def fork(self) -> None:
        self._fork = self._run(self._saved)


class Sdk(Container):
    """The Docker SDK for Python, and the engine's archives for files."""

    def __init__(self, setup: dict[str, Any]) -> None:
        super().__init__(setup)
        import docker

        self._client = docker.APIClient(**docker.utils.kwargs_from_env(), version="auto")

    def open(self) -> None:
        places = {place: {"bind": place, "mode": "ro"} for place in self._setup["mounts"]}
        host = self._client.create_host_config(binds=places, network_mode="none", auto_remove=True)
        made = self._client.create_container(
            self._setup["image"],
            ["sleep", "1h"],
            environment={"PATH": self._setup["path"]},
            labels=[self._setup["run"]],
            host_config=host,
        )
        self._id = made["Id"]
        self._client.start(self._id)

    def _exec(self, *words: str) -> bytes:
        number = self._client.exec_create(self._id, words)["Id"]
        output: bytes = self._client.exec_start(number)
        assert self._client.exec_inspect(number)["ExitCode"] == 0
        return output

    def noop(self) -> None:
        self._exec("true")

    def bash(self) -> None:
        self._exec("bash", "-lc", "true")

    def write(self) -> None:
        self._put(self._text())

    def read(self) -> None:
        assert len(self._get()) == SIZE

    def edit(self) -> None:
        self._put(self._get()[:-10] + self._text()[:10])

    def _put(self, data: bytes) -> None:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            info = tarfile.TarInfo("file.txt")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        assert self._client.put_archive(self._id, "/tmp", out.getvalue())

    def _get(self) -> bytes:
        pieces, _ = self._client.get_archive(self._id, "/tmp/file.txt")
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
            member = tar.extractfile("file.txt")
            assert member is not None
            return member.read()

    def flood(self) -> None:
        assert len(self._exec("sh", "-c", FLOOD_COMMAND)) == FLOOD

    def stream(self, lines: int, pause: float) -> list[float]:
        ticks = Ticks()
        number = self._client.exec_create(self._id, ["python3", "-c", TICKER, str(lines), str(pause)])["Id"]
        for data in self._client.exec_start(number, stream=True):
            ticks.feed(data, time.monotonic_ns())
        return ticks.delays


class MiniSweAgent(Container):
    """The docker environment of mini-swe-agent. Its only door is a command line, also for files."""

    def __init__(self, setup: dict[str, Any]) -> None:
        super().__init__(setup)
        logging.disable()
        os.environ["MSWEA_SILENT_STARTUP"] = "1"
        os.environ["MSWEA_GLOBAL_CONFIG_DIR"] = setup["folder"]
        from minisweagent.environments.docker import DockerEnvironment

        self._make = DockerEnvironment
        self._env: Any = None

    def open(self) -> None:
        run_args = ["--rm", *self._setup["run_args"], "--network", "none"]
        self._env = self._make(image=self._setup["image"], cwd="/tmp", run_args=run_args, timeout=300)
        self._id = self._env.container_id

    def close(self) -> None:
        super().close()
        if self._env is not None:
            self._env.container_id = None  # or it would remove it once more, later

    def _exec(self, command: str) -> str:
        done = self._env.execute({"command": command})
        assert done["returncode"] == 0, done
        return str(done["output"])

    def attempts(self, count: int, jobs: int, commands: int) -> None:
        """So many attempts at a task: an environment each, its `execute` a command, and the tests in there."""

        def attempt(_: int) -> None:
            run_args = ["--rm", *self._setup["run_args"], "--network", "none"]
            env = self._make(image=self._setup["image"], cwd="/tmp", run_args=run_args, timeout=300)

            def run(command: str) -> None:
                done = env.execute({"command": f"cd {WORK} && {command}"})
                assert done["returncode"] == 0, done

            try:
                work_on_task(env.container_id, commands, run)
            finally:
                docker("rm", "-f", env.container_id)
                env.container_id = None

        with ThreadPoolExecutor(jobs) as threads:
            list(threads.map(attempt, range(count)))

    def bash(self) -> None:
        self._exec("true")

    noop = bash  # it always goes through `bash -lc`

    def write(self) -> None:
        self._put(self._text().decode())

    def read(self) -> None:
        assert len(self._exec("cat file.txt")) == SIZE

    def edit(self) -> None:
        self._put(self._exec("cat file.txt")[:-10] + self._text()[:10].decode())

    def _put(self, text: str) -> None:
        self._exec(f"cat > file.txt <<'END'\n{text}\nEND\ntruncate -s {SIZE} file.txt")

    def flood(self) -> None:
        assert len(self._exec(FLOOD_COMMAND)) == FLOOD

    def stream(self, lines: int, pause: float) -> list[float]:
        ticks = Ticks()
        output = self._exec(f"python3 -c '{TICKER}' {lines} {pause}")
        ticks.feed(output.encode(), time.monotonic_ns())
        return ticks.delays


class SweRex(Container):
    """SWE-ReX: its server in a container, on a network that leads nowhere else; its own client."""

    def __init__(self, setup: dict[str, Any]) -> None:
        super().__init__(setup)
        logging.disable()
        from swerex.runtime import abstract, remote

        self._rex, self._remote = abstract, remote.RemoteRuntime
        self._loop = asyncio.new_event_loop()
        self._runtime: Any = None

    def _do(self, work: Any) -> Any:
        return self._loop.run_until_complete(work)

    def open(self) -> None:
        token = secrets.token_hex(16)
        server = [self._setup["peer_python"], "-m", "swerex.server", "--port", str(PORT), "--auth-token", token]
        where = ["--network", self._setup["network"], *self._setup["peer_mounts"]]
        words = ["run", "-d", "--rm", *self._setup["run_args"], *where, self._setup["image"]]
        self._id = docker(*words, "timeout", "1h", *server)
        networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        address = docker("inspect", "-f", networks, self._id)
        self._runtime = self._remote(host=f"http://{address}", port=PORT, auth_token=token, timeout=5)
        self._do(self._alive())
        self._session = False

    async def _alive(self) -> None:
        end = time.monotonic() + ALIVE_SECONDS
        while not (await self._runtime.is_alive(timeout=1)).is_alive:
            assert time.monotonic() < end, "the server of SWE-ReX does not answer"
            await asyncio.sleep(0.01)

    def _exec(self, *words: str) -> str:
        done = self._do(self._runtime.execute(self._rex.Command(command=list(words), timeout=300)))
        assert done.exit_code == 0, done
        return str(done.stdout)

    def noop(self) -> None:
        self._exec("true")

    def bash(self) -> None:
        self._exec("bash", "-lc", "true")

    def begin_session(self) -> None:
        self._do(self._runtime.create_session(self._rex.CreateBashSessionRequest()))

    def session(self) -> None:
        done = self._do(self._runtime.run_in_session(self._rex.BashAction(command="true")))
        assert done.exit_code == 0, done

    def write(self) -> None:
        self._put(self._text().decode())

    def read(self) -> None:
        assert len(self._get()) == SIZE

    def edit(self) -> None:
        self._put(self._get()[:-10] + self._text()[:10].decode())

    def _get(self) -> str:
        return str(self._do(self._runtime.read_file(self._rex.ReadFileRequest(path="/tmp/file.txt"))).content)

    def _put(self, text: str) -> None:
        request = self._rex.WriteFileRequest(path="/tmp/file.txt", content=text)
        self._do(self._runtime.write_file(request))

    def flood(self) -> None:
        assert len(self._exec("sh", "-c", FLOOD_COMMAND)) == FLOOD

    def stream(self, lines: int, pause: float) -> list[float]:
        ticks = Ticks()
        ticks.feed(self._exec("python3", "-c", TICKER, str(lines), str(pause)).encode(), time.monotonic_ns())
        return ticks.delays
