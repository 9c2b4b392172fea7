"""A hundred sandboxes at once; `benchmarks/many.py` measures them."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from sandboxes.docker.backend import OPENED_AT_ONCE, DockerBackend
from sandboxes.protocol import Limits, SandboxSpec

pytestmark = [pytest.mark.docker, pytest.mark.alone]

MANY = 100


async def test_a_hundred_at_once_without_a_network_of_the_engines(client: Any) -> None:
    backend, run = DockerBackend(), f"test-many-{secrets.token_hex(4)}"
    limits = Limits(memory_bytes=64 << 20, cpus=0.5, pids=32)
    networks = len(client.networks())
    specs = [SandboxSpec(f"{run}-{number}", limits=limits) for number in range(MANY)]
    boxes = await asyncio.gather(*(backend.open(spec) for spec in specs))
    try:
        answers = await asyncio.gather(*(box.exec(["echo", box.name]) for box in boxes))
        assert [answer.output.text().strip() for answer in answers] == [box.name for box in boxes]
        assert len(client.networks()) == networks
    finally:
        await asyncio.gather(*(box.close() for box in boxes))
    assert not [c for c in client.containers(all=True) if c["Labels"].get("bridle.run", "").startswith(run)]


async def test_opening_that_fails_or_is_cancelled_gives_its_place_back(client: Any) -> None:
    backend = DockerBackend()
    opening = [backend.open(SandboxSpec("test-many", image=f"no-such-{n}")) for n in range(2 * OPENED_AT_ONCE)]
    assert all(isinstance(each, Exception) for each in await asyncio.gather(*opening, return_exceptions=True))
    tasks = [asyncio.create_task(backend.open(SandboxSpec("test-many"))) for _ in range(OPENED_AT_ONCE)]
    await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    box = await backend.open(SandboxSpec("test-many"))
    assert (await box.exec(["true"])).exit_code == 0
    await box.close()
    assert not client.containers(all=True, filters={"label": "bridle.run=test-many"})
