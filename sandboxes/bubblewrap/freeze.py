"""Making every process of a sandbox stand still for a moment, so that its files can be read as they are.

By its control group where it has one that can freeze; else by stopping each process, again and again until none is
found that runs. What was stopped before stays so afterwards.

Threat model: the processes are hostile, and fork while they are being stopped. None of them can let another one go
on once all stand; a sandbox that cannot be brought to that in time goes on as before, and nothing is saved.
A process of the host's that dies in between leaves a frozen group: `thaw` is part of ending a sandbox.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sandboxes.protocol import SandboxError

FREEZE_SECONDS = 10.0
STOP_SECONDS = 1.0
"""How long to wait for processes that were stopped; then they go on for a moment, and it is tried again."""
STOP_TRIES = 8
STANDING = frozenset("TtZX")
"""States of a process that does not run, and will not before it is told to."""


class Process(NamedTuple):
    """What the kernel says of one; its number and start together are never another one's."""

    state: str
    parent: int
    start: str


@contextmanager
def standing_still(groups: Iterable[Path], first: int) -> Iterator[set[int]]:
    """While this lasts, nothing in a sandbox runs; gives its processes. `first` is the first one's number.

    Blocks. Raises SandboxError when they cannot be made to stand still.
    """
    group = next((each for each in groups if _switch(each) is not None), None)
    if group is None:
        with _stopped(first) as members:
            yield members
        return
    try:
        _freeze(group)
        yield {int(line) for line in (group / "cgroup.procs").read_text().split()}
    finally:
        thaw([group])


def thaw(groups: Iterable[Path]) -> None:
    """Let frozen groups go on. Harmless for others; never raises."""
    for group in groups:
        switch = _switch(group)
        if switch is not None:
            file, _, words = switch
            with contextlib.suppress(OSError):
                file.write_text(words)


def _switch(group: Path) -> tuple[Path, str, str] | None:
    """The file that freezes a group, and what is written to it for that and for the contrary."""
    if (group / "cgroup.freeze").exists():
        return group / "cgroup.freeze", "1", "0"
    if (group / "freezer.state").exists():
        return group / "freezer.state", "FROZEN", "THAWED"
    return None


def _freeze(group: Path) -> None:
    switch = _switch(group)
    if switch is None:
        raise SandboxError(f"The control group {group} cannot be frozen.")
    file, word, _ = switch
    end = time.monotonic() + FREEZE_SECONDS
    try:
        file.write_text(word)
        while not _is_frozen(group, file):
            if time.monotonic() > end:
                raise SandboxError("The sandbox's processes do not stand still, so its files cannot be saved.")
            time.sleep(0.001)
    except OSError as e:
        raise SandboxError(f"The sandbox's processes cannot be made to stand still: {e.strerror}.") from e


def _is_frozen(group: Path, file: Path) -> bool:
    if file.name == "freezer.state":
        return file.read_text().strip() == "FROZEN"
    return "frozen 1" in (group / "cgroup.events").read_text()


@contextmanager
def _stopped(first: int) -> Iterator[set[int]]:
    """Without a control group: by SIGSTOP, which no process can refuse."""
    for _ in range(STOP_TRIES):
        stopped: dict[int, Process] = {}
        try:
            if (held := _stop_all(first, stopped)) is not None:
                yield held
                return
        finally:
            # Children before their parents, for the same reason.
            for pid in dict.fromkeys([*reversed(members(first)), *stopped]):
                if pid in stopped:
                    _go_on(pid, stopped[pid])
        time.sleep(0.01)
    raise SandboxError("The sandbox's processes do not stand still, so its files cannot be saved.")


def _stop_all(first: int, stopped: dict[int, Process]) -> set[int] | None:
    """Stop them all; None when some do not stand within STOP_SECONDS. `stopped` are those that ran before."""
    end = time.monotonic() + STOP_SECONDS
    while time.monotonic() < end:
        found = members(first)
        running = {pid: process for pid, process in found.items() if process.state not in STANDING}
        # Parents first, and children only once these stand: a shell shall not see that one of its jobs does.
        fresh = [pid for pid, each in running.items() if pid not in stopped and each.parent not in running]
        for pid in fresh:
            stopped[pid] = running[pid]
            try:
                _signal(pid, running[pid], signal.SIGSTOP)
            except OSError as e:
                raise SandboxError(f"A process of the sandbox cannot be stopped: {e.strerror}.") from e
        if not running:
            return set(found)
        if not fresh:
            time.sleep(0.001)  # on its way, or in the middle of a call to the kernel
    return None


def _signal(pid: int, process: Process, number: int) -> None:
    """Signal a process, if the number is still its own. Raises OSError."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if _stat(f"/proc/{pid}/stat").start == process.start:
            signal.pidfd_send_signal(fd, number)
    except (FileNotFoundError, ProcessLookupError):
        return
    finally:
        os.close(fd)


def _go_on(pid: int, process: Process) -> None:
    """Whatever else fails: what was stopped goes on."""
    try:
        _signal(pid, process, signal.SIGCONT)
    except OSError:  # no descriptors left, say
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGCONT)


def members(first: int) -> dict[int, Process]:
    """The first process and all below it, parents first.

    Who loses its parent becomes a child of the first one.
    """
    children: dict[int, list[int]] = {}
    seen: dict[int, Process] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 -- thousands, and only their names
        if name.isdecimal() and (process := _look_at(int(name))) is not None:
            seen[int(name)] = process
            children.setdefault(process.parent, []).append(int(name))
    found: dict[int, Process] = {}
    waiting = [first] if first in seen else []
    while waiting:
        pid = waiting.pop()
        found[pid] = seen[pid]
        waiting += children.get(pid, ())
    return found


def _look_at(pid: int) -> Process | None:
    """A process, with the state of the liveliest of its threads."""
    try:
        process = _stat(f"/proc/{pid}/stat")
        if process.state in STANDING:
            # Its first thread may have ended, or be the first to stop, while others run.
            tasks = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
            states = {_stat(f"/proc/{pid}/task/{task}/stat").state for task in tasks}
            return process._replace(state=next(iter(states - STANDING), process.state))
    except (OSError, ValueError, IndexError):
        return None
    return process


def _stat(file: str) -> Process:
    with open(file, "rb") as f:  # noqa: PTH123 -- pathlib takes twice the time
        fields = f.read().rpartition(b")")[2].split()
    return Process(fields[0].decode(), int(fields[1]), fields[19].decode())


def mapped_files(pids: Iterable[int]) -> set[int] | None:
    """The inode numbers of files that processes share memory with: these change without a sign on the file.

    None when that cannot be told of one that lives.
    """
    found: set[int] = set()
    for pid in pids:
        try:
            with open(f"/proc/{pid}/maps", "rb") as lines:  # noqa: PTH123
                for line in lines:
                    fields = line.split(None, 5)
                    if fields[1].endswith(b"s"):
                        found.add(int(fields[4]))
        except (FileNotFoundError, ProcessLookupError):
            continue
        except (OSError, ValueError, IndexError):
            return None
    return found
