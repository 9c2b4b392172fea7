"""The way out of a sandbox: each request is judged, recorded, and only then dialled.

Threat model: everything that comes in was sent by the agent's commands. A request names a host and a port; the
rules judge the name, one resolution gives its addresses, all of them must be public, and one of exactly those is
dialled. Whatever else comes in is answered with an error or closed: nothing that was sent can raise anything here,
and nothing is dialled for it. Requests are taken at a bounded pace, so that a record of them stays one that fits a
disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from sandboxes.channel.tunnels import Stream
from sandboxes.network import http
from sandboxes.network.outside import Asked, Believed, Connected, Egress, Finished, Injection, News, Verdict
from sandboxes.network.rules import Network, Refused, check_addresses, decide, plain_name
from sandboxes.network.tls import BELIEF, BUNDLE, Tls

if TYPE_CHECKING:
    from sandboxes.network.authority import Authority

PORT = 3128
"""Where commands find the proxy, on the sandbox's own loopback."""
HEAD_SECONDS = 30.0
RESOLVE_SECONDS = 20.0
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 300.0
MAX_ADDRESSES = 4
RATE, BURST = 50.0, 200.0
"""Requests a second in the long run, and how many at once before that holds."""
CHUNK = 1 << 15

URL = f"http://127.0.0.1:{PORT}"
ENVIRONMENT = {
    **{name: URL for low in ("http_proxy", "https_proxy", "all_proxy") for name in (low, low.upper())},
    **dict.fromkeys(("no_proxy", "NO_PROXY"), "localhost,127.0.0.1,::1"),
}
"""How commands are told about the proxy."""


def environment(network: Network, egress: Egress) -> dict[str, str]:
    """What commands are told of their way out."""
    if network.mode != "allowlist":
        return {}
    return {**ENVIRONMENT, **(BELIEF if egress.injections else {})}


class Failed(Exception):
    """A request that was allowed and did not reach its host; the message says why, in one clause."""


class Way:
    """A connection to a host, counting what goes through. It ends when nothing does for IDLE_SECONDS."""

    def __init__(self, connected: Connected, limit: asyncio.Timeout) -> None:
        self.reader, self.writer = connected
        # So that what was sent has left this process when `send` returns. With TLS, 0 would stop it for good:
        # asyncio then takes an empty buffer for a full one.
        high = 1 if self.writer.get_extra_info("sslcontext") else 0
        self.writer.transport.set_write_buffer_limits(high=high, low=0)
        self.up = self.down = 0
        self._limit = limit

    async def send(self, data: bytes) -> None:
        """Bytes for the host. Raises OSError."""
        self.writer.write(data)
        await self.writer.drain()
        self.up += len(data)
        self._moved()

    async def end(self) -> None:
        """Nothing more will be sent. Raises OSError."""
        if self.writer.can_write_eof():
            self.writer.write_eof()
            await self.writer.drain()

    async def receive(self) -> bytes:
        """Bytes from the host; none at the end. Raises OSError."""
        data = await self.reader.read(CHUNK)
        self.down += len(data)
        self._moved()
        return data

    def _moved(self) -> None:
        self._limit.reschedule(asyncio.get_running_loop().time() + IDLE_SECONDS)


class Pace:
    """Lets BURST pass at once, and RATE a second after that."""

    def __init__(self) -> None:
        self._left, self._at = BURST, time.monotonic()

    async def wait(self) -> None:
        """Come back when it is one's turn."""
        now = time.monotonic()
        self._left = min(BURST, self._left + (now - self._at) * RATE) - 1
        self._at = now
        if self._left < 0:
            await asyncio.sleep(-self._left / RATE)


def _authority() -> Authority:
    from sandboxes.network.authority import Authority  # takes a while, and few sessions need it

    return Authority()


class Proxy:
    """Serves the connections of one sandbox."""

    def __init__(self, network: Network, egress: Egress) -> None:
        self._network = network
        self._egress = egress
        self._pace = Pace()
        self._last = 0
        self._authority = _authority() if egress.injections else None

    def certificates(self) -> bytes | None:
        """What commands have to believe for a secret to be put into their TLS; None where there is none."""
        return self._authority.bundle(self._egress.outside.tls()) if self._authority else None

    async def serve(self, stream: Stream) -> None:
        """One connection: one request, and its answer. Never raises but when cancelled."""
        try:
            request = await self._request(stream)
            if request is not None:
                await self._answer(stream, request)
        except OSError:  # one of the two ends broke off, which the record of the request tells
            await stream.reset()

    async def _request(self, stream: http.Client, within: tuple[str, int] | None = None) -> http.Request | None:
        """The request, when one comes. Raises OSError."""
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                request = await http.read_request(stream, within)
        except TimeoutError:
            return None
        except http.NotARequest as e:
            await self._pace.wait()
            self._last += 1
            self._tell(Asked(self._last, "", 0, "", "refused", str(e)))
            await http.answer(stream, 400, str(e))
            return None
        await self._pace.wait()
        return request

    async def _answer(self, stream: Stream, request: http.Request) -> None:
        """Raises OSError."""
        injected = self._injections(request)
        if not request.tunnel or not injected:
            await self._carry(stream, request, injected)
        elif (tls := await self._accept(stream, request)) is not None:
            within = await self._request(tls, (request.host, request.port))
            if within is not None:
                await self._carry(tls, within, injected)

    async def _accept(self, stream: Stream, request: http.Request) -> Tls | None:
        """TLS with the command, in the place of a host that gets something put in; None if that cannot be.

        Raises OSError.
        """
        assert self._authority is not None
        try:
            context = self._authority.context(decide(self._network, request.host, request.port))
        except Refused as e:
            self._told(request, "refused", str(e))
            await http.answer(stream, 403, f"bridle refused {request.host}:{request.port}: {e}")
            return None
        await stream.write(http.ESTABLISHED)
        tls = Tls(stream, context, request.connection.trailing_data[0])
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                await tls.handshake()
        except (ssl.SSLError, TimeoutError):
            self._told(request, "failed", f"the command does not believe the certificates in {BUNDLE}")
            await stream.reset()
            return None
        return tls

    def _told(self, request: http.Request, verdict: Verdict, why: str) -> None:
        self._last += 1
        self._tell(Asked(self._last, request.host, request.port, request.method, verdict, why))

    async def _carry(self, stream: http.Client, request: http.Request, injected: Sequence[Injection]) -> None:
        """Raises OSError."""
        port = injected[0].port if injected else request.port
        place = f"{request.host}:{port}"
        try:
            async with self.way(request.host, port, request.method, injected) as way:
                if injected:
                    secrets = self._egress.secrets
                    headers = [(each.header.encode(), secrets.fill(each.value).encode()) for each in injected]
                    await http.relay(stream, http.with_headers(request, headers), way, secrets)
                else:
                    await http.relay(stream, request, way)
        except Refused as e:
            await http.answer(stream, 403, f"bridle refused {place}: {e}")
        except (Failed, http.BadAnswer) as e:
            await http.answer(stream, 502, f"bridle could not reach {place}: {e}")
        except http.NotARequest:
            await stream.reset()

    def _injections(self, request: http.Request) -> list[Injection]:
        """The headers that belong into a request, or into what will come through a tunnel."""
        try:
            name = plain_name(request.host)
        except Refused:
            return []
        found = [each for each in self._egress.injections if each.host == name]
        plain = request.port == 80 and not request.tunnel
        return [each for each in found if request.port == each.port or (plain and each.port == 443)]

    @contextlib.asynccontextmanager
    async def way(
        self, host: str, port: int, method: str, injected: Sequence[Injection] = ()
    ) -> AsyncIterator[Way]:
        """A connection to `host`, for as long as the context lasts; over TLS if something is put in.

        Raises Refused, Failed.
        """
        self._last += 1
        number = self._last
        try:
            name = decide(self._network, host, port)
            own = self._egress.served.get(name)
            addresses = () if own else check_addresses(await self._resolve(name, port))
        except Refused as e:
            self._tell(Asked(number, host, port, method, "refused", str(e)))
            raise
        except Failed as e:
            self._tell(Asked(number, host, port, method, "failed", str(e)))
            raise
        why = f"with the header {', '.join(each.header for each in injected)}, over TLS" if injected else ""
        self._tell(Asked(number, name, port, method, "allowed", why))
        begun = time.monotonic()
        way: Way | None = None
        problem = "it was interrupted"
        try:
            believed = (self._egress.outside.tls(), name) if injected else None
            connected = await own() if own else await self._dial(addresses, port, believed)
            try:
                async with asyncio.timeout(IDLE_SECONDS) as limit:
                    way = Way(connected, limit)
                    yield way
                problem = ""
            except TimeoutError:
                problem = f"nothing came or went for {IDLE_SECONDS:g} s"
            finally:
                connected[1].transport.abort()
        except (Failed, OSError, http.BadAnswer, http.NotARequest) as e:
            problem = str(e) or "the connection broke off"
            raise
        finally:
            up, down = (way.up, way.down) if way else (0, 0)
            seconds = round(time.monotonic() - begun, 3)
            self._tell(Finished(number, name, port, method, up, down, seconds, problem))

    async def _resolve(self, name: str, port: int) -> Sequence[str]:
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                return await self._egress.outside.resolve(name, port)
        except TimeoutError:
            raise Failed("its name was not resolved in time") from None
        except (OSError, UnicodeError):
            raise Failed("its name cannot be resolved") from None

    async def _dial(self, addresses: Sequence[str], port: int, believed: Believed | None) -> Connected:
        """A connection to the first of the checked addresses that takes one. Raises Failed."""
        problem = ""
        for address in addresses[:MAX_ADDRESSES]:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await self._egress.outside.dial(address, port, believed)
            except TimeoutError:
                problem = "it does not answer"
            except ssl.SSLCertVerificationError as e:
                raise Failed(f"its certificate is not believed: {e.verify_message}") from None
            except OSError as e:
                problem = e.strerror or "it takes no connection"
        raise Failed(problem)

    def _tell(self, news: News) -> None:
        if self._egress.on_news is not None:
            self._egress.on_news(news)
