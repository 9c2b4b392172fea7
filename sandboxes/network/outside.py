"""What the way out of a sandbox is made of: finding a host's addresses, dialling one, and telling what was done.

Tests put their own in its place and see what would have been dialled.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from sandboxes.secrets import Secrets

LOOKUPS = 4
"""Names looked up at the same time; a slow resolver must not take the threads that other work needs."""

Verdict = Literal["allowed", "refused", "failed"]
Connected = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Believed = tuple[ssl.SSLContext, str]
"""Whose certificates count, and the name that a host's certificate has to hold."""
Dial = Callable[[str, int, Believed | None], Awaitable[Connected]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came to the way out, and what became of it; told before anything is dialled.

    `method` is CONNECT for a tunnel, the method of a plain request, or empty for what was no request at all.
    """

    number: int
    host: str
    port: int
    method: str
    verdict: Verdict
    why: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """A request that was let through is over: bytes sent to the host and received from it, and what went wrong."""

    number: int
    host: str
    port: int
    method: str
    up: int
    down: int
    seconds: float
    problem: str = ""


News = Asked | Finished


def _lookups() -> Resolve:
    threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="bridle-names")

    async def resolve(host: str, port: int) -> Sequence[str]:
        """The addresses of a name, taken as a whole: never completed with a search domain. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(threads, _resolve, host, port)
        return tuple(dict.fromkeys(found))

    return resolve


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(f"{host}.", port, type=socket.SOCK_STREAM)
    return [str(place[0]) for *_, place in found]


async def dial(address: str, port: int, believed: Believed | None = None) -> Connected:
    """Connect to an address, with TLS where it is said what is believed. Raises OSError."""
    context, name = believed or (None, None)
    return await asyncio.open_connection(address, port, ssl=context, server_hostname=name)


@dataclass(frozen=True, slots=True)
class Outside:
    """How hosts are found and dialled, and whose certificates are believed."""

    resolve: Resolve = field(default_factory=_lookups)
    dial: Dial = dial
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context


@dataclass(frozen=True, slots=True)
class Injection:
    """A header that requests for `host` get on their way, which goes on over TLS to `port`.

    `value` holds `{NAME}` where a secret belongs.
    """

    host: str
    header: str
    value: str
    port: int = 443


@dataclass(frozen=True, slots=True)
class Egress:
    """What serves the requests of one sandbox. `on_news` is told of each as it happens.

    `secrets` are those that `injections` name; commands in the sandbox never hold them. `served` are names that
    stand for Bridle itself: a listed one is neither looked up nor dialled, but connected to by what is given here.
    """

    outside: Outside = field(default_factory=Outside)
    on_news: Callable[[News], None] | None = None
    injections: tuple[Injection, ...] = ()
    secrets: Secrets = field(default_factory=Secrets)
    served: Mapping[str, Callable[[], Awaitable[Connected]]] = field(default_factory=dict)
