"""Limits on a whole sandbox by control groups, where this process may make them.

A sandbox's group lies below Bridle's own, or beside it, so that whatever limits Bridle limits the sandbox too.
Where none can be made (no right to, no such controllers) the backend falls back to limits on each process.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sandboxes.protocol import Limits

TOP = Path("/sys/fs/cgroup")
PERIOD = 100_000
REMOVE_SECONDS = 5.0
OLD_SECONDS = 3600.0
"""An empty group may be one that a process is just about to use."""
_NAME = re.compile(r"bridle-[a-zA-Z0-9_.-]{1,40}-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Group:
    """A sandbox's control groups: one folder (version 2) or one for each controller (version 1)."""

    folders: tuple[Path, ...] = ()
    covered: frozenset[str] = frozenset()
    """Of `memory`, `pids` and `cpu` those that are limited by it."""
    oom_file: Path | None = None
    """Where the kernel counts what it killed for memory."""

    @property
    def oom_name(self) -> str:
        """Where the runner looks for that file, below /sys/fs/cgroup."""
        if self.oom_file is None:
            return ""
        return ("memory/" if self.oom_file.name == "memory.oom_control" else "") + self.oom_file.name

    def remove(self) -> None:
        """Take it away once its processes are gone; what cannot be taken away is left. Blocks for a moment."""
        for folder in self.folders:
            remove(folder)


def make(name: str, limits: Limits) -> Group:
    """A group called `name` that enforces what can be enforced. Blocks. Never raises."""
    own = _own_groups()
    if (TOP / "cgroup.controllers").exists():
        return _make_v2(name, limits, own.get("", "/"))
    folders: list[Path] = []
    covered: set[str] = set()
    for controller, files in _v1_settings(limits).items():
        if controller not in own:
            continue
        folder = TOP / controller / own[controller].lstrip("/") / name
        if _set_up(folder, files):
            folders.append(folder)
            covered.add(controller)
    oom = next((f / "memory.oom_control" for f in folders if (f / "memory.oom_control").exists()), None)
    return Group(tuple(folders), frozenset(covered & {"memory", "pids", "cpu"}), oom)


def remove(folder: Path) -> None:
    """Remove one group's folder. Blocks for a moment; never raises."""
    if TOP not in folder.parents or ".." in folder.parts:
        return
    end = time.monotonic() + REMOVE_SECONDS
    while time.monotonic() < end:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:  # the last process is still on its way out
            time.sleep(0.01)
        else:
            return


def end(folders: Iterable[Path]) -> None:
    """Kill whatever is still in these groups, those of one sandbox. Blocks for a moment; never raises.

    A bubblewrap whose owner is killed while it sets the namespaces up leaves a child that waits for ever.
    """
    last = time.monotonic() + REMOVE_SECONDS
    for folder in folders:
        while (pids := _members(folder)) and time.monotonic() < last:
            for pid in pids:
                with contextlib.suppress(OSError):
                    fd = os.pidfd_open(pid)
                    try:
                        if pid in _members(folder):  # and no other process that got its number meanwhile
                            signal.pidfd_send_signal(fd, signal.SIGKILL)
                    finally:
                        os.close(fd)
            time.sleep(0.01)


def _members(folder: Path) -> set[int]:
    """The processes in a group that can be seen from here."""
    try:
        return {int(line) for line in (folder / "cgroup.procs").read_text().split()} - {0}
    except OSError:
        return set()


def sweep() -> None:
    """Remove old groups of sandboxes in which nothing is: of owners that were killed. Blocks; never raises.

    The kernel refuses to remove one that holds a process, so that no living sandbox can lose its own.
    """
    own = _own_groups()
    parents = {TOP, (TOP / own.get("", "/").lstrip("/")).parent}
    parents |= {TOP / controller / path.lstrip("/") for controller, path in own.items() if controller}
    for parent in parents:
        if parent != TOP and TOP not in parent.parents:
            continue
        with contextlib.suppress(OSError):
            for folder in parent.glob("bridle-*"):
                if _NAME.fullmatch(folder.name) and folder.stat().st_mtime < time.time() - OLD_SECONDS:
                    with contextlib.suppress(OSError):
                        folder.rmdir()


def _make_v2(name: str, limits: Limits, own: str) -> Group:
    here = TOP / own.lstrip("/")
    for parent in dict.fromkeys((here.parent, TOP) if here != TOP else (TOP,)):
        if parent != TOP and TOP not in parent.parents:
            continue
        settings = _v2_settings(limits)
        try:
            enabled = set((parent / "cgroup.subtree_control").read_text().split())
        except OSError:
            continue
        wanted = {c: files for c, files in settings.items() if c in enabled}
        folder = parent / name
        merged = {file: value for files in wanted.values() for file, value in files.items()}
        if not wanted or not os.access(parent / "cgroup.procs", os.W_OK) or not _set_up(folder, merged):
            continue
        oom = folder / "memory.events"
        return Group((folder,), frozenset(wanted), oom if oom.exists() else None)
    return Group()


def _own_groups() -> dict[str, str]:
    """This process's group by controller; version 2's under the empty name."""
    groups = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for controller in controllers.split(","):
                groups[controller] = path
    return groups


def _v1_settings(limits: Limits) -> dict[str, dict[str, str]]:
    settings: dict[str, dict[str, str]] = {"freezer": {}}
    if limits.memory_bytes is not None:
        memory = str(limits.memory_bytes)
        settings["memory"] = {"memory.limit_in_bytes": memory, "memory.memsw.limit_in_bytes": memory}
    if limits.pids is not None:
        settings["pids"] = {"pids.max": str(limits.pids)}
    if limits.cpus is not None:
        settings["cpu"] = {"cpu.cfs_period_us": str(PERIOD), "cpu.cfs_quota_us": str(_quota(limits.cpus))}
    return settings


def _v2_settings(limits: Limits) -> dict[str, dict[str, str]]:
    settings: dict[str, dict[str, str]] = {}
    if limits.memory_bytes is not None:
        settings["memory"] = {"memory.max": str(limits.memory_bytes), "memory.swap.max": "0"}
    if limits.pids is not None:
        settings["pids"] = {"pids.max": str(limits.pids)}
    if limits.cpus is not None:
        settings["cpu"] = {"cpu.max": f"{_quota(limits.cpus)} {PERIOD}"}
    return settings


def _quota(cpus: float) -> int:
    """Microseconds a period; more processors than there are limit nothing."""
    return max(1000, int(min(cpus, os.cpu_count() or 1) * PERIOD))


OPTIONAL = frozenset({"memory.memsw.limit_in_bytes", "memory.swap.max"})
"""Not there on kernels that do not count swap."""


def _set_up(folder: Path, files: dict[str, str]) -> bool:
    try:
        folder.mkdir()
        for name, value in files.items():
            if name not in OPTIONAL or (folder / name).exists():
                (folder / name).write_text(value)
    except OSError:
        with contextlib.suppress(OSError):
            folder.rmdir()
        return False
    return True
