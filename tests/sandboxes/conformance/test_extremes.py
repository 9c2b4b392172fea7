"""Much, long, odd and many at once: what comes through is what was given, in little memory on the host."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest
from conformance.kinds import Kind

from sandboxes.protocol import ExecResult, FileError, Limits, Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")
Open = Callable[..., Awaitable[Sandbox]]

MUCH = 9 << 20
SIGNALS = ["HUP", "INT", "ABRT", "BUS", "FPE", "KILL", "SEGV", "PIPE", "ALRM", "TERM", "USR1"]


def whole(result: ExecResult) -> bytes:
    assert not result.output.dropped
    return result.output.head + result.output.tail


async def problem_of(action: Awaitable[None]) -> str | None:
    try:
        await action
    except FileError as error:
        return error.problem
    return None


@pytest.mark.parametrize("name", SIGNALS)
async def test_ended_by_each_signal(box: Sandbox, name: str) -> None:
    """A crash is none for want of memory: only the kernel's own count says that."""
    result = await box.exec(["sh", "-c", f"kill -{name} $$; sleep 5"])
    assert (result.exit_code, result.ending) == (128 + signal.Signals[f"SIG{name}"], "exited")


async def test_much_input(box: Sandbox) -> None:
    data = random.Random(1).randbytes(MUCH)
    result = await box.exec(["sha256sum"], stdin=data)
    assert whole(result).split()[0] == hashlib.sha256(data).hexdigest().encode()
    back = await box.exec(["cat"], stdin=data, max_output=MUCH)
    assert whole(back) == data


@pytest.mark.parametrize("live", [False, True])
async def test_much_output_in_little_memory(box: Sandbox, live: bool) -> None:
    size, seen = 60_000_000, 0

    def follow(data: bytes) -> None:
        nonlocal seen
        seen += len(data)

    script = f"echo first; yes 0123456789abcdef | head -c {size}; echo; echo last >&2"
    tracemalloc.start()
    try:
        result = await box.exec(["sh", "-c", script], max_output=1000, on_output=follow if live else None)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    output = result.output
    assert (result.exit_code, output.total) == (0, size + len("first\n\nlast\n"))
    assert output.head.startswith(b"first\n0123456789abcdef\n")
    assert output.tail.endswith(b"\nlast\n")
    assert (len(output.head), len(output.tail)) == (500, 500)
    assert bool(seen) == live


async def test_every_byte_comes_out(box: Sandbox) -> None:
    data = bytes(range(256)) * 40 + b"\xc3\x28 \xed\xa0\x80 \xf0\x28\x8c\xbc"
    await box.write("bytes", data)
    result = await box.exec(["cat", "bytes"])
    assert whole(result) == data
    assert "\ufffd" in result.output.text()


async def test_long_arguments(box: Sandbox) -> None:
    for argument in (b"x" * 100_000, bytes(range(1, 256)) * 80, "ü".encode() * 40_000):
        result = await box.exec(["printf", "%s", argument], max_output=1 << 20)
        assert whole(result) == argument
    many = [f"argument number {n}" for n in range(5000)]
    result = await box.exec(["printf", "%s\\n", *many], max_output=1 << 20)
    assert whole(result).decode().split("\n")[:-1] == many


async def test_arguments_that_are_too_long_are_told(box: Sandbox) -> None:
    for argv in (["true", "x" * 200_000], ["true", *["y" * 1000] * 9000]):
        result = await box.exec(argv)
        assert (result.exit_code, result.ending) == (126, "exited")
        assert "too long" in result.output.text().lower()
    assert (await box.exec(["echo", "well"])).output.text() == "well\n"


async def test_empty_arguments(box: Sandbox) -> None:
    result = await box.exec(["printf", "[%s]", "", "a", "", ""])
    assert whole(result) == b"[][a][][]"


ODD_NAMES = {"-i": "1", "--": "2", "a.b": "3", "A-B": "4", "ü": "5", "1X": "6", " ": "7", "x\ny": "8", "E": ""}


async def test_odd_names_of_variables(box: Sandbox) -> None:
    result = await box.exec(["cat", "/proc/self/environ"], env=ODD_NAMES)
    got = dict(pair.split(b"=", 1) for pair in whole(result).split(b"\0")[:-1])
    assert {name: os.fsdecode(got[os.fsencode(name)]) for name in ODD_NAMES} == ODD_NAMES
    assert b"PATH" in got


async def test_a_command_whose_name_looks_like_a_variable(box: Sandbox) -> None:
    await box.write("a=b", b"#!/bin/sh\necho ran $GIVEN\n")
    assert (await box.exec(["chmod", "755", "a=b"])).exit_code == 0
    assert whole(await box.exec(["./a=b"], env={"GIVEN": "this"})) == b"ran this\n"
    assert whole(await box.exec(["./a=b"])) == b"ran\n"


@pytest.mark.parametrize("name", ["a=b", "", "a\0b"])
async def test_names_that_no_variable_can_have(box: Sandbox, name: str) -> None:
    with pytest.raises(ValueError, match="environment variable"):
        await box.exec(["true"], env={name: "x"})


async def test_odd_directories(box: Sandbox) -> None:
    for name in ("a\nb", "$HOME `id`", "-n", "\udcff\udcfe", "d" * 255):
        await box.write(f"odd/{name}/file", b"here")
        assert whole(await box.exec(["cat", "file"], cwd=f"odd/{name}")) == b"here"


async def test_fifty_at_once_each_with_its_own_answer(fresh: Open, kind: Kind) -> None:
    box = await fresh(limits=Limits(pids=1024))
    count = 60

    async def one(number: int) -> None:
        script = f"cat; sleep 0.{number % 3}; echo err{number} >&2; exit {number}"
        result = await box.exec(["sh", "-c", script], stdin=b"in%d\n" % number, timeout=100)
        assert whole(result) == b"in%d\nerr%d\n" % (number, number)
        assert (result.exit_code, result.ending) == (number, "exited")

    async def file(number: int) -> None:
        await box.write(f"f{number}", b"%d" % number * 1000)
        assert await box.read(f"f{number}") == b"%d" % number * 1000

    await asyncio.gather(
        *(each(number) for number in range(count) for each in ((one, file) if kind.runner else (one,)))
    )


async def test_large_files(box: Sandbox) -> None:
    data = random.Random(2).randbytes(MUCH)
    await box.write("large", data)
    assert await box.read("large", max_bytes=MUCH) == data
    await box.write("large", data[::-1], expect=data)
    assert await box.read("large", max_bytes=MUCH) == data[::-1]
    with pytest.raises(FileError) as caught:
        await box.read("large", max_bytes=MUCH - 1)
    assert caught.value.problem == "too_large"


async def test_no_update_is_lost_when_many_write_at_once(box: Sandbox, kind: Kind) -> None:
    """A counter that writers raise as the file tools do: read, then write if it is still what was read."""
    writers, times = (12, 15) if kind.runner else (4, 4)
    await box.write("counter", b"0")
    refused = 0

    async def writer() -> None:
        nonlocal refused
        done = 0
        while done < times:
            old = await box.read("counter")
            problem = await problem_of(box.write("counter", b"%d" % (int(old) + 1), expect=old, follow=False))
            assert problem in (None, "changed")
            done, refused = done + (problem is None), refused + (problem is not None)

    await asyncio.gather(*(writer() for _ in range(writers)))
    assert await box.read("counter") == b"%d" % (writers * times)
    assert refused, "nobody ever came between: this shows nothing"


async def test_of_many_that_create_one_file_one_does(box: Sandbox) -> None:
    creating = (box.write("made/once", b"%d" % number, create_only=True) for number in range(10))
    problems = await asyncio.gather(*(problem_of(each) for each in creating))
    assert sorted(problems, key=str) == [None, *["exists"] * 9]
    assert await box.read("made/once") == b"%d" % problems.index(None)
