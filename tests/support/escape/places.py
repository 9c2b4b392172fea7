"""Attempts to reach what lies on the host, or in another sandbox of the same user."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sandboxes.protocol import FileError, SandboxSpec
from support.escape.scene import Attempt, Scene, refused

SOCKETS = (
    "docker.sock",
    "containerd/containerd.sock",
    "podman/podman.sock",
    "crio/crio.sock",
    "dbus/system_bus_socket",
)

ENGINE = """
for folder in ("/run", "/var/run", "/run/user/0", "/run/user/1000"):
    for name in sys.argv[1:]:
        with socket.socket(socket.AF_UNIX) as client:
            attempt(folder + "/" + name, client.connect, folder + "/" + name)
for name in ("docker.sock", "/var/run/docker.sock", "/containerd-shim"):
    with socket.socket(socket.AF_UNIX) as client:
        attempt("abstract " + name, client.connect, "\\0" + name)
for port in (2375, 2376, 4243):
    with socket.socket() as client:
        attempt("port %d" % port, client.connect, ("127.0.0.1", port))
import subprocess
find = ["find", "/", "-path", "/proc", "-prune", "-o", "-path", "/usr", "-prune", "-o", "-type", "s", "-print"]
found = subprocess.run(find, capture_output=True, text=True).stdout.split()
"""


async def engine(scene: Scene) -> None:
    said = await scene.python(ENGINE + "\nsaid['found'] = found", *SOCKETS)
    assert said.pop("found") == []
    refused(said, also=("ENOENT", "ECONNREFUSED", "ENOTDIR"), at_least=26)


async def roots(scene: Scene) -> None:
    """The file is looked for by its path on the host behind everything that might be the host's root."""
    path = scene.host_file()
    begin = [
        "",
        "/..",
        "/../../../..",
        "/proc/self/root",
        "/proc/self/root/..",
        "/proc/self/cwd/../../..",
        "/proc/1/root",
    ]
    begin += [
        "/proc/1/cwd/../..",
        "/proc/$PPID/root",
        "/proc/self/task/$$/root",
        "/proc/self/fd/0/../..",
        "/dev/fd/1/..",
    ]
    begin += ["/proc/thread-self/root/proc/1/root", "/host", "/mnt", "/rootfs", "/proc/self/map_files/.."]
    script = "\n".join(f'cat "{each}{path}"; echo tried' for each in begin)
    script += f'\nfor p in /proc/[0-9]*; do cat "$p/root{path}" "$p/cwd{path}"; done'
    script += f"\nls -d {path.parent}; ln -s {path} /tmp/l; cat /tmp/l"
    said = await scene.sh(script)
    assert said.count("tried") == len(begin)
    assert scene.secret not in said
    for each in begin:
        with pytest.raises(FileError):
            await scene.box.read(f"{each}{path}")


async def processes(scene: Scene) -> None:
    with subprocess.Popen(["sleep", f"{int(scene.secret[:6], 16)}.5"]) as process:
        try:
            listing = await scene.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '; echo; ls /proc")
            assert "bridle-runner" in listing
            assert f"{int(scene.secret[:6], 16)}.5" not in listing
            await scene.sh(f"kill -9 {process.pid}; true")
            assert process.poll() is None
        finally:
            process.kill()


async def environment(scene: Scene) -> None:
    scene.monkeypatch.setenv("SOME_API_KEY", scene.secret)
    scene.monkeypatch.setenv("LD_PRELOAD_NOTE", scene.secret)
    box = await scene.open(env={"ASKED_FOR": "yes"})
    said = await scene.sh("env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'; set", box)
    assert "ASKED_FOR=yes" in said
    assert scene.secret not in said
    first = Path(f"/proc/{scene.outside.first_process(box)}")
    if os.access(first / "environ", os.R_OK):
        assert scene.secret.encode() not in (first / "environ").read_bytes() + (first / "cmdline").read_bytes()


CHANGE = """
folder = sys.argv[1]
tool = folder + "/bin/tool"
attempt("create", lambda: open(folder + "/bin/new", "w"))
attempt("write", open_for_writing, tool)
attempt("truncate", os.truncate, tool, 0)
attempt("mode", os.chmod, tool, 0o4777)
attempt("owner", os.chown, tool, 1000, 1000)
attempt("times", os.utime, tool)
attempt("remove", os.unlink, tool)
attempt("rename", os.rename, tool, folder + "/bin/other")
attempt("link", os.link, tool, folder + "/bin/linked")
attempt("symlink", os.symlink, "/", folder + "/bin/linked")
attempt("folder", os.mkdir, folder + "/bin/folder")
attempt("attribute", os.setxattr, tool, "user.x", b"x")
attempt("/usr/bin", lambda: open("/usr/bin/bridle-escape", "w"))
attempt("/usr/lib", os.mkdir, "/usr/lib/bridle-escape")
attempt("self", open_for_writing, "/proc/self/exe")
attempt("runner", open_for_writing, "/proc/1/exe")
"""


async def toolchain(scene: Scene) -> None:
    """A toolchain folder that the agent's user number owns, so that nothing but the mount holds."""
    with TemporaryDirectory(prefix="bridle-test-", dir=Path.home()) as place:  # /tmp would be hidden by its own
        folder = Path(place) / "installation"
        tool = folder / "bin" / "tool"
        tool.parent.mkdir(parents=True)
        (folder / "pyvenv.cfg").write_text("")
        tool.write_text(scene.secret)
        for path in (folder, folder / "bin", tool):
            path.chmod(0o777)
            if os.geteuid() == 0:
                os.chown(path, 1000, 1000)
        before = tool.stat()
        backend = type(scene.backend())(host_paths=[folder])
        box = await backend.open(SandboxSpec("test-toolchain"))
        try:
            assert await scene.sh(f"cat {tool}", box) == scene.secret
            said = await scene.python(CHANGE, str(folder), box=box)
        finally:
            await box.close()
        refused(said, also=("ETXTBSY", "EXDEV", "ENOTSUP"), at_least=16)
        assert tool.stat() == before
        assert sorted(path.name for path in (folder / "bin").iterdir()) == ["tool"]
    assert not Path("/usr/bin/bridle-escape").exists()


LISTEN = """
import mmap, socketserver, threading, time
name = sys.argv[1]
open("/tmp/shared-" + name, "w").write(name)
open("/workspace/shared-" + name, "w").write(name)
open("/dev/shm/shared-" + name, "w").write(name)
one, two, three = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX), socket.socket()
one.bind("/tmp/socket-" + name); one.listen()
two.bind("\\0" + name); two.listen()
three.bind(("127.0.0.1", 45271)); three.listen()
print("key", libc.shmget(0x627264, 4096, 0o1666), flush=True)
time.sleep(600)
"""
LOOK = """
name = sys.argv[1]
for place in ("/tmp/shared-", "/workspace/shared-", "/dev/shm/shared-"):
    attempt("file " + place, taste, place + name)
for label, where in (("socket", "/tmp/socket-" + name), ("abstract socket", "\\0" + name)):
    with socket.socket(socket.AF_UNIX) as client:
        attempt(label, client.connect, where)
with socket.socket() as client:
    attempt("port", client.connect, ("127.0.0.1", 45271))
got = libc.shmget(0x627264, 4096, 0)
said["memory"] = "allowed" if got >= 0 else errno.errorcode[ctypes.get_errno()]
"""


async def others(scene: Scene) -> None:
    one, two = await scene.open(), await scene.open()
    number = await one.start(["python3", "-I", "-c", f"{scene_prelude()}\n{LISTEN}", scene.secret])
    seen, after = b"", 0
    while b"key" not in seen:
        part = await one.process_read(number, after=after, wait=20)
        assert part.data or part.info.status == "running", seen
        seen, after = seen + part.data, part.next
    here = await scene.python(LOOK, scene.secret, box=one)
    assert set(here.values()) == {"allowed"}, here  # the attempts work where they may
    refused(await scene.python(LOOK, scene.secret, box=two), also=("ENOENT", "ECONNREFUSED"), at_least=7)
    assert scene.secret not in await scene.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '; ls / /tmp; ls /proc", two)
    await scene.sh("kill -9 -1; true", two)
    assert (await one.processes())[0].status == "running"


def scene_prelude() -> str:
    """What `Scene.python` puts before the code, without its proof."""
    from support.escape.scene import PRELUDE

    return PRELUDE.partition('attempt("control_open"')[0]


async def working_directory(scene: Scene) -> None:
    scene.host_file()
    for path in (str(scene.folder), f"/proc/1/root{scene.folder}", f"../../..{scene.folder}", "/proc/1/cwd"):
        with pytest.raises(FileError):
            await scene.box.exec(["cat", "canary"], cwd=path)
        with pytest.raises(FileError):
            await scene.box.start(["cat", "canary"], cwd=path)


ROWS = (
    Attempt(
        "engine",
        "the engine's socket",
        "Connecting to the sockets of container engines by path, by abstract name and by port; looking for any "
        "socket file",
        "Nothing of `/run` or `/var` is mounted, and the network namespace is the sandbox's own",
        engine,
    ),
    Attempt(
        "roots",
        "the host's root folder",
        "A file of the host is looked for behind `/proc/self/root`, `/proc/1/root`, every process's `cwd`, "
        "descriptors and `..`",
        "A mount namespace with a root of its own; the runner's links in `/proc` cannot be followed by the agent",
        roots,
    ),
    Attempt(
        "processes",
        "the host's processes",
        "Finding a process of the host in `/proc`, and killing its number",
        "A process namespace of its own",
        processes,
    ),
    Attempt(
        "environment",
        "the host's environment",
        "A secret in Bridle's own environment is looked for in every process inside",
        "Nothing is passed on; what is set inside is a list in the code (`sandboxes/launch.py`)",
        environment,
    ),
    Attempt(
        "toolchain",
        "the host's programs",
        "Twelve ways to change a mounted toolchain that the agent's user number owns on the host; writing to "
        "`/usr`, to its own and the runner's program",
        "Every mount of the host is read-only",
        toolchain,
    ),
    Attempt(
        "others",
        "other sandboxes of the same user",
        "Files, unix and abstract sockets, ports, shared memory and processes of one sandbox are looked for in "
        "another",
        "Namespaces and folders of its own for each",
        others,
        seconds=90,
    ),
    Attempt(
        "directory",
        "a folder of the host to run in",
        "A command is to run, in front and in the background, in a folder of the host",
        "The folder is opened inside, with the agent's rights",
        working_directory,
    ),
)
