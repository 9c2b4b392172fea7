"""The packets in which an engine wraps a container's streams: kind, three zero bytes, length, then the bytes.

Threat model: the engine writes the heads, but what is inside is the agent's, and a stream that is out of step ends
with a ProtocolError and nothing else. Memory: a head of 8 bytes; what a packet holds is handed on as it comes.
"""

from __future__ import annotations

from collections.abc import Iterator

OUTPUT, ERRORS = 1, 2
HEAD = 8


class ProtocolError(Exception):
    """The stream holds something that is not the protocol."""


class PacketParser:
    """Takes a stream as it comes. After a ProtocolError it is of no more use."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._kind = 0
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, memoryview]]:
        """The pieces of packets in `data`: OUTPUT or ERRORS, and at least one byte. Raises ProtocolError."""
        view = memoryview(data)
        while view:
            if not self._left:
                missing = HEAD - len(self._head)
                self._head += view[:missing]
                view = view[missing:]
                if len(self._head) == HEAD:
                    self._begin()
                continue
            part = view[: self._left]
            view = view[len(part) :]
            self._left -= len(part)
            yield self._kind, part

    def _begin(self) -> None:
        kind, zeros = self._head[0], self._head[1:4]
        if kind not in (OUTPUT, ERRORS) or any(zeros):
            raise ProtocolError("the engine's stream is out of step")
        self._kind = kind
        self._left = int.from_bytes(self._head[4:], "big")
        self._head.clear()
