"""Processes inside a sandbox: hiding the runner, starting commands under a supervisor, finding and killing trees.

Threat model: commands are hostile. They must not be able to trace the runner, read its memory or reach its
descriptors; they may kill or stop supervisors, at any time where all are one user, else in the instant in which
one starts a command (see `identity`).
"""

import ctypes
import errno
import fcntl
import os
import signal
import sys
import termios
import time

from sandboxes.inside.fence import fence
from sandboxes.inside.identity import become_agent, become_supervisor, is_apart, lend, separate, take_back

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_DUMPABLE, PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 4, 15, 36
TIOCSPTLCK, TIOCGPTN = 0x40045431, 0x80045430
DEFAULT_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

libc = ctypes.CDLL(None, use_errno=True)


def harden(apart: bool) -> int:
    """Hide the runner's memory and descriptors from commands, and its source text from `ps`.

    With `apart`, become another user than theirs, if that can be; OSError if commands would run as root then.
    Returns a descriptor for the runner's own score (see `write_score`), which cannot be opened afterwards, or -1.
    """
    try:
        own_score = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        own_score = -1
    if apart:
        separate()
    fence(is_apart())  # where the kernel takes no filter, the engine's own is the only one
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
    return own_score


class OutOfMemory:
    """How many processes of this container the kernel has killed for memory."""

    def __init__(self) -> None:
        names = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
        found = [name for name in names if os.access(name, os.R_OK)]
        self.fd = os.open(found[0], os.O_RDONLY | os.O_CLOEXEC) if found else -1

    def kills(self) -> int:
        """The number so far; 0 where the kernel does not say."""
        try:
            words = os.pread(self.fd, 4096, 0).split()
            return int(words[words.index(b"oom_kill") + 1])
        except (OSError, ValueError):
            return 0


DEAD, STOPPED = b"Z", b"T"
FREEZE_SECONDS, LENIENT_SECONDS = 0.5, 1.0
"""How long everything found is stopped before any of it is killed, and how long supervisors are spared."""


def processes() -> "dict[int, tuple[int, bytes]]":
    """Every process inside: its parent, and its state. Zombies are dead, unless threads of theirs live on."""
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
            if len(fields) > 17:
                dead = fields[0] in (b"Z", b"X") and int(fields[17]) <= 1
                table[int(name)] = (int(fields[1]), DEAD if dead else fields[0].upper())
    return table


def living() -> "set[int]":
    """Every living process inside."""
    return {pid for pid, (_, state) in processes().items() if state != DEAD}


def below(table: "dict[int, tuple[int, bytes]]", roots: "set[int]") -> "set[int]":
    """All descendants of `roots`, without the roots, living or not."""
    children = {}  # type: dict[int, list[int]]
    for pid, (parent, _) in table.items():
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


def freeze_and_kill(
    find: "Callable[[dict[int, tuple[int, bytes]]], set[int]]", reapers: "set[int]", give_up: float
) -> bool:
    """Kill all that `find` finds in a table until nothing of it lives; False if that takes `give_up` seconds.

    Frozen first, so that nothing can slip away by forking while others are being killed. One that forks and ends
    faster than a table is read need not be in it; but each of its lives leaves a zombie, as long as nobody reaps.
    So `reapers`, the supervisors above, stand still meanwhile, and all is dead when a second look finds no zombie
    that the first one did not: whoever lived when it began has to be in it. The zombies also end it, as they count
    towards the limit on processes. A supervisor that commands keep waking up goes with the rest; this process
    then takes its place.
    """
    begun = time.monotonic()
    frozen = set()  # type: set[int]
    before = None  # type: set[int] | None
    while True:
        passed = time.monotonic() - begun
        send_signal(reapers, signal.SIGSTOP if is_apart() and passed < LENIENT_SECONDS else signal.SIGKILL)
        table = processes()
        found = find(table)
        alive = {pid for pid in found if table[pid][1] != DEAD}
        still = not alive and all(pid not in table or table[pid][1] in (DEAD, STOPPED) for pid in reapers)
        if still and found == before:
            return True
        before = found if still else None
        if passed > give_up:
            return False
        fresh = alive - frozen
        if fresh and passed < FREEZE_SECONDS:
            send_signal(fresh, signal.SIGSTOP)
            frozen |= fresh
        elif not still:
            send_signal(alive, signal.SIGKILL)
            time.sleep(0.001)


def search_path(name: bytes, path: bytes) -> "list[bytes]":
    """Where a program of that name may be."""
    if b"/" in name:
        return [name]
    return [os.path.join(folder or b".", name) for folder in path.split(b":")]


class Supervisor:
    """A process that starts one command after the other, and the pipes to it.

    `request` takes a command, `status` brings news (see `supervise`), `output` is what its commands write. With
    `stdin`, it is for one command only, which reads what is written there. With a terminal (its two ends, see
    `open_terminal`), that is in the place of both.
    """

    def __init__(self, with_stdin: bool, own_score: int, terminal: "tuple[int, int] | None" = None) -> None:
        opened = list(terminal or ())
        try:
            request, self.request = _pipe(opened)
            self.status, status = _pipe(opened)
            if terminal:
                self.output, output = terminal
                stdin, self.stdin = -1, os.dup(self.output)
                opened.append(self.stdin)
            else:
                self.output, output = _pipe(opened)
                stdin, self.stdin = _pipe(opened) if with_stdin else (-1, -1)
            # When memory runs out, the kernel shall pick a command and not the runner.
            write_score(own_score, b"500")
            self.pid = os.fork()
        except OSError:
            for fd in opened:
                os.close(fd)
            write_score(own_score, b"0")
            raise
        if self.pid == 0:
            try:
                supervise(request, stdin, output, status, terminal is not None)
            finally:
                os._exit(0)
        write_score(own_score, b"0")
        for fd in (request, output, status, stdin):
            if fd >= 0:
                os.close(fd)
        self.once, self.terminal = with_stdin, terminal is not None
        self.news = b""
        self.command = 0


def write_score(fd: int, score: bytes) -> None:
    """Set how readily the kernel kills a process when memory runs out; without the right to, it stays."""
    try:
        os.pwrite(fd, score, 0)
    except OSError:
        pass


def open_terminal(rows: int, columns: int) -> "tuple[int, int]":
    """A pseudo-terminal of that size: the end that plays the terminal, and the one for programs. Raises OSError.

    Done by hand because some C libraries insist that it belongs to the real user.
    """
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        number = bytearray(4)
        fcntl.ioctl(master, TIOCGPTN, number)
        fcntl.ioctl(master, TIOCSPTLCK, bytes(4))
        size = b"".join(n.to_bytes(2, sys.byteorder) for n in (rows, columns, 0, 0))
        fcntl.ioctl(master, termios.TIOCSWINSZ, size)
        name = "/dev/pts/{}".format(int.from_bytes(number, sys.byteorder))
        return master, os.open(name, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        os.close(master)
        raise


def _pipe(opened: "list[int]") -> "tuple[int, int]":
    ends = os.pipe()
    opened.extend(ends)
    return ends


def request_bytes(argv: "list[bytes]", cwd: bytes, env: "dict[bytes, bytes]") -> bytes:
    """A command as a supervisor reads it: a length, then its parts."""
    parts = [cwd, b"%d" % len(argv), *argv]
    for name, value in env.items():
        parts += (name, value)
    data = b"\0".join(parts)
    return len(data).to_bytes(8, "big") + data


def supervise(request: int, stdin: int, output: int, status: int, terminal: bool) -> None:
    """In the forked supervisor: start a command, report, wait until all of it is gone, take the next.

    Reports are lines: `pid N` when the command runs, `exit STATUS` when it has ended, or the step that failed and
    the error number; `idle 0` when nothing of it lives. Being a subreaper, the supervisor keeps orphans of its
    call below itself, so that the runner finds them. It ends when the runner closes the request pipe.
    """
    signal.set_wakeup_fd(-1)
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:  # whatever the owner ignores
        signal.signal(number, signal.SIG_DFL)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    kept = 2
    for fd in sorted((request, output, status, max(stdin, request))):
        os.closerange(kept + 1, fd)
        kept = fd
    os.closerange(kept + 1, 1 << 16)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    become_supervisor()
    while True:
        os.write(status, b"idle 0\n")
        data = b""
        while len(data) < 8 or len(data) < 8 + int.from_bytes(data[:8], "big"):
            part = os.read(request, 1 << 16)
            if not part:
                return
            data += part
        cwd, count, *rest = data[8:].split(b"\0")
        argv, variables = rest[: int(count)], rest[int(count) :]
        env = dict(zip(variables[::2], variables[1::2]))  # noqa: B905 -- Python 3.10 and newer only
        fds = (output if terminal else max(stdin, 0), output)
        child = start_command(argv, cwd, env, fds, status, terminal)
        if stdin >= 0:
            os.close(stdin)  # whoever writes to it shall see when no command reads it any more
            stdin = -1
        while child:
            try:
                pid, raw = os.waitpid(-1, 0)
            except ChildProcessError:
                break
            if pid == child:
                os.write(status, b"exit %d\n" % raw)


def start_command(
    argv: "list[bytes]", cwd: bytes, env: "dict[bytes, bytes]", fds: "tuple[int, int]", status: int, terminal: bool
) -> int:
    """Start a command and report its process id or why there is none; 0 then."""
    step = b"cwd"
    try:
        os.chdir(cwd)
        step = b"exec"
        lend()
        try:
            child = spawn(argv, env, *fds, terminal)
        finally:
            take_back()
    except OSError as e:
        if step == b"exec" and e.errno in (errno.EAGAIN, errno.ENOMEM):
            step = b"fork"
        os.write(status, b"%s %d\n" % (step, e.errno or 0))
        return 0
    os.write(status, b"pid %d\n" % child)
    return child


def spawn(argv: "list[bytes]", env: "dict[bytes, bytes]", stdin: int, output: int, terminal: bool) -> int:
    """Run a program in a session of its own, looked for along PATH. Raises OSError.

    With `terminal`, `stdin` is one, and becomes the one that controls the session.
    """
    failure = FileNotFoundError(errno.ENOENT, "")  # type: OSError
    for candidate in search_path(argv[0], env.get(b"PATH", DEFAULT_PATH)):
        if not os.path.lexists(candidate):
            continue
        try:
            if hasattr(os, "posix_spawn") and not terminal:
                # Unlike fork, this copies nothing: it takes a third of the time.
                actions = [(os.POSIX_SPAWN_DUP2, fd, to) for fd, to in ((stdin, 0), (output, 1), (output, 2))]
                return os.posix_spawn(
                    candidate, argv, env, file_actions=actions, resetids=True, setsid=True, setsigmask=[]
                )
            return fork_and_exec(candidate, argv, env, stdin, output, terminal)
        except NotImplementedError:  # a C library without sessions for posix_spawn
            return fork_and_exec(candidate, argv, env, stdin, output, terminal)
        except OSError as e:
            # A later folder may have a program that can be run; "not found" says less than any other reason.
            if e.errno not in (errno.ENOENT, errno.ENOTDIR):
                failure = e
    raise failure


def fork_and_exec(
    program: bytes, argv: "list[bytes]", env: "dict[bytes, bytes]", stdin: int, output: int, terminal: bool
) -> int:
    """What posix_spawn does, for where there is none, and for terminals. Raises OSError."""
    result_read, result_write = os.pipe()
    try:
        child = os.fork()
        if child == 0:
            try:
                become_agent()
                os.setsid()
                for fd, to in ((stdin, 0), (output, 1), (output, 2)):
                    os.dup2(fd, to)
                if terminal:
                    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
                signal.pthread_sigmask(signal.SIG_SETMASK, [])
                os.execve(program, argv, env)
            except OSError as e:
                os.write(result_write, b"%d" % (e.errno or 0))
            finally:
                os._exit(127)
        os.close(result_write)
        result_write = -1
        error = os.read(result_read, 16)
        if not error:
            return child
        os.waitpid(child, 0)
        raise OSError(int(error), "")
    finally:
        for fd in (result_read, result_write):
            if fd >= 0:
                os.close(fd)
