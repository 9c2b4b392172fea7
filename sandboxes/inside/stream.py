"""The stream to the host and the poll loop around it.

Frames, both ways: header length and body length (4 bytes each, big-endian), a JSON header, the body. Bytes in
JSON are written as Latin-1 text. What the host sends is trusted; what it does not take in time waits here.
"""

import json
import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FRAME = 1 << 18


class Stream:
    """Watches descriptors and calls their handlers; sends frames without ever blocking on the host."""

    def __init__(self, on_frame: "Callable[[dict[str, Any], bytearray], None]") -> None:
        self.poller = select.poll()
        self.handlers = {}  # type: dict[int, Callable[[], object]]
        self.on_frame = on_frame
        self.incoming = bytearray()
        self.outgoing = []  # type: list[bytes]
        self.backlog = 0
        os.set_blocking(1, False)
        self.watch(0, select.POLLIN, self.receive)

    def watch(self, fd: int, events: int, handler: "Callable[[], object]") -> None:
        self.handlers[fd] = handler
        self.poller.register(fd, events)

    def watches(self, fd: int) -> bool:
        return fd in self.handlers

    def unwatch(self, fd: int) -> None:
        del self.handlers[fd]
        self.poller.unregister(fd)

    def forget(self, fd: int) -> None:
        """Stop watching a descriptor and close it."""
        self.unwatch(fd)
        os.close(fd)

    def wait(self, milliseconds: "float | None") -> None:
        """Wait for events and handle them. A handler may be called without need, so none of them may block."""
        for fd, _ in self.poller.poll(milliseconds):
            handler = self.handlers.get(fd)
            if handler is not None:
                handler()

    def receive(self) -> None:
        try:
            data = os.read(0, FRAME)
        except BlockingIOError:  # both directions may be one socket, which is then like standard output
            return
        if not data:
            # The owner is gone. Being the first process, this ends every other one.
            os._exit(0)
        self.incoming += data
        while len(self.incoming) >= 8:
            body = 8 + int.from_bytes(self.incoming[:4], "big")
            end = body + int.from_bytes(self.incoming[4:8], "big")
            if len(self.incoming) < end:
                return
            header = json.loads(self.incoming[8:body].decode())
            payload = self.incoming[body:end]
            del self.incoming[:end]
            self.on_frame(header, payload)

    def reply(self, kind: str, number: int, body: "bytes | memoryview", **fields: "Any") -> None:
        header = json.dumps(dict(fields, type=kind, id=number), separators=(",", ":")).encode()
        lengths = len(header).to_bytes(4, "big") + len(body).to_bytes(4, "big")
        frame = b"".join((lengths, header, body))
        self.outgoing.append(frame)
        self.backlog += len(frame)
        if len(self.outgoing) == 1:
            self.flush()

    def reply_data(self, number: int, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(view), FRAME):
            self.reply("data", number, view[start : start + FRAME])

    def flush(self) -> None:
        while self.outgoing:
            try:
                written = os.write(1, self.outgoing[0])
            except BlockingIOError:
                self.watch(1, select.POLLOUT, self.flush)
                return
            except OSError:
                os._exit(0)
            self.backlog -= written
            if written < len(self.outgoing[0]):
                self.outgoing[0] = self.outgoing[0][written:]
            else:
                self.outgoing.pop(0)
        if self.watches(1):
            self.unwatch(1)
