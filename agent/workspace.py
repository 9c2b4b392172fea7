"""The sandbox's workspace: filled, taken out, tried afresh, kept.

Threat model: what comes out is the agent's. It is stored as an opaque file here, or goes through
agent/repository/changes.py, which trusts nothing in it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

from agent.repository.base import Base
from agent.repository.inside import HISTORY_BUNDLE, setup_commands
from sandboxes.protocol import (
    WORKSPACE,
    Backend,
    Limits,
    Sandbox,
    SandboxError,
    SandboxSpec,
    WorkspaceArchive,
)

DEFAULT_IMAGE = "host" if sys.platform == "linux" else "bridle-python"
"""Without a choice: the user's own toolchain where it can be mounted, else the one scripts/engine.sh builds."""
SETUP_SECONDS = 300.0


async def open_workspace(backend: Backend, spec: SandboxSpec, archive: Path, target: str) -> Sandbox:
    """A new sandbox with `archive` unpacked below `target`. Raises SandboxUnavailable, SandboxError."""
    return await backend.open(replace(spec, workspace=WorkspaceArchive(archive, target)))


async def set_up_git(sandbox: Sandbox, base: Base, bundle: Path | None) -> str | None:
    """Make `.git` inside; the reason in words when that was not possible, which is no failure."""
    if bundle is not None:
        await sandbox.write(HISTORY_BUNDLE, bundle.read_bytes())
    for command in setup_commands(base, history=bundle is not None):
        result = await sandbox.exec(command, timeout=SETUP_SECONDS)
        if result.exit_code == 127:
            return "the image has no git, so the agent works without it"
        if result.exit_code != 0:
            return f"git could not be set up in the sandbox: {result.output.text().strip()[-200:]}"
    return None


async def keep_workspace(sandbox: Sandbox, target: Path, *, largest: int | None = Limits().saved_bytes) -> None:
    """Save the workspace's tar at `target`, whole or not at all. Raises SandboxError, OSError.

    More than `largest` bytes are refused: files with holes take no room inside, and as much as they say outside.
    """
    size, pieces = 0, sandbox.download(WORKSPACE)
    part = target.with_suffix(".part")
    try:
        with part.open("wb") as file:
            async for piece in pieces:
                size += len(piece)
                if largest is not None and size > largest:
                    raise SandboxError(
                        f"the workspace is larger than {largest >> 20} MiB, holes in files included"
                    )
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
        if isinstance(pieces, AsyncGenerator):  # whoever hands them out need not wait for the rest to be wanted
            await pieces.aclose()
