"""The Docker engine: finding it, asking it in threads, taking over its streams, saying what is wrong.

Threat model: the engine is trusted, as is whatever Docker settings the user's own environment holds. Nothing of
the repository or the agent chooses the engine.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import docker
import docker.context
import docker.errors
import docker.utils
import requests

from sandboxes.protocol import SandboxError, SandboxLost, SandboxUnavailable

P = ParamSpec("P")
T = TypeVar("T")

ENGINE_ERRORS = (docker.errors.DockerException, requests.exceptions.RequestException, OSError)
CONNECT_SECONDS = 10
ANSWER_SECONDS = 120
BEGIN_SECONDS = 20.0
CHUNK = 1 << 16


class Engine:
    """A Docker engine, connected to when first needed. Its methods block: call them through `in_thread`."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = dict(os.environ if environ is None else environ)
        self._lock = threading.Lock()
        self._client: Any = None

    @property
    def address(self) -> str:
        """Where the engine is: DOCKER_HOST, or what the current Docker context says."""
        host = self._environ.get("DOCKER_HOST")
        if not host:
            with contextlib.suppress(*ENGINE_ERRORS, ValueError, KeyError, AttributeError):
                host = docker.context.ContextAPI.get_current_context().Host
        return str(host or "unix:///var/run/docker.sock").replace("http+unix://", "unix://")

    @property
    def local(self) -> bool:
        """Does it run on this machine, seeing the same files and processes?"""
        return self.address.startswith("unix://")

    def client(self) -> Any:
        """The SDK's low-level client. Raises SandboxUnavailable."""
        with self._lock:
            if self._client is None:
                environment = {**self._environ, "DOCKER_HOST": self.address}
                try:
                    settings = docker.utils.kwargs_from_env(environment=environment)
                    client = docker.APIClient(**settings, version="auto", timeout=CONNECT_SECONDS)
                except (*ENGINE_ERRORS, *_ssh_errors(self.address)) as e:
                    raise self.unavailable(e) from e
                client.timeout = ANSWER_SECONDS
                self._client = client
            return self._client

    @property
    def connected(self) -> bool:
        """Has the engine ever answered?"""
        return self._client is not None

    def unavailable(self, error: BaseException) -> SandboxUnavailable:
        """One sentence about an engine that does not do what was asked, with the way out."""
        where = self.address
        seen: BaseException | None = error
        reasons: list[BaseException] = []
        while seen is not None and len(reasons) < 20:
            reasons.append(seen)
            seen = seen.__cause__ or seen.__context__
        text = " ".join(repr(r) for r in reasons)
        if any(isinstance(r, PermissionError) for r in reasons) or "PermissionError" in text:
            return SandboxUnavailable(
                f"The Docker engine at {where} does not let you in; add yourself to its group "
                "(`sudo usermod -aG docker $USER`, then log in again), or see `bridle doctor`."
            )
        if isinstance(error, docker.errors.APIError) and error.response is not None:
            return SandboxUnavailable(
                f"The Docker engine at {where} refused: {explanation(error)}; see `bridle doctor`."
            )
        if any(isinstance(r, ssl.SSLError) for r in reasons) or "SSLError" in text:
            return SandboxUnavailable(
                f"The Docker engine at {where} and you do not believe each other's certificates "
                f"({explanation(error)}); see DOCKER_CERT_PATH, and REQUESTS_CA_BUNDLE, which comes before it."
            )
        if not any(isinstance(r, OSError) for r in reasons):  # nothing was tried
            mend = "pip install 'bridle[ssh]', or " if "paramiko" in text else ""
            return SandboxUnavailable(
                f"The Docker engine at {where} cannot be used: {explanation(error)}; {mend}see `bridle doctor`."
            )
        return SandboxUnavailable(
            f"No Docker engine answers at {where}; start it (`sudo systemctl start docker`), point DOCKER_HOST "
            "at one, or see `bridle doctor`."
        )

    def attach(self, container: str) -> tuple[socket.socket, bytes]:
        """Take over a container's streams: the socket, and what had come already."""
        params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        return plain_socket(self.client().attach_socket(container, params=params))

    def start_exec(self, container: str, **what: Any) -> tuple[str, socket.socket, bytes]:
        """Start another command in a container: its id, the socket, and what had come already."""
        client = self.client()
        number = client.exec_create(container, stdin=True, stdout=True, stderr=True, **what)["Id"]
        return number, *plain_socket(client.exec_start(number, socket=True))

    def until_begun(self, number: str) -> None:
        """Wait until a command that was started runs, or has run. Raises the SDK's errors, SandboxError.

        An engine answers before it starts a command, and if it stops the container meanwhile, waits for ever.
        """
        end = time.monotonic() + BEGIN_SECONDS
        client = self.client()
        while True:
            try:
                found = client.exec_inspect(number)
            except docker.errors.NotFound:
                return  # so long over that the engine has forgotten it
            if found["Pid"] or found["ExitCode"] is not None:
                return
            if time.monotonic() > end:
                raise SandboxError(f"The engine has not begun a command within {BEGIN_SECONDS:.0f} s.")
            time.sleep(0.01)

    def remove(self, container: str) -> bool:
        """Remove a container and its volumes, running or not; False when someone else did it."""
        try:
            self.client().remove_container(container, force=True, v=True)
        except docker.errors.NotFound:
            return False
        except docker.errors.APIError as e:
            if e.response is not None and e.response.status_code == 409:  # removal is under way
                return False
            raise
        return True


def runtimes(info: Mapping[str, Any]) -> list[str]:
    """The names of the OCI runtimes that an engine has, from what it says about itself."""
    return sorted(map(str, info.get("Runtimes") or ()))


def explanation(error: BaseException) -> str:
    """What the engine said, on one line."""
    text = str(getattr(error, "explanation", None) or error)
    return " ".join(text.split())[:500].rstrip(".")


def lost_or_unavailable(engine: Engine, name: str, error: BaseException) -> SandboxError:
    """The right error for a request about an open sandbox that failed."""
    if isinstance(error, docker.errors.APIError) and error.response is not None:
        if "is paused" in explanation(error):
            return SandboxLost(f"The sandbox {name} is gone: someone has paused it.")
        if error.response.status_code in (404, 409) or "is not running" in explanation(error):
            return SandboxLost(f"The sandbox {name} is gone.")
        return SandboxError(f"The engine could not serve sandbox {name}: {explanation(error)}.")
    return engine.unavailable(error)


def plain_socket(stream: Any) -> tuple[socket.socket, bytes]:
    """A socket of our own for what the SDK hands out, and the bytes its HTTP reader had taken already.

    Sockets are duplicated; what is none (TLS, SSH) is copied to and from one end of a socket pair by threads. For
    TLS that is one thread: one that waits to read would hold up, or race with, another that writes.
    """
    inner = getattr(stream, "_sock", None)
    if type(inner) is socket.socket:
        inner.setblocking(False)
        ours = inner.dup()
        ours.setblocking(False)
        # The HTTP reader reads ahead; without this the first bytes of a quick answer are lost.
        return ours, bytes(stream._response.raw._fp.fp.peek())
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    if isinstance(stream, ssl.SSLSocket):
        stream.setblocking(False)
        threading.Thread(target=_carry, args=(stream, theirs, _read_ahead(stream)), daemon=True).start()
        return ours, b""
    threading.Thread(target=_copy_out, args=(stream, theirs), daemon=True).start()
    threading.Thread(target=_copy_in, args=(stream, theirs), daemon=True).start()
    return ours, b""


def _read_ahead(stream: Any) -> bytes:
    """What the HTTP reader took already of a stream that does not block."""
    with contextlib.suppress(ssl.SSLWantReadError):
        return bytes(stream._response.raw._fp.fp.peek())
    return b""


def _carry(stream: ssl.SSLSocket, ours: socket.socket, early: bytes) -> None:
    """Carry bytes both ways until either end is over; who does not read holds up only who sends to them."""
    ours.setblocking(False)
    inward, outward, ended = bytearray(early), bytearray(), False
    with contextlib.suppress(*ENGINE_ERRORS), stream, ours:
        while inward or not ended:
            reading = [
                *([ours] if len(outward) < CHUNK else []),
                *([stream] if len(inward) < CHUNK and not ended else []),
            ]
            writing = [*([ours] if inward else []), *([stream] if outward else [])]
            more = stream in reading and stream.pending()
            can_read, can_write, _ = select.select(reading, writing, [], 0 if more else None)
            if ours in can_read:
                if not (data := ours.recv(CHUNK)):
                    return
                outward += data
            if more or stream in can_read:
                with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    data = stream.recv(CHUNK)
                    inward += data
                    ended = not data
            if outward and stream in can_write:
                with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    del outward[: stream.send(bytes(outward[:CHUNK]))]
            if inward and ours in can_write:
                del inward[: ours.send(inward)]


def _copy_out(stream: Any, to: socket.socket) -> None:
    receive = getattr(stream, "recv", None) or stream.read
    with contextlib.suppress(*ENGINE_ERRORS):
        while data := receive(1 << 16):
            to.sendall(data)
    with contextlib.suppress(OSError):
        to.shutdown(socket.SHUT_WR)


def _copy_in(stream: Any, source: socket.socket) -> None:
    send = getattr(stream, "sendall", None) or stream.write
    with contextlib.suppress(*ENGINE_ERRORS):
        while data := source.recv(1 << 16):
            send(data)
    with contextlib.suppress(*ENGINE_ERRORS):
        stream.close()


def _ssh_errors(address: str) -> tuple[type[Exception], ...]:
    """What the SDK lets through where it speaks SSH."""
    if not address.startswith("ssh://"):
        return ()
    try:
        import paramiko
    except ImportError:
        return ()
    return (paramiko.SSHException,)


def socket_path(address: str) -> Path | None:
    """The file behind a unix:// address."""
    return Path(address.removeprefix("unix://")) if address.startswith("unix://") else None
