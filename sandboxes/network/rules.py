"""Which hosts a sandbox may reach: rules, the decision on a name, and the check of the addresses behind it.

Threat model: the host and port of a request are the agent's. A name is brought into one form first, and that form
is what is matched, resolved and recorded; what cannot be brought into it is refused. Numbers are never names, in
whatever spelling, so that no rule can be made to mean an address. The answer of a resolver is not trusted either:
a listed name may be made to point at this machine or its neighbours, so every address it gives must be a public
one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

NetworkMode = Literal["none", "allowlist", "full"]

DEFAULT_PORTS = (80, 443)
MAX_NAME = 253

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[0-9]{1,5}")


class Refused(Exception):
    """A request that is not let through; the message says why, in one clause."""


@dataclass(frozen=True, slots=True)
class HostRule:
    """A host that may be reached, on `ports`. With `below`, every name below `host`, and not `host` itself."""

    host: str
    below: bool = False
    ports: tuple[int, ...] = DEFAULT_PORTS

    def __str__(self) -> str:
        name = f"*.{self.host}" if self.below else self.host
        return name if self.ports == DEFAULT_PORTS else f"{name}:{self.ports[0]}"

    def matches(self, host: str, port: int) -> bool:
        """Does the rule let `host`, a name as `plain_name` makes it, be reached on `port`?"""
        return self.names(host) and port in self.ports

    def names(self, host: str) -> bool:
        """Does the rule speak of `host`, on whatever port?"""
        return host.endswith(f".{self.host}") if self.below else host == self.host


@dataclass(frozen=True, slots=True)
class Network:
    """What a sandbox can reach: nothing, the hosts of a list through a proxy, or whatever the engine can.

    An empty list lets nothing through. What is `refused` is not let through on any port, whatever is listed.
    """

    mode: NetworkMode = "none"
    hosts: tuple[HostRule, ...] = ()
    refused: tuple[HostRule, ...] = ()

    def __str__(self) -> str:
        return f"allowlist: {self.listed or 'no hosts'}" if self.mode == "allowlist" else self.mode

    @property
    def listed(self) -> str:
        """The list in words; empty if nothing is on it."""
        hosts, refused = (", ".join(map(str, rules)) for rules in (self.hosts, self.refused))
        return f"{hosts} (but not {refused})" if hosts and refused else hosts


def parse_rule(text: str) -> HostRule:
    """A rule from `example.org`, `example.org:8443` or `*.example.org`. Raises ValueError with a sentence."""
    said, _, port = text.strip().partition(":")
    below = said.startswith("*.")
    if "/" in text or "@" in text:
        raise ValueError(f"{text!r} is no host: write the name alone, such as example.org or example.org:443")
    if "*" in said.removeprefix("*."):
        raise ValueError(f"{text!r} is no host: a * stands only at the beginning, as in *.example.org")
    try:
        host = plain_name(said.removeprefix("*."))
    except Refused as e:
        raise ValueError(f"{text!r} cannot be allowed: {e}") from e
    if "." not in host and below:
        raise ValueError(f"{text!r} would allow a whole top-level domain: name the hosts, such as *.example.org")
    if host == "localhost" or host.endswith(".localhost"):
        raise ValueError(f"{text!r} cannot be allowed: it is this machine, which a sandbox never reaches")
    if ":" not in text:
        return HostRule(host, below)
    if not _PORT.fullmatch(port) or not 0 < int(port) < 1 << 16:
        raise ValueError(f"{text!r} has no port from 1 to 65535 after the colon: write it as in example.org:443")
    return HostRule(host, below, (int(port),))


def plain_name(text: str) -> str:
    """The one form of a host's name: lower case, without a dot at its end. Raises Refused for what is no name."""
    name = text.removesuffix(".")
    if not name.isascii():
        raise Refused("its name is not written in ASCII (use its xn-- form)")
    name = name.lower()
    if any(char in name for char in ":[]%"):
        raise Refused("it is an IP address and not a name")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        raise Refused("it is an IP address and not a name")
    if len(name) > MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise Refused("it is not the name of a host")
    return name


def decide(network: Network, host: str, port: int) -> str:
    """The name to resolve, when the list lets `host` be reached on `port`. Raises Refused."""
    name = plain_name(host)
    if any(rule.names(name) for rule in network.refused):
        raise Refused("a rule refuses it")
    if any(rule.matches(name, port) for rule in network.hosts):
        return name
    raise Refused("no rule allows it")


Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        ("169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254"),
    )
)
_SHARED = ipaddress.ip_network("100.64.0.0/10")
_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Reserved, and public to some versions of Python.
_RESERVED = tuple(
    map(
        ipaddress.ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "3fff::/20"),
    )
)


def check_addresses(found: Sequence[str]) -> tuple[str, ...]:
    """The addresses behind a name, when every one of them may be dialled. Raises Refused."""
    if not found:
        raise Refused("its name has no address")
    return tuple(str(_public(text)) for text in found)


def _public(text: str) -> Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Refused("its name resolves to what is no address") from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise Refused(f"its name resolves to an address of one link, {address}")
    if kind := _kind(address):
        raise Refused(f"its name resolves to {kind} address, {address}")
    return address


def _kind(address: Address) -> str:
    """What makes an address one that must not be dialled; nothing for a public one."""
    if address in _METADATA:
        return "a cloud's metadata"
    if isinstance(address, ipaddress.IPv6Address):
        inner = _embedded(address)
        if inner is not None and (kind := _kind(inner)):
            return kind
        if address in _NAT64:
            return ""
        if address not in _UNICAST:
            return _words(address) or "a reserved"
    if any(address.version == net.version and address in net for net in _RESERVED):
        return "a reserved"
    return _words(address)


def _words(address: Address) -> str:
    if address.is_unspecified:
        return "an unspecified"
    if address.is_loopback:
        return "a loopback"
    if address.is_link_local:
        return "a link-local"
    if address.is_multicast:
        return "a multicast"
    if address.version == 4 and address in _SHARED:
        return "a carrier's private"
    if address.is_private:
        return "a private"
    return "" if address.is_global and not address.is_reserved else "a reserved"


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
