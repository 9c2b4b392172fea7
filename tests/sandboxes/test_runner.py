"""The runner alone, over two pipes, under every Python that this machine has."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandboxes import launch
from sandboxes.channel.frames import encode


def pythons() -> list[str]:
    """This one, the system's, and pyenv's: one of each version."""
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [sys.executable, shutil.which("python3", path="/usr/bin") or sys.executable]
    found += [str(p) for p in sorted(home.glob("versions/3.*/bin/python3"))]
    names = {}
    for python in found:
        script = "import ctypes, sys; print(sys.version_info >= (3, 6), sys.version.split()[0])"
        done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False)
        good, _, version = done.stdout.strip().partition(" ")
        if good == "True":
            names.setdefault(version.rpartition(".")[0], python)
    return list(names.values())


EXEC = {"cwd": "/", "env": {}, "limit": 1000, "live": False}


class Pipes:
    """A runner and the two ends of its stream."""

    def __init__(self, python: str, boot: str) -> None:
        command = [python, "-I", "-S", "-c", boot, "exit 1"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self._number = 0
        self._send(launch.runner_payload())

    def _send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        while data:
            data = data[self.process.stdin.write(data) or 0 :]

    def answer(self) -> tuple[dict[str, Any], bytes]:
        """The next final frame and the data before it."""
        assert self.process.stdout is not None
        whole = b""
        while True:
            sizes = self._exactly(8)
            header = json.loads(self._exactly(int.from_bytes(sizes[:4], "big")))
            body = self._exactly(int.from_bytes(sizes[4:], "big"))
            if header["type"] != "data":
                return header, whole
            whole += body

    def _exactly(self, count: int) -> bytes:
        assert self.process.stdout is not None
        data = b""
        while len(data) < count:
            piece = self.process.stdout.read(count - len(data))
            assert piece, "the runner ended"
            data += piece
        return data

    def begin(self, op: str, body: bytes = b"", **fields: Any) -> None:
        """Ask without waiting for the answer."""
        self._number += 1
        self._send(encode({"op": op, "id": self._number, "size": len(body), **fields}, body))

    def ask(self, op: str, body: bytes = b"", **fields: Any) -> tuple[dict[str, Any], bytes]:
        self.begin(op, body, **fields)
        return self.answer()

    def exec(
        self, *argv: str, stdin: bytes = b"", timeout: float = 20, **fields: Any
    ) -> tuple[dict[str, Any], bytes]:
        return self.ask("exec", stdin, argv=argv, timeout=timeout, **{**EXEC, **fields})


@pytest.fixture(params=[*pythons(), "without posix_spawn"])
def runner(request: pytest.FixtureRequest) -> Iterator[Pipes]:
    boot, python = launch.BOOT, request.param
    if python == "without posix_spawn":
        python, boot = sys.executable, boot.replace("import os,sys", "import os,sys; del os.posix_spawn")
    pipes = Pipes(python, boot)
    yield pipes
    assert pipes.process.stdin is not None
    pipes.process.stdin.close()
    assert pipes.process.wait(20) == 0
    assert pipes.process.stdout is not None
    pipes.process.stdout.close()


def test_a_conversation(runner: Pipes, tmp_path: Path) -> None:
    ready, _ = runner.answer()
    assert ready["type"] == "ready"
    assert runner.exec("echo", "hello")[1] == b"hello\n"
    assert runner.exec("sh", "-c", "echo err >&2; exit 7")[0]["code"] == 7
    assert runner.exec("cat", stdin=b"given" * 50_000, limit=1 << 20)[1] == b"given" * 50_000
    end, text = runner.exec("no-such-command")
    assert (end["code"], b"cannot be started" in text) == (127, True)
    assert runner.exec("/etc/hosts")[0]["code"] == 126
    assert runner.exec("true", cwd="/nowhere")[0]["problem"] == "not_found"
    end, text = runner.exec("sh", "-c", "(setsid sleep 61.25 &); echo on; sleep 61.5", timeout=0.5)
    assert (end["ending"], text) == ("timeout", b"on\n")
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"61.25" in readable(p)]
    name = str(tmp_path / "file")
    plain = {"expect": None, "create_only": False, "follow": True}
    assert runner.ask("write", b"data", path=name, **plain)[0]["type"] == "done"
    assert runner.ask("read", path=name, limit=10)[1] == b"data"
    (tmp_path / "link").symlink_to(tmp_path)
    real = os.fsencode(tmp_path.resolve())
    assert runner.ask("resolve", path=f"{tmp_path}/link/../{tmp_path.name}/link/new")[1] == real + b"/new"
    assert runner.ask("write", path=f"{tmp_path}/link/new", **{**plain, "follow": False})[0]["type"] == "error"
    assert runner.ask("list", path=f"{tmp_path}/link", most=5)[1] == b"ffile\0llink\0+0\0"
    assert runner.exec("sh", "-c", "echo still; kill -9 $$") == (
        {"type": "exit", "id": 13, "code": 137, "ending": "exited", "head": 6, "dropped": 0, "spilled": 0},
        b"still\n",
    )


def readable(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_busy_runner_gives_no_command_to_a_supervisor_that_it_has_killed(runner: Pipes) -> None:
    runner.answer()
    for _ in range(3):
        runner.begin("exec", argv=["sleep", "0.2"], timeout=20, alone=True, **EXEC)
        command = until(lambda: [each for each in below(runner.process.pid) if b"sleep" in cmdline(each)])[0]
        runner.process.send_signal(signal.SIGSTOP)
        # Meanwhile the supervisor says both that the command has ended and that it is idle.
        until(lambda gone=command: gone not in below(runner.process.pid))
        time.sleep(0.1)
        runner.process.send_signal(signal.SIGCONT)
        assert runner.answer()[0]["code"] == 0
        assert runner.exec("true")[0]["code"] == 0


def below(pid: int) -> list[int]:
    """All processes that come from this one."""
    children = readable(Path(f"/proc/{pid}/task/{pid}/children")).split()
    return [each for child in map(int, children) for each in [child, *below(child)]]


def cmdline(pid: int) -> bytes:
    return readable(Path(f"/proc/{pid}/cmdline"))


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.005)
    return found


def test_a_command_that_can_kill_its_supervisor_still_ends_in_time(runner: Pipes) -> None:
    """Here both are one user, as in a namespace that has only one."""
    assert runner.answer()[0]["apart"] == 0
    end, text = runner.exec(
        "sh", "-c", "kill -9 $PPID; (setsid sleep 111.5 &); echo on; exec sleep 112.5", timeout=1.5
    )
    assert (end["ending"], text) == ("timeout", b"on\n")
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if re.search(rb"11[12]\.5", readable(p))]
    end, text = runner.exec("sh", "-c", "kill -9 $PPID; echo out; sleep 0.2; exit 5")
    assert (end["code"], text) == (5, b"out\n")


def test_the_same_request_is_never_done_twice(runner: Pipes, tmp_path: Path) -> None:
    runner.answer()
    script = f"echo x >> {tmp_path}/count"
    runner.exec("sh", "-c", script)
    runner._number = 0
    again = encode(
        {"op": "exec", "id": 1, "size": 0, "argv": ["sh", "-c", script], "cwd": "/", "env": {}, "limit": 10,
         "live": False, "timeout": 5}
    )  # fmt: skip
    runner._send(again)
    runner._number = 1
    assert runner.exec("echo", "next")[1] == b"next\n"
    assert (tmp_path / "count").read_text() == "x\n"
