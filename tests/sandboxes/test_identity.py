"""The runner is not the commands' user: they cannot end, stop, slow down, trace or read it, nor forge its words;
and it lends them no rights that they do not have."""

from __future__ import annotations

import asyncio
import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from sandboxes import launch
from sandboxes.inside.identity import AGENT, RUNNER
from sandboxes.protocol import FileError, Sandbox, SandboxUnavailable
from tests.sandboxes.conftest import opened

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]
Open = Callable[..., Awaitable[Sandbox]]

KILL_AND_SETUID = f"{1 << 5 | 1 << 7:016x}"
SETUID = f"{1 << 7:016x}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(engine: None) -> AsyncIterator[Sandbox]:
    """One sandbox with a runner, which no test here can harm."""
    sandbox = await opened("host")
    yield sandbox
    await sandbox.close()


async def text(box: Sandbox, script: str) -> str:
    return (await box.exec(["sh", "-c", f"({script}) 2>&1"], max_output=1 << 20)).output.text()


async def facts(box: Sandbox, process: str) -> dict[str, str]:
    status = await text(box, f"cat /proc/{process}/status")
    return dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)


async def test_who_the_runner_and_its_supervisors_are(host: Sandbox) -> None:
    for process, capabilities in (("1", KILL_AND_SETUID), ("$PPID", SETUID)):
        about = await facts(host, process)
        assert about["Name"] == "bridle-runner"
        assert about["Uid"].split() == [str(RUNNER)] * 3 + [str(AGENT)]
        assert {about[f"Cap{kind}"] for kind in ("Inh", "Bnd", "Amb")} == {"0" * 16}
        assert {about["CapPrm"], about["CapEff"]} == {capabilities}
        assert (about["Groups"].strip(), about["NoNewPrivs"]) == ("", "1")


@pytest.mark.parametrize("process", ["1", "$PPID"])
async def test_no_signal_reaches_it(host: Sandbox, process: str) -> None:
    """A supervisor only has to have come back from starting the command."""
    names = ("KILL", "STOP", "TERM", "INT", "HUP", "QUIT", "USR1", "PIPE", "SEGV", "CONT")
    said = await text(host, f"sleep 0.2; for s in {' '.join(names)}; do kill -$s {process}; done; echo end")
    assert said.count("not permitted") == len(names)
    assert said.endswith("end\n")


@pytest.mark.parametrize("process", ["1", "$PPID"])
async def test_nothing_of_it_can_be_read_or_written(host: Sandbox, process: str) -> None:
    files = (
        "mem",
        "environ",
        "maps",
        "auxv",
        "syscall",
        "stack",
        "io",
        "fd/1",
        "exe",
        "cwd/",
        "root/",
        "map_files",
    )
    script = f"cd /proc/{process}; for f in {' '.join(files)}; do [ -d $f ] && ls $f; head -c 1 $f; done"
    said = await text(host, script)
    assert said.count("denied") + said.count("not permitted") >= len(files)
    for file in ("mem", "fd/0", "fd/1", "oom_score_adj", "clear_refs", "coredump_filter", "comm"):
        said = await text(host, f"echo x > /proc/{process}/{file}")
        assert "denied" in said or "not permitted" in said, file


ATTACKS = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
pid = int(sys.argv[1]) or os.getppid()
class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
room = ctypes.create_string_buffer(8)
here, there = Iovec(ctypes.addressof(room), 8), Iovec(0x400000, 8)
def attempt(name, result):
    print(name, result, ctypes.get_errno())
attempt("attach", libc.ptrace(16, pid, 0, 0))
attempt("seize", libc.ptrace(0x4206, pid, 0, 0))
attempt("read", libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0))
attempt("write", libc.process_vm_writev(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0))
attempt("limit", libc.prlimit(pid, 7, (ctypes.c_ulong * 2)(1, 1), None))
attempt("slow", libc.setpriority(0, pid, 19))
attempt("policy", libc.sched_setscheduler(pid, 5, ctypes.byref(ctypes.c_int(0))))
attempt("affinity", libc.sched_setaffinity(pid, 8, ctypes.byref(ctypes.c_ulong(1))))
handle = libc.syscall(434, pid, 0)
attempt("descriptor", libc.syscall(438, handle, 1, 0))
"""


@pytest.mark.parametrize("process", ["1", "0"])
async def test_no_system_call_reaches_it(host: Sandbox, process: str) -> None:
    result = await host.exec(["python3", "-c", ATTACKS, process])
    lines = [line.split() for line in result.output.text().splitlines()]
    assert len(lines) == 9
    for name, value, error in lines:
        assert (value, error in ("1", "13")) == ("-1", True), name


async def test_a_stopped_or_killed_neighbour_is_all_that_a_storm_of_signals_gets(host: Sandbox) -> None:
    storm = "end=$(($(date +%s) + 3)); while [ $(date +%s) -lt $end ]; do kill -STOP -1; kill -9 -1; done"
    storming = asyncio.ensure_future(host.exec(["sh", "-c", storm], timeout=20))
    for _ in range(20):
        await host.exec(["true"], timeout=5)
    assert (await storming).ending in ("exited", "timeout")
    assert await text(host, "echo well") == "well\n"


def archive_of_others_files() -> bytes:
    """Files that root, the runner's user and the runner's group may reach, and the agent may not, or only read."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, mode, uid, gid in (
            ("closed", 0o700, 0, 0),
            ("mine", 0o700, RUNNER, 0),
            ("open", 0o777, 0, 0),
            ("closed/s", 0o644, 0, 0),
            ("mine/s", 0o600, RUNNER, 0),
            ("s", 0o600, 0, 0),
            ("g", 0o040, 0, RUNNER),
            ("r", 0o444, 0, 0),
        ):
            entry = tarfile.TarInfo(name)
            entry.mode, entry.uid, entry.gid = mode, uid, gid
            entry.type = tarfile.DIRTYPE if name in ("closed", "mine", "open") else tarfile.REGTYPE
            entry.size = 0 if entry.isdir() else 2
            tar.addfile(entry, io.BytesIO(b"s\n"))
    return out.getvalue()


async def test_files_are_opened_with_the_commands_rights_only(fresh: Open, client: Any) -> None:
    box = await fresh("host")
    assert client.put_archive(box.name, "/", archive_of_others_files())
    for path in ("/s", "/g", "/closed/s", "/mine/s", "/proc/1/environ", "/proc/1/mem"):
        with pytest.raises(FileError) as caught:
            await box.read(path)
        assert caught.value.problem == "permission", path
    for path in ("/r", "/etc/x", "/closed/x", "/mine/x", "/mine/s", "/usr/x", "/proc/1/comm", "/x"):
        with pytest.raises(FileError) as caught:
            await box.write(path, b"x")
        refused = ("permission", "not_found") if path.startswith("/proc") else ("permission", "not_a_file")
        assert caught.value.problem in refused, path  # proc has no room for new files, and says it its own way
    assert await box.read("/r") == b"s\n"
    await box.write("/open/mine", b"x")
    await box.write("/workspace/new/file", b"x")
    await box.exec(["sh", "-c", "yes | head -c 100000"], max_output=1000)
    owners = await text(box, "stat -c %u:%g /open/mine /workspace/new /workspace/new/file /tmp/.bridle/output/*")
    assert owners == "1000:1000\n" * 4


@pytest.mark.parametrize(("owners", "ran_as"), [((0, 0), 0), ((1000, 0), 1000), ((0, 1000), 1000)])
async def test_a_python_that_commands_could_change_does_not_run_as_root(
    client: Any, busybox_image: str, owners: tuple[int, int], ran_as: int
) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        text = b'#!/bin/sh\necho "ran as $(id -u)" >&2; exit 1\n'
        for name, owner, size in (
            ("opt/x", 0, 0),
            ("opt/x/bin", owners[0], 0),
            ("opt/x/bin/python3", owners[1], len(text)),
        ):
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.REGTYPE if size else tarfile.DIRTYPE
            entry.mode, entry.uid, entry.size = 0o755, owner, size
            tar.addfile(entry, io.BytesIO(text))
    base = client.create_container(busybox_image, ["true"])["Id"]
    image = ""
    try:
        client.put_archive(base, "/", out.getvalue())
        image = client.commit(base, changes=["ENV PATH=/opt/x/bin:/bin"])["Id"]
        with pytest.raises(SandboxUnavailable, match=f"ran as {ran_as}\\."):
            await opened(image)
    finally:
        client.remove_container(base, force=True)
        if image:
            client.remove_image(image, force=True)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
async def test_commands_never_run_as_root() -> None:
    """Where there is no other user to become, the runner does not start."""
    alone = [
        "unshare",
        "--user",
        "--map-root-user",
        sys.executable,
        "-I",
        "-S",
        "-c",
        launch.BOOT,
        "exit 1",
        "apart",
    ]
    done = subprocess.run(alone, input=launch.runner_payload(), capture_output=True, timeout=60, check=False)
    if b"unshare" in done.stderr:
        pytest.skip("this machine gives no user namespaces")
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"cannot become another user than root" in done.stderr
