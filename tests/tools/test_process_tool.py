"""Background processes as a model works with them."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from pydantic import ValidationError

from sandboxes.secrets import Secrets
from tools.process import ProcessArguments
from tools.protocol import EVERY_EFFECT, Effect, Workbench
from tools.registry import default_tools

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]


def number(text: str) -> int:
    """The process that a result is about."""
    found = re.search(r"\[process (\d+) ", text)
    assert found, text
    return int(found[1])


async def test_a_server_asked_read_and_stopped(call) -> None:
    """A whole conversation: a web server in the background, asked by other commands, its log read, stopped."""
    await call("write", path="site/page.txt", content="served from inside\n")
    command = "cd site && exec python3 -u -m http.server --bind 127.0.0.1 8765"
    started = await call("shell", command=command, background=True)
    assert started.ok, started.text
    server = number(started.text)
    get = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8765/{}').read().decode())"
    fetch = get.format("page.txt")
    for _ in range(100):
        asked = await call("shell", command=f'python3 -c "{fetch}"')
        if asked.ok:
            break
        await asyncio.sleep(0.1)
    assert "served from inside" in asked.text
    log = await call("process", action="read", process=server, wait=5)
    assert '"GET /page.txt HTTP/1.1" 200' in log.text
    assert re.search(rf"\[process {server} running; output up to byte \d+\]$", log.text)
    missing = get.format("none")
    assert not (await call("shell", command=f'python3 -c "{missing}"')).ok
    log = await call("process", action="read", process=server, wait=5)
    assert "404" in log.text
    assert "page.txt" not in log.text, "only what is new"
    listed = await call("process", action="list")
    assert f"{server}  running  {command}" in listed.text
    stopped = await call("process", action="stop", process=server)
    assert stopped.ok
    assert f"[process {server} stopped, exit 143: killed by SIGTERM" in stopped.text
    assert not (await call("shell", command=f'python3 -c "{fetch}"')).ok


async def test_what_goes_wrong_at_once_is_told_at_once(call) -> None:
    began = time.monotonic()
    result = await call("shell", command="echo 'no such port' >&2; exit 3", background=True)
    assert time.monotonic() - began < 10
    assert not result.ok
    assert result.text.startswith("no such port\n[process ")
    assert "ended, exit 3; output up to byte 13]" in result.text
    assert (result.facts["exit_code"], result.facts["status"]) == (3, "exited")


async def test_a_conversation_without_a_terminal(call) -> None:
    result = await call("shell", command="echo ready; while read -r x; do echo $((x * 2)); done", background=True)
    process = number(result.text)
    assert result.text.startswith("ready\n")
    assert (await call("process", action="write", process=process, input="21\n", wait=20)).text.startswith("42\n")
    assert (await call("process", action="write", process=process, input="4\n5\n", wait=20)).text.startswith(
        "8\n10\n"
    )
    last = await call("process", action="write", process=process, eof=True, wait=20)
    assert "ended, exit 0" in last.text
    again = await call("process", action="write", process=process, input="1\n")
    assert not again.ok
    assert "takes no more input" in again.text


async def test_python_at_a_terminal(call) -> None:
    result = await call("shell", command="exec python3 -q -i", background=True, pty=True)
    process = number(result.text)
    asked = "import os; print(os.isatty(0), os.get_terminal_size().lines, 6 * 7)\n"
    deadline = time.monotonic() + 30
    told = (await call("process", action="write", process=process, input=asked, wait=20)).text
    while "True 40 42" not in told:
        assert time.monotonic() < deadline, told
        told += (await call("process", action="read", process=process, wait=5)).text
    assert "\x1b" not in told
    ended = await call("process", action="write", process=process, input="exit(7)\n", wait=20)
    while "exit 7" not in ended.text:
        assert time.monotonic() < deadline, ended.text
        ended = await call("process", action="read", process=process, wait=5)
    assert f"[process {process} ended, exit 7" in ended.text


async def test_long_output_tells_where_to_read_on(call) -> None:
    result = await call("shell", command="seq 100000; sleep 100", background=True)
    process = number(result.text)
    total = sum(len(f"{n}\n") for n in range(1, 100001))
    while (await call("process", action="read", process=process, after=total, wait=1)).facts["total"] < total:
        await asyncio.sleep(0.1)
    first = await call("process", action="read", process=process, after=total - 200_000)
    seen = first.facts["next"]
    assert len(first.text) < 11_000
    assert f"; {total - seen} bytes more to read on from byte {seen}]" in first.text
    second = await call("process", action="read", process=process)
    assert second.facts["after"] == seen
    lines = (first.text.split("\n")[:-1], second.text.split("\n")[:-1])
    assert int(lines[1][0]) == int(lines[0][-1]) + 1, "cut between lines, nothing left out"
    last = await call("process", action="read", process=process, after=-13)
    assert last.text == f"99999\n100000\n[process {process} running; output up to byte {total}]"
    old = await call("process", action="read", process=process, after=0)
    assert re.match(r"\[… \d+ bytes before this are no longer kept; all of it: /tmp/.bridle/output/", old.text)
    log = old.facts["log"]
    assert "100000 lines" in (await call("shell", command=f"echo $(wc -l <{log}) lines")).text
    await call("process", action="stop", process=process)


async def test_escapes_and_characters_in_two_parts(call) -> None:
    script = r"printf '\033[31mred\033[0m \303'; sleep 0.7; printf '\244 \033]0;title\007done\n'; sleep 100"
    result = await call("shell", command=script, background=True)
    process = number(result.text)
    told = result.text.split("\n")[0] + (await call("process", action="read", process=process, wait=10)).text
    assert told.startswith("red ä done\n")
    await call("process", action="stop", process=process)


async def test_a_secret_in_two_parts_is_masked_and_no_place_in_it_can_be_read_on_from(
    call, bench: Workbench
) -> None:
    bench.secrets = Secrets({"TOKEN": "tok_0123456789abcdef"})
    script = "printf 'it is tok_01234'; sleep 1.5; printf '56789abcdef and more'; sleep 100"
    result = await call("shell", command=script, background=True)
    process = number(result.text)
    told = result.text + (await call("process", action="read", process=process, wait=20)).text
    assert "it is" in told
    assert "tok_" not in bench.secrets.mask(told)
    assert "more to read" not in told
    assert "tok_0123456789abcdef and more" in told, "whole, as the journal masks it"
    middle = await call("process", action="read", process=process, after=12)
    assert middle.text.startswith(" and more\n")
    await call("process", action="stop", process=process)


async def test_an_unknown_number_says_which_there_are(call) -> None:
    result = await call("shell", command="exec sleep 100", background=True)
    process = number(result.text)
    wrong = await call("process", action="stop", process=4711)
    assert not wrong.ok
    assert "There is no background process 4711. There are: " in wrong.text
    assert f"{process} (running): exec sleep 100" in wrong.text
    await call("process", action="stop", process=process)


async def test_the_directory_is_the_shells_and_stays(call, bench: Workbench) -> None:
    await call("shell", command="mkdir -p sub && cd sub")
    result = await call("shell", command="pwd; cd /; exit 0", background=True)
    assert result.text.startswith("/workspace/sub\n")
    assert bench.cwd == "/workspace/sub"
    await call("shell", command="rmdir /workspace/sub")
    gone = await call("shell", command="pwd", background=True)
    assert not gone.ok
    assert "Nothing was run; the next command starts in /workspace" in gone.text


async def test_effects_and_previews(bench: Workbench) -> None:
    tool = default_tools()["process"]
    for action, effect in (
        ("list", Effect.READ),
        ("read", Effect.READ),
        ("write", Effect.RUN),
        ("stop", Effect.RUN),
    ):
        more = EVERY_EFFECT - {Effect.READ, Effect.SECRET} if action == "write" else frozenset()
        args = ProcessArguments.model_validate({"action": action, "process": 3, "input": "rm -rf /\x1b[8m\n"})
        assert tool.effects(args, bench) == {effect} | more
        shown = await tool.preview(args, bench)
        assert f"process {action} 3" in shown.title
        assert "\x1b" not in shown.title + shown.detail
        assert ("rm -rf /" in shown.detail) == (action == "write")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"action": "read"}, "needs the number"),
        ({"action": "write", "process": 1}, "needs an `input`"),
        ({"action": "restart", "process": 1}, "list"),
        ({"action": "read", "process": -1}, "greater"),
    ],
)
async def test_arguments_that_cannot_be(arguments: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        ProcessArguments.model_validate(arguments)


async def test_a_terminal_is_for_the_background() -> None:
    with pytest.raises(ValidationError, match="goes with `background`"):
        default_tools()["shell"].arguments.model_validate({"command": "vi", "pty": True})
