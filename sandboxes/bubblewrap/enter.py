"""A program of its own: becomes bubblewrap, with limits set and without the rights of root.

Run as `python3 -I -S enter.py FD`, where FD holds a JSON object: `groups` (files to write one's number to),
`limits` (pairs for setrlimit), `user` (a host user to become, or null), `stage` (folders and files to show under
/tmp/0, /tmp/1, …) and `command`. Only when there is a user to become is anything staged: that user could not get
to what lies below other users' private folders. It happens in a mount namespace of this process alone.

Threat model: runs before anything hostile does; every value comes from Bridle.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import stat
import sys

CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x00020000, 4096, 16384, 1 << 18
STAGE = "/tmp"  # noqa: S108 -- an empty one, in a mount namespace of our own


def main() -> None:
    with os.fdopen(int(sys.argv[1]), "rb") as f:
        plan = json.load(f)
    for group in plan["groups"]:
        with open(group, "w") as procs:  # noqa: PTH123 -- pathlib takes a third of this program's time
            procs.write("0")
    for number, wanted in plan["limits"]:
        hard = resource.getrlimit(number)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(number, (value, value))
    if plan["user"] is not None:
        stage(plan["stage"])
        os.setgroups([])
        os.setresgid(plan["user"], plan["user"], plan["user"])
        os.setresuid(plan["user"], plan["user"], plan["user"])
    os.chdir("/")
    os.execv(plan["command"][0], plan["command"])  # noqa: S606 -- the whole of it is Bridle's


def stage(sources: list[str]) -> None:
    """Show each source under its number in STAGE."""
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: str, target: str, kind: str, flags: int, data: str) -> None:
        words = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
        if libc.mount(*words):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), source)

    if libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "no mount namespace can be made")
    mount("none", "/", "", MS_REC | MS_PRIVATE, "")
    # Before the stage is set, which may hide some of them.
    opened = [os.open(source, os.O_PATH | os.O_CLOEXEC) for source in sources]
    mount("tmpfs", STAGE, "tmpfs", 0, "mode=755")
    for number, fd in enumerate(opened):
        target = f"{STAGE}/{number}"
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            os.mkdir(target, 0o755)  # noqa: PTH102
        else:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT, 0o644))
        mount(f"/proc/self/fd/{fd}", target, "", MS_BIND | MS_REC, "")


if __name__ == "__main__":
    try:
        main()
    except OSError as e:
        sys.exit(f"bridle: {e.filename + ': ' if e.filename else ''}{e.strerror or e}")
