"""TLS with a command, over its connection to the proxy.

Threat model: the far end is the agent's. What breaks TLS breaks the connection, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl

from sandboxes.channel.tunnels import CHUNK, Stream

BUNDLE = "/tmp/bridle-certificates.pem"  # noqa: S108 -- inside the sandbox
"""Where commands find what they are to believe, inside: the authority, and what the user's machine believes."""
BELIEF = dict.fromkeys(
    (
        "SSL_CERT_FILE",
        "CURL_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "PIP_CERT",
        "NODE_EXTRA_CA_CERTS",
        "CARGO_HTTP_CAINFO",
        "AWS_CA_BUNDLE",
    ),
    BUNDLE,
)
"""How commands are told about it."""


class Tls:
    """The server's side. `read`, `write` and `end` raise ConnectionResetError or ssl.SSLError, both OSErrors."""

    def __init__(self, stream: Stream, context: ssl.SSLContext, early: bytes) -> None:
        """`early` is what has been read of the stream already."""
        self._stream = stream
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._in.write(early)
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._sending = asyncio.Lock()

    async def handshake(self) -> None:
        """Agree on keys. Raises ConnectionResetError, ssl.SSLError when the command does not want to."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._more()
            else:
                await self._flush()
                return

    async def read(self) -> bytes:
        """What has come, at least one byte; none at the end."""
        while True:
            try:
                return self._tls.read(CHUNK)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._more()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def write(self, data: bytes) -> None:
        """Send bytes, as the command takes them."""
        for at in range(0, len(data), CHUNK):
            self._tls.write(data[at : at + CHUNK])
            await self._flush()

    async def end(self) -> None:
        """Send nothing more."""
        with contextlib.suppress(ssl.SSLError):  # the answer to the last word is not waited for
            self._tls.unwrap()
        await self._flush()
        await self._stream.end()

    async def reset(self) -> None:
        """Break the connection off, so that its command sees an error."""
        await self._stream.reset()

    async def _more(self) -> None:
        data = await self._stream.read()
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()

    async def _flush(self) -> None:
        async with self._sending:
            while self._out.pending:
                await self._stream.write(self._out.read(CHUNK))
