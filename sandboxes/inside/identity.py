"""Who the runner is: a user of its own, so that commands cannot signal, trace, slow down or read it.

Threat model: commands are hostile and run as the agent's user, without groups, capabilities or a way to any. The
runner starts as root with four capabilities. It empties its bounding set, becomes a user that owns nothing, and
keeps what it takes to start commands as the agent (SETUID) and to end them (KILL). Nothing of it touches files:
they are opened with the agent's rights for the runner's whole life, by way of the user id for files. So there is
no moment in which a path of the agent's making is followed with other rights than its own, and no process in
between that would cost time. Where that id does not exist (gVisor) the effective one serves; a command could then
lower the runner's priority, and still nothing more.

A supervisor keeps SETUID alone. Commands can signal it only during the fraction of a millisecond in which it
starts one, because `posix_spawn` takes the child's user from the parent's real one.

Where there are no privileges to begin with (a namespace with a single user) runner and commands share one user.
"""

import ctypes
import os

AGENT = 1000
RUNNER = 64998
"""Of the range that distributions keep free; rootless engines usually have it."""
CAP_KILL, CAP_SETUID = 5, 7
PR_SET_KEEPCAPS, PR_CAPBSET_READ, PR_CAPBSET_DROP = 8, 23, 24
CAPABILITY_VERSION = 0x20080522

libc = ctypes.CDLL(None, use_errno=True)


class CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def is_apart() -> bool:
    """Is this process the runner's user, or lending that to a command it is starting?"""
    return os.getresuid()[2] == RUNNER


def separate() -> bool:
    """From root, become the runner's user; where there is no such thing, the agent's, and return False.

    Raises OSError when this can be neither: commands must never run as root.
    """
    try:
        os.setgroups([])
        empty_bounding_set()
        check(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
        os.setresgid(AGENT, RUNNER, RUNNER)
        os.setresuid(RUNNER, RUNNER, RUNNER)
        keep_capabilities(CAP_KILL, CAP_SETUID)
        check(libc.prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0))
        files_as_agent()
    except OSError:
        if os.getuid() == RUNNER:
            raise
        os.setresgid(AGENT, AGENT, AGENT)
        os.setresuid(AGENT, AGENT, AGENT)
        keep_capabilities()
        return False
    return True


def become_supervisor() -> None:
    """In a forked supervisor: signals are not its business."""
    if is_apart():
        keep_capabilities(CAP_SETUID)


def lend() -> None:
    """Make the agent the real user, which a child started with `resetids` then is altogether.

    The real group is the agent's all the time: nobody's right to signal depends on it.
    """
    if is_apart():
        os.setresuid(AGENT, -1, -1)
        libc.setfsuid(AGENT)


def take_back() -> None:
    """End what `lend` began."""
    if is_apart():
        os.setresuid(RUNNER, -1, -1)
        libc.setfsuid(AGENT)


def become_agent() -> None:
    """In a forked child that is about to run a command; `exec` drops the capabilities."""
    if is_apart():
        os.setresgid(AGENT, AGENT, AGENT)
        os.setresuid(AGENT, AGENT, AGENT)


def files_as_agent() -> None:
    """Open files with the agent's rights from now on. Raises OSError."""
    libc.setfsgid(AGENT)
    libc.setfsuid(AGENT)
    if libc.setfsgid(-1) != AGENT or libc.setfsuid(-1) != AGENT:
        os.setresgid(-1, AGENT, -1)
        os.setresuid(-1, AGENT, -1)


def may(path: bytes, mode: int) -> bool:
    """Like os.access(), for the agent; kernels before 5.8 answer it for everyone else."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def empty_bounding_set() -> None:
    """Whatever this process and its children run from now on can gain no capability. Raises OSError."""
    capability = 0
    while libc.prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0:  # until one is unknown
        check(libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0))
        capability += 1


def keep_capabilities(*kept: int) -> None:
    """Have these capabilities, and no others, not even to inherit. Raises OSError."""
    mask = sum(1 << capability for capability in kept)
    header = CapabilityHeader(CAPABILITY_VERSION, 0)
    check(libc.capset(ctypes.byref(header), (ctypes.c_uint32 * 6)(mask, mask, 0, 0, 0, 0)))


def check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), "cannot give up privileges")
