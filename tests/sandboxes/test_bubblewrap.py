"""What is the bubblewrap backend's own: its files on the host, its users, its limits, and the calls it refuses."""

from __future__ import annotations

import asyncio
import io
import json
import os
import secrets
import signal
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sandboxes.bubblewrap.backend import BubblewrapBackend
from sandboxes.bubblewrap.sandbox import BubblewrapSandbox
from sandboxes.protocol import (
    FileError,
    SandboxError,
    SandboxLost,
    SandboxSpec,
    SandboxUnavailable,
    WorkspaceArchive,
)

pytestmark = [pytest.mark.bubblewrap, pytest.mark.usefixtures("bubblewrap")]
Open = Callable[..., Awaitable[BubblewrapSandbox]]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a sandbox users of its own")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "boxes"


@pytest_asyncio.fixture
async def fresh(folder: Path) -> AsyncIterator[Open]:
    made: list[BubblewrapSandbox] = []

    async def open_one(**fields: Any) -> BubblewrapSandbox:
        spec = SandboxSpec(f"test-{secrets.token_hex(4)}", **fields)
        made.append(await BubblewrapBackend(folder=folder).open(spec))
        return made[-1]

    yield open_one
    for sandbox in made:
        with suppress(SandboxError):
            await sandbox.close()


def left_in(folder: Path) -> list[str]:
    """What of sandboxes is there, finished or not."""
    return [each.name for each in folder.iterdir() if each.name not in ("etc", "checkpoints")]


async def text(box: BubblewrapSandbox, script: str) -> str:
    return (await box.exec(["sh", "-c", script], max_output=1 << 20)).output.text()


async def archive_of(box: BubblewrapSandbox, path: str) -> tarfile.TarFile:
    stream = b"".join([piece async for piece in box.download(path)])
    return tarfile.open(fileobj=io.BytesIO(stream))


# Files on the host.


async def test_nothing_is_left_when_it_is_closed(fresh: Open, folder: Path) -> None:
    box = await fresh()
    await box.exec(["sh", "-c", "mkdir -p deep/er; chmod 000 deep; echo x > /tmp/y; chmod 500 ."])
    assert left_in(folder) == [box.name]
    groups = json.loads((folder / box.name / "owner.json").read_text())["groups"]
    await box.close()
    assert left_in(folder) == []
    assert not any(Path(group).exists() for group in groups)


async def test_a_tree_deeper_than_any_path_can_be_removed(fresh: Open, folder: Path) -> None:
    box = await fresh()
    script = "import os\nfor i in range(3000): os.mkdir('d' * 50); os.chdir('d' * 50)\nopen('end', 'w').close()"
    result = await box.exec(["python3", "-c", script])
    assert result.exit_code == 0, result.output.text()
    await box.close()
    assert left_in(folder) == []


async def test_nobody_else_can_enter_the_folder(fresh: Open, folder: Path) -> None:
    box = await fresh()
    assert (folder / box.name).stat().st_mode & 0o077 == 0


@needs_root
async def test_nothing_inside_is_the_host_s_root(fresh: Open, folder: Path) -> None:
    box = await fresh()
    await box.write("mine", b"")
    running = asyncio.ensure_future(box.exec(["sleep", "60"]))
    while "sleep" not in await text(box, "cat /proc/[0-9]*/comm"):
        await asyncio.sleep(0.02)
    user = (folder / box.name / "files" / "workspace" / "mine").stat().st_uid
    assert user > 1_000_000_000
    status = Path(f"/proc/{box.pid}/status").read_text()
    runner = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
    assert "0" not in runner
    assert runner[0] != str(user)
    inside = (await text(box, "cat /proc/self/uid_map")).splitlines()
    assert len(inside) == 3
    assert all(int(line.split()[1]) > 1_000_000_000 for line in inside)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_the_first_process_loads_no_code_of_the_workspace_s_as_root(fresh: Open) -> None:
    box = await fresh(env={"LD_PRELOAD": "/workspace/x.so"})
    status = (await box.read("/proc/1/status")).decode()
    assert "\nUid:\t1000\t1000\t1000\t1000\n" in status
    assert "\nCapPrm:\t0000000000000000\n" in status


async def test_two_sandboxes_share_nothing(fresh: Open) -> None:
    one, other = await fresh(), await fresh()
    await one.write("/tmp/x", b"one")
    await one.write("x", b"one")
    for path in ("/tmp/x", "x"):
        with pytest.raises(FileError):
            await other.read(path)


async def test_links_that_the_agent_planted_lead_nowhere_on_the_host(fresh: Open, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("swordfish")
    box = await fresh()
    script = f"ln -s {secret} folder; ln -s {secret}/key file; ln -s / root; ln -s /proc/1/root proc"
    await box.exec(["sh", "-c", script])
    members = (await archive_of(box, "/workspace")).getmembers()
    assert {m.name: m.linkname for m in members if m.issym()} == {
        "workspace/folder": str(secret),
        "workspace/file": f"{secret}/key",
        "workspace/root": "/",
        "workspace/proc": "/proc/1/root",
    }
    with pytest.raises(FileError, match="folder/key"):
        await archive_of(box, "/workspace/folder/key")
    archive = tmp_path / "in.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(secret / "key", "key")
    await box.exec(["sh", "-c", f"mkdir -p $(dirname {secret}) 2>&1; rm folder; ln -s {tmp_path} folder"])
    with suppress(FileError):
        await box.upload(archive, "/workspace/folder")
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "boxes") == ["in.tar", "secret"]


async def test_what_the_agent_may_not_read_is_packed_all_the_same(fresh: Open) -> None:
    box = await fresh()
    await box.exec(["sh", "-c", "echo hidden > a; mkdir d; echo deep > d/b; mkfifo pipe; chmod 000 a d"])
    tar = await archive_of(box, "/workspace")
    file = tar.extractfile("workspace/d/b")
    assert file is not None
    assert file.read() == b"deep\n"
    assert tar.getmember("workspace/a").mode == 0


async def test_names_that_are_no_text_come_through(fresh: Open) -> None:
    box = await fresh()
    await box.exec([b"touch", b"--", b"-- -rf", b"bad\xff", b"--checkpoint=1", b"new\nline"])
    await box.exec(["sh", "-c", "touch -- '--checkpoint-action=exec=id'"])
    names = {m.name for m in (await archive_of(box, "/workspace")).getmembers()}
    assert {"workspace/bad\udcff", "workspace/new\nline", "workspace/--checkpoint-action=exec=id"} <= names


async def test_a_workspace_is_there_from_the_start(fresh: Open, tmp_path: Path) -> None:
    archive = tmp_path / "base.tar"
    with tarfile.open(archive, "w") as tar:
        info = tarfile.TarInfo("run.sh")
        info.size, info.mode, info.uid, info.gid = 4, 0o755, 4242, 4242
        tar.addfile(info, io.BytesIO(b"true"))
    box = await fresh(workspace=WorkspaceArchive(archive))
    assert await text(box, "stat -c '%a %u %g' run.sh; ./run.sh && echo ran") == "755 1000 1000\nran\n"


async def test_an_archive_that_is_none_leaves_no_sandbox(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"no tar" * 1000)
    with pytest.raises(SandboxError):
        await BubblewrapBackend(folder=folder).open(SandboxSpec("x", workspace=WorkspaceArchive(broken)))
    assert left_in(folder) == []


# Refusals.


async def test_other_images_are_refused_in_one_sentence(folder: Path) -> None:
    with pytest.raises(SandboxUnavailable, match=r"not the image python:3.12: leave --image out"):
        await BubblewrapBackend(folder=folder).open(SandboxSpec("x", image="python:3.12"))


async def test_without_bwrap_the_way_out_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandboxes.bubblewrap.backend.SYSTEM_PATH", ())
    monkeypatch.setenv("PATH", str(folder))
    backend = BubblewrapBackend(folder=folder)
    with pytest.raises(SandboxUnavailable, match="apt install bubblewrap"):
        await backend.open(SandboxSpec("x"))
    [check] = await backend.check()
    assert (check.ok, check.mend) == (False, "sudo apt install bubblewrap (or your system's package)")


async def test_the_check_tries_a_sandbox_and_leaves_nothing(folder: Path) -> None:
    [check] = await BubblewrapBackend(folder=folder).check()
    assert check.ok, check.detail
    assert "bubblewrap" in check.detail
    assert "limits" in check.detail or "limited" in check.detail
    assert ("the same user" in check.detail) == (os.geteuid() != 0)
    assert left_in(folder) == []


# What is refused inside. Each row is a call made for real; the answer is the error's number.

CALLS = """
import ctypes, errno, json, os, platform, socket, struct, sys
c = ctypes.CDLL(None, use_errno=True)
c.syscall.restype = ctypes.c_long
x86 = platform.machine() == "x86_64"
def call(x, arm, *args):
    args = [ctypes.c_long(a) if isinstance(a, int) else a for a in (x if x86 else arm, *args)]
    got = c.syscall(*args)
    return "allowed" if got >= 0 else errno.errorcode.get(ctypes.get_errno(), "?")
def family(number, kind=socket.SOCK_RAW, protocol=0):
    try:
        socket.socket(number, kind, protocol).close()
        return "allowed"
    except OSError as e:
        return errno.errorcode[e.errno]
def terminal(request):
    import fcntl
    master, slave = os.openpty()
    try:
        fcntl.ioctl(slave, request, b"x")
        return "allowed"
    except OSError as e:
        return errno.errorcode[e.errno]
zero, text = ctypes.c_void_p(0), ctypes.c_char_p(b"/tmp")
print(json.dumps({
    "mount": call(165, 40, text, text, text, 4096, zero),
    "umount": call(166, 39, text, 0),
    "pivot_root": call(155, 41, text, text),
    "chroot": call(161, 51, text),
    "unshare_user": call(272, 97, 0x10000000),
    "unshare_nothing": call(272, 97, 0),
    "setns": call(308, 268, 0, 0),
    "clone_new_user": call(56, 220, 0x10000000 | 17, zero, zero, zero, zero),
    "clone_new_net": call(56, 220, 0x40000000 | 17, zero, zero, zero, zero),
    "clone3": call(435, 435, zero, 0),
    "ptrace": call(101, 117, 0, 0, zero, zero),
    "process_vm_readv": call(310, 270, os.getpid(), zero, 0, zero, 0, 0),
    "process_vm_writev": call(311, 271, os.getpid(), zero, 0, zero, 0, 0),
    "keyctl": call(250, 219, 0, 0, 0),
    "add_key": call(248, 217, text, text, text, 1, -2),
    "request_key": call(249, 218, text, text, zero, -2),
    "bpf": call(321, 280, 0, zero, 0),
    "perf_event_open": call(298, 241, zero, 0, -1, -1, 0),
    "userfaultfd": call(323, 282, 1),
    "io_uring_setup": call(425, 425, 1, zero),
    "io_uring_enter": call(426, 426, 0, 0, 0, 0, zero, 0),
    "io_uring_register": call(427, 427, 0, 0, zero, 0),
    "kexec_load": call(246, 104, 0, 0, zero, 0),
    "init_module": call(175, 105, zero, 0, text),
    "finit_module": call(313, 273, 0, text, 0),
    "delete_module": call(176, 106, text, 0),
    "swapon": call(167, 224, text, 0),
    "reboot": call(169, 142, 0, 0, 0, zero),
    "name_to_handle_at": call(303, 264, -100, text, zero, zero, 0),
    "open_by_handle_at": call(304, 265, 0, zero, 0),
    "quotactl": call(179, 60, 0, text, 0, zero),
    "acct": call(163, 89, zero),
    "settimeofday": call(164, 170, zero, zero),
    "clock_settime": call(227, 112, 0, zero),
    "syslog": call(103, 116, 3, zero, 0),
    "open_tree": call(428, 428, -100, text, 1),
    "fsopen": call(430, 430, text, 0),
    "mount_setattr": call(442, 442, -100, text, 0, zero, 0),
    "pidfd_getfd": call(438, 438, 0, 0, 0),
    "unknown": call(900, 900),
    "x32_getpid": call(0x40000000 + 39, 900),
    "ioctl_TIOCSTI": terminal(0x5412),
    "ioctl_TIOCSTI_high": call(16, 29, 0, 0x100005412, text),
    "ioctl_TIOCLINUX": terminal(0x541C),
    "family_ALG": family(38, socket.SOCK_SEQPACKET),
    "family_PACKET": family(17),
    "family_VSOCK": family(40, socket.SOCK_STREAM),
    "family_BLUETOOTH": family(31),
    "family_NETLINK_netfilter": family(16, socket.SOCK_RAW, 12),
    "family_NETLINK_audit": family(16, socket.SOCK_RAW, 9),
    "raw_INET": family(2, socket.SOCK_RAW, 1),
    "good_NETLINK_route": family(16, socket.SOCK_RAW, 0),
    "good_INET": family(2, socket.SOCK_STREAM),
    "good_INET6": family(10, socket.SOCK_STREAM),
    "good_UNIX": family(1, socket.SOCK_STREAM),
    "good_getpid": call(39, 172),
    "good_thread": __import__("threading").Thread(target=print, args=("",)).start() or "allowed",
}))
"""


async def test_calls_that_are_refused(fresh: Open) -> None:
    box = await fresh()
    result = await box.exec(["python3", "-c", CALLS])
    assert result.exit_code == 0, result.output.text()
    said = json.loads(next(line for line in result.output.text().splitlines() if line.startswith("{")))
    assert {name: answer for name, answer in said.items() if name.startswith("good_")} == {
        name: "allowed" for name in said if name.startswith("good_")
    }
    expected = dict.fromkeys((name for name in said if not name.startswith("good_")), "EPERM")
    expected |= dict.fromkeys(("clone3", "unknown", "x32_getpid"), "ENOSYS")
    expected |= {name: "EAFNOSUPPORT" for name in said if name.startswith("family_")}
    assert {name: answer for name, answer in said.items() if not name.startswith("good_")} == expected


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="about the two ways of calling that x86_64 has besides")
async def test_the_old_way_of_calling_ends_the_process(fresh: Open) -> None:
    box = await fresh()
    # mov eax, 20; int 0x80; ret: getpid as 32-bit programs call it
    script = (
        "import ctypes, mmap; m = mmap.mmap(-1, 4096, prot=7); m.write(bytes.fromhex('b814000000cd80c3'));"
        "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()"
    )
    assert (await box.exec(["python3", "-c", script])).exit_code == 128 + signal.SIGSYS


async def test_mounts_give_no_way_to_become_another_user(fresh: Open) -> None:
    box = await fresh()
    script = "for l in $(cut -d' ' -f4 /proc/self/mounts); do case $l in *nosuid*) ;; *) echo $l ;; esac; done"
    assert await text(box, script) == ""
    assert "uid=0" not in await text(
        box, "su -c id 2>&1 </dev/null; sudo -n id 2>&1; newuidmap $$ 0 0 1 2>&1; true"
    )


async def test_only_a_handful_of_devices(fresh: Open) -> None:
    box = await fresh()
    script = 'cd /dev; for f in * pts/* shm/*; do [ ! -L "$f" ] && [ -b "$f" -o -c "$f" ] && echo "$f"; done'
    names = (await text(box, script)).split()
    assert {*names} == {"full", "null", "random", "tty", "urandom", "zero", "pts/ptmx"}
    assert "not permitted" in await text(box, "mknod /tmp/d b 8 0 2>&1; mknod /tmp/c c 1 1 2>&1")


async def test_a_download_that_is_given_up_leaves_no_trace(fresh: Open, caplog: pytest.LogCaptureFixture) -> None:
    box = await fresh()
    await box.write("f", b"x" * 300_000)
    for wait in (0.0, 0.3, 0.0, 0.3):
        pieces = box.download()
        assert await anext(pieces)
        await asyncio.sleep(wait)
        await pieces.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0.2)
    assert [record.message for record in caplog.records if "child process" in record.message] == []


# Owners.

OWNER = """
import asyncio, sys
from pathlib import Path
from sandboxes.bubblewrap.backend import BubblewrapBackend
from sandboxes.protocol import SandboxSpec

async def main():
    box = await BubblewrapBackend(folder=Path(sys.argv[2])).open(SandboxSpec(sys.argv[1]))
    await box.write("work.txt", sys.argv[1].encode())
    print(box.name, box.pid, flush=True)
    await box.exec(["sh", "-c", "trap '' TERM HUP; setsid sleep 1000 & sleep 1000"], timeout=1000)

asyncio.run(main())
"""


class Owner:
    """A real process with a sandbox."""

    def __init__(self, folder: Path) -> None:
        self.run_id = f"test-owner-{secrets.token_hex(4)}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, self.run_id, str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert self.process.stdout is not None
        self.box, _, pid = self.process.stdout.readline().strip().partition(" ")
        self.first = int(pid)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def owners(folder: Path) -> Iterator[Callable[[], Owner]]:
    made: list[Owner] = []

    def make() -> Owner:
        made.append(Owner(folder))
        return made[-1]

    yield make
    for owner in made:
        owner.kill()
    asyncio.run(BubblewrapBackend(folder=folder).reap())


async def test_the_dead_one_s_work_is_saved_the_living_one_is_left(
    owners: Callable[[], Owner], folder: Path, tmp_path: Path
) -> None:
    dead, living = owners(), owners()
    dead.kill()
    backend = BubblewrapBackend(folder=folder)
    would = await backend.reap(lambda run_id: tmp_path / f"{run_id}.tar", dry_run=True)
    assert [(r.run_id, r.saved) for r in would] == [(dead.run_id, None)]
    gone = await backend.reap(lambda run_id: tmp_path / f"{run_id}.tar")
    assert [(r.name, r.run_id, r.saved) for r in gone] == [
        (dead.box, dead.run_id, tmp_path / f"{dead.run_id}.tar")
    ]
    assert left_in(folder) == [living.box]
    assert Path(f"/proc/{living.first}").exists()
    with tarfile.open(tmp_path / f"{dead.run_id}.tar") as tar:
        file = tar.extractfile("workspace/work.txt")
        assert file is not None
        assert file.read() == dead.run_id.encode()


async def test_everything_inside_dies_with_its_owner(owners: Callable[[], Owner]) -> None:
    owner = owners()
    namespace = _namespace(Path(f"/proc/{owner.first}"))
    owner.kill()
    async with asyncio.timeout(20):
        while [p for p in Path("/proc").glob("[0-9]*") if _namespace(p) == namespace]:
            await asyncio.sleep(0.02)


def _namespace(process: Path) -> int:
    try:
        return (process / "ns" / "pid").stat().st_ino
    except OSError:
        return 0


async def test_several_reapers_at_once(owners: Callable[[], Owner], folder: Path, tmp_path: Path) -> None:
    dead = [owners() for _ in range(2)]
    for owner in dead:
        owner.kill()
    results = await asyncio.gather(
        *(BubblewrapBackend(folder=folder).reap(lambda run_id: tmp_path / f"{run_id}.tar") for _ in range(8))
    )
    assert sorted(r.run_id for gone in results for r in gone) == sorted(o.run_id for o in dead)
    for owner in dead:
        with tarfile.open(tmp_path / f"{owner.run_id}.tar") as tar:
            assert "workspace/work.txt" in tar.getnames()
    assert left_in(folder) == []


async def test_work_that_cannot_be_saved_is_not_thrown_away(
    owners: Callable[[], Owner], folder: Path, tmp_path: Path
) -> None:
    owner = owners()
    owner.kill()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SandboxError, match="could not be saved"):
        await BubblewrapBackend(folder=folder).reap(lambda run_id: tmp_path / "file" / "below.tar")
    assert left_in(folder) == [owner.box]


async def test_what_tells_nothing_is_left_alone(folder: Path) -> None:
    for name, about in (("strange", "{}"), ("broken", "no json"), ("list", "[1]")):
        (folder / name / "files").mkdir(parents=True)
        (folder / name / "owner.json").write_text(about)
    (folder / "empty").mkdir()
    assert await BubblewrapBackend(folder=folder).reap() == []
    assert sorted(left_in(folder)) == ["broken", "empty", "list", "strange"]


async def test_a_sandbox_whose_files_are_gone_says_so(fresh: Open, folder: Path) -> None:
    box = await fresh()
    await box.stop()
    subprocess.run(["rm", "-rf", str(folder / box.name)], check=True)
    with pytest.raises(SandboxLost):
        await archive_of(box, "/workspace")
    await box.close()
