"""Background processes: started, read, written to and stopped, the same in every kind of sandbox."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from conformance.kinds import WITH_A_RUNNER, Outside

from sandboxes.protocol import (
    KEPT_OUTPUT,
    MAX_INPUT,
    MAX_PROCESSES,
    SPILL_DIR,
    FileError,
    Limits,
    ProcessError,
    ProcessInfo,
    PtySize,
    Sandbox,
    SandboxError,
    SandboxLost,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), WITH_A_RUNNER]
Open = Callable[..., Awaitable[Sandbox]]


async def start(box: Sandbox, script: str, **fields: Any) -> int:
    return await box.start(["sh", "-c", script], **fields)


async def until(box: Sandbox, process: int, text: str, after: int = 0) -> str:
    """What a process writes, up to `text`."""
    seen, deadline = b"", time.monotonic() + 30
    while text.encode() not in seen:
        assert time.monotonic() < deadline, seen
        part = await box.process_read(process, after=after, wait=5)
        seen, after = seen + part.data, part.next
        assert part.data or part.info.status == "running", seen
    return seen.decode("utf-8", "replace")


async def ended(box: Sandbox, process: int) -> tuple[bytes, ProcessInfo]:
    """All of a process's output, and how it ended."""
    seen, after, deadline = b"", 0, time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline
        part = await box.process_read(process, after=after, wait=10)
        assert (part.start, part.dropped) == (after, 0)
        seen, after = seen + part.data, part.next
        if part.info.status == "exited" and after == part.info.total:
            return seen, part.info


async def commands(box: Sandbox) -> str:
    """The command lines of everything that runs inside."""
    script = r"for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline; echo; done 2>/dev/null"
    return (await box.exec(["sh", "-c", script], max_output=1 << 20)).output.text()


@pytest.mark.parametrize("code", [0, 1, 77])
async def test_exit_code(box: Sandbox, code: int) -> None:
    process = await start(box, f"echo out; echo err >&2; exit {code}")
    seen, info = await ended(box, process)
    assert seen == b"out\nerr\n"
    assert (info.status, info.exit_code, info.ending, info.total) == ("exited", code, "exited", 8)
    assert info.argv == f"sh -c 'echo out; echo err >&2; exit {code}'"
    assert (info.number, info.pty, info.log) == (process, False, None)


async def test_ended_by_a_signal(box: Sandbox) -> None:
    _, info = await ended(box, await start(box, "kill -TERM $$"))
    assert (info.exit_code, info.ending) == (128 + 15, "exited")


async def test_what_cannot_be_started_is_there_with_the_reason(box: Sandbox) -> None:
    seen, info = await ended(box, await box.start(["no-such-command"]))
    assert (info.exit_code, info.status, b"no-such-command" in seen) == (127, "exited", True)
    seen, info = await ended(box, await box.start(["/etc/hosts"]))
    assert info.exit_code == 126
    with pytest.raises(FileError) as caught:
        await box.start(["true"], cwd="/nowhere")
    assert caught.value.problem == "not_found"
    with pytest.raises(SandboxError, match="zero byte"):
        await box.start(["echo", "a\0b"])


async def test_directory_and_environment(box: Sandbox) -> None:
    process = await start(box, 'echo "$PWD|$GIVEN"', cwd="/tmp", env={"GIVEN": "ü  x"})
    assert (await ended(box, process))[0].decode() == "/tmp|ü  x\n"


async def test_it_goes_on_while_others_come_and_go(box: Sandbox) -> None:
    process = await start(box, "echo up; exec sleep 300.25")
    await until(box, process, "up")
    assert (await box.exec(["sleep", "60"], timeout=0.3)).ending == "timeout"
    assert (await box.exec(["sh", "-c", "exit 3"])).exit_code == 3
    assert "300.25" in await commands(box)
    listed = {info.number: info for info in await box.processes()}
    assert listed[process].status == "running"
    assert "300.25" in listed[process].argv
    assert 0 < listed[process].seconds < 60
    info = await box.process_stop(process)
    assert (info.status, info.ending, info.exit_code) == ("exited", "stopped", 128 + 15)
    assert "300.25" not in await commands(box)
    assert (await box.process_stop(process)).ending == "stopped"


async def test_a_conversation(box: Sandbox) -> None:
    process = await start(box, 'while read -r line; do echo "got [$line]"; done; echo over; exit 5')
    await box.process_write(process, b"one\n")
    await until(box, process, "got [one]\n")
    await box.process_write(process, b"two\nthr")
    seen = await until(box, process, "got [two]\n", after=len("got [one]\n"))
    assert "one" not in seen
    await box.process_write(process, b"ee\n", eof=True)
    seen_all, info = await ended(box, process)
    assert seen_all == b"got [one]\ngot [two]\ngot [three]\nover\n"
    assert info.exit_code == 5
    with pytest.raises(ProcessError) as caught:
        await box.process_write(process, b"more")
    assert caught.value.problem == "input_closed"


async def test_much_input(box: Sandbox) -> None:
    data = os.urandom(700_000)
    process = await start(box, "sha256sum; echo read")
    await box.process_write(process, data[:400_000])
    await until_read(box, process, data[400_000:], eof=True)
    assert hashlib.sha256(data).hexdigest() in await until(box, process, "read")


async def until_read(box: Sandbox, process: int, data: bytes, *, eof: bool) -> None:
    """Write as soon as there is room."""
    while True:
        try:
            return await box.process_write(process, data, eof=eof)
        except ProcessError as e:
            if e.problem != "input_full":
                raise
            await asyncio.sleep(0.05)


async def test_input_nobody_reads_is_bounded(box: Sandbox) -> None:
    process = await start(box, "exec sleep 301.25")
    with pytest.raises(ProcessError) as caught:
        for _ in range(40):
            await box.process_write(process, bytes(MAX_INPUT // 8))
    assert caught.value.problem == "input_full"
    with pytest.raises(ProcessError, match="does not read"):
        await box.process_write(process, bytes(MAX_INPUT + 1))
    assert (await box.exec(["echo", "well"])).output.text() == "well\n"
    await box.process_stop(process)


async def test_input_that_the_process_closed(box: Sandbox) -> None:
    process = await start(box, "exec 0</dev/null; echo closed; exec sleep 302.25")
    await until(box, process, "closed")
    with pytest.raises(ProcessError) as caught:
        for _ in range(50):  # until the pipe is known to be closed
            await box.process_write(process, b"x")
            await asyncio.sleep(0.1)
    assert caught.value.problem == "input_closed"
    await box.process_stop(process)


async def test_reading_waits_for_output_and_no_longer(box: Sandbox) -> None:
    process = await start(box, "read -r line; echo $line; exec sleep 303.25")
    begun = time.monotonic()
    none = await box.process_read(process, wait=0.3)
    assert (none.data, none.next, none.info.status) == (b"", 0, "running")
    assert time.monotonic() - begun > 0.25
    waiting = asyncio.ensure_future(box.process_read(process, wait=60))
    await asyncio.sleep(0.1)
    assert (await box.exec(["echo", "meanwhile"])).output.text() == "meanwhile\n"
    assert not waiting.done()
    await box.process_write(process, b"said\n")
    assert (await asyncio.wait_for(waiting, 30)).data == b"said\n"
    waiting = asyncio.ensure_future(box.process_read(process, after=5, wait=60))
    await asyncio.sleep(0.1)
    await box.process_stop(process)
    last = await asyncio.wait_for(waiting, 30)
    assert (last.data, last.info.ending) == (b"", "stopped")


async def test_a_cancelled_read_leaves_all_as_it_was(box: Sandbox) -> None:
    process = await start(box, "read -r line; echo $line")
    waiting = asyncio.ensure_future(box.process_read(process, wait=600))
    await asyncio.sleep(0.2)
    waiting.cancel()
    begun = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert time.monotonic() - begun < 5
    await box.process_write(process, b"still\n")
    assert (await ended(box, process))[0] == b"still\n"


async def test_output_by_offset(box: Sandbox) -> None:
    process = await start(box, "printf 0123456789; printf 'a\\377\\000b'")
    assert (await ended(box, process))[0] == b"0123456789a\xff\x00b"
    part = await box.process_read(process, after=4, max_bytes=3)
    assert (part.data, part.start, part.next, part.dropped) == (b"456", 4, 7, 0)
    beyond = await box.process_read(process, after=1000)
    assert (beyond.data, beyond.start, beyond.next) == (b"", 14, 14)
    with pytest.raises(ValueError, match="below zero"):
        await box.process_read(process, after=-1)


async def memory_of_the_first_process(box: Sandbox) -> int:
    """The most it ever had, in kB."""
    status = (await box.exec(["cat", "/proc/1/status"])).output.text()
    return int(status.partition("VmHWM:")[2].split()[0])


async def test_a_flood_keeps_the_end_and_the_file(box: Sandbox) -> None:
    size, before = 50_000_000, await memory_of_the_first_process(box)
    process = await start(box, f"yes 0123456 | head -c {size}; printf end")
    deadline = time.monotonic() + 120
    while (await box.process_read(process, after=size + 3, wait=20)).info.status == "running":
        assert time.monotonic() < deadline
    part = await box.process_read(process, after=100, max_bytes=1 << 20)
    info = part.info
    assert info.total == size + 3
    assert part.start == info.total - KEPT_OUTPUT
    assert part.dropped == part.start - 100
    assert part.data.endswith(b"6\nend")
    assert part.data[:8] == b"0123456\n"[part.start % 8 :] + b"0123456\n"[: part.start % 8]
    assert len(part.data) == KEPT_OUTPUT
    assert info.log is not None
    assert info.log.startswith(SPILL_DIR)
    counted = await box.exec(["wc", "-c", info.log])
    assert counted.output.text().split()[0] == str(info.total)
    assert await memory_of_the_first_process(box) < before + 4096


async def test_stop_ends_what_ignores_it_and_what_has_moved_away(box: Sandbox) -> None:
    nasty = (
        "trap '' TERM HUP INT; (trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep 211.5; sleep 211.5' &) & );"
        "(env -i /bin/sh -c 'setsid sleep 212.5 &' &); echo up; sleep 213.5; sleep 213.5"
    )
    process = await start(box, nasty)
    await until(box, process, "up")
    other = await start(box, "exec sleep 214.5")
    begun = time.monotonic()
    info = await box.process_stop(process, grace=0.5)
    assert time.monotonic() - begun < 0.5 + 2 + 3  # two to kill, the rest for a busy machine
    assert (info.ending, info.exit_code) == ("stopped", 128 + 9)
    running = await commands(box)
    assert not [n for n in ("211.5", "212.5", "213.5") if n in running]
    assert "214.5" in running
    await box.process_stop(other)


async def test_stop_lets_a_process_clean_up(box: Sandbox) -> None:
    process = await start(box, "trap 'echo cleaned; exit 9' TERM; echo up; while :; do sleep 0.1; done")
    await until(box, process, "up")
    info = await box.process_stop(process, grace=20)
    assert (info.ending, info.exit_code) == ("stopped", 9)
    assert (await ended(box, process))[0].endswith(b"cleaned\n")


async def test_what_a_process_leaves_behind_ends_with_stop(box: Sandbox) -> None:
    process = await start(box, "(sleep 221.5; echo never) & echo out; exit 4")
    seen, info = await ended(box, process)
    assert (seen, info.exit_code) == (b"out\n", 4)
    assert "221.5" in await commands(box)
    info = await box.process_stop(process)
    assert (info.exit_code, info.ending) == (4, "exited")
    assert "221.5" not in await commands(box)


async def test_a_cancelled_start_leaves_nothing(box: Sandbox) -> None:
    for pause in (0.0, *(each / 4000 for each in range(1, 25)), 0.01, 0.1):  # around the moment of the answer
        before = {info.number for info in await box.processes()}
        starting = asyncio.ensure_future(start(box, "exec sleep 231.5"))
        await asyncio.sleep(pause)
        if starting.cancel():
            with pytest.raises(asyncio.CancelledError):
                await starting
            assert {info.number for info in await box.processes()} == before
        else:
            await box.process_stop(await starting)
        assert "231.5" not in await commands(box)


async def test_unknown_numbers(box: Sandbox) -> None:
    for action in (box.process_read(999), box.process_write(999, b"x"), box.process_stop(999)):
        with pytest.raises(ProcessError, match="no background process 999") as caught:
            await action
        assert caught.value.problem == "unknown"


async def test_a_terminal(box: Sandbox) -> None:
    script = "stty size; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo terminal; echo heard >/dev/tty; cat; echo over"
    process = await start(box, script, pty=PtySize(33, 101))
    await until(box, process, "heard")
    await box.process_write(process, b"typed\n")
    await until(box, process, "typed\r\ntyped\r\n")
    await box.process_write(process, b"half", eof=True)
    seen, info = await ended(box, process)
    assert seen == b"33 101\r\nterminal\r\nheard\r\ntyped\r\ntyped\r\nhalfhalfover\r\n"
    assert (info.exit_code, info.pty) == (0, True)


async def test_keys_at_a_terminal(box: Sandbox) -> None:
    process = await start(
        box, "trap 'echo interrupted; exit 6' INT; echo up; while :; do sleep 0.1; done", pty=PtySize()
    )
    await until(box, process, "up")
    await box.process_write(process, b"\x03")
    seen, info = await ended(box, process)
    assert b"interrupted" in seen
    assert info.exit_code == 6


async def test_a_shell_at_a_terminal_is_stopped(box: Sandbox) -> None:
    process = await box.start([box.shell, "-i"], pty=PtySize())
    await box.process_write(process, b"sleep 241.5 &\necho s$((1 + 1))\n")
    await until(box, process, "s2")
    info = await box.process_stop(process, grace=1)
    assert info.status == "exited"
    assert "241.5" not in await commands(box)


@pytest.mark.parametrize("size", [PtySize(0, 80), PtySize(24, 1 << 16)])
async def test_sizes_no_terminal_has(box: Sandbox, size: PtySize) -> None:
    with pytest.raises(ValueError, match="rows and columns"):
        await box.start(["true"], pty=size)


async def test_so_many_and_no_more(fresh: Open) -> None:
    box = await fresh(limits=Limits(memory_bytes=512 << 20, cpus=2.0, pids=500))
    numbers = [await box.start(["sleep", "251.5"]) for _ in range(MAX_PROCESSES)]
    with pytest.raises(ProcessError, match="stop one") as caught:
        await box.start(["sleep", "251.5"])
    assert caught.value.problem == "too_many"
    assert len(await box.processes()) == MAX_PROCESSES
    await box.process_stop(numbers[3])
    again = await box.start(["sleep", "251.5"])
    assert again not in numbers
    assert [info.number for info in await box.processes()] == [*(n for n in numbers if n != numbers[3]), again]


async def test_a_lost_sandbox_ends_the_waiting_at_once(fresh: Open, outside: Outside) -> None:
    box = await fresh()
    process = await box.start(["sleep", "261.5"])
    waiting = [
        asyncio.ensure_future(box.process_read(process, wait=600)),
        asyncio.ensure_future(box.process_read(process, wait=600)),
    ]
    await asyncio.sleep(0.3)
    outside.kill(box)
    begun = time.monotonic()
    for task in waiting:
        with pytest.raises(SandboxLost):
            await task
    for action in (
        box.start(["true"]),
        box.processes(),
        box.process_write(process, b""),
        box.process_stop(process),
    ):
        with pytest.raises(SandboxLost):
            await action
    assert time.monotonic() - begun < 5


async def test_a_supervisor_that_was_killed(fresh: Open) -> None:
    """Commands may kill the process that watches over them; then the sandbox still knows what is whose."""
    box = await fresh()
    process = await start(box, "kill -9 $PPID; echo up; setsid sleep 271.5 & sleep 272.5; exit 3")
    await until(box, process, "up")
    other = await box.start(["sleep", "273.5"])
    info = await box.process_stop(process, grace=0.2)
    assert info.status == "exited"
    running = await commands(box)
    assert not [n for n in ("271.5", "272.5") if n in running]
    assert "273.5" in running
    await box.process_stop(other)
