"""The resident runner: does what the host asks over one stream, for a sandbox's whole life.

It is the container's first process: the kernel then lets no process inside kill or stop it, it reaps orphans as
an init would, and when it ends everything inside ends with it.

Threat model: commands are hostile and run as the same user. They inherit none of the runner's descriptors. They
can kill or stop the supervisors of calls: the runner then adopts what is left. What the host sends is trusted.
"""

import errno
import fcntl
import os
import select
import signal
import sys
import termios
import time

from sandboxes.inside.files import PROBLEMS, Refused, read_file, write_file
from sandboxes.inside.output import CHUNK, Output, Spills
from sandboxes.inside.processes import (
    DEFAULT_PATH,
    below,
    freeze_and_kill,
    harden,
    living,
    oom_kills,
    search_path,
    send_signal,
    supervise,
)
from sandboxes.inside.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

LIVE_EVERY = 0.02
LIVE_BACKLOG = 1 << 20
KILL_SECONDS = 5.0
WORKSPACE = b"/workspace"


class Call:
    """One command under way (or over, while background processes still hold its pipe)."""

    def __init__(self, number: int, name: bytes, supervisor: int, output: Output, deadline: float) -> None:
        self.number, self.name, self.supervisor = number, name, supervisor
        self.output, self.deadline = output, deadline
        self.command = 0
        self.status = b""
        self.oom_before = oom_kills()
        self.done = False
        self.out_fd = self.status_fd = self.in_fd = -1
        self.stdin = memoryview(b"")


class Runner:
    """Serves requests until the stream ends. One thread; commands run in processes of their own."""

    def __init__(self) -> None:
        self.stream = Stream(self.on_frame)
        self.calls = {}  # type: dict[int, Call]
        self.supervisors = {}  # type: dict[int, Call]
        self.gathering = {}  # type: dict[int, tuple[dict[str, Any], bytearray]]
        self.last = 0
        self.spills = Spills()
        self.wake, wake_write = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self.stream.watch(self.wake, select.POLLIN, self.on_child)

    def serve(self) -> None:
        about = {"python": list(sys.version_info[:2]), "bash": int(has_bash()), "empty": int(is_empty())}
        self.stream.reply("ready", 0, b"", **about)
        while True:
            self.stream.wait(self.patience())
            now = time.monotonic()
            for call in list(self.calls.values()):
                if now >= call.deadline:
                    self.kill(call, "timeout")
                elif call.output.unseen and now >= call.output.next_live:
                    self.show(call, now)

    def patience(self) -> "float | None":
        """Milliseconds until something is due."""
        due = [call.deadline for call in self.calls.values()]
        due += [call.output.next_live for call in self.calls.values() if call.output.unseen]
        return max(0.0, (min(due) - time.monotonic()) * 1000 + 0.5) if due else None

    # Requests.

    def on_frame(self, header: "dict[str, Any]", body: bytearray) -> None:
        number = header["id"]
        if header["op"] == "cancel":
            self.cancel(number)
            return
        if header["op"] == "data":
            if number not in self.gathering:
                return
            header, whole = self.gathering[number]
            whole += body
        elif number > self.last:
            self.last, whole = number, body
        else:
            return  # at most once
        if len(whole) < header["size"]:
            self.gathering[number] = (header, whole)
            return
        self.gathering.pop(number, None)
        if header["op"] == "exec":
            self.start(number, header, whole)
        else:
            self.file_operation(number, header, whole)

    def cancel(self, number: int) -> None:
        if number in self.calls:
            self.kill(self.calls[number], "cancelled")
        elif self.gathering.pop(number, None) is not None:
            self.stream.reply("exit", number, b"", code=None, ending="cancelled", head=0, dropped=0, spilled=0)

    def file_operation(self, number: int, header: "dict[str, Any]", body: bytearray) -> None:
        path = os.path.join(WORKSPACE, header["path"].encode("latin-1"))
        try:
            if header["op"] == "read":
                self.stream.reply_data(number, read_file(path, header["limit"]))
            else:
                known = header["expect"]
                expect = bytes(body[:known]) if known is not None else None
                write_file(path, memoryview(body)[known or 0 :], expect, header["create_only"])
            self.stream.reply("done", number, b"")
        except Refused as e:
            self.stream.reply("error", number, b"", problem=e.problem, detail=e.detail)
        except OSError as e:
            self.refuse(number, e.errno or 0, "")
        except MemoryError:
            self.stream.reply(
                "error", number, b"", problem="too_large", detail="the sandbox has too little memory"
            )

    def refuse(self, number: int, error: int, detail: str) -> None:
        problem = PROBLEMS.get(error, "other")
        self.stream.reply("error", number, b"", problem=problem, detail=detail + os.strerror(error))

    # Calls: start, feed, listen.

    def start(self, number: int, header: "dict[str, Any]", stdin: bytearray) -> None:
        env = dict(os.environb)
        for key, value in header["env"].items():
            env[key.encode("latin-1")] = value.encode("latin-1")
        argv = [a.encode("latin-1") for a in header["argv"]]
        cwd = os.path.join(WORKSPACE, header["cwd"].encode("latin-1"))
        opened = []  # type: list[int]
        try:
            out_read, out_write = pipe_into(opened)
            status_read, status_write = pipe_into(opened)
            if stdin:
                in_read, in_write = pipe_into(opened)
            else:
                in_read, in_write = os.open("/dev/null", os.O_RDONLY), -1
                opened.append(in_read)
            supervisor = os.fork()
        except OSError as e:
            for fd in opened:
                os.close(fd)
            self.not_started(number, argv[0], "fork", e.errno or 0)
            return
        if supervisor == 0:
            try:
                supervise(argv, cwd, env, (in_read, out_write, status_write))
            finally:
                os._exit(0)
        for fd in (out_write, status_write, in_read):
            os.close(fd)
        output = Output("{}.log".format(number), header["limit"], header["live"], self.spills)
        call = Call(number, argv[0], supervisor, output, time.monotonic() + header["timeout"])
        call.out_fd, call.status_fd, call.in_fd, call.stdin = out_read, status_read, in_write, memoryview(stdin)
        self.calls[number] = self.supervisors[supervisor] = call
        self.watch(out_read, select.POLLIN, lambda: self.on_output(call))
        self.watch(status_read, select.POLLIN, lambda: self.on_status(call))
        if in_write >= 0:
            self.watch(in_write, select.POLLOUT, lambda: self.on_stdin(call))

    def watch(self, fd: int, events: int, handler: "Callable[[], None]") -> None:
        os.set_blocking(fd, False)
        self.stream.watch(fd, events, handler)

    def not_started(self, number: int, name: bytes, step: str, error: int) -> None:
        if step == "cwd":
            self.refuse(number, error, "cannot be the working directory: ")
            return
        text = b"bridle: " + name[:1000] + b": cannot be started: " + os.strerror(error).encode() + b"\n"
        code = 127 if step == "exec" and error == errno.ENOENT else 126
        self.stream.reply_data(number, text)
        self.stream.reply("exit", number, b"", code=code, ending="exited", head=len(text), dropped=0, spilled=0)

    def on_stdin(self, call: Call) -> None:
        try:
            call.stdin = call.stdin[os.write(call.in_fd, call.stdin[:CHUNK]) :]
        except BlockingIOError:
            return
        except OSError:
            call.stdin = memoryview(b"")  # the command does not want it
        if not call.stdin:
            self.stream.forget(call.in_fd)

    def on_output(self, call: Call, limit: int = CHUNK) -> None:
        try:
            data = os.read(call.out_fd, limit)
        except BlockingIOError:
            return
        if not data:
            self.stream.forget(call.out_fd)
            call.output.close()
        elif call.done:
            call.output.add_to_spill(data)
        else:
            call.output.add(data)

    def on_status(self, call: Call) -> None:
        """What the supervisor says: `pid N`, `exit STATUS`, or the step that failed and why."""
        try:
            data = os.read(call.status_fd, 256)
        except BlockingIOError:
            return
        if not data:
            self.stream.forget(call.status_fd)
            return
        call.status += data
        lines = call.status.split(b"\n")
        call.status = lines.pop()
        for line in lines:
            word, _, value = line.partition(b" ")
            if word == b"pid":
                call.command = int(value)
            elif word == b"exit":
                self.finish(call, int(value))
            elif not call.done:
                self.forget(call)
                self.not_started(call.number, call.name, word.decode(), int(value))

    def show(self, call: Call, now: float) -> None:
        """Send what is new to a live view, unless the host is behind."""
        output = call.output
        if self.stream.backlog > LIVE_BACKLOG:
            output.missed += len(output.unseen)
        else:
            self.stream.reply("live", call.number, bytes(output.unseen), missed=output.missed)
            output.missed = 0
        output.unseen.clear()
        output.next_live = now + LIVE_EVERY

    # Calls: endings.

    def on_child(self) -> None:
        try:
            os.read(self.wake, 4096)
        except BlockingIOError:
            pass
        while True:
            try:
                pid, raw = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            supervised = self.supervisors.pop(pid, None)
            if supervised is not None:
                self.on_supervisor_gone(supervised)
            for call in list(self.calls.values()):
                if call.command == pid:
                    self.finish(call, raw)

    def on_supervisor_gone(self, call: Call) -> None:
        """A supervisor has ended: as it should, or killed by a command; then the command is the runner's child."""
        if self.stream.watches(call.status_fd):
            self.on_status(call)
        if call.done:
            return
        try:
            pid, raw = os.waitpid(call.command or sys.maxsize, os.WNOHANG)
        except (ChildProcessError, OverflowError):
            pid, raw = -1, int(signal.SIGKILL)
        if pid:
            self.finish(call, raw)

    def finish(self, call: Call, raw: int) -> None:
        if call.done:
            return
        code = 128 + os.WTERMSIG(raw) if os.WIFSIGNALED(raw) else os.WEXITSTATUS(raw)
        out_of_memory = code != 0 and oom_kills() > call.oom_before
        self.conclude(call, code, "out_of_memory" if out_of_memory else "exited")

    def conclude(self, call: Call, code: "int | None", ending: str) -> None:
        """Report the call, with what is in the pipe by now; background processes may go on writing."""
        if self.stream.watches(call.out_fd):
            waiting = bytearray(4)
            fcntl.ioctl(call.out_fd, termios.FIONREAD, waiting)
            end = call.output.total + int.from_bytes(waiting, sys.byteorder)
            while call.output.total < end:
                self.on_output(call, min(end - call.output.total, CHUNK))
        if call.output.unseen or call.output.missed:
            self.show(call, time.monotonic())
        self.forget(call)
        head, tail, dropped = call.output.ends()
        self.stream.reply_data(call.number, head + tail)
        counts = {"head": len(head), "dropped": dropped, "spilled": int(call.output.ok)}
        self.stream.reply("exit", call.number, b"", code=code, ending=ending, **counts)

    def forget(self, call: Call) -> None:
        call.done = True
        del self.calls[call.number]
        self.stream.forget(call.in_fd)

    def kill(self, call: Call, ending: str) -> None:
        """Kill everything the call started and still has, then report it."""
        self.on_status(call)
        if call.done:
            return
        # A stopped supervisor cannot end by itself: if it is missing, a command has killed it.
        send_signal({call.supervisor}, signal.SIGSTOP)
        if not freeze_and_kill(lambda: self.tree(call), KILL_SECONDS):
            os._exit(1)  # whatever cannot be killed goes down with the container
        send_signal({call.supervisor}, signal.SIGKILL)
        self.conclude(call, None, ending)

    def tree(self, call: Call) -> "set[int]":
        """The call's living processes. Without its supervisor, also the orphans no other call accounts for."""
        table = living()
        if call.supervisor in table:
            return below(table, {call.supervisor})
        known = set(self.supervisors) | {other.command for other in self.calls.values() if other is not call}
        me = os.getpid()
        strays = {pid for pid, parent in table.items() if parent == me and pid not in known}
        return strays | below(table, strays)


def pipe_into(opened: "list[int]") -> "tuple[int, int]":
    ends = os.pipe()
    opened.extend(ends)
    return ends


def has_bash() -> bool:
    path = os.environb.get(b"PATH", DEFAULT_PATH)
    return any(os.access(candidate, os.X_OK) for candidate in search_path(b"bash", path))


def is_empty() -> bool:
    return os.path.isdir(WORKSPACE) and not os.listdir(WORKSPACE)


def main() -> None:
    harden()
    Runner().serve()
