"""System calls that nothing inside may make, refused on top of the engine's own profile.

Older engines leave two of them open. Sockets with which virtual machines talk to their host belong to no network
namespace, so that "no network" would not cover them: only the usual kinds of sockets are left. And io_uring is a
large part of the kernel that programs do without.

Threat model: commands are hostile. The filter is set once, by the first process before any command runs, and holds
for all its descendants; it can be added to, not taken away. Calls in the other word size of the same processor
lose sockets altogether, as some of them pass their arguments in memory, where no filter can look.
"""

import ctypes
import errno
import os
import struct

from sandboxes.inside.identity import libc

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
FAMILIES = (1, 2, 10, 16)  # local, IPv4, IPv6, and what lists the interfaces
IO_URING = range(425, 428)
X32 = 0x40000000

# Machine: the kernel's name for it, its call for sockets, and those of its other word size.
MACHINES = {
    "x86_64": (0xC000003E, 41, (102, 359)),
    "aarch64": (0xC00000B7, 198, (281,)),
}


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def program(machine: str) -> bytes:
    """The filter for a machine; empty for one that is not known."""
    if machine not in MACHINES or struct.calcsize("P") != 8:
        return b""
    audit, socket, others = MACHINES[machine]
    lines = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 0, 0, audit), (LOAD, 0, 0, NUMBER)]
    refused = (RETURN, 0, 0, REFUSE | errno.EPERM)
    allowed = (RETURN, 0, 0, ALLOW)
    lines += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, REFUSE | errno.ENOSYS)]
    lines += [line for number in IO_URING for line in ((EQUAL, 0, 1, number), refused)]
    lines += [(EQUAL, 1, 0, socket), allowed, (LOAD, 0, 0, FIRST_ARGUMENT)]
    lines += [line for family in FAMILIES for line in ((EQUAL, 0, 1, family), allowed)]
    lines.append((RETURN, 0, 0, REFUSE | errno.EAFNOSUPPORT))
    lines[1] = (EQUAL, 0, len(lines) - 2, audit)
    lines.append((LOAD, 0, 0, NUMBER))
    lines += [line for number in (*others, *IO_URING) for line in ((EQUAL, 0, 1, number), refused)]
    lines.append(allowed)
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def fence() -> bool:
    """Set the filter for this process and all it will start; False where this kernel takes none."""
    code = program(os.uname().machine)
    if not code or libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    what = Program(len(code) // 8, code)
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(what), 0, 0) == 0)
