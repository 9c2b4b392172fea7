"""What a task needs of its sandbox: programs that have to be there before an agent is let at it."""

from __future__ import annotations

from pathlib import Path

from agent.workspace import open_workspace
from sandboxes.protocol import WORKSPACE, Backend
from tasks.environments.prepare import Prepared

_EACH = 'for each; do command -v "$each" >/dev/null || echo "$each"; done'


async def missing_programs(prepared: Prepared, backend: Backend, keeper: Path) -> list[str]:
    """Those of `[bridle] needs` that the task's sandbox does not have. Raises SandboxError."""
    needs = prepared.task.bridle.needs
    if not needs:
        return []
    sandbox = await open_workspace(backend, prepared.spec("suite.needs", keeper), prepared.archive, WORKSPACE)
    try:
        result = await sandbox.exec([sandbox.shell, "-c", _EACH, "needs", *needs], cwd="/", timeout=30)
    finally:
        await sandbox.close()
    return result.output.text().split()
