"""What a command did, from strace's record of it: the files it changed, the programs it ran, whom it asked."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

CALLS = (
    "execve,execveat,open,openat,openat2,creat,unlink,unlinkat,rmdir,rename,renameat,renameat2,mkdir,mkdirat,link,linkat,"
    "symlink,symlinkat,truncate,chmod,fchmodat,chown,lchown,fchownat,mknod,mknodat,utimensat,setxattr,connect,sendto,"
    "sendmsg,sendmmsg,chdir"
)
OPTIONS = ["-f", "-qq", "-y", "--seccomp-bpf", "-s", "400", "-e", f"trace={CALLS}", "-e", "signal=none"]
"""Options of strace for a record that `parse` reads."""

_LINE = re.compile(r"(\d+)\s+(\w+)\((.*)\)\s+= (-?\d+|0x[0-9a-f]+)(.*)", re.DOTALL)
_WRITES = re.compile(r"\bO_(WRONLY|RDWR|CREAT|TRUNC|APPEND)\b")
_PATH = re.compile(r'(?:AT_FDCWD<([^>]*)>, |\d+<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
_ADDRESS = re.compile(
    r'sa_family=AF_INET6?,.*?(?:inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)")', re.DOTALL
)


@dataclass(slots=True)
class Trace:
    """Absolute paths, and addresses. What failed is not in it, but for connections, which count when tried."""

    changed: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    executed: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)


def parse(record: str, start: str) -> Trace:
    """Read what strace wrote about a command that started in the folder `start`."""
    trace, folders = Trace(), dict[str, str]()
    for line in _whole(record):
        match = _LINE.match(line)
        if match is None:
            continue
        pid, call, args, result = match[1], match[2], match[3], match[4]
        if call in {"connect", "sendto", "sendmsg", "sendmmsg"}:
            trace.asked |= {one or other for one, other in _ADDRESS.findall(args)}
        elif result.startswith("-"):
            continue
        elif call == "chdir":
            folders[pid] = _paths(args, folders.get(pid, start))[0]
        else:
            _note(trace, call, args, _paths(args, folders.get(pid, start)))
    return trace


def _note(trace: Trace, call: str, args: str, paths: list[str]) -> None:
    if call.startswith("exec"):
        trace.executed.add(paths[0])
    elif call.startswith("open") or call == "creat":
        if call == "creat" or _WRITES.search(args):
            trace.changed.add(paths[0])
    elif call in {"unlink", "unlinkat", "rmdir"}:
        trace.removed.add(paths[0])
    elif call.startswith("symlink"):
        trace.changed.add(paths[-1])
    else:
        trace.changed |= set(paths)


def _paths(args: str, folder: str) -> list[str]:
    """The paths among the arguments, made absolute."""
    found = []
    for at, beside, name in _PATH.findall(args):
        found.append(posixpath.normpath(posixpath.join(at or beside or folder, name)))
    return found or re.findall(r"^\d+<([^>]*)>", args) or [""]


def _whole(record: str) -> list[str]:
    """The lines, those put together that another process interrupted."""
    waiting: dict[str, str] = {}
    whole = []
    for line in record.splitlines():
        pid = line.partition(" ")[0]
        if line.endswith("<unfinished ...>"):
            waiting[pid] = line.removesuffix("<unfinished ...>")
        elif match := re.match(r"\d+\s+<\.\.\. \w+ resumed>(.*)", line):
            whole.append(waiting.pop(pid, "") + match[1])
        else:
            whole.append(line)
    return whole
