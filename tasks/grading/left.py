"""What still runs in a grading sandbox when the tests are over."""

from __future__ import annotations

import asyncio

from sandboxes.protocol import WORKSPACE, Sandbox
from tasks.grading.integrity import Flag
from tasks.grading.verdict import GraderProblem

GRACE_SECONDS = 1.5
"""How long what the tests started may take to end after them; nobody waits when nothing is left."""
_LEFT = """
import os, sys
skip = {os.getpid(), os.getppid(), 1}
for name in filter(str.isdigit, os.listdir("/proc")):
    try:
        if int(name) not in skip and os.stat("/proc/" + name).st_uid == os.getuid():
            state = open("/proc/" + name + "/stat").read().rsplit(")", 1)[1].split()[0]
            if state not in "ZX":
                print(open("/proc/" + name + "/cmdline").read().replace("\\0", " ")[:100] or name)
    except OSError:
        pass
"""


async def python_of(sandbox: Sandbox) -> str:
    """The sandbox's own Python, never one of the workspace. Raises GraderProblem."""
    asked = ["sh", "-c", "command -v python3"]
    found = (await sandbox.exec(asked, cwd="/", timeout=30)).output.text().strip()
    if not found.startswith("/") or found.startswith(WORKSPACE):
        raise GraderProblem("the task's image has no python3 to run the tests with")
    return found


async def left(sandbox: Sandbox, python: str) -> list[Flag]:
    """A flag for each process that lives on."""
    for wait in (0.0, GRACE_SECONDS):
        await asyncio.sleep(wait)
        said = await sandbox.exec([python, "-I", "-S", "-c", _LEFT], cwd="/", timeout=30)
        lines = said.output.text().splitlines()
        if not lines:
            return []
    return [Flag(name="integrity.daemon", where=line) for line in lines[:5]]
