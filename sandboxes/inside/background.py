"""Background processes inside a sandbox: started once, then read, written to and stopped by their number.

Each is a call without a deadline, with a supervisor of its own, so that all it starts can be found and killed. The
last part of its output is kept here, by its place in the whole; the whole goes to a file once it is longer.

Threat model: as for calls. Besides, there are only so many, with so much kept output and so much waiting input
each, and nothing that one of them does or leaves undone keeps a request about another one waiting.
"""

import os
import select
import signal
import time

from sandboxes.inside.call import Call
from sandboxes.inside.calls import Calls
from sandboxes.inside.output import CHUNK, Output, Spills
from sandboxes.inside.processes import open_terminal, processes, send_signal
from sandboxes.inside.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NEVER = float("inf")
ALWAYS = float("-inf")
KEPT_OUTPUT = 256 << 10
MAX_PROCESSES = 32
MAX_INPUT = 1 << 20
END_OF_FILE = b"\x04"
"""What a terminal's user types to end the input. On a line that is not empty, once more."""


class Ring(Output):
    """The last bytes of what a process wrote, the count of all, and all of it in a file when it is more."""

    def __init__(self, name: str, spills: Spills) -> None:
        super().__init__(name, KEPT_OUTPUT, False, spills)
        self.head_size = 0

    def add(self, data: "bytes | memoryview") -> None:
        super().add(data)
        if len(self.tail) > self.limit + CHUNK:
            del self.tail[: len(self.tail) - self.limit]

    def since(self, after: int, most: int) -> "tuple[int, bytes]":
        """What is kept of the bytes from `after` on, at most `most` of them, and where they begin."""
        first = self.total - min(len(self.tail), self.limit)
        start = min(max(after, first), self.total)
        begin = start - self.total + len(self.tail)
        return start, bytes(self.tail[begin : begin + most])


class Process(Call):
    """A background process. `number` is the request that started it, `process` how it is called since."""

    def __init__(
        self, header: "dict[str, Any]", ring: Ring, oom_before: int, others: "dict[int, Process]"
    ) -> None:
        super().__init__(header["id"], header["argv"][0].encode("latin-1"), ring, NEVER, oom_before)
        self.process, self.ring, self.pty = header["process"], ring, bool(header["pty"])
        self.begun_at = self.ended_at = time.monotonic()
        self.code = None  # type: int | None
        self.ending = None  # type: str | None
        self.others = others
        self.alive = True
        self.stopping = False
        self.stop_at = NEVER
        self.unanswered = True
        self.input = bytearray()
        self.input_open, self.input_ends = True, False
        self.readers = []  # type: list[Reader]
        self.stoppers = []  # type: list[int]

    def state(self) -> "dict[str, Any]":
        seconds = (self.ended_at if self.done else time.monotonic()) - self.begun_at
        return {
            "number": self.process,
            "code": self.code,
            "ending": self.ending,
            "total": self.ring.total,
            "milliseconds": int(seconds * 1000),
            "pty": int(self.pty),
            "log": int(self.ring.ok),
        }

    # What calls tell of it.

    def withdraw(self) -> None:
        self.alive = self.unanswered = False
        self.others.pop(self.process, None)

    def begun(self, stream: Stream) -> None:
        if self.unanswered:
            self.unanswered = False
            stream.reply("done", self.number, b"")

    def take(self, stream: Stream, data: "bytes | memoryview") -> None:
        self.ring.add(data)
        self.answer(stream, ALWAYS)

    def fail(self, stream: Stream, text: bytes, code: int) -> None:
        self.alive = False
        self.ring.add(text)
        self.report(stream, code, "exited")

    def report(self, stream: Stream, code: "int | None", ending: str) -> None:
        self.done = True
        self.ended_at = time.monotonic()
        self.code = 128 + signal.SIGKILL if code is None else code
        self.ending = "stopped" if self.stopping and ending != "out_of_memory" else ending
        self.input.clear()
        self.input_open = False
        self.begun(stream)
        self.answer(stream, ALWAYS)

    def gone(self, stream: Stream) -> None:
        self.alive = False
        if self.done:
            self.answer(stream, ALWAYS)

    # Those who wait for it.

    def answer(self, stream: Stream, now: float) -> None:
        """Answer every request that has what it waits for, and those to whom it is too late."""
        for reader in list(self.readers):
            if self.ring.total > reader.after or self.done or now >= reader.until:
                self.readers.remove(reader)
                start, data = self.ring.since(reader.after, reader.most)
                stream.reply_data(reader.number, data)
                stream.reply("part", reader.number, b"", start=start, state=self.state())
        if self.done and not self.alive:
            for number in self.stoppers:
                stream.reply("processes", number, b"", states=[self.state()])
            self.stoppers.clear()


class Reader:
    """A request for output."""

    def __init__(self, number: int, after: int, most: int, until: float) -> None:
        self.number, self.after, self.most, self.until = number, after, most, until


class Background:
    """All background processes."""

    def __init__(self, stream: Stream, calls: Calls) -> None:
        self.stream, self.calls = stream, calls
        self.processes = {}  # type: dict[int, Process]

    def serve(self, number: int, header: "dict[str, Any]", body: bytearray) -> None:
        """Do what a request asks."""
        op = header["op"]
        if op == "start":
            self.start(number, header)
        elif op == "processes":
            states = [process.state() for process in self.processes.values()]
            self.stream.reply("processes", number, b"", states=states)
        elif header["process"] not in self.processes:
            self.stream.reply("refused", number, b"", reason="unknown")
        else:
            process = self.processes[header["process"]]
            if op == "process_read":
                most = min(header["most"], KEPT_OUTPUT)
                process.readers.append(Reader(number, header["after"], most, time.monotonic() + header["wait"]))
                self.on_time()
            elif op == "process_write":
                self.write(process, number, body, header["eof"])
            else:
                self.stop(process, number, header["grace"])

    def cancel(self, number: int) -> bool:
        """Nobody waits any more for the answer to a request; was it one of these?"""
        for process in list(self.processes.values()):
            if process.number == number:
                self.end(process)
                self.processes.pop(process.process, None)
                return True
            if number in process.stoppers:  # it is stopped nevertheless
                process.stoppers.remove(number)
                self.stream.reply("processes", number, b"", states=[process.state()])
                return True
            for reader in process.readers:
                if reader.number == number:
                    reader.until = ALWAYS
                    process.answer(self.stream, time.monotonic())
                    return True
        return False

    def due(self) -> "list[float]":
        """When something is to be done."""
        due = [process.stop_at for process in self.processes.values()]
        return due + [reader.until for process in self.processes.values() for reader in process.readers]

    def on_time(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        for process in list(self.processes.values()):
            if now >= process.stop_at:
                self.end(process)
            if process.readers:
                process.answer(self.stream, now)

    def start(self, number: int, header: "dict[str, Any]") -> None:
        if len(self.processes) >= MAX_PROCESSES:
            over = [process for process in self.processes.values() if process.done and not process.alive]
            if not over:
                self.stream.reply("refused", number, b"", reason="too_many")
                return
            del self.processes[over[0].process]
        ring = Ring("process-{}.log".format(number), self.calls.spills)
        process = Process(header, ring, self.calls.out_of_memory.kills(), self.processes)
        self.processes[process.process] = process
        try:
            supervisor = self.calls.prepare(True, open_terminal(*header["pty"]) if process.pty else None)
        except OSError as e:
            self.calls.no_room(process, e.errno or 0)
            return
        os.set_blocking(supervisor.stdin, False)
        self.calls.begin(process, supervisor, header)

    # Input.

    def write(self, process: Process, number: int, data: bytearray, eof: bool) -> None:
        if not process.input_open or process.input_ends:
            self.stream.reply("refused", number, b"", reason="input_closed")
        elif len(process.input) + len(data) > MAX_INPUT:
            self.stream.reply("refused", number, b"", reason="input_full")
        else:
            process.input += data
            if eof and process.pty:
                process.input += END_OF_FILE if data.endswith((b"\n", b"\r")) or not data else 2 * END_OF_FILE
            elif eof:
                process.input_ends = True
            self.feed(process)
            if data and not process.input_open and not process.input_ends:  # it shows only now
                self.stream.reply("refused", number, b"", reason="input_closed")
            else:
                self.stream.reply("done", number, b"")

    def feed(self, process: Process) -> None:
        """Write what waits, as far as it is taken."""
        supervisor = process.supervisor
        fd = supervisor.stdin
        if fd < 0:
            return
        try:
            while process.input:
                del process.input[: os.write(fd, bytes(process.input[:CHUNK]))]
        except BlockingIOError:
            if fd not in process.feeding:
                process.feeding.add(fd)
                self.stream.watch(fd, select.POLLOUT, lambda: self.feed(process))
            return
        except OSError:
            process.input.clear()  # nobody wants it
            process.input_open = False
        if fd in process.feeding:
            process.feeding.discard(fd)
            self.stream.unwatch(fd)
        if process.input_ends or not process.input_open:
            process.input_open = False
            os.close(fd)
            supervisor.stdin = -1

    # The end.

    def stop(self, process: Process, number: int, grace: float) -> None:
        process.stoppers.append(number)
        process.stopping = True
        if process.alive:
            process.stop_at = min(process.stop_at, time.monotonic() + grace)
            tree = self.calls.tree(process, processes())
            send_signal(tree, signal.SIGTERM)
            if process.pty:
                send_signal(tree, signal.SIGHUP)  # what is at a terminal often ends for nothing else
            send_signal(tree, signal.SIGCONT)
        process.answer(self.stream, ALWAYS)

    def end(self, process: Process) -> None:
        """Kill all that is left of a process."""
        process.stop_at = NEVER
        if not process.alive:
            return
        self.calls.on_status(process.supervisor)
        self.calls.kill_tree(process)
        process.alive = False
        if not process.done:
            self.calls.conclude(process, None, "exited")
        process.answer(self.stream, ALWAYS)
