"""A contender's process: does what each line of standard input says, and answers how long it took.

Run by `harness` with the Python that has the contender's package: nothing but the standard library is imported
before the contender itself is made. Ctrl-C is left to the parent: when the input ends, the contender is closed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.contenders import make


def main(name: str, setup: dict[str, Any]) -> None:
    """Serve until the input ends. An action that the contender does not have is answered with null."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a contender prints is no answer
    contender = make(name, setup)
    print(json.dumps({"ready": os.getpid()}), file=answers)
    try:
        for line in sys.stdin:
            request = json.loads(line)
            if request["do"] == "can":
                print(json.dumps(hasattr(contender, request["with"]["what"])), file=answers)
                continue
            action = getattr(contender, request["do"], None)
            print(json.dumps(None if action is None else answer(action, request)), file=answers)
    finally:
        contender.close()


def answer(action: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Do something; seconds, what it returned, and by how many bytes this process grew at most meanwhile."""
    with measured_memory() as growth:
        begun = time.perf_counter()
        value = action(**request["with"])
        seconds = time.perf_counter() - begun
    return {"seconds": seconds, "value": value, "growth": growth[0]}


@contextlib.contextmanager
def measured_memory() -> Iterator[list[int]]:
    """By how much the resident memory peaked above what it was, as the kernel counts it."""
    growth = [0]
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = status("VmRSS")
    yield growth
    growth[0] = max(0, status("VmHWM") - before)


def status(name: str) -> int:
    """A line of this process's status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name + ":"))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
