"""The way out, as commands see it: a port of the sandbox's own loopback, whose connections the host takes over.

Frames from here: `tunnel.open`, `tunnel.data`, `tunnel.end` (nothing more will be written), `tunnel.taken` (so
many bytes have reached the command) and `tunnel.reset`; from the host all of these but `tunnel.open`. `id` is the
number of the connection, counted here. Neither side sends more than WINDOW bytes that the other has not taken.

Threat model: any command may connect, send what it likes, never read, break off or never close. A connection holds
at most WINDOW bytes each way; one that broke off counts until the host has said that it knows; there are at most
MOST at a time, and the others wait in the kernel. Nothing here reads what is sent: that is the host's part.
"""

import select
import socket
import struct

from sandboxes.inside.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WINDOW = 1 << 17
CHUNK = 1 << 15
MOST = 64


class Connection:
    """One connection of a command. `credit` is how many bytes the host takes now."""

    def __init__(self, number: int, sock: socket.socket) -> None:
        self.number, self.sock = number, sock
        self.credit = WINDOW
        self.waiting = bytearray()
        self.told_end = False
        self.got_end = False
        self.shut = False
        self.broken = False


class Tunnel:
    """All connections, and the port they come in at."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.listener = None  # type: socket.socket | None
        self.last = 0
        self.open = {}  # type: dict[int, Connection]

    def listen(self, port: int) -> None:
        """Begin to take connections. Raises OSError."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen(MOST)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        self.listener = listener
        self.stream.watch(listener.fileno(), select.POLLIN, self.accept)

    def accept(self) -> None:
        listener = self.listener
        if listener is None:
            return
        while len(self.open) < MOST:
            try:
                sock, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError:
                break  # out of descriptors: go on when a connection has ended
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.last += 1
            self.open[self.last] = Connection(self.last, sock)
            self.stream.reply("tunnel.open", self.last, b"")
            self.watch(self.open[self.last])
        if self.stream.watches(listener.fileno()):
            self.stream.unwatch(listener.fileno())

    def on_frame(self, header: "dict[str, Any]", body: "bytes | bytearray") -> None:
        connection = self.open.get(header["id"])
        if connection is None:
            return  # it has ended meanwhile
        kind = header["op"]
        if connection.broken:
            if kind == "tunnel.reset" or (kind == "tunnel.end" and connection.told_end):
                self.forget(connection)
        elif kind == "tunnel.reset":
            # Its command is to see an error and no regular end.
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close(connection)
            self.forget(connection)
        else:
            self.take(connection, kind, header, body)
            self.serve(connection)

    def take(self, connection: Connection, kind: str, header: "dict[str, Any]", body: "bytes | bytearray") -> None:
        if kind == "tunnel.data":
            connection.waiting += body
        elif kind == "tunnel.taken":
            connection.credit += header["bytes"]
        else:
            connection.got_end = True

    def serve(self, connection: Connection) -> None:
        """Move what can be moved now, both ways."""
        try:
            if connection.waiting:
                self.write(connection)
            if connection.got_end and not connection.waiting and not connection.shut:
                connection.shut = True
                connection.sock.shutdown(socket.SHUT_WR)
            if connection.credit and not connection.told_end:
                self.read(connection)
        except BlockingIOError:
            pass
        except OSError:
            self.stream.reply("tunnel.reset", connection.number, b"")
            self.close(connection)
            if connection.told_end and connection.got_end:
                self.forget(connection)
            else:
                connection.broken = True
            return
        if connection.told_end and connection.got_end and not connection.waiting:
            self.close(connection)
            self.forget(connection)
        else:
            self.watch(connection)

    def write(self, connection: Connection) -> None:
        try:
            taken = connection.sock.send(connection.waiting)
        except BlockingIOError:
            return
        del connection.waiting[:taken]
        self.stream.reply("tunnel.taken", connection.number, b"", bytes=taken)

    def read(self, connection: Connection) -> None:
        data = connection.sock.recv(min(CHUNK, connection.credit))
        if data:
            connection.credit -= len(data)
            self.stream.reply("tunnel.data", connection.number, data)
        else:
            connection.told_end = True
            self.stream.reply("tunnel.end", connection.number, b"")

    def watch(self, connection: Connection) -> None:
        """Wait for what can be used only: a descriptor that is always ready would keep the loop busy."""
        events = select.POLLIN if connection.credit and not connection.told_end else 0
        events |= select.POLLOUT if connection.waiting else 0
        fd = connection.sock.fileno()
        if events:
            self.stream.watch(fd, events, lambda: self.serve(connection))
        elif self.stream.watches(fd):
            self.stream.unwatch(fd)

    def close(self, connection: Connection) -> None:
        fd = connection.sock.fileno()
        if self.stream.watches(fd):
            self.stream.unwatch(fd)
        connection.sock.close()
        del connection.waiting[:]

    def forget(self, connection: Connection) -> None:
        """Make room for the next connection."""
        del self.open[connection.number]
        listener = self.listener
        if listener is not None and not self.stream.watches(listener.fileno()):
            self.stream.watch(listener.fileno(), select.POLLIN, self.accept)
