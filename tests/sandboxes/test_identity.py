"""The runner is not the commands' user: they cannot end, stop, slow down, trace or read it, nor forge its words;
and it lends them no rights that they do not have."""

from __future__ import annotations

import asyncio
import contextlib
import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import docker.errors
import pytest
import pytest_asyncio

from sandboxes import launch
from sandboxes.docker.backend import DockerBackend
from sandboxes.inside.identity import AGENT, RUNNER
from sandboxes.ownership import OPEN_ROOT_LABEL
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
    status = await text(box, f"sleep 0.2; cat /proc/{process}/status")  # the supervisor is back from starting it
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


Tree = dict[str, tuple[int, int, str]]
"""Files of an image by path: owner, mode, and text; a link if that begins with "-> ", a folder if it is empty."""

TELLING = '#!/bin/sh\necho "ran as $(id -u)" >&2; exit 1\n'
INSTALLED: Tree = {
    "opt": (0, 0o755, ""),
    "opt/x": (0, 0o755, ""),
    "opt/x/bin": (0, 0o755, ""),
    "opt/x/bin/python3": (0, 0o755, TELLING),
    "opt/x/lib": (0, 0o755, ""),
    "opt/x/lib/python3.9": (0, 0o755, ""),
    "opt/x/lib/python3.9/os.py": (0, 0o644, "x"),
    "opt/x/lib/python3.9/site-packages": (0, 0o777, ""),
}
VENV: Tree = {
    "opt/y": (0, 0o755, ""),
    "opt/y/bin": (0, 0o755, ""),
    "opt/y/bin/python3": (0, 0o755, TELLING),
    "opt/x/bin/python3": (0, 0o777, "-> ../../y/bin/python3"),
    "opt/x/pyvenv.cfg": (0, 0o644, "version = 3.9\nhome = /opt/y/bin\n"),
    "opt/y/lib": (0, 0o755, ""),
    "opt/y/lib/python3.9": (0, 0o755, ""),
}
CLOSED: dict[str, Tree] = {
    "as it is installed": {},
    "a virtual environment": VENV,
    "links on the way": {"opt/z": (0, 0o777, "-> x"), "opt/x/bin/python3": (0, 0o755, TELLING)},
    "a folder like /tmp on the way": {"opt": (0, 0o1777, "")},
    "the system's libraries": {"lib": (0, 0o755, ""), "lib/libc.so": (0, 0o755, "x")},
}
OPEN: dict[str, Tree] = {
    "the folder's owner": {"opt/x/bin": (1000, 0o755, "")},
    "the program's owner": {"opt/x/bin/python3": (1000, 0o755, TELLING)},
    "another owner's program": {"opt/x/bin/python3": (7, 0o755, TELLING)},
    "a folder that all may write": {"opt/x/bin": (0, 0o777, "")},
    "a folder like /tmp": {"opt/x/bin": (0, 0o1777, "")},
    "a program that all may write": {"opt/x/bin/python3": (0, 0o777, TELLING)},
    "a folder above that all may write": {"opt/x": (0, 0o777, "")},
    "a folder above like /tmp": {"opt/x": (0, 0o1777, "")},
    "a folder further above": {"opt": (0, 0o777, "")},
    "an open pyvenv.cfg": {"opt/x/pyvenv.cfg": (0, 0o666, "home = /opt/x/bin\n")},
    "an open pyvenv.cfg beside the program": {"opt/x/bin/pyvenv.cfg": (0, 0o666, "")},
    "a pyvenv.cfg that leads to the workspace": {"opt/x/pyvenv.cfg": (0, 0o644, "home = /workspace/bin\n")},
    "one that leads there without saying so": {
        **VENV,
        "opt/x/pyvenv.cfg": (0, 0o644, "HOME=/opt/there/bin\n"),
        "opt/there": (0, 0o777, "-> ../workspace"),
    },
    "an installation behind it that is open": {**VENV, "opt/y/lib/python3.9": (0, 0o777, "")},
    "a link to an open program": {**VENV, "opt/y/bin/python3": (0, 0o777, TELLING)},
    "a link into an open folder": {**VENV, "opt/y/bin": (0, 0o777, "")},
    "a link over an open folder": {
        "opt/x/bin/python3": (0, 0o777, "-> ../../over/python3"),
        "opt/over": (0, 0o777, ""),
        "opt/over/python3": (0, 0o777, "-> ../y"),
        "opt/y": (0, 0o755, TELLING),
    },
    "an open standard library": {"opt/x/lib/python3.9": (0, 0o777, "")},
    "an open file in it": {"opt/x/lib/python3.9/os.py": (0, 0o666, "x")},
    "the agent's file in it": {"opt/x/lib/python3.9/os.py": (1000, 0o644, "x")},
    "a file of the agent's group in it": {"opt/x/lib/python3.9/os.py": (0, 0o664, "x")},
    "a folder where a library is looked for first": {"opt/x/lib": (0, 0o777, "")},
    "an open library": {"lib": (0, 0o755, ""), "lib/libc.so": (0, 0o777, "x")},
    "an open folder of the system": {"lib": (0, 0o777, "")},
    "an open folder of programs": {"usr": (0, 0o755, ""), "usr/bin": (0, 0o777, "")},
    "an open folder of settings": {"etc": (0, 0o777, "")},
}


def archive_of(tree: Tree) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, (owner, mode, text) in sorted(tree.items()):
            entry = tarfile.TarInfo(name)
            entry.mode, entry.uid, entry.gid, entry.linkname = mode, owner, AGENT, text.removeprefix("-> ")
            entry.type = tarfile.REGTYPE if text else tarfile.DIRTYPE
            if text.startswith("-> "):
                entry.type = tarfile.SYMTYPE
            entry.size = len(text) if entry.isfile() else 0
            tar.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


@contextlib.contextmanager
def image_with(client: Any, base: str, tree: Tree, *changes: str) -> Iterator[str]:
    container = client.create_container(base, ["true"])["Id"]
    image = ""
    try:
        client.put_archive(container, "/", archive_of(tree))
        image = client.commit(container, changes=changes)["Id"]
        yield image
    finally:
        client.remove_container(container, force=True)
        if image:
            with contextlib.suppress(docker.errors.ImageNotFound):  # gone with a checkpoint that began with it
                client.remove_image(image, force=True)


@pytest.mark.parametrize("what", [*CLOSED, *OPEN])
async def test_a_python_that_commands_could_change_does_not_run_as_root(
    client: Any, busybox_image: str, what: str
) -> None:
    tree, ran_as = {**INSTALLED, **CLOSED.get(what, {}), **OPEN.get(what, {})}, 0 if what in CLOSED else 1000
    with (
        image_with(client, busybox_image, tree, "ENV PATH=/opt/z/bin:/opt/x/bin:/bin") as image,
        pytest.raises(SandboxUnavailable, match=f"ran as {ran_as}\\."),
    ):
        await opened(image)


@pytest.mark.parametrize("variable", ["LD_LIBRARY_PATH=/opt:/workspace/lib", "LD_PRELOAD=/tmp/x.so"])
async def test_nor_does_one_that_takes_code_from_the_workspace(
    client: Any, busybox_image: str, variable: str
) -> None:
    with (
        image_with(client, busybox_image, INSTALLED, "ENV PATH=/opt/x/bin:/bin", f"ENV {variable}") as image,
        pytest.raises(SandboxUnavailable, match="ran as 1000\\."),
    ):
        await opened(image)


async def test_nor_does_the_hosts_with_code_from_the_workspace(fresh: Open) -> None:
    box = await fresh("host", env={"LD_LIBRARY_PATH": "/workspace/lib"})
    assert (await facts(box, "1"))["Uid"].split() == [str(AGENT)] * 4
    assert await text(box, "echo $LD_LIBRARY_PATH") == "/workspace/lib\n"


PLANTED = """
for name in ls cat chmod find readlink sh python3; do
    printf '#!/bin/sh\\nid -u >>/tmp/ran\\nexec /bin/%s "$@"\\n' $name >bin/$name
    /bin/chmod 755 bin/$name
done
"""


@pytest.mark.parametrize(
    ("base", "label"), [("no_python_image", "kept=yes"), ("busybox_image", f"{OPEN_ROOT_LABEL}=yes")]
)
async def test_no_program_of_the_agents_runs_as_root_after_a_restore(
    client: Any, request: pytest.FixtureRequest, base: str, label: str
) -> None:
    begins = request.getfixturevalue(base)
    with image_with(client, begins, {}, "ENV PATH=/workspace/bin:/bin", f"LABEL {label}") as image:
        box = await opened(image)
        try:
            await box.exec(["/bin/mkdir", "bin"])
            assert (await box.exec(["/bin/sh", "-c", PLANTED])).exit_code == 0
            await box.restore(saved := await box.checkpoint("planted"))
            await asyncio.sleep(0.3)
            said = await box.exec(["/bin/cat", "/tmp/ran"])
            assert "0\n" not in said.output.text().replace("1000\n", "")
            mode = (await box.exec(["/bin/stat", "-c", "%a", "/"])).output.text()
            assert mode == ("1777\n" if OPEN_ROOT_LABEL in label else "755\n")
        finally:
            await box.close()
            await DockerBackend().drop(saved)


CHANGED = """
cp /bin/busybox /tmp/busybox
rm /bin/sh
cat >/bin/sh <<'end'
#!/tmp/busybox sh
/tmp/busybox id -u >>/tmp/ran
exec /tmp/busybox sh "$@"
end
chmod 755 /bin/sh
"""


async def test_a_shell_that_commands_could_change_is_not_started_as_root_again(
    client: Any, busybox_image: str
) -> None:
    """Also by a process that has not seen the image before it was changed."""
    with image_with(client, busybox_image, {"bin": (0, 0o777, "")}) as image:
        box = await opened(image)
        try:
            assert (await box.exec(["sh", "-c", CHANGED])).exit_code == 0
            saved = await box.checkpoint("changed")
        finally:
            await box.close()
        other = await opened(image, checkpoint=saved)
        try:
            said = (await other.exec(["/bin/cat", "/tmp/ran"])).output.text()
            assert set(said.split()) == {"1000"}
        finally:
            await other.close()
            await DockerBackend().drop(saved)


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
