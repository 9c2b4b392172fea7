"""A hundred sandboxes at once on one engine: that all come up and answer, how soon, and what each of them costs.

They have no network of the engine's, so that its address pools (some thirty networks by default) stay as they are.

Run it with `python benchmarks/many.py [--count N] [--image NAME] [--json]`. It needs a Docker engine on this
machine, ends by itself, and removes what it made. Memory is that of all processes of a sandbox, shared pages in
parts (PSS), which takes root to read; without that, the resident size of its first process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sandboxes.docker.backend import DockerBackend  # noqa: E402
from sandboxes.docker.engine import Engine  # noqa: E402
from sandboxes.protocol import Limits, Sandbox, SandboxSpec  # noqa: E402

LIMITS = Limits(memory_bytes=64 << 20, cpus=0.5, pids=32)
LIMIT_SECONDS = 300.0
TARGET_MEMORY = 15.0
"""MB a sandbox."""


async def measure(count: int, image: str) -> dict[str, Any]:
    """Open them all, ask each something, look at them, close them all."""
    backend = DockerBackend()
    client = Engine().client()
    networks = len(client.networks())
    boxes: list[Sandbox] = []
    try:
        begun = time.monotonic()
        async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(_open(backend, f"benchmark-many-{number}", image, boxes))
        ready = time.monotonic() - begun
        times: list[float] = []
        await asyncio.gather(*(_answer(box, number, times) for number, box in enumerate(boxes)))
        memory = [_memory(client, box.name) or await _resident(box) for box in boxes]
        return {
            "count": count,
            "image": image,
            "ready_seconds": round(ready, 1),
            "ready_seconds_each": round(ready / count, 3),
            "all_at_once_noop_p50_ms": round(statistics.median(times) * 1000, 1),
            "memory_mb_each": round(statistics.mean(memory) / 1e6, 1),
            "memory_mb_largest": round(max(memory) / 1e6, 1),
            "networks_made": len(client.networks()) - networks,
        }
    finally:
        await asyncio.gather(*(box.close() for box in boxes))


async def _open(backend: DockerBackend, run_id: str, image: str, boxes: list[Sandbox]) -> None:
    boxes.append(await backend.open(SandboxSpec(run_id, image=image, limits=LIMITS)))


async def _answer(box: Sandbox, number: int, times: list[float]) -> None:
    begun = time.monotonic()
    result = await box.exec(["echo", str(number)])
    times.append(time.monotonic() - begun)
    assert result.output.text() == f"{number}\n"


def _memory(client: Any, name: str) -> int:
    """Bytes of all processes of a container; 0 when they cannot be read."""
    top = client.top(name, ps_args="-o pid")
    total = 0
    for (pid,) in top["Processes"]:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            return 0
        total += sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
    return total


async def _resident(box: Sandbox) -> int:
    status = (await box.exec(["cat", "/proc/1/status"])).output.text()
    return next((int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS")), 0)


def main() -> None:
    """Measure and print; exit 1 when a sandbox did not answer, made a network, or costs too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--image", default="host")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = asyncio.run(measure(given.count, given.image))
    if given.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name.replace('_', ' '):28} {value}")
    sys.exit(found["networks_made"] != 0 or found["memory_mb_each"] > TARGET_MEMORY)


if __name__ == "__main__":
    main()
