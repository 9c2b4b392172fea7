"""Commands inside a sandbox: started, listened to, ended, reported.

Threat model: commands can kill or stop their supervisors, hold their pipes open for ever and write without end.
None of it blocks the runner, and a call can always be ended: see `Calls.tree`.
"""

import errno
import fcntl
import os
import select
import signal
import sys
import termios
import time

from sandboxes.inside.call import Call
from sandboxes.inside.output import CHUNK, LIVE_CHUNK, Output, Spills
from sandboxes.inside.processes import (
    DEAD,
    OutOfMemory,
    Supervisor,
    below,
    freeze_and_kill,
    processes,
    request_bytes,
    send_signal,
)
from sandboxes.inside.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

WORKSPACE = b"/workspace"
LIVE_SOON, LIVE_FULL = 0.002, 0.02
"""Seconds from one piece of a live view to the next: after a line, and after as much as goes into one."""
LIVE_BACKLOG = 1 << 20
KILL_SECONDS = 5.0
LOOK_EVERY = 0.3
TERMINAL_HOLDS = 1 << 17
IDLE = 2
"""How many supervisors are kept for the next calls."""


class Calls:
    """All calls and their supervisors. `refuse` reports that a call's working directory is none."""

    def __init__(self, stream: Stream, refuse: "Callable[[int, int, str], None]", own_score: int) -> None:
        self.stream, self.refuse, self.own_score = stream, refuse, own_score
        self.env = dict(os.environb)
        self.out_of_memory = OutOfMemory()
        self.spills = Spills()
        self.running = {}  # type: dict[int, Call]
        self.supervisors = {}  # type: dict[int, Supervisor]
        self.serving = {}  # type: dict[Supervisor, Call]
        self.idle = []  # type: list[Supervisor]
        self.orphans = set()  # type: set[int]
        self.unsure, self.next_look = False, 0.0
        self.wake, wake_write = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        stream.watch(self.wake, select.POLLIN, self.on_child)

    def due(self) -> "list[float]":
        """When something is to be done."""
        due = [call.deadline for call in self.running.values()]
        return due + [call.output.next_live for call in self.running.values() if call.output.unseen]

    def on_time(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        for call in list(self.running.values()):
            if now >= call.deadline:
                self.kill(call, "timeout")
            elif call.output.unseen and now >= call.output.next_live:
                self.show(call, now)

    # Beginnings.

    def start(self, number: int, header: "dict[str, Any]", stdin: memoryview) -> None:
        output = Output("{}.log".format(number), header["limit"], header["live"], self.spills)
        deadline = time.monotonic() + header["timeout"]
        name = header["argv"][0].encode("latin-1")
        call = Call(number, name, output, deadline, self.out_of_memory.kills())
        call.alone = bool(header.get("alone"))
        try:
            supervisor = self.idle.pop(0) if self.idle and not stdin else self.prepare(bool(stdin))
        except OSError as e:
            self.no_room(call, e.errno or 0)
            return
        self.begin(call, supervisor, header)
        if stdin:
            self.feed(call, supervisor.stdin, stdin, True)

    def begin(self, call: Call, supervisor: Supervisor, header: "dict[str, Any]") -> None:
        """Have a supervisor start a call's command."""
        env = dict(self.env)
        for key, value in header["env"].items():
            env[key.encode("latin-1")] = value.encode("latin-1")
        argv = [a.encode("latin-1") for a in header["argv"]]
        cwd = os.path.join(WORKSPACE, header["cwd"].encode("latin-1"))
        call.supervisor = supervisor
        self.running[call.number] = self.serving[supervisor] = call
        # A command may have stopped them.
        send_signal({supervisor.pid, supervisor.command or supervisor.pid}, signal.SIGCONT)
        self.feed(call, supervisor.request, memoryview(request_bytes(argv, cwd, env)), False)

    def prepare(self, with_stdin: bool, terminal: "tuple[int, int] | None" = None) -> Supervisor:
        supervisor = Supervisor(with_stdin, self.own_score, terminal)
        self.supervisors[supervisor.pid] = supervisor
        os.set_blocking(supervisor.output, False)
        os.set_blocking(supervisor.status, False)
        self.stream.watch(supervisor.output, select.POLLIN, lambda: self.on_output(supervisor))
        self.stream.watch(supervisor.status, select.POLLIN, lambda: self.on_status(supervisor))
        return supervisor

    def feed(self, call: Call, fd: int, data: memoryview, close: bool) -> None:
        """Write `data` to one of a call's pipes as it takes it."""
        try:
            os.set_blocking(fd, False)
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            pass
        except OSError:
            data = memoryview(b"")  # nobody wants it
        if data:
            call.feeding.add(fd)
            self.stream.watch(fd, select.POLLOUT, lambda: self.feed(call, fd, data, close))
            return
        if fd in call.feeding:
            call.feeding.discard(fd)
            self.stream.unwatch(fd)
        if close:
            os.close(fd)
            call.supervisor.stdin = -1

    def not_started(self, call: Call, step: str, error: int) -> None:
        if step == "cwd":
            call.withdraw()
            self.refuse(call.number, error, "cannot be the working directory: ")
            return
        text = b"bridle: " + call.name[:1000] + b": cannot be started: " + os.strerror(error).encode() + b"\n"
        call.fail(self.stream, text, 127 if step == "exec" and error == errno.ENOENT else 126)

    def no_room(self, call: Call, error: int) -> None:
        """No process could be made. Those that finished calls left behind go, so that the next call finds room."""
        busy = {call.supervisor.pid for call in self.running.values()}

        def left_behind(table: "dict[int, tuple[int, bytes]]") -> "set[int]":
            return below(table, {os.getpid()}) - below(table, busy) - busy

        freeze_and_kill(left_behind, set(), KILL_SECONDS)
        self.on_child()  # the dead take room until they are reaped
        text = b"bridle: " + call.name[:1000] + b": cannot be started: " + os.strerror(error).encode() + b". "
        text += b"What finished commands left running has been ended to make room: try again.\n"
        call.fail(self.stream, text, 126)

    # News.

    def on_output(self, supervisor: Supervisor, limit: int = CHUNK) -> int:
        """Take what its commands wrote, at most `limit` bytes, and say how much it was."""
        try:
            data = os.read(supervisor.output, limit)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""  # a terminal that no process has open any more
        call = self.serving.get(supervisor)
        if not data:
            self.stream.forget(supervisor.output)
            supervisor.output = -1
            self.on_status(supervisor)  # its last words came before
            self.release(supervisor)
        elif call is not None:
            call.take(self.stream, data)
        return len(data)

    def drain(self, supervisor: Supervisor) -> None:
        """Take what is in the pipe by now, and not what comes after."""
        if supervisor.output < 0:
            return
        left = TERMINAL_HOLDS  # a terminal does not count what is on its way
        if not supervisor.terminal:
            waiting = bytearray(4)
            fcntl.ioctl(supervisor.output, termios.FIONREAD, waiting)
            left = int.from_bytes(waiting, sys.byteorder)
        while left > 0 and supervisor.output >= 0:
            left -= self.on_output(supervisor, min(left, CHUNK)) or left

    def on_status(self, supervisor: Supervisor) -> None:
        while supervisor.status >= 0:
            try:
                data = os.read(supervisor.status, 4096)
            except BlockingIOError:
                return
            if not data:
                self.stream.forget(supervisor.status)
                supervisor.status = -1
                return
            lines = (supervisor.news + data).split(b"\n")
            supervisor.news = lines.pop()
            for line in lines:
                word, _, value = line.partition(b" ")
                self.on_news(supervisor, word.decode("latin-1"), int(value))

    def on_news(self, supervisor: Supervisor, word: str, value: int) -> None:
        call = self.serving.get(supervisor)
        if word == "pid":
            supervisor.command = value
            if call is not None:
                call.begun(self.stream)
        elif word == "idle":
            supervisor.command = 0
            if call is not None and call.done:
                self.release(supervisor)
                call.gone(self.stream)
                call = None
            if call is None:
                self.keep_or_end(supervisor)
        elif call is None or call.done:
            return
        elif word == "exit":
            self.finish(call, value)
        elif word == "fork":
            self.forget(call)
            self.no_room(call, value)
        else:
            self.forget(call)
            self.not_started(call, word, value)

    def release(self, supervisor: Supervisor) -> None:
        """Nothing of the supervisor's last call is left."""
        call = self.serving.get(supervisor)
        if call is not None and call.done:
            self.drain(supervisor)
            call.output.close()
            self.serving.pop(supervisor, None)

    def keep_or_end(self, supervisor: Supervisor) -> None:
        # One that was killed with its command may have said that it is idle before: it takes no request any more.
        kept = not supervisor.once and supervisor.request >= 0 and supervisor.status >= 0
        if kept and len(self.idle) < IDLE:
            self.idle.append(supervisor)
        else:
            self.lose(supervisor)

    def lose(self, supervisor: Supervisor) -> None:
        """Want nothing more of a supervisor: without a request pipe it ends."""
        if supervisor in self.idle:
            self.idle.remove(supervisor)
        if supervisor.request >= 0:
            os.close(supervisor.request)
            supervisor.request = -1

    def show(self, call: Call, now: float) -> None:
        """Send what is new to a live view, unless the host is behind."""
        output = call.output
        if self.stream.backlog > LIVE_BACKLOG:
            output.missed += len(output.unseen)
        else:
            self.stream.reply("live", call.number, bytes(output.unseen), missed=output.missed)
            output.missed = 0
        output.next_live = now + LIVE_SOON + (LIVE_FULL - LIVE_SOON) * len(output.unseen) / LIVE_CHUNK
        output.unseen.clear()

    # Endings.

    def on_child(self) -> None:
        try:
            os.read(self.wake, 4096)
        except BlockingIOError:
            pass
        ended = {}  # type: dict[int, int]
        while True:
            try:
                pid, raw = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                break
            if not pid:
                break
            if os.WIFSTOPPED(raw):
                # A command has stopped a supervisor, which could then not report.
                send_signal({pid} & set(self.supervisors), signal.SIGCONT)
            else:
                ended[pid] = raw
        for pid in list(ended):
            supervisor = self.supervisors.pop(pid, None)
            if supervisor is not None:
                del ended[pid]
                self.on_supervisor_gone(supervisor, ended)
        if ended:  # orphans, and where these are there may be more
            self.unsure = True
        for call in list(self.running.values()):
            if call.supervisor.command in ended:
                self.finish(call, ended[call.supervisor.command])
        self.orphans -= set(ended)

    def on_supervisor_gone(self, supervisor: Supervisor, ended: "dict[int, int]") -> None:
        """A supervisor has ended: as it should, or killed by a command; then the command is the runner's child."""
        self.on_status(supervisor)
        call = self.serving.get(supervisor)
        if call is not None and not call.done:
            # Also one that has ended since `ended` was taken: its own news is still to come.
            fresh = (self.strays(processes()) | set(ended)) - self.orphans
            if not supervisor.command:
                # Killed before it could say which process is the command: the first of those it leaves.
                supervisor.command = min(fresh, default=0)
                call.begun(self.stream)
            self.orphans |= fresh
            if supervisor.command not in fresh:
                self.finish(call, int(signal.SIGKILL))
        self.lose(supervisor)
        self.unsure, self.next_look = True, 0.0

    def strays(self, table: "dict[int, tuple[int, bytes]]") -> "set[int]":
        """Children of the runner that are no supervisors, living or not: orphans whose supervisor was killed."""
        me = os.getpid()
        return {pid for pid, (parent, _) in table.items() if parent == me and pid not in self.supervisors}

    def busy(self) -> bool:
        """Does any command's process live? Looked for now and then, once one may have no supervisor."""
        if self.serving:
            return True
        now = time.monotonic()
        if self.unsure and now >= self.next_look:
            table = processes()
            self.unsure = any(table[pid][1] != DEAD for pid in self.strays(table))
            self.next_look = now + LOOK_EVERY
        return self.unsure

    def finish(self, call: Call, raw: int) -> None:
        if call.done:
            return
        code = 128 + os.WTERMSIG(raw) if os.WIFSIGNALED(raw) else os.WEXITSTATUS(raw)
        out_of_memory = code != 0 and self.out_of_memory.kills() > call.oom_before
        if call.alone:
            self.kill_tree(call)
        self.conclude(call, code, "out_of_memory" if out_of_memory else "exited")

    def conclude(self, call: Call, code: "int | None", ending: str) -> None:
        """Report the call, with what is in the pipe by now; background processes may go on writing."""
        self.drain(call.supervisor)
        if call.output.unseen or call.output.missed:
            self.show(call, time.monotonic())
        self.forget(call)
        call.report(self.stream, code, ending)

    def forget(self, call: Call) -> None:
        call.done = True
        del self.running[call.number]
        for fd in call.feeding:
            self.stream.unwatch(fd)
        if call.supervisor.stdin >= 0:
            os.close(call.supervisor.stdin)
            call.supervisor.stdin = -1
        if call.feeding or call.supervisor.output < 0:
            self.lose(call.supervisor)
        call.feeding.clear()

    def kill(self, call: Call, ending: str) -> None:
        """Kill everything the call started and still has, then report it."""
        self.on_status(call.supervisor)
        if not call.done:
            self.kill_tree(call)
            self.conclude(call, None, ending)

    def kill_tree(self, call: Call) -> None:
        """Kill everything the call started and still has."""
        # A stopped supervisor cannot end by itself: if it is missing, a command has killed it.
        reapers = {call.supervisor.pid} & set(self.supervisors)
        if not freeze_and_kill(lambda table: self.tree(call, table), reapers, KILL_SECONDS):
            os._exit(1)  # whatever cannot be killed goes down with the container
        send_signal({call.supervisor.pid} & set(self.supervisors), signal.SIGKILL)
        self.lose(call.supervisor)

    def kill_all(self, ending: str) -> None:
        """Kill everything that runs, also what finished calls left behind."""
        for call in list(self.running.values()):
            self.kill(call, ending)
        supervisors = set(self.supervisors)
        if not freeze_and_kill(lambda table: below(table, {os.getpid()}) - supervisors, supervisors, KILL_SECONDS):
            os._exit(1)
        send_signal(supervisors, signal.SIGCONT)

    def tree(self, call: Call, table: "dict[int, tuple[int, bytes]]") -> "set[int]":
        """The call's processes, living or not. Without its supervisor, also orphans no other call accounts for."""
        own = call.supervisor.pid
        if own in self.supervisors and own in table and table[own][1] != DEAD:
            return below(table, {own})
        commands = {other.supervisor.command for other in self.running.values() if other is not call}
        strays = self.strays(table) - commands
        return strays | below(table, strays)
