"""Whose a sandbox is, written on it as labels, and whether that owner still lives.

Threat model: labels are set by whoever may use the engine. A wrong "dead" would destroy a living session's work,
so that everything unsure counts as alive: another machine, another set of process ids, unreadable labels.
"""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

RUN_LABEL = "bridle.run"
KEEPER_LABEL = "bridle.keeper"
CHECKPOINT_LABEL = "bridle.checkpoint"
"""On images: the number of a checkpoint within its run. Such an image carries the run, keeper and owner, too."""
NOTE_LABEL = "bridle.checkpoint.label"
CREATED_LABEL = "bridle.checkpoint.created"
BASE_LABEL = "bridle.checkpoint.base"
REQUESTS_LABEL = "bridle.checkpoint.requests"
OPEN_ROOT_LABEL = "bridle.open-root"
"""On images: files may be made beside the system's folders, by everybody."""
CHECKPOINT_REPOSITORY = "bridle-checkpoint"
"""Every checkpoint that is still wanted has a name in it; one without is left over, kept by what needs it."""
PREFIX = "bridle.owner."


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, told apart from all others: machine, boot, set of process ids, id and start time."""

    machine: str
    boot: str
    pids: str
    pid: int
    start: str

    def labels(self) -> dict[str, str]:
        """The labels for what this owner makes."""
        return {PREFIX + key: str(value) for key, value in asdict(self).items()}


def this_owner() -> Owner:
    """The calling process."""
    pid = os.getpid()
    return Owner(_machine(), _boot(), _pid_namespace(), pid, start_time(pid) or "")


def read_labels(labels: Mapping[str, str]) -> tuple[str, Owner] | None:
    """Run id and owner, or None when these labels do not tell."""
    try:
        parts = {key: labels[PREFIX + key] for key in ("machine", "boot", "pids", "pid", "start")}
        owner = Owner(parts["machine"], parts["boot"], parts["pids"], int(parts["pid"]), parts["start"])
        return labels[RUN_LABEL], owner
    except (KeyError, ValueError):
        return None


def owner_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Those labels that say whose something is, and nothing else."""
    return {
        name: text for name, text in labels.items() if name in (RUN_LABEL, KEEPER_LABEL) or name.startswith(PREFIX)
    }


def is_anothers(labels: Mapping[str, str], keeper: str) -> bool:
    """Is the work in it for another keeper to save, one whose folder still exists?"""
    theirs = labels.get(KEEPER_LABEL, "")
    return bool(theirs) and theirs != keeper and os.path.isdir(theirs)  # noqa: PTH112 -- takes any text


def is_dead(owner: Owner, here: Owner, *, local_engine: bool) -> bool:
    """Is it certain that `owner` no longer lives? `here` is any process of this machine.

    An earlier boot is only believed to be one of this machine when the engine, too, is on it.
    """
    if not 0 < owner.pid < 1 << 31 or not owner.start or not owner.machine or owner.machine != here.machine:
        return False
    if owner.boot != here.boot:
        return bool(local_engine and owner.boot and here.boot)
    return owner.pids == here.pids and not _may_live(owner)


def start_time(pid: int) -> str | None:
    """When a process started, in the system's own notation; None when there is none (or only its zombie)."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None
        return None if fields[0] in (b"Z", b"X") else fields[19].decode()
    return _run("ps", "-o", "lstart=", "-p", str(pid)) or None


def _may_live(owner: Owner) -> bool:
    start = start_time(owner.pid)
    if start is not None:
        return start == owner.start
    try:
        os.kill(owner.pid, 0)
    except PermissionError:
        return True  # somebody else's process, hidden from us in /proc
    except OSError:
        return False
    return False  # a zombie, or a process that ended just now


@functools.cache
def _machine() -> str:
    for name in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            return platform.node() + "/" + Path(name).read_text().strip()
        except OSError:
            continue
    return platform.node()


@functools.cache
def _boot() -> str:
    if sys.platform == "linux":
        try:
            return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return ""
    return _run("sysctl", "-n", "kern.boottime")


@functools.cache
def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
