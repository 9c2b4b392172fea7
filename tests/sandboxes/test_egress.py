"""Commands in a sandbox reach the hosts of its list, and nothing else: real clients, real servers on loopback."""

from __future__ import annotations

import asyncio
import io
import re
import ssl
import subprocess
import zipfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from support.origin import files, hello, serving
from support.world import World

from sandboxes.bubblewrap.backend import BubblewrapBackend
from sandboxes.network.outside import Injection, Outside
from sandboxes.network.rules import Network, parse_rule
from sandboxes.protocol import Sandbox, SandboxSpec, SandboxUnavailable
from sandboxes.secrets import Secrets

pytestmark = pytest.mark.docker
Open = Callable[..., Awaitable[Sandbox]]


def allow(*rules: str) -> Network:
    return Network("allowlist", tuple(map(parse_rule, rules)))


async def test_a_listed_host_answers_and_the_request_is_told(fresh: Open) -> None:
    world = World()
    async with serving(hello) as port:
        world.serve("example.test", 80, port)
        sandbox = await fresh("host", network=allow("example.test"), egress=world.egress)
        done = await sandbox.exec(["curl", "-sS", "-i", "http://EXAMPLE.test./a?b"])
    assert b"GET /a?b HTTP/1.1\r\nHost: example.test\r\n" in done.output.head
    assert b"Keep-Alive" not in done.output.head
    assert b"Proxy-Connection" not in done.output.head
    assert [(a.host, a.port, a.method, a.verdict) for a in world.asked] == [("example.test", 80, "GET", "allowed")]
    assert world.dialled == [("2d00::5", 80)]
    assert world.finished[0].problem == ""
    assert world.finished[0].up > 50
    assert world.finished[0].down > 100


async def test_a_host_that_is_not_listed_is_refused(fresh: Open) -> None:
    world = World({"other.test": ["2d00::5"]})
    sandbox = await fresh("host", network=allow("example.test"), egress=world.egress)
    plain = await sandbox.exec(["curl", "-sS", "-i", "http://other.test/"])
    tunnel = await sandbox.exec(["curl", "-sS", "-i", "https://other.test/"])
    assert b"403 bridle refused other.test:80: no rule allows it" in plain.output.head
    assert b"403" in tunnel.output.head
    assert [(a.host, a.verdict, a.why) for a in world.asked] == [
        ("other.test", "refused", "no rule allows it")
    ] * 2
    assert world.resolved == world.dialled == []


def authority() -> tuple[trustme.CA, ssl.SSLContext]:
    """A certificate authority of this test's own, and a server's side that has a certificate of it."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("example.test").configure_cert(context)
    return ca, context


async def test_tls_goes_through_untouched_to_the_host_that_was_named(fresh: Open) -> None:
    world, (ca, context) = World(), authority()
    async with serving(hello, context) as port:
        world.serve("example.test", 443, port)
        world.serve("wrong.test", 443, port)
        rules = allow("example.test", "wrong.test")
        sandbox = await fresh("host", network=rules, egress=world.egress)
        await sandbox.write("/tmp/ca.pem", ca.cert_pem.bytes())
        curl = ["curl", "-sS", "--cacert", "/tmp/ca.pem"]
        good = await sandbox.exec([*curl, "https://example.test/a"])
        bad = await sandbox.exec([*curl, "https://wrong.test/a"])
        unknown = await sandbox.exec(["curl", "-sS", "https://example.test/a"])
    assert good.output.head.startswith(b"you sent: GET /a HTTP/1.1\r\nHost: example.test")
    assert bad.exit_code == 60
    assert unknown.exit_code == 60
    assert [(a.method, a.port) for a in world.asked] == [("CONNECT", 443)] * 3


async def test_git_clones_through_the_proxy(fresh: Open, tmp_path: Path) -> None:
    world = World()
    source, bare = tmp_path / "source", tmp_path / "served" / "project.git"
    source.mkdir()
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    (source / "a.txt").write_text("here\n")
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *command], cwd=source, check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(source), str(bare)], check=True)
    subprocess.run(["git", "update-server-info"], cwd=bare, check=True)
    with files(tmp_path / "served") as port:
        world.serve("example.test", 8080, port)
        sandbox = await fresh("host", network=allow("example.test:8080"), egress=world.egress)
        done = await sandbox.exec(["git", "clone", "-q", "http://example.test:8080/project.git"], timeout=60)
        assert done.exit_code == 0, done.output.text()
    assert await sandbox.read("project/a.txt") == b"here\n"
    assert {a.verdict for a in world.asked} == {"allowed"}


async def test_pip_downloads_through_the_proxy(fresh: Open, tmp_path: Path) -> None:
    world = World()
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/__init__.py", "")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(
            "tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    folder = tmp_path / "simple" / "tiny"
    folder.mkdir(parents=True)
    name = "tiny-1.0-py3-none-any.whl"
    (folder / name).write_bytes(wheel.getvalue())
    (folder / "index.html").write_text(f'<!DOCTYPE html><a href="{name}">{name}</a>')
    with files(tmp_path) as port:
        world.serve("index.test", 80, port)
        sandbox = await fresh("host", network=allow("index.test"), egress=world.egress)
        pip = ["python3", "-m", "pip", "--isolated", "download", "--no-deps", "--trusted-host", "index.test"]
        pip += ["--retries", "1", "--index-url", "http://index.test/simple/"]
        done = await sandbox.exec([*pip, "tiny"], timeout=120)
        assert done.exit_code == 0, done.output.text()
        assert await sandbox.read(name) == wheel.getvalue()
        refused = await sandbox.exec([*pip, "-i", "https://other.test/", "tiny"], timeout=120)
    assert b"bridle refused other.test:443: no rule allows it" in refused.output.head


async def test_uploads_are_carried_whole(fresh: Open) -> None:
    world, got = World(), bytearray()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        got.extend(await reader.readexactly(size))
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with serving(take) as port:
        world.serve("example.test", 80, port)
        sandbox = await fresh("host", network=allow("example.test"), egress=world.egress)
        text = "head -c 3000000 /dev/zero | curl -sS -i -H 'Expect: 100-continue' --data-binary @- http://example.test/"
        done = await sandbox.exec(["sh", "-c", text])
    assert b"201 Created" in done.output.head
    assert len(got) == 3_000_000


async def test_an_image_without_python_has_no_list_of_hosts(fresh: Open, busybox_image: str) -> None:
    with pytest.raises(SandboxUnavailable, match=r"has no Python 3\.6 or newer") as caught:
        await fresh(busybox_image, network=allow("example.test"))
    assert str(caught.value).count(".") <= 3


async def test_bubblewrap_has_the_same_way_out() -> None:
    world, backend = World(), BubblewrapBackend()
    async with serving(hello) as port:
        world.serve("example.test", 80, port)
        sandbox = await backend.open(
            SandboxSpec("test-egress", network=allow("example.test"), egress=world.egress)
        )
        try:
            done = await sandbox.exec(["sh", "-c", "curl -sS http://example.test/a; curl -sS http://other.test/"])
        finally:
            await sandbox.close()
    assert done.output.head.startswith(b"you sent: GET /a HTTP/1.1")
    assert b"bridle refused other.test:80" in done.output.head
    with pytest.raises(SandboxUnavailable, match="never shared"):
        await backend.open(SandboxSpec("test-egress", network=Network("full")))


KEY = "tok_0123456789abcdefghij"
PYTHON = """
import urllib.request
ask = urllib.request.Request("https://api.test/post?q=1", data=b"x" * 100_000, headers={"X-Key": "mine"})
print(urllib.request.urlopen(ask).read().decode())
"""


async def test_real_clients_get_a_secret_put_into_their_tls(fresh: Open) -> None:
    world, ca, heads, sizes = World(), trustme.CA(), list[bytes](), list[int]()
    context, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    ca.issue_cert("api.test", "plain.test").configure_cert(context)
    ca.configure_trust(ours)

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        length = re.search(rb"(?i)content-length: (\d+)", heads[-1])
        sizes.append(len(await reader.readexactly(int(length[1]) if length else 0)))
        body = b"you sent " + heads[-1] + b"z" * 200_000
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()

    async with serving(host, context) as port:
        for name in ("api.test", "plain.test", "wrong.test"):
            world.serve(name, 443, port)
        put = tuple(Injection(name, "X-Key", "{KEY}") for name in ("api.test", "wrong.test", "hidden.test"))
        egress = replace(world.egress, injections=put, secrets=Secrets({"KEY": KEY}))
        egress = replace(egress, outside=Outside(world.resolve, world.dial, lambda: ours))
        sandbox = await fresh("host", network=allow("api.test", "plain.test", "wrong.test"), egress=egress)
        get = await sandbox.exec(["curl", "-sS", "--fail", "https://api.test/a"], max_output=1 << 20)
        post = await sandbox.exec(["python3", "-c", PYTHON], max_output=1 << 20)
        plain = await sandbox.exec(["curl", "-sS", "https://plain.test/a"], max_output=1 << 20)
        wrong = await sandbox.exec(["curl", "-sS", "https://wrong.test/a"])
        hidden = await sandbox.exec(["curl", "-sS", "https://hidden.test/a"])
        others = await sandbox.exec(
            ["curl", "-sS", "--cacert", "/etc/ssl/certs/ca-certificates.crt", "https://api.test/"]
        )
    for result in (get, post):
        assert result.exit_code == 0, result.output.text()
        text = result.output.text()
        assert "X-Key: [secret KEY]" in text
        assert KEY not in text
        assert text.count("z") >= 200_000
    assert plain.exit_code == 0, "what is not put into goes through, and its certificate is believed as before"
    assert [head.count(f"X-Key: {KEY}".encode()) for head in heads] == [1, 1, 0]
    assert sizes == [0, 100_000, 0]
    assert b"mine" not in heads[1]
    assert b"Host: api.test\r\n" in heads[0]
    assert "bridle could not reach wrong.test:443: its certificate is not believed" in wrong.output.text()
    assert "403" in hidden.output.text()
    assert others.exit_code == 60
    told = [(asked.host, asked.method, asked.verdict) for asked in world.asked]
    assert told == [
        ("api.test", "GET", "allowed"),
        ("api.test", "POST", "allowed"),
        ("plain.test", "CONNECT", "allowed"),
        ("wrong.test", "GET", "allowed"),
        ("hidden.test", "CONNECT", "refused"),
        ("api.test", "CONNECT", "failed"),
    ]
