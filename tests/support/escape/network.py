"""Attempts to reach anything over a network.

Nothing here sends to an address outside: what could leave is told from interfaces and routes, and connecting a
datagram socket only asks the kernel for a route.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sandboxes.network.rules import Network, parse_rule
from support.escape.scene import Attempt, Scene, refused
from support.world import World

METADATA = "169.254.169.254"

INTERFACES = """
import fcntl, struct
said["interfaces"] = sorted(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else ["lo"]
said["listed"] = sorted(name for _, name in socket.if_nameindex())
said["counted"] = [line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]]
said["routes"] = open("/proc/net/route").read().count("\\n") - 1
six = "/proc/net/ipv6_route"
said["routes6"] = [line.split()[9] for line in open(six)] if os.path.exists(six) else []
assert said["listed"] == ["lo"] and said["routes"] <= 0, said  # or nothing of what follows is tried
attempts = {}
for name, family, address in (("documentation", socket.AF_INET, "192.0.2.1"),
        ("private", socket.AF_INET, "10.0.0.1"),
        ("bridge", socket.AF_INET, "172.17.0.1"), ("metadata", socket.AF_INET, "169.254.169.254"),
        ("documentation 6", socket.AF_INET6, "2001:db8::1")):
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.connect((address, 9))
        attempts[name] = "allowed"
    except OSError as e:
        attempts[name] = errno.errorcode[e.errno]
said["connected"] = attempts
try:
    said["resolved"] = str(socket.getaddrinfo("name.invalid", 80))
except OSError as e:
    said["resolved"] = ""
"""


async def interfaces(scene: Scene) -> None:
    said = await scene.python(INTERFACES)
    assert said["interfaces"] == said["listed"] == said["counted"] == ["lo"]
    assert set(said["routes6"]) <= {"lo"}
    assert said["resolved"] == ""
    refused(said["connected"], also=("ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT"), at_least=5)
    seen = Path(f"/proc/{scene.outside.first_process(scene.box)}/net/dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in seen] == ["lo"]


CHANGE = """
import fcntl, struct
for name, family, kind, protocol in (
        ("raw", 2, 3, 1), ("raw 6", 10, 3, 58), ("raw ip", 2, 3, 255), ("packet", 17, 3, 768),
        ("packet datagram", 17, 2, 768), ("vsock", 40, 1, 0), ("kernel crypto", 38, 5, 0), ("bluetooth", 31, 3, 1),
        ("can", 29, 3, 1), ("tipc", 30, 1, 0), ("rds", 21, 5, 0),
        ("xdp", 44, 3, 0), ("key", 15, 3, 2), ("ax25", 3, 5, 0)):
    attempt(name, lambda: socket.socket(family, kind, protocol).close())
with socket.socket() as s:
    up = struct.pack("16sh14x", b"lo", 0x1 | 0x100)
    attempt("interface flags", fcntl.ioctl, s, 0x8914, up)
    address = struct.pack("16sH2s4s8x", b"lo", 2, b"", bytes([192, 0, 2, 9]))
    attempt("interface address", fcntl.ioctl, s, 0x8916, address)
    attempt("route", fcntl.ioctl, s, 0x890B, bytes(120))
    attempt("bridge", fcntl.ioctl, s, 0x89A0, b"escape\\0\\0")
attempt("tunnel", open_for_writing, "/dev/net/tun")
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
    # RTM_NEWLINK for a dummy interface: refused by an error message in the answer.
    body = struct.pack("BxHiII", 0, 0, 0, 1, 1)
    data = struct.pack("HH6s2x", 10, 3, b"dummy\\0")
    kind = struct.pack("HH", 4 + len(data), 18) + struct.pack("HH6s2x", 10, 1, b"dummy\\0")
    body += kind
    s.send(struct.pack("IHHII", 16 + len(body), 16, 1 | 4 | 0x400 | 0x200, 1, 0) + body)
    answer = s.recv(4096)
    code = -struct.unpack_from("i", answer, 16)[0]
    said["new interface"] = errno.errorcode.get(code, "allowed")
"""


async def sockets(scene: Scene) -> None:
    said = await scene.python(CHANGE)
    refused(said, also=("EAFNOSUPPORT", "ENOENT", "ESOCKTNOSUPPORT", "EPROTONOSUPPORT", "ENODEV"), at_least=20)


class Counting(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Counts who connects."""

    daemon_threads = True
    met = 0

    def process_request(self, request: object, client_address: object) -> None:
        self.met += 1
        super().process_request(request, client_address)  # type: ignore[arg-type]


class CountingLocal(Counting):
    address_family = socket.AF_UNIX


class CountingSix(Counting):
    address_family = socket.AF_INET6


@contextmanager
def listening(kind: type[Counting], address: object) -> Iterator[Counting]:
    """A server of the host's, answering in a thread of its own."""
    server = kind(address, socketserver.BaseRequestHandler)  # type: ignore[arg-type]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


CONNECT = """
port, name, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
for address in ("127.0.0.1", "127.0.0.2", "0.0.0.0", "localhost"):
    with socket.socket() as s:
        attempt(address, s.connect, (address, port))
with socket.socket(socket.AF_INET6) as s:
    attempt("::1", s.connect, ("::1", port))
with socket.socket(socket.AF_UNIX) as s:
    attempt("abstract", s.connect, "\\0" + name)
with socket.socket(socket.AF_UNIX) as s:
    attempt("path", s.connect, path)
"""


def six_works() -> bool:
    """Does this machine have an IPv6 loopback?"""
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True


async def loopback(scene: Scene) -> None:
    name, path = f"bridle-{scene.secret[:16]}", scene.folder / "s"
    with ExitStack() as stack:
        servers = [stack.enter_context(listening(Counting, ("127.0.0.1", 0)))]
        port = servers[0].server_address[1]
        servers.append(stack.enter_context(listening(CountingLocal, f"\0{name}")))
        servers.append(stack.enter_context(listening(CountingLocal, str(path))))
        if six_works():
            servers.append(stack.enter_context(listening(CountingSix, ("::1", port))))
        said = await scene.python(CONNECT, str(port), name, str(path))
        refused(said, also=("ECONNREFUSED", "ENOENT", "ENETUNREACH", "EADDRNOTAVAIL"), at_least=7)
        assert [server.met for server in servers] == [0] * len(servers)
        with socket.create_connection(("127.0.0.1", port), 5) as reached:  # it was there to be reached
            reached.close()


async def proxy(scene: Scene) -> None:
    """The one way out, asked for everything that is not on the list or leads to the host's own network."""
    world = World(
        {
            "listed.test": ["127.0.0.1"],
            "metadata.test": [METADATA],
            "both.test": ["2d00::5", "10.0.0.1"],
            "mapped.test": ["::ffff:127.0.0.1"],
            "other.test": ["2d00::5"],
        }
    )
    names = ("listed.test", "metadata.test", "both.test", "mapped.test", "good.test")
    with listening(Counting, ("127.0.0.1", 0)) as server:
        port = server.server_address[1]
        world.ports = {(each, 80): port for addresses in world.names.values() for each in addresses}
        rules = Network("allowlist", tuple(map(parse_rule, names)))
        box = await scene.open(network=rules, egress=world.egress)
        for host in (
            "listed.test",
            "metadata.test",
            "both.test",
            "mapped.test",
            "other.test",
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "[::1]",
            METADATA,
            "localhost",
            "good.test@other.test",
            "listed.test%00.other.test",
            "good.test#@other.test",
        ):
            said = await scene.sh(f"curl -sS -m 20 -o /dev/null -w '%{{http_code}}' 'http://{host}/'; true", box)
            assert "200" not in said, host
            said = await scene.sh(f"curl -sS -m 20 -p -x $HTTP_PROXY 'http://{host}:{port}/'; true", box)
            assert "200" not in said.splitlines()[-1:], host
        assert server.met == 0
    assert world.dialled == []
    verdicts = {asked.verdict for asked in world.asked}
    assert "refused" in verdicts
    assert "allowed" not in verdicts


ROWS = (
    Attempt(
        "interfaces",
        "any way out",
        "Interfaces and routes are read inside and from the host, the kernel is asked for a route, a name is "
        "looked up",
        "A network namespace with nothing but its own loopback",
        interfaces,
    ),
    Attempt(
        "sockets",
        "raw and unusual sockets, new interfaces",
        "Raw and packet sockets, VSOCK, kernel crypto and others; flags, addresses, routes, tunnels and a new "
        "interface",
        "No capability, and a system call filter that leaves four kinds of sockets (`sandboxes/inside/fence.py`)",
        sockets,
    ),
    Attempt(
        "loopback",
        "the host's own services",
        "Servers of the host on 127.0.0.1 and ::1, on an abstract and on an ordinary unix socket",
        "The loopback and the abstract names inside are the sandbox's own",
        loopback,
    ),
    Attempt(
        "proxy",
        "through the proxy to the host's network",
        "With a list of hosts: names that lead to loopback, private and metadata addresses, addresses in many "
        "spellings, names that are not listed",
        "Every address of a name is checked outside before it is dialled (`sandboxes/network/`)",
        proxy,
        seconds=120,
    ),
)
