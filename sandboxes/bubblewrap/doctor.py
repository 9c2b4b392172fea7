"""What `bridle doctor` says about the bubblewrap backend, from a real sandbox."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from sandboxes.protocol import Check, SandboxError, SandboxSpec, SandboxUnavailable
from sandboxes.threads import in_thread

if TYPE_CHECKING:
    from sandboxes.bubblewrap.backend import BubblewrapBackend

WHAT = "Bubblewrap"
WEAKER = {
    "memory": "memory is limited a process, not together",
    "pids": "processes are limited by their user's number of them",
    "cpu": "processor time is not limited",
}
ONE_USER = (
    "commands run as the same user as Bridle's own process inside, so they can end other commands, and have that "
    "process be the first to go when memory is short"
)


async def checks(backend: BubblewrapBackend) -> list[Check]:
    """Try it: a sandbox that runs one command. Leaves nothing; never raises."""
    from sandboxes.bubblewrap.backend import program

    try:
        bwrap = program()
    except SandboxUnavailable as e:
        mend = "sudo apt install bubblewrap (or your system's package)" if sys.platform == "linux" else ""
        return [Check(WHAT, ok=False, detail=str(e), mend=mend)]
    try:
        sandbox = await backend.open(SandboxSpec(f"doctor-{secrets.token_hex(4)}"))
        try:
            weak = weaknesses(sandbox.covered, apart=sandbox.apart)
            well = (await sandbox.exec(["true"], timeout=20)).exit_code == 0
        finally:
            await sandbox.close()
    except (SandboxError, OSError) as e:
        return [Check(WHAT, ok=False, detail=str(e), mend=_mend())]
    if not well:
        return [Check(WHAT, ok=False, detail="a sandbox starts, but no command in it", mend=_mend())]
    return [Check(WHAT, ok=True, detail=f"{await in_thread(_version, bwrap)} at {bwrap}; {weak}")]


def _version(bwrap: str) -> str:
    said = subprocess.run([bwrap, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return said or "bubblewrap"


def weaknesses(covered: frozenset[str], *, apart: bool) -> str:
    """In words, what a sandbox's limits are where control groups cover `covered`, and who its runner is."""
    missing = [text for name, text in WEAKER.items() if name not in covered]
    said = "limits by control groups"
    if missing:
        said = f"no control group can be made for all limits here: {', '.join(missing)}"
    return said if apart else f"{said}; {ONE_USER}"


def _mend() -> str:
    if platform.machine() not in ("x86_64", "aarch64"):
        return "use a Docker engine"
    if shutil.which("tar") is None:
        return "install tar"
    if os.path.exists("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"):  # noqa: PTH110
        return "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or use a Docker engine"
    return "sudo sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000, or use a Docker engine"
