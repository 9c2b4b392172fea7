"""The system calls that a bubblewrap sandbox is refused, as a classic BPF program.

Threat model: commands are hostile and share the host's kernel. They may use what ordinary programs need. Refused
is what makes new namespaces or mounts, looks into other processes, reaches keys, or is a large and rarely needed
part of the kernel (BPF, io_uring, userfaultfd, perf). Calls newer than this list do not exist for a sandbox, nor
do the 32-bit and x32 ways of calling, through which numbers would mean something else. Only the low half of an
argument is looked at where the kernel, too, looks at no more.

The program is put in place by bubblewrap just before the first process starts, and holds for all that follow.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass

from sandboxes.protocol import SandboxUnavailable

LOAD, EQUAL, GREATER, AT_LEAST, ANY_OF, RETURN = 0x20, 0x15, 0x25, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, ARGUMENT = 0, 4, 16
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
REFUSED, MISSING = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS
UNKNOWN_FAMILY = ERRNO | errno.EAFNOSUPPORT

X32 = 0x40000000
NEWEST = 462
"""The newest call that was looked at (mseal)."""
NEW_NAMESPACE = 0x7E020000
"""clone's flags for a new mount, cgroup, host name, IPC, user, process or network namespace."""
TIOCSTI, TIOCLINUX, TIOCSETD = 0x5412, 0x541C, 0x5423
UNIX, INET, INET6, NETLINK = 1, 2, 10, 16
NETLINK_ROUTE = 0


@dataclass(frozen=True, slots=True)
class Machine:
    """What differs from one processor to another: the kernel's name for it, and the numbers of calls."""

    audit: int
    x32: bool
    clone: int
    ioctl: int
    socket: int
    socketpair: int
    refused: dict[str, int]


EVERYWHERE = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
    "set_mempolicy_home_node": 450,
}
CLONE3 = 435
"""Its flags lie in memory, where no filter can look; without it, programs use clone."""

MACHINES = {
    "x86_64": Machine(
        audit=0xC000003E,
        x32=True,
        clone=56,
        ioctl=16,
        socket=41,
        socketpair=53,
        refused={
            "ptrace": 101,
            "syslog": 103,
            "uselib": 134,
            "ustat": 136,
            "sysfs": 139,
            "vhangup": 153,
            "modify_ldt": 154,
            "pivot_root": 155,
            "_sysctl": 156,
            "adjtimex": 159,
            "chroot": 161,
            "acct": 163,
            "settimeofday": 164,
            "mount": 165,
            "umount2": 166,
            "swapon": 167,
            "swapoff": 168,
            "reboot": 169,
            "sethostname": 170,
            "setdomainname": 171,
            "iopl": 172,
            "ioperm": 173,
            "create_module": 174,
            "init_module": 175,
            "delete_module": 176,
            "get_kernel_syms": 177,
            "query_module": 178,
            "quotactl": 179,
            "nfsservctl": 180,
            "lookup_dcookie": 212,
            "clock_settime": 227,
            "mbind": 237,
            "set_mempolicy": 238,
            "get_mempolicy": 239,
            "kexec_load": 246,
            "add_key": 248,
            "request_key": 249,
            "keyctl": 250,
            "migrate_pages": 256,
            "unshare": 272,
            "move_pages": 279,
            "perf_event_open": 298,
            "fanotify_init": 300,
            "name_to_handle_at": 303,
            "open_by_handle_at": 304,
            "clock_adjtime": 305,
            "setns": 308,
            "process_vm_readv": 310,
            "process_vm_writev": 311,
            "kcmp": 312,
            "finit_module": 313,
            "kexec_file_load": 320,
            "bpf": 321,
            "userfaultfd": 323,
            **EVERYWHERE,
        },
    ),
    "aarch64": Machine(
        audit=0xC00000B7,
        x32=False,
        clone=220,
        ioctl=29,
        socket=198,
        socketpair=199,
        refused={
            "lookup_dcookie": 18,
            "umount2": 39,
            "mount": 40,
            "pivot_root": 41,
            "nfsservctl": 42,
            "chroot": 51,
            "vhangup": 58,
            "quotactl": 60,
            "acct": 89,
            "unshare": 97,
            "kexec_load": 104,
            "init_module": 105,
            "delete_module": 106,
            "clock_settime": 112,
            "syslog": 116,
            "ptrace": 117,
            "reboot": 142,
            "sethostname": 161,
            "setdomainname": 162,
            "settimeofday": 170,
            "adjtimex": 171,
            "add_key": 217,
            "request_key": 218,
            "keyctl": 219,
            "swapon": 224,
            "swapoff": 225,
            "mbind": 235,
            "get_mempolicy": 236,
            "set_mempolicy": 237,
            "migrate_pages": 238,
            "move_pages": 239,
            "perf_event_open": 241,
            "fanotify_init": 262,
            "name_to_handle_at": 264,
            "open_by_handle_at": 265,
            "clock_adjtime": 266,
            "setns": 268,
            "process_vm_readv": 270,
            "process_vm_writev": 271,
            "kcmp": 272,
            "finit_module": 273,
            "bpf": 280,
            "userfaultfd": 282,
            "kexec_file_load": 294,
            **EVERYWHERE,
        },
    ),
}


def program(name: str) -> bytes:
    """The filter for a machine of this name (as `uname -m` says it). Raises SandboxUnavailable."""
    machine = MACHINES.get(name)
    if machine is None:
        known = " and ".join(MACHINES)
        raise SandboxUnavailable(
            f"There is no system call filter for {name}, only for {known}; use Docker instead."
        )
    code = [
        _load(ARCHITECTURE),
        *_unless(EQUAL, machine.audit, KILL),
        _load(NUMBER),
        *(_when(AT_LEAST, X32, MISSING) if machine.x32 else ()),
        *_when(GREATER, NEWEST, MISSING),
        *_when(EQUAL, CLONE3, MISSING),
    ]
    for number in machine.refused.values():
        code += _when(EQUAL, number, REFUSED)
    code += _for_call(machine.clone, [_load_argument(0), *_when(ANY_OF, NEW_NAMESPACE, REFUSED)])
    terminal = [_load_argument(1)]
    for request in (TIOCSTI, TIOCLINUX, TIOCSETD):
        terminal += _when(EQUAL, request, REFUSED)
    code += _for_call(machine.ioctl, terminal)
    for call in (machine.socket, machine.socketpair):
        code += _for_call(call, _sockets())
    return b"".join([*code, _step(RETURN, ALLOW)])


def _sockets() -> list[bytes]:
    """Internet, local, and of netlink only what asks about interfaces and routes."""
    code = [_load_argument(0)]
    for family in (UNIX, INET, INET6):
        code += _when(EQUAL, family, ALLOW)
    code += _unless(EQUAL, NETLINK, UNKNOWN_FAMILY)
    return [*code, _load_argument(2), *_unless(EQUAL, NETLINK_ROUTE, UNKNOWN_FAMILY)]


def _for_call(number: int, code: list[bytes]) -> list[bytes]:
    """What is done for one call only; what it does not refuse is allowed."""
    return [_step(EQUAL, number, no=len(code) + 1), *code, _step(RETURN, ALLOW)]


def _when(test: int, value: int, verdict: int) -> list[bytes]:
    return [_step(test, value, no=1), _step(RETURN, verdict)]


def _unless(test: int, value: int, verdict: int) -> list[bytes]:
    return [_step(test, value, yes=1), _step(RETURN, verdict)]


def _load(offset: int) -> bytes:
    return _step(LOAD, offset)


def _load_argument(index: int) -> bytes:
    """The low half of an argument; both machines are little-endian."""
    return _step(LOAD, ARGUMENT + 8 * index)


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("<HBBI", code, yes, no, value)
