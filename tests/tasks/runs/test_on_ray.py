"""Attempts on a Ray cluster of several nodes, all on this machine's loopback."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.project import bridle

import tasks
from sandboxes.docker.backend import DockerBackend
from tasks.agents.work import Agent
from tasks.format.task import load_suite
from tasks.runs.on_ray import OnRay
from tasks.runs.results import AttemptResult
from tasks.runs.runner import Run

ray = pytest.importorskip("ray", reason="NO Ray: pip install 'bridle[ray]'")
pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]

TASK = Path(tasks.__file__).parent / "bundled" / "bug-rolling-mean"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head without processors, so that all work is on the nodes that a test adds."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **NODE})
    yield made
    ray.shutdown()
    made.shutdown()


NODE: dict[str, Any] = {
    "node_ip_address": "127.0.0.2",
    "object_store_memory": 80 << 20,
    "include_dashboard": False,
}


def test_a_node_killed_in_mid_run_loses_nothing(cluster: Any, tmp_path: Path) -> None:
    first = cluster.add_node(num_cpus=1, **NODE)
    slow = tmp_path / "slow.sh"
    solution = (TASK / "solution" / "solve.sh").read_text()
    slow.write_text(f"touch begun; sleep 3; rm begun\n{solution}")
    agent = Agent(kind="script", command=slow.read_text())
    (task,) = load_suite(TASK)
    done: list[AttemptResult] = []

    async def run() -> list[AttemptResult]:
        executor = OnRay(agent, "docker", cluster.address, pauses=[0.1] * 4)
        made = Run([task], agent, DockerBackend(), tmp_path / "out", 3, 3, executor=executor, done=done.append)
        running = asyncio.create_task(made.run())
        await asyncio.sleep(4)
        assert not done
        cluster.remove_node(first, allow_graceful=False)
        cluster.add_node(num_cpus=2, **NODE)
        return await running

    results = asyncio.run(run())
    assert [(each.number, each.status) for each in results] == [(1, "pass"), (2, "pass"), (3, "pass")]
    for number in (1, 2, 3):
        folder = tmp_path / "out" / "attempts" / TASK.name / str(number)
        assert {"result.json", "journal.jsonl", "patch.diff"} <= {path.name for path in folder.iterdir()}
    command = ["suite", "run", str(TASK), "--agent", "oracle", "--out", str(tmp_path / "by-command")]
    done = bridle(*command, "--executor", "ray", "--ray-address", cluster.address, "--min-pass-rate", "1")
    assert done.code == 0, done.err


def test_without_a_cluster_one_sentence(tmp_path: Path) -> None:
    command = ["suite", "run", str(TASK), "--agent", "nop", "--out", str(tmp_path / "out"), "--executor", "ray"]
    done = bridle(*command, "--ray-address", "127.0.0.1:1", "--model-rate", "5")
    assert done.code == 2
    assert "leave them out with --executor ray" in done.err
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
