"""What commands get and give: the same in every kind of sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from sandboxes.protocol import SPILL_DIR, FileError, Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def sh(box: Sandbox, script: str, **fields: object) -> tuple[int | None, str]:
    result = await box.exec([box.shell, "-c", script], **fields)  # type: ignore[arg-type]
    return result.exit_code, result.output.text()


@pytest.mark.parametrize("code", [0, 1, 2, 125, 126, 127, 255])
async def test_exit_code(box: Sandbox, code: int) -> None:
    assert await sh(box, f"exit {code}") == (code, "")


async def test_killed_by_a_signal(box: Sandbox) -> None:
    result = await box.exec(["sh", "-c", "kill -TERM $$"])
    assert (result.exit_code, result.ending) == (128 + 15, "exited")


async def test_both_streams_in_the_order_they_were_written(box: Sandbox) -> None:
    script = "i=0; while [ $i -lt 40 ]; do echo out$i; echo err$i >&2; i=$((i+1)); done"
    expected = "".join(f"out{i}\nerr{i}\n" for i in range(40))
    assert await sh(box, script) == (0, expected)


async def test_output_that_is_no_text(box: Sandbox) -> None:
    result = await box.exec(["printf", r"a\377\000\200b"])
    assert result.output.head + result.output.tail == b"a\xff\x00\x80b"


async def test_arguments_reach_the_command_byte_by_byte(box: Sandbox) -> None:
    odd = [b"", b" ", b"a\nb", b"$HOME `id`", b"'\"\\", b"-n", bytes(range(1, 256)), "ü\udcff"]
    result = await box.exec(["printf", r"%s\001", *odd], max_output=10_000)
    wanted = [os.fsencode(a) for a in odd]
    assert result.output.head.split(b"\x01", 6)[:6] == wanted[:6]
    assert result.output.head + result.output.tail == b"".join(a + b"\x01" for a in wanted)


async def test_an_argument_with_a_zero_byte_cannot_be(box: Sandbox) -> None:
    result = await box.exec(["echo", b"a\0b"])
    assert result.exit_code == 126
    assert "zero byte" in result.output.text()


async def test_a_command_that_is_not_there(box: Sandbox) -> None:
    result = await box.exec(["no-such-command"])
    assert (result.exit_code, result.ending) == (127, "exited")
    assert "no-such-command" in result.output.text()


async def test_a_file_that_cannot_be_run(box: Sandbox) -> None:
    await box.write("plain.txt", b"text")
    result = await box.exec(["/workspace/plain.txt"])
    assert result.exit_code == 126
    assert "denied" in result.output.text().lower()


async def test_shell_builtins_are_no_commands(box: Sandbox) -> None:
    assert (await box.exec(["exit", "3"])).exit_code == 127


async def test_working_directory(box: Sandbox) -> None:
    assert await sh(box, "pwd") == (0, "/workspace\n")
    assert await sh(box, "pwd", cwd="/tmp") == (0, "/tmp\n")
    await box.write("some dir/file", b"")
    assert await sh(box, "pwd", cwd="some dir") == (0, "/workspace/some dir\n")


@pytest.mark.parametrize(
    ("cwd", "problem"), [("/nowhere", "not_found"), ("/etc/hosts", "bad_path"), ("", "bad_path")]
)
async def test_a_working_directory_that_is_none(box: Sandbox, cwd: str, problem: str) -> None:
    with pytest.raises(FileError) as caught:
        await box.exec(["true"], cwd=cwd)
    assert caught.value.problem == problem


async def test_environment(box: Sandbox) -> None:
    env = {"GIVEN": "some  value\n=ü", "HOME": "/tmp"}
    code, text = await sh(box, 'printf %s "$GIVEN|$HOME|$LANG|$TERM|$PAGER"', env=env)
    assert (code, text) == (0, "some  value\n=ü|/tmp|C.UTF-8|dumb|cat")
    assert await sh(box, 'echo "[$GIVEN]"') == (0, "[]\n")


async def test_home_can_be_written(box: Sandbox) -> None:
    assert (await sh(box, 'echo x > "$HOME/x" && rm "$HOME/x"'))[0] == 0


async def test_standard_input(box: Sandbox) -> None:
    data = os.urandom(300_000)
    result = await box.exec(["cat"], stdin=data, max_output=1 << 20)
    assert result.output.head + result.output.tail == data


async def test_standard_input_ends_at_once_without_any(box: Sandbox) -> None:
    result = await box.exec(["cat"], timeout=20)
    assert (result.exit_code, result.output.total) == (0, 0)
    assert await sh(box, "[ -c /dev/stdin ] && echo null") == (0, "null\n")


async def test_standard_input_nobody_reads(box: Sandbox) -> None:
    assert (await box.exec(["true"], stdin=bytes(1 << 20), timeout=20)).exit_code == 0
    assert (await sh(box, "exec <&-; echo done", stdin=bytes(1 << 20), timeout=20)) == (0, "done\n")


async def test_long_output_keeps_both_ends_and_the_whole_inside(box: Sandbox) -> None:
    script = "i=0; while [ $i -lt 20000 ]; do echo line-$i; i=$((i+1)); done"
    result = await box.exec(["sh", "-c", script], max_output=1000)
    whole = "".join(f"line-{i}\n" for i in range(20000)).encode()
    output = result.output
    assert (output.head, output.tail) == (whole[:500], whole[-500:])
    assert output.dropped == len(whole) - 1000
    assert output.spill is not None
    assert output.spill.startswith(SPILL_DIR + "/")
    assert await box.read(output.spill) == whole
    assert await sh(box, f"grep -c 'line-777$' {output.spill}") == (0, "1\n")


async def test_short_output_leaves_no_file(box: Sandbox) -> None:
    result = await box.exec(["printf", "x" * 100], max_output=100)
    assert result.output.spill is None
    assert (result.output.head + result.output.tail, result.output.dropped) == (b"x" * 100, 0)


@pytest.mark.parametrize("limit", [0, 1, 2, 3])
async def test_tiny_output_limits(box: Sandbox, limit: int) -> None:
    output = (await box.exec(["printf", "abcdefgh"], max_output=limit)).output
    assert (len(output.head) + len(output.tail), output.total) == (limit, 8)
    assert output.head == b"abcdefgh"[: limit // 2]
    assert output.tail == b"abcdefgh"[8 - (limit - limit // 2) :]


@pytest.mark.parametrize(
    "junk", ["ln -s /etc JUNK", "touch JUNK", "mkdir JUNK && chmod 0 JUNK", "ln -s /nowhere JUNK"]
)
async def test_junk_where_long_outputs_are_kept_only_costs_the_file(box: Sandbox, junk: str) -> None:
    top = SPILL_DIR.rpartition("/")[0]
    await sh(box, f"rm -rf {top}; " + junk.replace("JUNK", top))
    try:
        result = await box.exec(["sh", "-c", "head -c 5000 /dev/zero"], max_output=100)
        assert (result.exit_code, result.output.dropped, result.output.spill) == (0, 4900, None)
    finally:
        await sh(box, f"chmod 700 {top}; rm -rf {top}")


async def test_live_output(box: Sandbox) -> None:
    seen: list[tuple[float, bytes]] = []
    result = await box.exec(
        ["sh", "-c", "echo one; sleep 0.6; echo two"], on_output=lambda d: seen.append((time.monotonic(), d))
    )
    assert b"".join(data for _, data in seen) == b"one\ntwo\n" == result.output.head + result.output.tail
    assert seen[-1][0] - seen[0][0] > 0.3


async def test_a_flood_of_live_output_is_thinned_and_says_so(box: Sandbox) -> None:
    seen: list[bytes] = []
    await box.exec(["sh", "-c", "yes | head -c 60000000"], on_output=seen.append, max_output=1000)
    assert sum(map(len, seen)) < 30_000_000
    assert any(b"bytes not shown here" in piece for piece in seen)


async def test_a_callback_that_fails_ends_the_command(box: Sandbox) -> None:
    def fail(data: bytes) -> None:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        await box.exec(["sh", "-c", "echo x; exec sleep 77.25"], on_output=fail)
    assert "77.25" not in await commands(box)


async def commands(box: Sandbox) -> str:
    """The command lines of everything that runs inside."""
    script = r"for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline; echo; done 2>/dev/null"
    return (await sh(box, script, max_output=1 << 20))[1]


async def test_many_at_once(box: Sandbox) -> None:
    begun = time.monotonic()
    results = await asyncio.gather(*(sh(box, f"sleep 1; echo {i}; exit {i}") for i in range(8)))
    assert results == [(i, f"{i}\n") for i in range(8)]
    assert time.monotonic() - begun < 7


async def test_a_background_process_does_not_hold_the_call(box: Sandbox) -> None:
    begun = time.monotonic()
    code, text = await sh(box, "(while :; do echo noise; sleep 0.05; done) & echo started")
    assert time.monotonic() - begun < 5
    assert code == 0
    assert "started" in text
    assert (await sh(box, "sleep 0.5; echo later")) == (0, "later\n")
    assert "echo noise" in await commands(box)
    await sh(box, "for p in /proc/[0-9]*; do grep -aq 'echo noise' $p/cmdline && kill -9 ${p#/proc/}; done; true")


async def test_timeout_kills_everything_the_call_started(box: Sandbox) -> None:
    survivor = await sh(box, "sleep 300.75 >/dev/null 2>&1 & echo ok")
    assert survivor == (0, "ok\n")
    nasty = (
        "trap '' TERM HUP INT; (trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep 201.5; sleep 201.5' &) & );"
        "(env -i /bin/sh -c 'setsid sleep 202.5 &' &); echo before; sleep 203.5"
    )
    begun = time.monotonic()
    result = await box.exec(["sh", "-c", nasty], timeout=1.0)
    assert time.monotonic() - begun < 1 + 2 + 3  # two to kill, the rest for a busy machine
    assert (result.exit_code, result.ending) == (None, "timeout")
    assert result.output.text() == "before\n"
    running = await commands(box)
    assert not [n for n in ("201.5", "202.5", "203.5") if n in running]
    assert "300.75" in running
    await sh(box, "for p in /proc/[0-9]*; do grep -aq '300[.]75' $p/cmdline && kill -9 ${p#/proc/}; done; true")


async def test_timeout_of_one_call_leaves_another_alone(box: Sandbox) -> None:
    slow, fast = await asyncio.gather(sh(box, "sleep 3; echo fine"), sh(box, "sleep 60", timeout=0.5))
    assert slow == (0, "fine\n")
    assert fast[0] is None


async def test_cancelling_kills_the_tree_first(box: Sandbox) -> None:
    task = asyncio.ensure_future(sh(box, "touch /tmp/running; (setsid sleep 204.5 &); sleep 205.5"))
    while (await sh(box, "rm /tmp/running"))[0] != 0:
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    running = await commands(box)
    assert "204.5" not in running
    assert "205.5" not in running


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
async def test_a_timeout_must_be_above_zero(box: Sandbox, seconds: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        await box.exec(["true"], timeout=seconds)


async def test_a_full_device_fails_the_command_not_the_sandbox(box: Sandbox) -> None:
    code, text = await sh(box, "echo x > /dev/full")
    assert code != 0
    assert "No space left" in text


async def test_commands_ignore_no_signal_that_their_owner_ignores(fresh: Callable[[], Awaitable[Sandbox]]) -> None:
    """As under nohup, or of a shell that started its owner in the background."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGUSR1)}
    try:
        box = await fresh()
        assert await sh(box, "kill -HUP $$; echo still here") == (128 + signal.SIGHUP, "")
        assert await sh(box, "kill -USR1 $$; echo still here") == (128 + signal.SIGUSR1, "")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def test_what_a_command_that_is_alone_leaves_behind_ends_with_it(box: Sandbox) -> None:
    await sh(box, "sleep 331 >/dev/null 2>&1 &", env={"ANOTHER": "another"})
    leave = "trap '' TERM HUP; (sleep 332 & (sleep 333 >/dev/null 2>&1 &)) ; echo said; exit 7"
    result = await box.exec([box.shell, "-c", leave], env={"ONE": "only-this-one"}, alone=True)
    assert (result.exit_code, result.ending, result.output.text()) == (7, "exited", "said\n")
    look = "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c -e ANOTHER=a -e only-this-on[e]"
    assert (await sh(box, look))[1] == "1\n", "the other command's process lives, and none of this one's"
    assert await sh(box, "echo next", alone=True) == (0, "next\n")
    await sh(
        box,
        "for f in $(grep -l ANOTHER=a /proc/[0-9]*/environ 2>/dev/null); do kill -9 $(echo $f | tr -dc 0-9); done",
    )


async def test_variables_of_a_command_that_is_alone_are_in_no_list_of_processes(box: Sandbox) -> None:
    value = "a value 'of' \"$HOME\" `id` \\ ü and more"
    running = asyncio.create_task(
        sh(
            box,
            'printf "%s|%s" "$TOKEN" "$cwd"; sleep 2',
            env={"TOKEN": value, "cwd": "x", "odd-one": "y"},
            alone=True,
        )
    )
    await asyncio.sleep(1)
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes())
    assert not any(value.encode() in line for line in lines)
    assert await running == (0, f"{value}|x")
    assert await sh(box, "env | grep -c BRIDLE_V_", alone=True, env={"TOKEN": value}) == (1, "0\n")
