"""An engine that is reached over TCP, with and without TLS, as DOCKER_HOST names it: what a sandbox does there.

The engine is the local one; before it stands a server on loopback that passes on what comes.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Self

import pytest
import pytest_asyncio
import trustme

from sandboxes.docker.backend import DockerBackend
from sandboxes.docker.engine import Engine
from sandboxes.protocol import Limits, Sandbox, SandboxLost, SandboxSpec, SandboxUnavailable

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]
SMALL = Limits(memory_bytes=512 << 20, cpus=2.0, pids=128)


class Way:
    """The server before the engine: what has to be in the environment, and a way to cut every connection."""

    def __init__(self, folder: Path, *, tls: bool) -> None:
        self.environ: dict[str, str] = {}
        self._tls, self._folder = tls, folder
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        context = self._certificates() if self._tls else None
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        port = self._server.sockets[0].getsockname()[1]
        self.environ |= {"DOCKER_HOST": f"tcp://127.0.0.1:{port}", "PATH": os.environ["PATH"]}
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._server.close()

    def cut(self) -> None:
        """Break everything off that is open."""
        for writer in list(self._open):
            writer.transport.abort()

    def _certificates(self) -> ssl.SSLContext:
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        user = authority.issue_cert("user@example.org")
        authority.cert_pem.write_to_path(self._folder / "ca.pem")
        user.cert_chain_pems[0].write_to_path(self._folder / "cert.pem")
        user.private_key_pem.write_to_path(self._folder / "key.pem")
        self.environ |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(self._folder)}
        return context

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = Engine().address.removeprefix("unix://")
        inner, out = await asyncio.open_unix_connection(path)
        self._open |= {writer, out}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, out))
                both.create_task(_pass_on(inner, writer))
        except* OSError:
            pass
        finally:
            self._open -= {writer, out}
            writer.transport.abort()
            out.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    else:
        writer.close()


@pytest_asyncio.fixture(params=["tcp", "tls"])
async def way(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Way]:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # would come before the engine's own
        monkeypatch.delenv(name, raising=False)
    if not Engine().local:
        pytest.skip("THE ENGINE IS REMOTE ITSELF: this cannot stand before it")
    async with Way(tmp_path, tls=request.param == "tls") as made:
        yield made


@pytest_asyncio.fixture
async def box(way: Way, debian_image: str) -> AsyncIterator[Sandbox]:
    made = await open_one(way.environ, debian_image)
    yield made
    await made.close()


async def open_one(environ: Mapping[str, str], image: str) -> Sandbox:
    spec = SandboxSpec(f"test-{secrets.token_hex(4)}", image=image, limits=SMALL)
    return await DockerBackend(environ=environ).open(spec)


async def test_commands_and_files(box: Sandbox) -> None:
    for number in range(50):
        result = await box.exec(["sh", "-c", f"echo {number}; exit 3"])
        assert (result.exit_code, result.output.text()) == (3, f"{number}\n")
    data = secrets.token_bytes(6 << 20)
    await box.write("large", data)
    assert await box.read("large") == data
    assert (await box.exec(["cat"], stdin=data, max_output=1 << 20)).output.total == len(data)


async def test_much_goes_both_ways_at_once(box: Sandbox) -> None:
    data = secrets.token_bytes(3 << 20)

    async def there_and_back(name: str) -> None:
        await box.write(name, data)
        assert await box.read(name) == data

    flood = box.exec(["sh", "-c", "head -c 30000000 /dev/zero"], timeout=100)
    async with asyncio.timeout(120):
        result, *_ = await asyncio.gather(flood, *(there_and_back(f"file-{n}") for n in range(6)))
    assert result.output.total == 30_000_000


async def test_background_checkpoint_and_fork(box: Sandbox, way: Way) -> None:
    process = await box.start(["cat"])
    await box.process_write(process, b"hello\n")
    assert (await box.process_read(process, wait=10)).data == b"hello\n"
    await box.write("file", b"1")
    saved = await box.checkpoint("here")
    try:
        other = await box.fork("test-fork", saved)
        try:
            assert await other.read("file") == b"1"
        finally:
            await other.close()
    finally:
        await DockerBackend(environ=way.environ).drop(saved)


async def test_a_broken_connection_is_a_lost_sandbox(way: Way, box: Sandbox) -> None:
    pending = asyncio.ensure_future(box.exec(["sleep", "100"], timeout=100))
    await asyncio.sleep(0.5)
    way.cut()
    async with asyncio.timeout(20):
        with pytest.raises(SandboxLost):
            await pending
        with pytest.raises(SandboxLost):
            await box.exec(["true"])


async def test_who_has_no_certificate_is_told(way: Way, debian_image: str, tmp_path: Path) -> None:
    if "DOCKER_CERT_PATH" not in way.environ:
        pytest.skip("there is none without TLS")
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    with pytest.raises(SandboxUnavailable, match="certificates"):
        await open_one(way.environ, debian_image)


@pytest.mark.skipif(importlib.util.find_spec("paramiko") is not None, reason="it would be used")
def test_what_ssh_lacks_is_said() -> None:
    with pytest.raises(SandboxUnavailable, match=r"paramiko.*bridle\[ssh\]"):
        Engine({"DOCKER_HOST": "ssh://nobody@127.0.0.1"}).client()


def test_where_nothing_answers_that_is_said() -> None:
    with pytest.raises(SandboxUnavailable, match="No Docker engine answers"):
        Engine({"DOCKER_HOST": "tcp://127.0.0.1:1"}).client()
