"""A bubblewrap sandbox's surroundings: what it sees, as whom, and how a program is started in them.

Threat model: a program inside sees an almost empty root that cannot be written, the host's toolchain and a copy of
some of /etc read-only, a /proc of its own, a handful of devices, and its scratch folders, all without set-user-id
and device files. It has no network, no capabilities, no way to gain any, no terminal, and no variable of the
host's.

When Bridle runs as root, the users inside are host users of the sandbox's own: numbers that no account has, so
that neither a file made inside nor a way out would be root's, and runner and commands are two (see
`inside/identity`). Without root both are the user who runs Bridle: one user is all that the kernel then gives a
user namespace.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sandboxes.bubblewrap import enter, seccomp
from sandboxes.bubblewrap.scratch import GIVEN_FOLDER, PLACES, Scratch
from sandboxes.host_root import TOP, folder_mounts
from sandboxes.inside.identity import RUNNER
from sandboxes.protocol import AGENT_GID, AGENT_UID, GIVEN

FIRST_USER, SANDBOXES = 1_900_000_000, 25_000_000
"""Host users for sandboxes: above what any distribution or container engine hands out."""
NOBODY = 65534
"""For root of a small user namespace, such as a container's, where those do not exist."""
SHM_BYTES = 64 << 20
HIDDEN_FILES = ("interrupts", "kcore", "keys", "key-users", "latency_stats", "sched_debug", "timer_list")
HIDDEN_FOLDERS = ("acpi", "asound", "scsi")
CLOSED = ("bus", "fs", "irq", "sys", "sysrq-trigger")
"""Of /proc, what changes the kernel for everybody. Its files are root's, and where Bridle runs in a user namespace
of root's, so is the sandbox's user."""
PROCESSORS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True, slots=True)
class View:
    """What a program inside sees.

    `shown` are files and folders of the host, read-only, and where; `hidden` what of the toolchain is shown empty.
    Commands can write to the scratch folders if these are `writable`; while `giving`, what is unpacked there can
    write to GIVEN too.
    """

    bwrap: str
    scratch: Scratch
    etc: Path
    toolchain: tuple[Path, ...]
    env: Mapping[str, str]
    shown: tuple[tuple[Path, str], ...] = ()
    hidden: tuple[Path, ...] = ()
    writable: bool = True
    giving: bool = False


@dataclass(frozen=True, slots=True)
class Users:
    """The agent's user on the host, and which host user each of the runner's three is; none where all are one."""

    agent: int
    inside: Mapping[int, int]

    def write_maps(self, pid: int) -> None:
        """Give them to the user namespace of a process that waits for it. Raises OSError."""
        text = "".join(f"{inner} {outer} 1\n" for inner, outer in self.inside.items())
        for kind in ("uid", "gid"):
            Path(f"/proc/{pid}/{kind}_map").write_text(text)


@dataclass(slots=True)
class Start:
    """A command line, and the descriptors it needs; `close` them once it has been started."""

    argv: list[str]
    fds: list[int] = field(default_factory=list)

    def close(self) -> None:
        """Close this process's copies."""
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()


def new_users() -> Users | None:
    """Host users for a new sandbox, or None where this process cannot become another one."""
    if os.geteuid() != 0:
        return None
    first = FIRST_USER + 4 * secrets.randbelow(SANDBOXES)
    known = [[int(w) for w in line.split()] for line in Path("/proc/self/uid_map").read_text().splitlines()]
    if any(start <= first and first + 3 <= start + count for start, _, count in known):
        return Users(first + 1, {0: first, AGENT_UID: first + 1, RUNNER: first + 2})
    if any(start <= NOBODY < start + count for start, _, count in known):
        return Users(NOBODY, {})
    return None


def start(
    view: View,
    command: Sequence[str],
    *,
    users: Users | None = None,
    groups: Iterable[Path] = (),
    limits: Iterable[tuple[int, int]] = (),
    capabilities: Iterable[str] = (),
    waits: Mapping[str, int] | None = None,
) -> Start:
    """The command line that runs `command` in the surroundings that `view` describes.

    It is the agent, without groups or capabilities but those named; with `users` it begins as root of its
    namespace, for the runner to become one of them. `groups` are the control groups to be in, `limits` pairs for
    setrlimit, `waits` descriptors for bubblewrap's options that tell of the start and hold it up. Raises OSError,
    and SandboxUnavailable on a machine without a system call filter.
    """
    sources: list[str] = []

    def place(source: Path | str) -> str:
        """A path of the host as bubblewrap can reach it."""
        if view.scratch.user is None:
            return str(source)
        sources.append(str(source))
        return f"{enter.STAGE}/{len(sources) - 1}"

    words = ["--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--as-pid-1"]
    uid, gid = (0, 0) if users else (AGENT_UID, AGENT_GID)
    words += ["--uid", str(uid), "--gid", str(gid), "--hostname", "sandbox", "--cap-drop", "ALL"]
    for capability in capabilities:
        words += ["--cap-add", capability]
    words += ["--clearenv"]
    for name, value in view.env.items():
        words += ["--setenv", name, value]
    for folder in folder_mounts():
        words += ["--ro-bind", place(folder), str(folder)]
    for name in TOP:
        if (link := Path("/", name)).is_symlink():
            words += ["--symlink", str(link.readlink()), f"/{name}"]
    words += ["--ro-bind", place(view.etc), "/etc"]
    words += _system()
    shown = [(folder, str(folder)) for folder in view.toolchain] + list(view.shown)
    words += _folders_above([target for _, target in shown])
    for source, target in shown:
        words += ["--ro-bind", place(source), target]
    for hidden in view.hidden:
        empty = ["--tmpfs", str(hidden), "--remount-ro"] if hidden.is_dir() else ["--ro-bind", "/dev/null"]
        words += [*empty, str(hidden)]
    if (given := view.scratch.files / GIVEN_FOLDER).is_dir():  # what is saved for a dead owner may be older
        words += ["--perms", "755", "--dir", GIVEN]
        words += ["--bind" if view.giving else "--ro-bind", place(given), GIVEN]
    for name, target in PLACES.items():
        words += ["--bind" if view.writable else "--ro-bind", place(view.scratch.files / name), target]
    words += ["--remount-ro", "/", "--chdir", "/"]
    made = Start([])
    try:
        words += ["--seccomp", str(_memory("seccomp", seccomp.program(platform.machine()), made))]
        for option, fd in (waits or {}).items():
            words += [option, str(fd)]
        args = _memory("arguments", "\0".join(words).encode("utf-8", "surrogateescape"), made)
        plan = {
            "groups": [str(group / "cgroup.procs") for group in groups],
            "limits": list(limits),
            "user": users.inside[0] if users else view.scratch.user,
            "stage": sources,
            "command": [view.bwrap, "--args", str(args), "--", *command],
        }
        about = _memory("plan", json.dumps(plan).encode(), made)
    except BaseException:
        made.close()
        raise
    made.argv = [sys.executable, "-I", "-S", str(Path(enter.__file__)), str(about)]
    return made


def _system() -> list[str]:
    """/proc, /dev and the empty folders that programs expect."""
    words = ["--proc", "/proc"]
    for name in HIDDEN_FILES:
        if Path("/proc", name).exists():
            words += ["--ro-bind", "/dev/null", f"/proc/{name}"]
    for name in HIDDEN_FOLDERS:
        if Path("/proc", name).is_dir():
            words += ["--tmpfs", f"/proc/{name}", "--remount-ro", f"/proc/{name}"]
    for name in CLOSED:
        if Path("/proc", name).exists():
            words += ["--ro-bind", f"/proc/{name}", f"/proc/{name}"]
    words += ["--dev", "/dev", "--perms", "1777", "--size", str(SHM_BYTES), "--tmpfs", "/dev/shm"]  # noqa: S108
    words += ["--remount-ro", "/dev"]
    for folder in ("/root", "/home", "/var", "/opt", "/run", *PLACES.values()):
        words += ["--perms", "755", "--dir", folder]
    if PROCESSORS.is_dir():
        words += [*_folders_above([str(PROCESSORS)]), "--ro-bind", str(PROCESSORS), str(PROCESSORS)]
    return words


def _folders_above(targets: Iterable[str]) -> list[str]:
    """Make the folders that these lie in: ones that everybody may enter, which bubblewrap's own are not always."""
    folders = {str(parent): None for target in targets for parent in reversed(Path(target).parents)}
    return [word for folder in folders if folder != "/" for word in ("--perms", "755", "--dir", folder)]


def _memory(name: str, data: bytes, made: Start) -> int:
    """A descriptor from which `data` can be read, inherited by what is started."""
    fd = os.memfd_create(f"bridle-{name}", 0)
    made.fds.append(fd)
    os.set_inheritable(fd, True)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
