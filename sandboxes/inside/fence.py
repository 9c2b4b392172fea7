"""System calls that nothing inside may make, refused on top of the engine's own profile.

Older engines leave two of them open. Sockets with which virtual machines talk to their host belong to no network
namespace, so that "no network" would not cover them: only the usual kinds of sockets are left. And io_uring is a
large part of the kernel that programs do without.

Threat model: commands are hostile. The filter is set once, by the first process before any command runs, and holds
for all its descendants; it can be added to, not taken away. Calls in the other word size of the same processor
lose sockets altogether, as some of them pass their arguments in memory, where no filter can look.

Where runner and commands are one user, nothing else keeps commands from limiting what the runner may have (no
files, say, which ends it) or from having it wait behind everything. So they are refused what would: limits of
any process but the caller's own, named as 0, and the priorities of the runner and of its whole user. Threads and
other processes keep theirs, since programs arrange those themselves.
"""

import ctypes
import errno
import os
import struct

from sandboxes.inside.identity import libc

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, SECOND_ARGUMENT = 0, 4, 16, 24
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
FAMILIES = (1, 2, 10, 16)  # local, IPv4, IPv6, and what lists the interfaces
IO_URING = range(425, 428)
X32 = 0x40000000

# Machine: the kernel's name for it, its call for sockets, and those of its other word size.
MACHINES = {
    "x86_64": (0xC000003E, 41, (102, 359)),
    "aarch64": (0xC00000B7, 198, (281,)),
}


RUNNER_PID = 1


class Reaching:
    """The numbers of the calls that reach other processes, of one processor and word size.

    `one` take a process first, `many` a kind and which: a process, a group, or a user, whose kind comes with them.
    """

    def __init__(self, limits: int, one: "tuple[int, ...]", many: "tuple[tuple[int, int], ...]") -> None:
        self.limits, self.one, self.many = limits, one, many

    def refusals(self) -> "list[tuple[int, int, int, int]]":
        """What of them is refused. The number of the call is loaded, before and after."""
        lines = []  # type: list[tuple[int, int, int, int]]
        load = (LOAD, 0, 0, FIRST_ARGUMENT)
        runner = [(EQUAL, 0, 1, RUNNER_PID), REFUSED, ALLOWED]
        lines += only(self.limits, [load, (EQUAL, 1, 0, 0), REFUSED, ALLOWED])
        for number in self.one:
            lines += only(number, [load, *runner])
        for number, users in self.many:
            lines += only(number, [load, (EQUAL, 0, 1, users), REFUSED, (LOAD, 0, 0, SECOND_ARGUMENT), *runner])
        return lines


REFUSED = (RETURN, 0, 0, REFUSE | errno.EPERM)
ALLOWED = (RETURN, 0, 0, ALLOW)
# setpriority and ioprio_set count kinds from 0 and from 1. Numbers: syscall_64.tbl, syscall_32.tbl, the generic
# unistd.h, and arm's syscall.tbl of Linux; of the scheduler: setparam, setscheduler, setaffinity, setattr.
REACHING = {
    "x86_64": (
        Reaching(302, (142, 144, 203, 314), ((141, 2), (251, 3))),
        Reaching(340, (154, 156, 241, 351), ((97, 2), (289, 3))),
    ),
    "aarch64": (
        Reaching(261, (118, 119, 122, 274), ((140, 2), (30, 3))),
        Reaching(369, (154, 156, 241, 380), ((97, 2), (314, 3))),
    ),
}


def only(number: int, lines: "list[tuple[int, int, int, int]]") -> "list[tuple[int, int, int, int]]":
    """Steps for one call. They end with a verdict."""
    return [(EQUAL, 0, len(lines), number), *lines]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def program(machine: str, apart: bool) -> bytes:
    """The filter for a machine; empty for one that is not known. `apart`: the runner is a user of its own."""
    if machine not in MACHINES or struct.calcsize("P") != 8:
        return b""
    audit, socket, others = MACHINES[machine]
    same, other_size = [[] if apart else reaching.refusals() for reaching in REACHING[machine]]
    lines = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 0, 0, audit), (LOAD, 0, 0, NUMBER)]
    lines += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, REFUSE | errno.ENOSYS)]
    lines += [line for number in IO_URING for line in ((EQUAL, 0, 1, number), REFUSED)]
    lines += same
    lines += [(EQUAL, 1, 0, socket), ALLOWED, (LOAD, 0, 0, FIRST_ARGUMENT)]
    lines += [line for family in FAMILIES for line in ((EQUAL, 0, 1, family), ALLOWED)]
    lines.append((RETURN, 0, 0, REFUSE | errno.EAFNOSUPPORT))
    lines[1] = (EQUAL, 0, len(lines) - 2, audit)
    lines.append((LOAD, 0, 0, NUMBER))
    lines += [line for number in (*others, *IO_URING) for line in ((EQUAL, 0, 1, number), REFUSED)]
    lines += [*other_size, ALLOWED]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def fence(apart: bool) -> bool:
    """Set the filter for this process and all it will start; False where this kernel takes none."""
    code = program(os.uname().machine, apart)
    if not code or libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    what = Program(len(code) // 8, code)
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(what), 0, 0) == 0)
