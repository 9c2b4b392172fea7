"""Something in the middle of every stream between this process and its sandboxes, which can cut them all."""

from __future__ import annotations

import socket
import threading
from typing import Any, Literal

import pytest

from sandboxes.channel.channel import Channel
from sandboxes.docker.plain_replies import Packets

Way = Literal["in", "out"]
"""Into the sandbox, or out of it."""


class Scissors:
    """Carries bytes both ways, counts them, and cuts every stream when a count is reached."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """From now on every stream of a new sandbox leads through here."""
        self._lock = threading.Lock()
        self._left: dict[Way, int] = {}
        self._sockets: list[socket.socket] = []
        self.passed: dict[Way, int] = {"in": 0, "out": 0}
        over, packets = Channel.over, Packets.__init__

        async def channel_over(sock: socket.socket, early: bytes, name: str, **fields: Any) -> Channel:
            return await over(self._between(sock, early), b"", name, **fields)

        def packets_over(this: Packets, sock: socket.socket, early: bytes) -> None:
            packets(this, self._between(sock, early), b"")

        monkeypatch.setattr(Channel, "over", channel_over)
        monkeypatch.setattr(Packets, "__init__", packets_over)

    def cut_after(self, way: Way, count: int) -> None:
        """Cut every stream as soon as so many more bytes have passed this way."""
        with self._lock:
            self._left = {way: count}
        if not count:
            self.cut()

    def cut(self) -> None:
        """Cut every stream now; new ones are whole."""
        with self._lock:
            sockets, self._sockets, self._left = self._sockets, [], {}
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it has ended by itself

    def _between(self, sock: socket.socket, early: bytes) -> socket.socket:
        """What stands for `sock` on our side."""
        ours, theirs = socket.socketpair()
        sock.setblocking(True)
        ours.setblocking(False)
        with self._lock:
            self._sockets += [sock, theirs]
        for source, to, way, first in ((sock, theirs, "out", early), (theirs, sock, "in", b"")):
            threading.Thread(target=self._carry, args=(source, to, way, first), daemon=True).start()
        return ours

    def _carry(self, source: socket.socket, to: socket.socket, way: Way, data: bytes) -> None:
        try:
            while data := data or source.recv(1 << 16):
                with self._lock:
                    left = self._left.get(way)
                    part = data if left is None else data[:left]
                    self.passed[way] += len(part)
                    if left is not None:
                        self._left[way] = left - len(part)
                to.sendall(part)
                if left is not None and left <= len(part):
                    self.cut()
                    return
                data = b""
            to.shutdown(socket.SHUT_WR)
        except OSError:
            return  # cut, or the other side has gone
