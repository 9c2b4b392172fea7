"""Attempts on the kernel that the sandbox shares with the host."""

from __future__ import annotations

import os
from pathlib import Path

from support.escape.scene import Attempt, Scene, refused


def host_facts() -> dict[str, str]:
    """What an attempt on the kernel would change on the host."""
    names = ("kernel/hostname", "kernel/core_pattern", "kernel/modprobe", "vm/overcommit_memory", "fs/file-max")
    places = [*(f"/proc/sys/{name}" for name in names), *map(str, Path("/sys/fs/cgroup").glob("*/release_agent"))]
    return {place: Path(place).read_text() for place in places if os.access(place, os.R_OK)}


WRITE_EVERYWHERE = """
def written(path):
    '''For the one that anybody may open, and that is the sandbox's own.'''
    try:
        os.write(os.open(path, os.O_WRONLY), b"300")
        return "allowed"
    except PermissionError:
        return "denied"

seen, opened = 0, []
for root in sys.argv[1:]:
    for folder, _, names in os.walk(root):
        for name in names:
            path, seen = os.path.join(folder, name), seen + 1
            if os.path.islink(path) or seen > 60000:
                continue
            try:
                # Opening is all: writing back what a file holds would change others, were it allowed.
                open_for_writing(path)
                if name != "ns_last_pid" or "denied" not in written(path):
                    opened.append(path)
            except OSError:
                pass
said.update(seen=seen, opened=opened)
"""


async def parameters(scene: Scene) -> None:
    before = host_facts()
    said = await scene.python(WRITE_EVERYWHERE, "/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs", "/sys")
    assert said["seen"] > 100
    assert said["opened"] == []
    alone = await scene.python(
        "for name in ('sysrq-trigger', 'kcore', 'mtrr', 'kmsg', 'self/oom_score_adj'):\n"
        "    if name.startswith('self'):\n"
        "        attempt(name, lambda: os.write(os.open('/proc/self/oom_score_adj', os.O_WRONLY), b'-1000'))\n"
        "    elif os.path.exists('/proc/' + name):\n"
        "        attempt(name, open_for_writing, '/proc/' + name)"
    )
    alone.pop("kcore", None)  # hidden behind /dev/null in some engines; `devices` reads it
    refused(alone, at_least=1)
    assert host_facts() == before


MOUNTS = """
call("mount", 165, 40, text, text, ctypes.c_char_p(b"tmpfs"), 0, zero)
call("bind mount", 165, 40, ctypes.c_char_p(b"/"), text, text, 4096, zero)
call("remount", 165, 40, text, ctypes.c_char_p(b"/usr"), text, 32 | 4096, zero)
call("umount", 166, 39, ctypes.c_char_p(b"/usr"), 2)
call("pivot_root", 155, 41, text, text)
call("chroot", 161, 51, text)
for name, flag in (("user", 0x10000000), ("mount", 0x20000), ("net", 0x40000000), ("pid", 0x20000000),
                   ("ipc", 0x8000000), ("cgroup", 0x2000000), ("uts", 0x4000000)):
    call("unshare " + name, 272, 97, flag)
call("clone into a new user namespace", 56, 220, 0x10000000 | 17, zero, zero, zero, zero)
call("clone3", 435, 435, zero, 0)
for name in ("mnt", "net", "pid", "user"):
    try:
        fd = os.open("/proc/1/ns/" + name, os.O_RDONLY)
        call("setns " + name, 308, 268, fd, 0)
    except OSError as e:
        said["setns " + name] = errno.errorcode[e.errno]
call("open_tree", 428, 428, -100, text, 1)
call("fsopen", 430, 430, ctypes.c_char_p(b"tmpfs"), 0)
call("mount_setattr", 442, 442, -100, text, 0, zero, 0)
call("open_by_handle_at", 304, 265, 0, zero, 0)
"""


async def mounts(scene: Scene) -> None:
    before = await scene.sh("cat /proc/self/mounts")
    refused(await scene.python(MOUNTS), at_least=20)
    said = await scene.sh("unshare -Ur id; mount -t tmpfs none /tmp; umount /usr; true")
    assert "uid=0" not in said
    assert await scene.sh("cat /proc/self/mounts") == before


DEVICES = """
kinds = (("memory", stat.S_IFCHR, 1, 1), ("port", stat.S_IFCHR, 1, 4), ("kmsg", stat.S_IFCHR, 1, 11),
         ("disk", stat.S_IFBLK, 8, 0), ("virtual disk", stat.S_IFBLK, 254, 0), ("tun", stat.S_IFCHR, 10, 200),
         ("fuse", stat.S_IFCHR, 10, 229), ("zero", stat.S_IFCHR, 1, 5))
for name, kind, major, minor in kinds:
    attempt("make " + name, os.mknod, "/tmp/device-" + name, kind | 0o666, os.makedev(major, minor))
for name in ("mem", "kmem", "port", "kmsg", "sda", "sda1", "vda", "nvme0n1", "loop0", "loop-control",
             "fuse", "kvm",
             "net/tun", "mapper/control", "vhost-net", "vsock", "userfaultfd", "cpu/0/msr", "snapshot", "uinput"):
    attempt("read " + name, taste, "/dev/" + name)
attempt("read kcore", taste, "/proc/kcore")
found = []
for folder, _, names in os.walk("/dev"):
    found += [os.path.join(folder, n)[5:] for n in names
              if not os.path.islink(os.path.join(folder, n))
              and (stat.S_ISCHR(os.lstat(os.path.join(folder, n)).st_mode)
                   or stat.S_ISBLK(os.lstat(os.path.join(folder, n)).st_mode))]
"""
HARMLESS = {"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts/ptmx"}


async def devices(scene: Scene) -> None:
    refused(await scene.python(DEVICES), also=("ENOENT", "ENXIO", "ENODATA", "ENOTDIR"), at_least=29)
    said = await scene.python(DEVICES + "\nsaid = {**said, 'found': found}")
    names = set(said["found"])
    assert "null" in names
    assert {name for name in names - HARMLESS if not name.removeprefix("pts/").isdigit()} == set()


CGROUPS = """
import glob
base = ["/sys/fs/cgroup", *(f for f, _, _ in os.walk("/sys/fs/cgroup"))][:2000]
for folder in base:
    attempt("folder in " + folder, os.mkdir, folder + "/escape")
    for name in ("release_agent", "notify_on_release", "cgroup.procs", "tasks", "cgroup.kill",
                 "cgroup.subtree_control",
                 "memory.max", "memory.limit_in_bytes", "pids.max", "devices.allow"):
        attempt(folder + "/" + name, open_for_writing, folder + "/" + name)
for number, kind in enumerate(("cgroup", "cgroup2")):
    call("mount " + kind, 165, 40, text, text, ctypes.c_char_p(kind.encode()), 0, zero)
"""


async def cgroups(scene: Scene) -> None:
    first = scene.outside.first_process(scene.box)
    before = host_facts(), Path(f"/proc/{first}/cgroup").read_text()
    refused(await scene.python(CGROUPS), also=("ENOENT",), at_least=13)
    assert (host_facts(), Path(f"/proc/{first}/cgroup").read_text()) == before


ADD_KEY = """
kind, name = ctypes.c_char_p(b"user"), ctypes.c_char_p(sys.argv[1].encode())
for keyring in (-2, -3, -4, -5):
    call("add to %d" % keyring, 248, 217, kind, name, ctypes.c_char_p(b"x"), 1, keyring)
    call("search in %d" % keyring, 250, 219, 10, keyring, kind, name, 0)
call("ask for it", 249, 218, kind, name, zero, -2)
call("join a session", 250, 219, 1, name)
"""


async def keyring(scene: Scene) -> None:
    other = await scene.open()
    for box in (scene.box, other):
        refused(await scene.python(ADD_KEY, scene.secret, box=box), at_least=10)
        assert scene.secret not in await scene.sh("cat /proc/keys; true", box)
    if (keys := Path("/proc/keys")).exists():
        assert scene.secret not in keys.read_text()


SETUID = """
import subprocess
ran = {}
find = ["find", "/usr/bin", "/usr/sbin", "/usr/lib", "-xdev", "-type", "f", "-perm", "/6000"]
programs = [path for path in subprocess.run(find, capture_output=True, text=True).stdout.splitlines()
            if path and os.access(path, os.X_OK)]
# The loader prints who the program runs as, unless it runs with another's rights: then it prints nothing.
for path in programs:
    done = subprocess.run([path, "--version"], env={"LD_SHOW_AUXV": "1"}, capture_output=True,
                          stdin=subprocess.DEVNULL)
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    facts = dict(line.split(":", 1) for line in lines if line.startswith("AT_"))
    ran[path] = [facts.get(name, "?").strip() for name in ("AT_UID", "AT_EUID", "AT_EGID", "AT_SECURE")]
said.update(ran=ran)
mine = "/tmp/own-setuid"
open(mine, "w").write("#!/bin/sh\\nid -u\\n")
attempt("give away", os.chown, mine, 0, 0)
os.chmod(mine, 0o6755)
said["own"] = subprocess.run([mine], capture_output=True, text=True).stdout.strip()
attempt("become root", os.setuid, 0)
attempt("become root's group", os.setgid, 0)
attempt("join groups", os.setgroups, [0])
every = bytes.fromhex("0100000200000000ffffffff00000000ffffffff")
attempt("file capability", os.setxattr, mine, "security.capability", every)
header, all_of_them = ctypes.c_char_p(b"\\x22\\x05\\x08\\x20\\0\\0\\0\\0"), ctypes.c_char_p(b"\\xff" * 24)
call("gain capabilities", 126, 91, header, all_of_them)
"""


async def setuid(scene: Scene) -> None:
    said = await scene.python(SETUID)
    ran = said.pop("ran")
    assert ran, "the host has no set-user-id program to try"
    assert {path: facts for path, facts in ran.items() if facts != ["1000", "1000", "1000", "0"]} == {}
    assert said.pop("own") == "1000"
    refused(said, also=("ENOTSUP", "EINVAL"), at_least=6)


CLOCK = """
import time
now = (ctypes.c_long * 2)(int(time.time()), 0)
call("settimeofday", 164, 170, now, zero)
call("clock_settime", 227, 112, 0, now)
call("sethostname", 170, 161, ctypes.c_char_p(b"escaped"), 7)
call("setdomainname", 171, 162, ctypes.c_char_p(b"escaped"), 7)
attempt("nicer", os.setpriority, os.PRIO_PROCESS, 0, -20)
attempt("real time", os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(99))
call("real-time disk", 251, 30, 1, 0, (1 << 13) | 0)
call("iopl", 172, -1, 3)
call("ioperm", 173, -1, 0x80, 1, 1)
"""


async def clock(scene: Scene) -> None:
    before = host_facts(), await scene.sh("hostname || cat /proc/sys/kernel/hostname")
    refused(await scene.python(CLOCK), at_least=7)
    assert (host_facts(), await scene.sh("hostname || cat /proc/sys/kernel/hostname")) == before
    assert os.uname().nodename != "escaped"


CALLS = """
call("bpf", 321, 280, 0, zero, 0)
call("perf_event_open", 298, 241, zero, 0, -1, -1, 0)
call("userfaultfd", 323, 282, 1)
call("io_uring_setup", 425, 425, 1, zero)
call("io_uring_enter", 426, 426, 0, 0, 0, 0, zero, 0)
call("io_uring_register", 427, 427, 0, 0, zero, 0)
call("kexec_load", 246, 104, 0, 0, zero, 0)
call("kexec_file_load", 320, 294, -1, -1, 0, zero, 0)
call("init_module", 175, 105, zero, 0, text)
call("finit_module", 313, 273, -1, text, 0)
call("delete_module", 176, 106, text, 0)
call("swapon", 167, 224, text, 0)
call("swapoff", 168, 225, text)
call("reboot", 169, 142, 0, 0, 0, zero)
call("quotactl", 179, 60, 0, text, 0, zero)
call("acct", 163, 89, ctypes.c_char_p(b"/nowhere"))
call("syslog", 103, 116, 3, zero, 0)
call("vhangup", 153, 58)
call("lookup_dcookie", 212, 18, 0, text, 1)
call("fanotify_init", 300, 262, 0, 0)
call("the other numbering", 0x40000000 + 39, 900)
"""


async def calls(scene: Scene) -> None:
    refused(await scene.python(CALLS), at_least=21)


ROWS = (
    Attempt(
        "parameters",
        "kernel parameters",
        "Every file below `/proc/sys`, `/proc/irq`, `/proc/bus` and `/sys`, and `sysrq-trigger`, is opened for "
        "writing",
        "They belong to root and are mounted read-only; the agent is an ordinary user without capabilities",
        parameters,
    ),
    Attempt(
        "mounts",
        "mount, unshare, other namespaces",
        "`mount`, `umount`, `pivot_root`, `chroot`, `unshare` and `clone` with every kind of namespace, `setns`, "
        "and the newer calls",
        "No capability, and a system call filter that refuses new user namespaces",
        mounts,
    ),
    Attempt(
        "devices",
        "devices",
        "`mknod` of memory, disks, tun and others; reading `/dev/mem`, `/dev/kmsg`, disks, `/proc/kcore`",
        "No capability to make devices, and a `/dev` with a handful of harmless ones",
        devices,
    ),
    Attempt(
        "cgroups",
        "control groups",
        "`release_agent`, moving to other groups, raising limits, making a group, mounting the file system anew",
        "They are mounted read-only or not at all, and belong to root",
        cgroups,
    ),
    Attempt(
        "keyring",
        "the kernel's keys",
        "A key is added in one sandbox to every keyring and searched for in another",
        "The system call filter refuses `add_key`, `keyctl` and `request_key`",
        keyring,
    ),
    Attempt(
        "setuid",
        "programs with root's rights",
        "Every set-user-id program of the host is run; one is made; `setuid(0)`, file capabilities",
        "`no-new-privileges`: a program runs with the rights of who starts it, whatever its mode says",
        setuid,
    ),
    Attempt(
        "clock",
        "clock, host name, priorities",
        "Setting the time, the host and domain name, real-time and higher priorities, input-output ports",
        "No capability",
        clock,
    ),
    Attempt(
        "calls",
        "rarely used system calls",
        "`bpf`, `perf_event_open`, `userfaultfd`, `io_uring`, `kexec`, modules, swap, accounting and the rest",
        "The system call filters: the engine's or bubblewrap's (`sandboxes/bubblewrap/seccomp.py`), and Bridle's "
        "own (`sandboxes/inside/fence.py`)",
        calls,
    ),
)
