"""Attempts on a Ray cluster: the same attempt as in this process, made in a worker on whichever node has room.

    task's folder, packed → worker: unpack, make the attempt → result and files, packed → this run's folder

A worker or a node that dies takes its attempts with it, and they are made again elsewhere, after a pause that
grows. All that an attempt leaves comes back here, so that a run's folder is the same wherever it was made. Nodes
need the same version of Bridle, and an engine or bubblewrap of their own.

Threat model: the cluster is the user's, and trusted as this machine is. What comes back is an archive made by our
own worker; it is unpacked with tarfile's data filter, so that no name in it leads elsewhere.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.outcomes import UsageProblem
from agent.session import Interrupt
from sandboxes.protocol import Backend
from tasks.agents.work import Agent
from tasks.environments.allowed import Allowed
from tasks.format.task import Task, load_task
from tasks.runs.here import PAUSES, Here, unscored
from tasks.runs.results import AttemptResult

_PREFIX = "bridle-ray-"
"""How a worker's folder begins; its process id follows."""
MAX_LOST = 4
"""How often an attempt is begun again because its node was lost."""


@dataclass(slots=True)
class OnRay:
    """Makes attempts on the cluster at `address` (Ray's own default: RAY_ADDRESS, else one on this machine).

    An async context manager, and an `Executor` (see runner.py). `backend` is a backend's name, for the nodes.
    """

    agent: Agent
    backend: str | None
    address: str | None = None
    pauses: Sequence[float] = PAUSES
    allowed: Allowed = field(default_factory=Allowed)
    regrade: bool = False
    _attempt: Any = None
    _own: bool = False

    async def __aenter__(self) -> Self:
        """Raises UsageProblem where there is no Ray, or no such cluster."""
        if find_spec("ray") is None:
            raise UsageProblem("--executor ray needs Ray: install it with pip install 'bridle[ray]'")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or Ray reports to its makers
        import ray

        if not ray.is_initialized():
            try:
                await asyncio.to_thread(
                    ray.init,
                    address=self.address,
                    log_to_driver=False,
                    include_dashboard=False,
                    logging_level=logging.ERROR,
                )
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise UsageProblem(f"no Ray cluster at {self.address or 'RAY_ADDRESS'}: {error}") from error
            self._own = True
        # Lost work is begun again here, where it is counted and told, and not by Ray unseen.
        self._attempt = ray.remote(max_retries=0)(_attempt)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own:
            import ray

            await asyncio.to_thread(ray.shutdown)

    async def make(self, task: Task, number: int, key: str, folder: Path, interrupt: Interrupt) -> AttemptResult:
        """See Executor."""
        import ray
        from ray.exceptions import RayError

        packed = await asyncio.to_thread(_pack, task.folder)
        settings = (
            self.agent.model_dump_json(),
            self.backend,
            self.allowed.model_dump_json(),
            tuple(self.pauses),
            self.regrade,
        )
        asked = (packed, task.name, number, key, *settings, version("bridle"))
        lost = ""
        for tries, pause in enumerate((*self.pauses, *[30.0] * MAX_LOST)[:MAX_LOST], 1):
            job = self._attempt.options(num_cpus=min(1.0, task.file.environment.cpus)).remote(*asked)
            try:
                said, files = await interrupt.guard(_result_of(job))
            except asyncio.CancelledError:
                ray.cancel(job, force=False)
                raise
            except RayError as error:
                cause = getattr(error, "cause", None)  # what the attempt itself raised
                if isinstance(cause, UsageProblem):
                    raise UsageProblem(f"{task.name} on a node: {cause}") from error
                lost = f"{cause or type(error).__name__} ({tries} times)"
                await asyncio.sleep(pause)
                continue
            await asyncio.to_thread(_unpack, files, folder)
            return AttemptResult.model_validate_json(said)
        return unscored(task, number, key, "infra.daemon", f"no node made this attempt: {lost}")


async def _result_of(job: Any) -> tuple[bytes, bytes]:
    said, files = await job
    return said, files


def _attempt(
    packed: bytes,
    name: str,
    number: int,
    key: str,
    agent: str,
    backend: str | None,
    allowed: str,
    pauses: tuple[float, ...],
    regrade: bool,
    harness: str,
) -> tuple[bytes, bytes]:
    """In a worker: make one attempt. The result as JSON, and its files as a tar."""
    from agent.settings import load
    from sandboxes.select import choose

    if version("bridle") != harness:
        raise UsageProblem(f"this node has Bridle {version('bridle')}, and the run is one of {harness}")
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as place:
        root, files = Path(place), Path(place) / "attempt" / str(number)
        _unpack(packed, root / "task" / name)
        task = load_task(root / "task" / name)

        async def make() -> AttemptResult:
            chosen = choose(load({"backend": backend}).backend).backend
            await _sweep(chosen)
            mine = Here(
                Agent.model_validate_json(agent),
                chosen,
                root / "place",
                1,
                pauses,
                Allowed.model_validate_json(allowed),
                regrade=regrade,
            )
            async with mine as here:
                return await here.make(task, number, key, files, Interrupt())

        result = asyncio.run(make())
        return result.model_dump_json().encode(), _pack(files)


async def _sweep(backend: Backend) -> None:
    """Remove what workers that are dead left on this node: sandboxes and folders."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        number = left.name.removeprefix(_PREFIX).partition("-")[0]
        if number.isdigit() and not Path(f"/proc/{number}").exists():
            await backend.reap(keeper=str(left / "place" / "state"), wanted=lambda _: False)
            shutil.rmtree(left, ignore_errors=True)


def _pack(folder: Path) -> bytes:
    """A folder's content as a tar."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        if folder.is_dir():
            tar.add(folder, ".")
    return whole.getvalue()


def _unpack(data: bytes, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(folder, filter="data")
