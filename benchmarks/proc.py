"""Processes as the kernel counts them, seen from the host: their processor time, memory and children."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
DAEMONS = ("dockerd", "containerd", "docker-proxy")


def stat(pid: int) -> tuple[str, list[str]] | None:
    """A process's name, and what follows it in its `stat`; None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    head, _, rest = text.rpartition(")")
    return head.partition("(")[2], rest.split()


def parent(pid: int) -> int:
    """A process's parent; 0 when it is gone."""
    found = stat(pid)
    return int(found[1][1]) if found else 0


def tree(*roots: int) -> set[int]:
    """Processes with everything below them."""
    children: dict[int, list[int]] = {}
    for pid in every():
        children.setdefault(parent(pid), []).append(pid)
    found: set[int] = set()
    todo = list(roots)
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += children.get(pid, [])
    return found


def every() -> list[int]:
    """Every process there is."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def daemons() -> set[int]:
    """The engine's own processes."""
    return {pid for pid in every() if (found := stat(pid)) and found[0] in DAEMONS}


def shim(first: int) -> int:
    """What stands between the engine and a container's first process; the process itself where nothing does."""
    above = parent(first)
    found = stat(above)
    return above if found and found[0].startswith("containerd-shim") else first


def processor_seconds(pids: Iterable[int]) -> float:
    """Processor time of processes, with that of their children that have ended."""
    return sum(sum(map(int, found[1][11:15])) for pid in pids if (found := stat(pid))) / TICK


def memory(pids: Iterable[int]) -> int | None:
    """Bytes that processes hold, shared pages in parts; None when that may not be read, which takes root."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError:
            return None
        total += sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
    return total


def resident(pids: Iterable[int]) -> int:
    """Bytes that processes hold, shared pages in full."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
        except OSError:
            continue
    return total
