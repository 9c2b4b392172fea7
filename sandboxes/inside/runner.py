"""The resident runner: does what the host asks over one stream, for a sandbox's whole life.

It is the container's first process: the kernel then lets no process inside kill or stop it, it reaps orphans as
an init would, and when it ends everything inside ends with it.

Threat model: commands are hostile. They run as another user where that is possible (see `identity`), inherit none
of the runner's descriptors and can neither trace it nor read its memory. What the host sends is trusted.
"""

import os
import sys
import time

from sandboxes.inside.background import Background
from sandboxes.inside.calls import WORKSPACE, Calls
from sandboxes.inside.disk import Disk
from sandboxes.inside.files import PROBLEMS, Refused, list_folder, read_file, resolve, write_file
from sandboxes.inside.identity import is_apart, may
from sandboxes.inside.processes import DEFAULT_PATH, harden, search_path
from sandboxes.inside.stream import Stream
from sandboxes.inside.tunnel import Tunnel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BACKGROUND = frozenset(("start", "processes", "process_read", "process_write", "process_stop"))


class Runner:
    """Serves requests until the stream ends. One thread; commands run in processes of their own."""

    def __init__(self, own_score: int) -> None:
        self.stream = Stream(self.on_frame)
        self.calls = Calls(self.stream, self.refuse, own_score)
        self.tunnel = Tunnel(self.stream)
        self.background = Background(self.stream, self.calls)
        self.disk = Disk(lambda: set(self.calls.supervisors), lambda: self.calls.kill_all("disk_full"))
        self.gathering = {}  # type: dict[int, tuple[dict[str, Any], bytearray]]
        self.last = 0

    def serve(self) -> None:
        about = {"bash": int(has_bash()), "empty": int(is_empty()), "apart": int(is_apart())}
        self.stream.reply("ready", 0, b"", python=list(sys.version_info[:2]), **about)
        try:
            self.calls.prepare(False)
        except OSError:
            pass  # the first call will say so
        while True:
            busy = self.calls.busy()
            self.stream.wait(patience(self.calls.due() + self.background.due() + self.disk.due(busy)))
            self.calls.on_time()
            self.background.on_time()
            self.disk.on_time(busy)

    def on_frame(self, header: "dict[str, Any]", body: bytearray) -> None:
        number = header["id"]
        if header["op"].startswith("tunnel."):
            self.tunnel.on_frame(header, body)
            return
        if header["op"] == "limits":
            self.disk.limit(header["disk_bytes"], header["files"])
            return
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
            self.calls.start(number, header, memoryview(whole))
        elif header["op"] == "listen":
            self.listen(number, header["port"])
        elif header["op"] in BACKGROUND:
            self.background.serve(number, header, whole)
        else:
            self.file_operation(number, header, whole)

    def cancel(self, number: int) -> None:
        if self.background.cancel(number):
            return
        if number in self.calls.running:
            self.calls.kill(self.calls.running[number], "cancelled")
        elif self.gathering.pop(number, None) is not None:
            self.stream.reply("exit", number, b"", code=None, ending="cancelled", head=0, dropped=0, spilled=0)

    def file_operation(self, number: int, header: "dict[str, Any]", body: bytearray) -> None:
        path = os.path.join(WORKSPACE, header["path"].encode("latin-1"))
        try:
            if header["op"] == "read":
                self.stream.reply_data(number, read_file(path, header["limit"]))
            elif header["op"] == "resolve":
                self.stream.reply_data(number, resolve(path))
            elif header["op"] == "list":
                self.stream.reply_data(number, list_folder(path, header["most"]))
            else:
                known = header["expect"]
                expect = bytes(body[:known]) if known is not None else None
                data = memoryview(body)[known or 0 :]
                write_file(path, data, expect, header["create_only"], header["follow"])
            self.stream.reply("done", number, b"")
        except Refused as e:
            self.stream.reply("error", number, b"", problem=e.problem, detail=e.detail)
        except OSError as e:
            self.refuse(number, e.errno or 0, "")
        except MemoryError:
            self.stream.reply(
                "error", number, b"", problem="too_large", detail="the sandbox has too little memory"
            )

    def listen(self, number: int, port: int) -> None:
        try:
            self.tunnel.listen(port)
            self.stream.reply("done", number, b"")
        except OSError as e:
            self.refuse(number, e.errno or 0, "")

    def refuse(self, number: int, error: int, detail: str) -> None:
        problem = PROBLEMS.get(error, "other")
        self.stream.reply("error", number, b"", problem=problem, detail=detail + os.strerror(error))


def patience(due: "list[float]") -> "float | None":
    """Milliseconds until the first of these moments."""
    first = min(due, default=float("inf"))
    return None if first == float("inf") else max(0.0, (first - time.monotonic()) * 1000 + 0.5)


def has_bash() -> bool:
    path = os.environb.get(b"PATH", DEFAULT_PATH)
    return any(may(candidate, os.X_OK) for candidate in search_path(b"bash", path))


def is_empty() -> bool:
    return os.path.isdir(WORKSPACE) and not os.listdir(WORKSPACE)


def main() -> None:
    try:
        own_score = harden("apart" in sys.argv[2:])
    except OSError as e:
        sys.exit("its runner cannot become another user than root ({})".format(e.strerror))
    Runner(own_score).serve()
