"""Work in a fresh grading sandbox, and who is to blame when it breaks.

Threat model: the code under test can exhaust or damage what it runs in, until nothing can be asked of the sandbox
any more. That must not be worth more than failing. It is told from infrastructure that fails by trying again, and
by the task's own files, which the agent never touched.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sandboxes.protocol import Sandbox, SandboxError, SandboxUnavailable
from tasks.grading.verdict import GraderAttacked, Open

TRIES = 2
T = TypeVar("T")


async def in_fresh(open_box: Open, work: Callable[[Sandbox], Awaitable[T]]) -> T:
    """What `work` comes to in a sandbox of its own. Raises what `work` does, SandboxError."""
    sandbox = await open_box()
    try:
        return await work(sandbox)
    finally:
        await sandbox.close()


async def withstood(open_box: Open, open_base: Open, work: Callable[[Sandbox], Awaitable[T]]) -> T:
    """The same, tried again where the sandbox breaks.

    Raises GraderAttacked when it breaks each time, and not with the task's own files, which `open_base` opens.
    Raises SandboxError when it does then, too, and where none can be had.
    """
    for _ in range(TRIES):
        try:
            return await in_fresh(open_box, work)
        except SandboxUnavailable:
            raise
        except SandboxError as error:
            broken = error
    await in_fresh(open_base, work)
    raise GraderAttacked(str(broken)) from broken
