"""The embedded model: its server as a child process, started when first asked and ended with the session."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agent.models import local_server
from agent.models.chat import ChatModel
from agent.models.control import harmless, restored
from agent.models.embedded import missing, verified
from agent.models.errors import Endpoint
from agent.models.profiles import LOCAL, LOCAL_CONTEXT
from agent.models.protocol import ModelError, Reply, Request

START_SECONDS = 300.0
"""How long loading may take: a cold, slow disk reads a gigabyte in a minute or more."""


class LocalModel:
    """Implements `agent.models.protocol.Model`. Each one has a child of its own."""

    def __init__(
        self,
        *,
        context_tokens: int = LOCAL_CONTEXT,
        threads: int | None = None,
        on_retry: Callable[[str], None] | None = None,
    ) -> None:
        """`context_tokens` take 28 KiB of memory each; `threads` are by default the physical cores to be had."""
        self._context_tokens = context_tokens
        self._threads = threads or physical_cores()
        self._on_retry = on_retry
        self._starting = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._chat: ChatModel | None = None
        self._log: Path | None = None
        self._url: str | None = None

    @property
    def name(self) -> str:
        return LOCAL

    @property
    def pid(self) -> int | None:
        """The child's process id, once it is started."""
        return self._child.pid if self._child else None

    @property
    def url(self) -> str | None:
        """Where the child listens, once it does."""
        return self._url

    @property
    def endpoint(self) -> Endpoint | None:
        """The child's service, once it is started; only this process knows the key."""
        return self._chat.endpoint if self._chat else None

    async def start(self) -> None:
        """Start the child and wait until it answers; harmless to repeat. Raises ModelError."""
        async with self._starting:
            if self._chat is None:
                self._chat = await self._start()

    async def complete(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        """See the protocol."""
        await self.start()
        assert self._chat is not None
        try:
            return restored(await self._chat.complete(harmless(request), on_text))
        except ModelError as error:
            if self._child is not None and self._child.returncode is not None:
                raise self._died() from error
            raise

    async def close(self) -> None:
        """End the child."""
        if self._chat is not None:
            await self._chat.close()
            self._chat = None
        healthy = self._child is not None and self._child.returncode is None
        await self._end()
        if healthy and self._log is not None:  # the log of one that died is evidence
            self._log.unlink(missing_ok=True)

    async def _start(self) -> ChatModel:
        if problem := missing():
            raise ModelError(problem)
        path = await asyncio.to_thread(verified)
        if path is None:
            raise ModelError("the embedded model's file is not the right one: `bridle model pull` mends it")
        key = secrets.token_urlsafe(32)
        settings = {
            "path": str(path),
            "alias": path.stem,
            "key": key,
            "context_tokens": self._context_tokens,
            "threads": self._threads,
        }
        try:
            self._url = await self._launch(settings, path.parent)
        except BaseException:
            await self._end()
            raise
        return ChatModel(LOCAL, f"{self._url}/v1", key, max_attempts=2, on_retry=self._on_retry)

    async def _launch(self, settings: dict[str, object], folder: Path) -> str:
        """Start the child; the address it listens at."""
        descriptor, log = tempfile.mkstemp(prefix="bridle-local-model-", suffix=".log")
        self._log = Path(log)
        with os.fdopen(descriptor, "wb") as log_file:
            # By its path, with -P and in a folder of ours: nothing in the user's current folder is imported.
            self._child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", local_server.__file__),
                cwd=folder,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log_file,
                start_new_session=True,  # Ctrl-C is the session's to handle
            )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(settings).encode() + b"\n")
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await self._child.stdout.readline()
        except TimeoutError as error:
            raise ModelError(
                f"the embedded model was not loaded after {START_SECONDS:.0f} s: see {self._log}"
            ) from error
        if not line:
            await self._child.wait()
            raise self._died()
        answer = json.loads(line)
        if "error" in answer:
            raise ModelError(f"the embedded model could not be loaded ({answer['error']}): see {self._log}")
        return str(answer["url"])

    async def _end(self) -> None:
        if self._child is None:
            return
        if self._child.stdin is not None:
            self._child.stdin.close()
        if self._child.returncode is None:
            with suppress(ProcessLookupError):
                self._child.kill()
            await self._child.wait()

    def _died(self) -> ModelError:
        code = self._child.returncode if self._child else None
        how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return ModelError(f"the embedded model's process ended ({how}; out of memory?): see {self._log}")


def physical_cores() -> int:
    """Cores that this process may use, counting those that share hardware once, and the cgroup's CPU limit."""
    if sys.platform != "linux":
        return max(1, (os.cpu_count() or 2) // 2)
    usable = os.sched_getaffinity(0)
    siblings = {_siblings(cpu) for cpu in usable}
    return max(1, min(len(siblings), _cgroup_cpus() or len(siblings)))


def _siblings(cpu: int) -> str:
    try:
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return str(cpu)


def _cgroup_cpus() -> int | None:
    """Whole CPUs that the cgroup allows, None without a limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):
        return None
