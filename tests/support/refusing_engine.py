"""The real engine behind a socket that refuses some requests."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NO_SPACE = "no space left on device"


@contextlib.contextmanager
def refusing_engine(
    folder: Path, request: bytes, message: str = NO_SPACE, times: int = sys.maxsize
) -> Iterator[str]:
    """The address of an engine that answers 500, so many `times`, to what begins with the pattern `request`."""
    real = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
    path = folder / "engine.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        refusal = _Refusal(re.compile(request), json.dumps({"message": message}).encode(), times)
        threading.Thread(target=_accept, args=(listener, real, refusal), daemon=True).start()
        yield f"unix://{path}"
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


@dataclass
class _Refusal:
    request: re.Pattern[bytes]
    answer: bytes
    times: int

    def applies(self, data: bytes) -> bool:
        if self.times <= 0 or not self.request.match(data):
            return False
        self.times -= 1
        return True


def _accept(listener: socket.socket, real: str, refusal: _Refusal) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(real)
            threading.Thread(target=_copy, args=(server, client, None), daemon=True).start()
            threading.Thread(target=_copy, args=(client, server, refusal), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket, refusal: _Refusal | None) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            if refusal is not None and refusal.applies(data):
                head = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
                source.sendall(head + b"Content-Length: %d\r\n\r\n" % len(refusal.answer) + refusal.answer)
                source.shutdown(socket.SHUT_RDWR)
                break
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
