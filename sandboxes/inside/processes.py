"""Processes inside a sandbox: hiding the runner, starting commands under a supervisor, finding and killing trees.

Threat model: commands run as the same user as the runner. They must not be able to trace it, read its memory or
reach its descriptors; they may well kill or stop supervisors.
"""

import ctypes
import errno
import os
import select
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_DUMPABLE, PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 4, 15, 36
DEFAULT_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

libc = ctypes.CDLL(None, use_errno=True)


def harden() -> None:
    """Hide the runner's memory and descriptors from commands, and its source text from `ps`."""
    title = b"bridle-runner"
    with open("/proc/self/stat", "rb") as f:
        fields = f.read().rpartition(b")")[2].split()
    start, size = int(fields[45]), int(fields[46]) - int(fields[45])
    if start and size > len(title):
        ctypes.memmove(start, title.ljust(size, b"\0"), size)
    libc.prctl(PR_SET_NAME, title, 0, 0, 0)
    if libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) or libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    fatal = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}
    others = set(signal.Signals) - fatal - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, others)
    os.umask(0o022)


def oom_kills() -> int:
    """How many processes of this container the kernel has killed for memory so far; 0 if it does not say."""
    for name in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        try:
            with open(name, "rb") as f:
                for line in f:
                    if line.startswith(b"oom_kill "):
                        return int(line.split()[1])
        except OSError:
            pass
    return 0


def living() -> "dict[int, int]":
    """Every living process inside and its parent. Zombies are dead, unless threads of theirs live on."""
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fd = os.open("/proc/" + name + "/stat", os.O_RDONLY)
            except OSError:
                continue
            try:
                fields = os.read(fd, 1024).rpartition(b")")[2].split()
            except OSError:
                continue
            finally:
                os.close(fd)
            if len(fields) > 17 and (fields[0] not in (b"Z", b"X") or int(fields[17]) > 1):
                table[int(name)] = int(fields[1])
    return table


def below(table: "dict[int, int]", roots: "set[int]") -> "set[int]":
    """All descendants of `roots`, without the roots."""
    children = {}  # type: dict[int, list[int]]
    for pid, parent in table.items():
        children.setdefault(parent, []).append(pid)
    found = set()  # type: set[int]
    todo = list(roots)
    while todo:
        for pid in children.get(todo.pop(), ()):
            if pid not in found:
                found.add(pid)
                todo.append(pid)
    return found


def send_signal(pids: "set[int]", number: int) -> None:
    """Signals processes; one that is gone by now (or, setuid in some image, not ours) is passed over."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass


def freeze_and_kill(find: "Callable[[], set[int]]", give_up: float) -> bool:
    """Kill all that `find` finds until it finds nothing; False if that lasts `give_up` seconds or longer.

    Frozen first, so that nothing can slip away by forking while others are being killed.
    """
    end = time.monotonic() + give_up
    frozen = set()  # type: set[int]
    while True:
        fresh = find() - frozen
        if not fresh:
            break
        send_signal(fresh, signal.SIGSTOP)
        frozen |= fresh
    while True:
        alive = find()
        if not alive:
            return True
        if time.monotonic() > end:
            return False
        send_signal(alive, signal.SIGKILL)
        time.sleep(0.001)


def search_path(name: bytes, path: bytes) -> "list[bytes]":
    """Where a program of that name may be."""
    if b"/" in name:
        return [name]
    return [os.path.join(folder or b".", name) for folder in path.split(b":")]


class Supervisor:
    """A process that starts one command after the other, and the pipes to it.

    Below it a child waits that turns into the next command when `request` says which, so that no call waits for a
    fork. `status` brings news (see `supervise`); `output` is what its commands write. With `stdin`, it is for one
    command only, which reads what is written there.
    """

    def __init__(self, with_stdin: bool) -> None:
        opened = []  # type: list[int]
        try:
            request, self.request = _pipe(opened)
            self.output, output = _pipe(opened)
            self.status, status = _pipe(opened)
            stdin, self.stdin = _pipe(opened) if with_stdin else (-1, -1)
            self.pid = os.fork()
        except OSError:
            for fd in opened:
                os.close(fd)
            raise
        if self.pid == 0:
            try:
                supervise(request, stdin, output, status)
            finally:
                os._exit(0)
        for fd in (request, output, status, stdin):
            if fd >= 0:
                os.close(fd)
        self.once = with_stdin
        self.news = b""
        self.command = 0
        """The process that is, or is about to become, the command."""


def _pipe(opened: "list[int]") -> "tuple[int, int]":
    ends = os.pipe()
    opened.extend(ends)
    return ends


def request_bytes(argv: "list[bytes]", cwd: bytes, env: "dict[bytes, bytes]") -> bytes:
    """A command as `become_command` reads it: a length, then its parts."""
    parts = [cwd, b"%d" % len(argv), *argv]
    for name, value in env.items():
        parts += (name, value)
    data = b"\0".join(parts)
    return len(data).to_bytes(8, "big") + data


def supervise(request: int, stdin: int, output: int, status: int) -> None:
    """In the forked supervisor: fork a child to become the command, report, wait until all of it is gone, again.

    Reports are lines: `pid N` when a child is ready, `exit STATUS` when the command has ended, or the step that
    failed and the error number. Being a subreaper, the supervisor keeps orphans of its call below itself, so that
    the runner finds them. It ends when the runner closes the request pipe.
    """
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    kept = 2
    for fd in sorted((request, output, status, max(stdin, request))):
        os.closerange(kept + 1, fd)
        kept = fd
    os.closerange(kept + 1, 1 << 16)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    hang_up = select.poll()
    hang_up.register(request, 0)
    while not hang_up.poll(0):
        try:
            child = os.fork()
        except OSError as e:
            os.write(status, b"fork %d\n" % (e.errno or 0))
            return
        if child == 0:
            failure = become_command(request, stdin, output)
            if failure:
                os.write(status, failure)
            return
        os.write(status, b"pid %d\n" % child)
        while True:
            try:
                pid, raw = os.waitpid(-1, 0)
            except ChildProcessError:
                break
            if pid == child:
                os.write(status, b"exit %d\n" % raw)


def become_command(request: int, stdin: int, output: int) -> bytes:
    """In the forked child: wait for a command and turn into it. Returns only when that fails, with the reason."""
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    if stdin >= 0:
        os.dup2(stdin, 0)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    data = b""
    while len(data) < 8 or len(data) < 8 + int.from_bytes(data[:8], "big"):
        part = os.read(request, 1 << 16)
        if not part:
            return b""
        data += part
    cwd, count, *rest = data[8:].split(b"\0")
    argv, variables = rest[: int(count)], rest[int(count) :]
    env = dict(zip(variables[::2], variables[1::2]))  # noqa: B905 -- Python 3.10 and newer only
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    try:
        # When memory runs out, the kernel shall pick a command and not the runner.
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(fd, b"500")
        os.close(fd)
    except OSError:
        pass
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        os.chdir(cwd)
    except OSError as e:
        return b"cwd %d\n" % (e.errno or 0)
    failure = errno.ENOENT
    for candidate in search_path(argv[0], env.get(b"PATH", DEFAULT_PATH)):
        try:
            os.execve(candidate, argv, env)
        except OSError as e:
            # A later folder may have a program that can be run; "not found" says less than any other reason.
            if e.errno not in (errno.ENOENT, errno.ENOTDIR):
                failure = e.errno or 0
    return b"exec %d\n" % failure
