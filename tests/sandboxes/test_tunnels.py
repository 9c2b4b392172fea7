"""Connections through a sandbox's channel: bytes both ways, bounded, and ended in order whatever happens."""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
import struct
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.origin import Handler, serving
from support.world import World

from sandboxes.channel.frames import (
    TunnelData,
    TunnelEnd,
    Tunnelled,
    TunnelOpen,
    TunnelReset,
    TunnelTaken,
)
from sandboxes.channel.packets import ProtocolError
from sandboxes.channel.tunnels import MOST, WINDOW, Stream, Tunnels
from sandboxes.network.rules import Network, parse_rule
from sandboxes.protocol import Sandbox, SandboxLost

Open = Callable[..., Awaitable[Sandbox]]
RAW = Network("allowlist", (parse_rule("raw.test:7"),))
SIZE = 100 << 20

CONNECT = """
import os, socket, sys, threading, time
def connect():
    s = socket.create_connection(("127.0.0.1", 3128), 60)
    s.sendall(b"CONNECT raw.test:7 HTTP/1.1\\r\\nHost: raw.test\\r\\n\\r\\n")
    f = s.makefile("rb")
    assert b" 200 " in f.readline()
    while f.readline().strip(): pass
    return s, f
"""


@asynccontextmanager
async def raw(fresh: Open, handler: Handler) -> AsyncIterator[tuple[Sandbox, World]]:
    """A sandbox from which `raw.test:7` is served by `handler`."""
    world = World()
    async with serving(handler) as port:
        world.serve("raw.test", 7, port)
        yield await fresh("host", network=RAW, egress=world.egress), world


async def python(sandbox: Sandbox, text: str, seconds: float = 120) -> bytes:
    done = await sandbox.exec(["python3", "-c", CONNECT + text], timeout=seconds)
    assert done.exit_code == 0, done.output.text()
    return done.output.head


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


async def runner_memory(sandbox: Sandbox) -> int:
    status = (await sandbox.exec(["cat", "/proc/1/status"])).output.text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


@pytest.mark.docker
async def test_large_transfers_both_ways_in_little_memory(fresh: Open) -> None:
    async def echo_count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got = 0
        while data := await reader.read(1 << 16):
            got += len(data)
        writer.write(b"%12d" % got)
        block = bytes(1 << 16)
        for _ in range(SIZE // len(block)):
            writer.write(block)
            await writer.drain()

    async with raw(fresh, echo_count) as (sandbox, world):
        await sandbox.exec(["true"])
        gc.collect()
        before, runner_before = peak(), await runner_memory(sandbox)
        text = f"""
s, f = connect()
block = bytes(1 << 16)
for _ in range({SIZE} // len(block)): s.sendall(block)
s.shutdown(socket.SHUT_WR)
print(int(f.read(12)))
total = 0
while data := f.read(1 << 16): total += len(data)
print(total)
"""
        assert (await python(sandbox, text)).split() == [b"%d" % SIZE, b"%d" % SIZE]
        assert peak() - before < 20 << 20
        assert await runner_memory(sandbox) - runner_before < 10 << 20
        while not world.finished:
            await asyncio.sleep(0.05)
    assert (world.finished[0].up, world.finished[0].down) == (SIZE, SIZE + 12)


@pytest.mark.docker
async def test_each_side_may_end_first(fresh: Open) -> None:
    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readline()
        if first == b"you first\n":
            writer.write(b"done")
            writer.write_eof()
        rest = await reader.read()
        if first != b"you first\n":
            writer.write(b"rest was " + rest)

    text = """
s, f = connect()
s.sendall(b"you first\\n")
print(f.read())
s.sendall(b"still heard")
s.close(); f.close()
s, f = connect()
s.sendall(b"me first\\nmore")
s.shutdown(socket.SHUT_WR)
print(f.read())
"""
    async with raw(fresh, host) as (sandbox, world):
        assert await python(sandbox, text) == b"b'done'\nb'rest was more'\n"
        while len(world.finished) < 2:
            await asyncio.sleep(0.05)
    assert [done.problem for done in world.finished] == ["", ""]
    assert world.finished[0].up == len("you first\nstill heard")


@pytest.mark.docker
async def test_a_command_that_does_not_read_holds_the_host_back_and_nobody_else(fresh: Open) -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while True:
            writer.write(bytes(1 << 16))
            await writer.drain()
            sent += 1 << 16

    async with raw(fresh, flood) as (sandbox, _):
        text = "held = [connect() for _ in range(8)]; print('up', flush=True); time.sleep(60)"
        reading = asyncio.ensure_future(sandbox.exec(["python3", "-c", CONNECT + text], timeout=90))
        before = -1
        while sent == 0 or sent != before:
            before = sent
            await asyncio.sleep(0.5)
        assert sent < 8 * (16 << 20)  # what the buffers of the kernel hold
        begun = asyncio.get_running_loop().time()
        assert (await sandbox.exec(["echo", "well"])).output.head == b"well\n"
        assert asyncio.get_running_loop().time() - begun < 10
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


@pytest.mark.docker
async def test_one_connection_more_than_there_may_be_waits_its_turn(fresh: Open) -> None:
    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await reader.read()

    text = f"""
held = [connect() for _ in range({MOST})]
for s, f in held:
    s.sendall(b"here\\n")
    assert f.readline() == b"here\\n"
def late():
    s, f = connect()
    s.sendall(b"late\\n")
    print(f.readline().decode().strip(), flush=True)
t = threading.Thread(target=late)
t.start()
time.sleep(1)
print("waits" if t.is_alive() else "does not wait", flush=True)
s, f = held.pop()
f.close(); s.close()
t.join()
"""
    async with raw(fresh, host) as (sandbox, world):
        assert await python(sandbox, text) == b"waits\nlate\n"
        assert len(world.asked) == MOST + 1


@pytest.mark.docker
async def test_connections_that_break_off_leave_room_for_others(fresh: Open) -> None:
    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())

    text = f"""
import struct
for i in range({4 * MOST}):
    s = socket.create_connection(("127.0.0.1", 3128), 60)
    if i % 2: s.sendall(b"CONNECT raw.t")
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
s, f = connect()
s.sendall(b"here\\n")
print(f.readline())
"""
    async with raw(fresh, host) as (sandbox, _):
        assert await python(sandbox, text) == b"b'here\\n'\n"


@pytest.mark.docker
async def test_a_host_that_breaks_off_is_an_error_inside_and_no_end(fresh: Open) -> None:
    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"part")
        await reader.readline()
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    text = """
s, f = connect()
print(f.read(4))
s.sendall(b"x\\n" + bytes(1000))
try:
    print(f.read())
except ConnectionResetError:
    print("reset")
"""
    async with raw(fresh, host) as (sandbox, world):
        assert await python(sandbox, text) == b"b'part'\nreset\n"
    assert world.finished[0].problem


@pytest.mark.docker
async def test_a_sandbox_lost_in_the_middle_ends_its_connections(fresh: Open) -> None:
    ended = asyncio.Event()

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(1 << 16):
                writer.write(bytes(1 << 16))
                await writer.drain()
        finally:
            ended.set()

    text = "s, f = connect()\nwhile True: s.sendall(bytes(1000)); f.read(1)"
    async with raw(fresh, host) as (sandbox, world):
        running = asyncio.ensure_future(sandbox.exec(["python3", "-c", CONNECT + text], timeout=90))
        while not world.asked:
            await asyncio.sleep(0.05)
        await sandbox.close()
        with pytest.raises(SandboxLost):
            await running
        async with asyncio.timeout(30):
            await ended.wait()
            while not world.finished:
                await asyncio.sleep(0.05)
    assert world.finished[0].problem


@pytest.mark.docker
async def test_without_a_list_there_is_no_proxy_inside(fresh: Open) -> None:
    sandbox = await fresh("host")
    text = "import socket, os; print([n for n in os.environ if 'proxy' in n.lower()]); "
    text += "print(socket.socket().connect_ex(('127.0.0.1', 3128)))"
    done = await sandbox.exec(["python3", "-c", text])
    assert done.output.head == b"[]\n111\n"


# The host's side alone: what a broken runner could send.

NEWS = st.one_of(
    st.builds(lambda n: (TunnelOpen(type="tunnel.open", id=n), b""), st.integers(0, 8)),
    st.builds(lambda n, b: (TunnelData(type="tunnel.data", id=n), b), st.integers(0, 8), st.binary(max_size=9)),
    st.builds(lambda n: (TunnelEnd(type="tunnel.end", id=n), b""), st.integers(0, 8)),
    st.builds(
        lambda n, b: (TunnelTaken(type="tunnel.taken", id=n, bytes=b), b""),
        st.integers(0, 8),
        st.integers(1, 1 << 30),
    ),
    st.builds(lambda n: (TunnelReset(type="tunnel.reset", id=n), b""), st.integers(0, 8)),
)


@settings(deadline=None)
@given(st.lists(st.none() | NEWS, max_size=30))
def test_any_news_is_taken_or_a_protocol_error(news: list[tuple[Tunnelled, bytes] | None]) -> None:
    async def once() -> None:
        async def send(frame: bytes) -> None:
            pass

        async def echo(stream: Stream) -> None:
            while data := await stream.read():
                await stream.write(data)
            await stream.end()

        tunnels = Tunnels(send, echo)
        try:
            for each in news:
                if each is None:
                    await asyncio.sleep(0)
                else:
                    tunnels.take(*each)
        except ProtocolError:
            pass
        tunnels.lost()
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            await asyncio.wait(left, timeout=30)
        assert all(task.done() for task in left)

    asyncio.run(once())


async def test_nobody_sends_more_than_there_is_room_for() -> None:
    sent = 0

    async def send(frame: bytes) -> None:
        nonlocal sent
        sent += len(frame)

    stream = Stream(1, send)
    stream.feed(bytes(WINDOW))
    with pytest.raises(ProtocolError):
        stream.feed(b"x")
    writing = asyncio.ensure_future(stream.write(bytes(10 * WINDOW)))
    await asyncio.sleep(0.05)
    assert WINDOW <= sent < WINDOW + 2000
    with pytest.raises(ProtocolError):
        stream.feed_taken(WINDOW + 1)
    writing.cancel()


async def test_more_connections_than_may_be_break_the_channel() -> None:
    async def send(frame: bytes) -> None:
        pass

    async def never(stream: Stream) -> None:
        await asyncio.Event().wait()

    tunnels = Tunnels(send, never)
    with pytest.raises(ProtocolError, match="too many"):
        for number in range(1, 10 * MOST):
            tunnels.take(TunnelOpen(type="tunnel.open", id=number), b"")
    tunnels.lost()


async def test_a_flood_of_everything_on_every_connection_is_bounded() -> None:
    """Nobody reads; the far end opens all the connections it can and sends on each until it is refused."""

    async def send(frame: bytes) -> None:
        pass

    async def never(stream: Stream) -> None:
        await asyncio.Event().wait()

    tunnels = Tunnels(send, never)
    tracemalloc.start()
    try:
        for number in range(1, 2 * MOST + 1):
            tunnels.take(TunnelOpen(type="tunnel.open", id=number), b"")
        refused = 0
        for _ in range(20):
            for number in range(1, 2 * MOST + 1):
                try:
                    tunnels.take(TunnelData(type="tunnel.data", id=number), bytes(1 << 15))
                except ProtocolError:
                    refused += 1
        await asyncio.sleep(0)
        assert refused == 2 * MOST * (20 - WINDOW // (1 << 15))
        assert tracemalloc.get_traced_memory()[1] < 2 * (2 * MOST * WINDOW)
    finally:
        tracemalloc.stop()
        tunnels.lost()
