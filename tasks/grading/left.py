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


# In a sandbox without Python a command has helpers of its own, which are all in its session.
_LEFT_BY_SHELL = r"""
about() { s=$(cat "$1/stat" 2>/dev/null) || return 1; s=${s##*) }; set -- $s; echo "$1 $4"; }
mine=$(about /proc/$$); mine=${mine#* }
for p in /proc/[0-9]*; do
    [ -O "$p" ] && [ "$p" != /proc/1 ] && said=$(about "$p") || continue
    case $said in [ZX]*|*" $mine") continue ;; esac
    c=$(tr '\0' ' ' 2>/dev/null <"$p/cmdline" | cut -c1-100)
    echo "${c:-${p#/proc/}}"
done
"""


async def python_of(sandbox: Sandbox) -> str:
    """The sandbox's own Python, never one of the workspace. Raises GraderProblem."""
    found = await find_python(sandbox)
    if found is None:
        raise GraderProblem("the task's image has no python3 to run the tests with")
    return found


async def find_python(sandbox: Sandbox) -> str | None:
    """The same; None where there is none."""
    asked = ["sh", "-c", "command -v python3"]
    found = (await sandbox.exec(asked, cwd="/", timeout=30)).output.text().strip()
    return found if found.startswith("/") and not found.startswith(WORKSPACE) else None


async def left(sandbox: Sandbox, python: str | None) -> list[Flag]:
    """A flag for each process that lives on; the shell looks where there is no Python."""
    look = ["sh", "-c", _LEFT_BY_SHELL] if python is None else [python, "-I", "-S", "-c", _LEFT]
    for wait in (0.0, GRACE_SECONDS):
        await asyncio.sleep(wait)
        said = await sandbox.exec(look, cwd="/", timeout=30)
        lines = said.output.text().splitlines()
        if not lines:
            return []
    return [Flag(name="integrity.daemon", where=line) for line in lines[:5]]
