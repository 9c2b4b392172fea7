"""The real engine behind a socket that refuses some requests."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

REFUSAL = b'{"message":"no space left on device"}'


@contextlib.contextmanager
def refusing_engine(folder: Path, request: bytes) -> Iterator[str]:
    """The address of an engine that answers 500 to requests whose first line matches the pattern `request`."""
    real = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
    path = folder / "engine.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=_accept, args=(listener, real, re.compile(request)), daemon=True).start()
        yield f"unix://{path}"
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, real: str, request: re.Pattern[bytes]) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(real)
            threading.Thread(target=_copy, args=(server, client, None), daemon=True).start()
            threading.Thread(target=_copy, args=(client, server, request), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket, refused: re.Pattern[bytes] | None) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            if refused is not None and refused.match(data):
                head = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
                source.sendall(head + b"Content-Length: %d\r\n\r\n" % len(REFUSAL) + REFUSAL)
                source.shutdown(socket.SHUT_RDWR)
                break
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
