"""A hostile tar stream as a file that can only be read forwards, and only so much at a time."""

from __future__ import annotations

import io
from collections.abc import Callable

_HEADER_ALLOWANCE = 1 << 20
_BLOCK = 512


class PatchProblem(Exception):
    """What came back from the sandbox cannot be taken; the message is one sentence that says why."""


class ForwardStream(io.RawIOBase):
    """What `tarfile` reads headers from. Each header, with all that extends it, has an allowance of 1 MiB.

    `pull` gives the next piece, or None at the end; more than `limit` bytes raise PatchProblem.
    """

    def __init__(self, pull: Callable[[], bytes | None], limit: int) -> None:
        super().__init__()
        self._pull = pull
        self._limit = limit
        self._piece = b""
        self._at = 0
        self._position = 0
        self._allowance = 0
        self._last = b""

    def allow_header(self) -> None:
        """The next header may be read."""
        self._allowance = _HEADER_ALLOWANCE

    def content(self, size: int) -> bytes:
        """Exactly `size` bytes. Raises PatchProblem when the stream ends before."""
        self._allowance = size
        data = self.read(size)
        if len(data) != size:
            raise PatchProblem("the workspace came back cut short, in the middle of a file")
        return data

    def ended_well(self) -> bool:
        """Whether the last thing read was the block of zeros that ends an archive."""
        return self._last == bytes(_BLOCK)

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, fewer only at the end."""
        if size < 0 or size > self._allowance:
            raise PatchProblem("the workspace came back damaged: a header is larger than 1 MiB")
        self._allowance -= size
        parts = []
        while size > 0 and self._more():
            part = self._piece[self._at : self._at + size]
            parts.append(part)
            size -= len(part)
            self._at += len(part)
            self._position += len(part)
        self._last = parts[0] if len(parts) == 1 else b"".join(parts)
        return self._last

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Skip forwards to `offset`."""
        if whence != io.SEEK_SET or offset < self._position:
            raise PatchProblem("the workspace came back damaged: its archive points backwards")
        while self._position < offset and self._more():
            step = min(offset - self._position, len(self._piece) - self._at)
            self._at += step
            self._position += step
        return self._position

    def tell(self) -> int:
        """Bytes read or skipped so far."""
        return self._position

    def seekable(self) -> bool:
        """Forwards, yes."""
        return True

    def readable(self) -> bool:
        """Yes."""
        return True

    def _more(self) -> bool:
        """Have at least one byte at hand; False at the end."""
        while self._at >= len(self._piece):
            piece = self._pull()
            if piece is None:
                return False
            self._piece, self._at = piece, 0
            if self._position + len(piece) > self._limit:
                raise PatchProblem(f"the workspace is larger than {self._limit >> 20} MiB")
        return True
