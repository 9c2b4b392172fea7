"""Bridle's sandboxes, driven from one event loop through the public protocol."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.contenders import CHANGE, FLOOD, FLOOD_COMMAND, TICKER, Ticks
from benchmarks.contenders.attempts import TASK
from sandboxes.bubblewrap.backend import BubblewrapBackend
from sandboxes.bubblewrap.sandbox import BubblewrapSandbox
from sandboxes.docker.backend import DockerBackend
from sandboxes.docker.engine import Engine
from sandboxes.network.outside import Believed, Connected, Egress, Outside
from sandboxes.network.rules import Network, parse_rule
from sandboxes.pool import Pool
from sandboxes.protocol import Backend, Checkpoint, PtySize, Sandbox, SandboxSpec
from tasks.agents.work import Agent
from tasks.format.task import load_task
from tasks.runs.runner import Run
from tools.edit import Edit
from tools.protocol import Tool, Workbench
from tools.read import Read
from tools.search import Search
from tools.write import Write

T = TypeVar("T")
NOWHERE = "2d00::5"
"""Of a block that is assigned to nobody; what is dialled is this machine's loopback."""
CLIENT = """
import socket, sys, time
what, size, host, port = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
s = socket.create_connection((host, port), 60)
f = s.makefile("rb")
if sys.argv[5:]:
    s.sendall(b"CONNECT origin.test:7 HTTP/1.1\\r\\nHost: origin.test\\r\\n\\r\\n")
    assert b" 200 " in f.readline()
    while f.readline().strip(): pass
begun = time.monotonic()
s.sendall(b"%s %d\\n" % (what.encode(), size))
if what == "down":
    got = 0
    while data := f.read1(1 << 16): got += len(data)
    assert got == size, got
else:
    block = bytes(1 << 16)
    for _ in range(size // len(block)): s.sendall(block)
    assert f.readline() == b"taken\\n"
print(time.monotonic() - begun)
"""
FILL = """
git init -q . && for i in $(seq 50); do seq -f "line_$i %.0f" 900 > f$i.py; done
git add -A && git -c user.name=a -c user.email=a@example.org commit -qm files
"""
BUSY = "while :; do :; done"


class Bridle:
    """What both backends share."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self._loop = asyncio.new_event_loop()
        self._spec = SandboxSpec(setup["run"])
        self._backend = self._make_backend()
        self._box: Sandbox | None = None
        self._fork: Sandbox | None = None
        self._saved: list[Checkpoint] = []
        self._count = 0
        self._edits = 0

    def _make_backend(self) -> Backend:
        raise NotImplementedError

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    @property
    def box(self) -> Sandbox:
        assert self._box is not None
        return self._box

    def open(self) -> None:
        self._box = self._do(self._backend.open(self._spec))

    def close(self) -> None:
        self.end_fork()
        if self._box is not None:
            self._do(self._box.close())
            self._box = None
        self.forget()

    # Commands and files.

    def noop(self) -> None:
        assert self._do(self.box.exec(["true"])).exit_code == 0

    def bash(self) -> None:
        assert self._do(self.box.exec(["bash", "-lc", "true"])).exit_code == 0

    def _text(self) -> bytes:
        self._count += 1
        return b"%010d" % self._count * 1000

    def write(self) -> None:
        self._do(self.box.write("file.txt", self._text()))

    def read(self) -> None:
        assert len(self._do(self.box.read("file.txt"))) == 10_000

    def edit(self) -> None:
        self._do(self._edit())

    async def _edit(self) -> None:
        before = await self.box.read("file.txt")
        await self.box.write("file.txt", before[:-10] + self._text()[:10], expect=before)

    # The tools of the model.

    def fill(self) -> None:
        self._edits = 0
        done = self._do(self.box.exec(["sh", "-c", FILL]))
        assert done.exit_code == 0, done.output.text()

    def _tool(self, tool: Tool, arguments: dict[str, object]) -> None:
        result = self._do(tool.run(tool.arguments.model_validate(arguments), Workbench(sandbox=self.box)))
        assert result.ok, result.text

    def tool_read(self) -> None:
        self._tool(Read(), {"path": "f1.py"})

    def tool_list(self) -> None:
        self._tool(Read(), {"path": "."})

    def tool_write(self) -> None:
        self._tool(Write(), {"path": "new.py", "content": self._text().decode()})

    def tool_edit(self) -> None:
        self._edits += 1
        old, new = f"line_2 500{'x' * (self._edits - 1)}\n", f"line_2 500{'x' * self._edits}\n"
        self._tool(Edit(), {"path": "f2.py", "old": old, "new": new})

    def tool_search(self) -> None:
        self._tool(Search(), {"pattern": "line_7 500$"})

    def tool_names(self) -> None:
        self._tool(Search(), {"name": "f7.py"})

    # Output.

    def flood(self) -> None:
        result = self._do(self.box.exec(["sh", "-c", FLOOD_COMMAND]))
        assert result.output.total == FLOOD

    def stream(self, lines: int, pause: float) -> list[float]:
        ticks = Ticks()
        command = ["python3", "-c", TICKER, str(lines), str(pause)]
        work = self.box.exec(command, on_output=lambda data: ticks.feed(data, time.monotonic_ns()))
        assert self._do(work).exit_code == 0
        return ticks.delays

    def stream_terminal(self, lines: int, pause: float) -> list[float]:
        return self._do(self._terminal(["python3", "-c", TICKER, str(lines), str(pause)]))

    async def _terminal(self, command: list[str]) -> list[float]:
        ticks, after = Ticks(), 0
        process = await self.box.start(command, pty=PtySize())
        while True:
            part = await self.box.process_read(process, after=after, wait=5)
            ticks.feed(part.data, time.monotonic_ns())
            after = part.next
            if part.info.status == "exited" and after == part.info.total:
                return ticks.delays

    # File states.

    def change(self, folder: str, count: int, size: int) -> None:
        done = self._do(self.box.exec(["sh", "-c", CHANGE, "sh", folder, str(count), str(size)]))
        assert done.exit_code == 0, done.output.text()

    def attempts(self, count: int, jobs: int, commands: int) -> None:
        """So many attempts at a task, as `bridle suite run` makes them, with a model that answers at once."""
        from benchmarks.contenders.instant import answering

        with answering(commands) as url, tempfile.TemporaryDirectory(prefix="bridle-bench-") as folder:
            agent = Agent(kind="bridle", options={"model": "instant", "base_url": url})
            run = Run([load_task(TASK)], agent, self._backend, Path(folder), count, jobs)
            results = self._do(run.run())
        assert [each.status for each in results] == ["pass"] * count, [each.detail for each in results]

    def save(self) -> None:
        self._saved.append(self._do(self.box.checkpoint("benchmark")))

    def restore(self) -> None:
        self._do(self.box.restore(self._saved[-1]))

    def go_on(self) -> None:
        self._do(self.box.go_on_from(self._saved[-1]))

    def fork(self) -> None:
        self._fork = self._do(self.box.fork(self._spec.run_id, self._saved[-1]))

    def forget(self) -> None:
        while self._saved:
            self._do(self._backend.drop(self._saved.pop()))

    def end_fork(self) -> None:
        if self._fork is not None:
            self._do(self._fork.close())
            self._fork = None


class Docker(Bridle):
    """The docker backend."""

    def _make_backend(self) -> Backend:
        return DockerBackend()

    def first(self) -> int:
        """The number of the first process, on the host."""
        state = Engine().client().inspect_container(self.box.name)["State"]
        return int(state["Pid"])


class Bubblewrap(Bridle):
    """The bubblewrap backend, with its files in a folder that goes with this process."""

    def _make_backend(self) -> Any:
        self._folder = tempfile.TemporaryDirectory(prefix="bridle-benchmark-")
        return BubblewrapBackend(folder=Path(self._folder.name) / "sandboxes")

    def first(self) -> int:
        assert isinstance(self.box, BubblewrapSandbox)
        return self.box.pid


class Pooled(Docker):
    """The docker backend, behind a pool in which one sandbox waits."""

    def _make_backend(self) -> Backend:
        return Pool(DockerBackend(), 1, run_id=self._spec.run_id, refill=False)

    def prepare(self) -> None:
        """Come back when a sandbox waits."""
        assert isinstance(self._backend, Pool)
        self._do(self._prepare(self._backend))

    async def _prepare(self, pool: Pool) -> None:
        others = asyncio.all_tasks()
        pool.prepare(self._spec)
        await asyncio.wait(asyncio.all_tasks() - others)

    def end(self) -> None:
        """Close the pool."""
        assert isinstance(self._backend, Pool)
        self._do(self._backend.close())


class Busy(Docker):
    """Other sandboxes, each computing without end, while somebody else is measured."""

    def __init__(self, setup: dict[str, Any]) -> None:
        super().__init__(setup)
        self._boxes: list[Sandbox] = []

    def begin(self, count: int) -> None:
        self._do(self._begin(count))

    async def _begin(self, count: int) -> None:
        for _ in range(count):
            self._boxes.append(await self._backend.open(self._spec))
            await self._boxes[-1].start(["sh", "-c", BUSY])

    def close(self) -> None:
        while self._boxes:
            self._do(self._boxes.pop().close())


class Tunnel(Docker):
    """A sandbox with one allowed host, which a server in this process is; and the same without a sandbox."""

    _server: asyncio.Server | None = None

    def open(self) -> None:
        self._server = self._do(asyncio.start_server(_counting, "127.0.0.1", 0))
        port = self._server.sockets[0].getsockname()[1]
        self._local = ["127.0.0.1", str(port)]

        async def resolve(host: str, port: int) -> list[str]:
            return [NOWHERE]

        async def dial(address: str, to: int, believed: Believed | None = None) -> Connected:
            return await asyncio.open_connection("127.0.0.1", port)

        network = Network("allowlist", (parse_rule("origin.test:7"),))
        spec = replace(self._spec, network=network, egress=Egress(Outside(resolve, dial)))
        self._box = self._do(self._backend.open(spec))

    def through(self, what: str, size: int) -> float:
        """Seconds that so many bytes took out of the sandbox, or into it, as a program inside counts them."""
        done = self._do(self.box.exec(["python3", "-c", CLIENT, what, str(size), "127.0.0.1", "3128", "tunnel"]))
        assert done.exit_code == 0, done.output.text()
        return float(done.output.head)

    def direct(self, what: str, size: int) -> float:
        """The same from a process beside this one."""
        return self._do(self._direct(what, size))

    async def _direct(self, what: str, size: int) -> float:
        command = [sys.executable, "-c", CLIENT, what, str(size), *self._local]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        printed, _ = await process.communicate()
        return float(printed)

    def close(self) -> None:
        super().close()
        if self._server is not None:
            self._server.close()


async def _counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends as many bytes as the first line says, or takes as many and then says so."""
    what, size = (await reader.readline()).split()
    block = bytes(1 << 16)
    if what == b"down":
        for _ in range(int(size) // len(block)):
            writer.write(block)
            await writer.drain()
    else:
        left = int(size)
        while left > 0 and (data := await reader.read(1 << 16)):
            left -= len(data)
        writer.write(b"taken\n")
    writer.close()
