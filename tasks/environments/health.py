"""Whether a task's sandbox is ready for work, by the commands that the task gives for it.

They run in a sandbox of their own, which is like the agent's. What an image starts by itself (its command, its
entry point) does not run in Bridle's sandboxes, so a check that waits for such a service does not succeed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from agent.workspace import open_workspace
from sandboxes.protocol import WORKSPACE, Backend, Sandbox, SandboxUnavailable
from tasks.environments import outside
from tasks.environments.prepare import Prepared
from tasks.format.tables import Healthcheck


async def healthy(prepared: Prepared, checks: Sequence[Healthcheck], backend: Backend, keeper: Path) -> None:
    """Wait until every check succeeds. Raises SandboxUnavailable when one does not, SandboxError."""
    if not checks:
        return
    sandbox = await open_workspace(backend, prepared.spec("suite.health", keeper), prepared.archive, WORKSPACE)
    try:
        await outside.fill(prepared, sandbox)
        for each in checks:
            await _wait_for(each, prepared, sandbox)
    finally:
        await sandbox.close()


async def _wait_for(check: Healthcheck, prepared: Prepared, sandbox: Sandbox) -> None:
    begun, failures = time.monotonic(), 0
    while True:
        command = [sandbox.shell, "-c", check.command]
        result = await sandbox.exec(command, cwd=prepared.workdir, timeout=check.timeout_sec, max_output=2000)
        if result.exit_code == 0:
            return
        early = time.monotonic() - begun < check.start_period_sec
        failures += not early
        if failures >= check.retries:
            raise SandboxUnavailable(
                f"The sandbox of {prepared.task.name} is not healthy: `{check.command[:200]}` failed {failures} "
                f"times: {result.output.text().strip()[-200:] or 'it said nothing'}."
            )
        await asyncio.sleep(check.start_interval_sec if early else check.interval_sec)
