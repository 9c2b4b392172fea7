"""The world as a sandbox's way out sees it: names, addresses and servers that exist in one test only.

Nothing but loopback is ever connected to. The addresses belong to a block that is assigned to nobody.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from sandboxes.network.outside import Asked, Believed, Connected, Egress, Finished, News, Outside

ADDRESS = "2d00::5"


@dataclass
class World:
    """`names` are what resolves, `ports` the loopback ports behind addresses; what was asked for is recorded."""

    names: dict[str, list[str]] = field(default_factory=dict)
    ports: dict[tuple[str, int], int] = field(default_factory=dict)
    resolved: list[str] = field(default_factory=list)
    dialled: list[tuple[str, int]] = field(default_factory=list)
    news: list[News] = field(default_factory=list)

    def serve(self, name: str, port: int, local: int, address: str = ADDRESS) -> None:
        """Let `name` be reached at `port`, where the loopback port `local` answers."""
        self.names[name] = [address]
        self.ports[address, port] = local

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.resolved.append(host)
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.names[host]

    async def dial(self, address: str, port: int, believed: Believed | None = None) -> Connected:
        self.dialled.append((address, port))
        local = self.ports.get((address, port))
        if local is None:
            raise ConnectionRefusedError(111, "Connection refused")
        context, name = believed or (None, None)
        return await asyncio.open_connection("127.0.0.1", local, ssl=context, server_hostname=name)

    @property
    def egress(self) -> Egress:
        return Egress(Outside(self.resolve, self.dial), self.news.append)

    @property
    def asked(self) -> list[Asked]:
        return [each for each in self.news if isinstance(each, Asked)]

    @property
    def finished(self) -> list[Finished]:
        return [each for each in self.news if isinstance(each, Finished)]
