"""The shell tool in a real sandbox: endings, directories, output."""

import re

import pytest
from pydantic import ValidationError

from agent.models.protocol import Message
from agent.models.wire import wire_text
from sandboxes.protocol import SandboxSpec
from tools.output import printed
from tools.protocol import Workbench
from tools.shell import HEAD, TAIL, WHOLE, Shell, ShellArguments

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]


async def last_line(call, command: str, **more: object) -> str:
    return (await call("shell", command=command, **more)).text.splitlines()[-1]


@pytest.mark.parametrize(
    ("command", "ending", "code"),
    [
        ("true", "[exit 0]", 0),
        ("false", "[exit 1]", 1),
        ("exit 3", "[exit 3]", 3),
        ("set -e; false; echo not reached", "[exit 1]", 1),
        ("no-such-program", "[exit 127: usually a command that was not found]", 127),
        ("touch x; ./x", "[exit 126: usually a file that cannot be executed]", 126),
        ("kill -9 $$", "[exit 137: killed by SIGKILL]", 137),
        ("exec false", "[exit 1]", 1),
        ("echo 'unbalanced", "[exit 2]", 2),
        ("trap 'echo bye' EXIT; exit 4", "[exit 4]", 4),
        ("exit 300", "[exit 44]", 44),
    ],
)
async def test_every_ending_is_told_in_the_last_line(call, command: str, ending: str, code: int) -> None:
    result = await call("shell", command=command)
    assert result.text.splitlines()[-1] == ending
    assert result.ok == (code == 0)
    assert result.facts["exit_code"] == code
    assert result.facts["ending"] == "exited"
    assert result.facts["seconds"] >= 0


async def test_a_timeout_is_told_and_leaves_nothing_behind(call) -> None:
    result = await call("shell", command="sleep 987 & sleep 987", timeout=0.5)
    assert result.text.splitlines()[-1] == (
        "[timed out after 0.5 s, everything it started was killed; a longer timeout can be given, up to 3600]"
    )
    assert not result.ok
    assert result.facts["ending"] == "timeout"
    assert (
        "987"
        not in (await call("shell", command="cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -v cmdline")).text
    )


async def test_silence_is_told(call) -> None:
    assert (await call("shell", command="true")).text == "(no output)\n[exit 0]"


async def test_output_and_errors_come_together_in_order(call) -> None:
    result = await call("shell", command="echo one; echo two >&2; echo three")
    assert result.text == "one\ntwo\nthree\n[exit 0]"


async def test_positional_parameters_are_empty_and_line_numbers_right(call) -> None:
    assert (await call("shell", command='echo "$#:$*:"')).text.startswith("0::")
    assert "line 2" in (await call("shell", command="true\nno-such-program")).text


async def test_input_is_empty(call) -> None:
    assert (await call("shell", command="cat; read x || echo none")).text.startswith("none")


@pytest.mark.parametrize(
    "command",
    [
        "mkdir -p a/b; cd a/b",
        "mkdir -p a/b; cd a/b; exit 3",
        "mkdir -p a/b; cd a/b; false",
        "mkdir -p a/b; set -e; cd a/b; false; cd /",
        "mkdir -p a/b; cd a/b; no-such-program",
        "mkdir -p a/b; cd a/b; set -x",
        "mkdir -p a/b; ln -s a/b link; cd link",
        "mkdir -p a/b; cd a/b; set -C",
        "mkdir -p a/b; cd a/b; (cd /)",
        "mkdir -p a/b; cd a/b; { cd /; } | cat",
        "mkdir -p a/b; cd a/b; rm -rf /tmp/.bridle/cwd",
        "mkdir -p a/b; cd a/b; eval 'echo ('",
    ],
)
async def test_the_directory_is_kept(call, bench: Workbench, command: str) -> None:
    result = await call("shell", command=command)
    assert bench.cwd == "/workspace/a/b"
    assert result.text.splitlines()[-1].endswith("; now in /workspace/a/b]")
    assert await last_line(call, "pwd") == "[exit 0; in /workspace/a/b]"


@pytest.mark.parametrize(
    "command",
    [
        "cd /tmp; exec true",
        "cd /tmp; trap - EXIT",
        "cd /tmp; kill -9 $$",
        "cd /tmp; sleep 30",
        "echo 'x' > /tmp/.bridle/cwd; exec true",
        "printf 'token\\n/etc\\n' > /tmp/.bridle/cwd; exec true",
        "cd /tmp; echo 'still here",
        "mkdir d; cd d; rmdir ../d",
        "mkdir -p $'od\\x01d'; cd $'od\\x01d'",
        "mkdir -p $'n\\nl'; cd $'n\\nl'",
        "pwd() { echo relative; }",
        "pwd() { head -c 100000 /dev/zero; }",
        "pwd() { printf '/\\377'; }",
        "rm -f /tmp/.bridle/cwd; mkfifo /tmp/.bridle/cwd; exec true",
    ],
)
async def test_what_does_not_tell_its_directory_leaves_it_as_it_was(call, bench: Workbench, command: str) -> None:
    await call("shell", command="cd /usr")
    await call("shell", command=f"cd /workspace; {command}", timeout=2)
    assert bench.cwd in {"/usr", "/workspace"}
    assert (await call("shell", command="pwd")).text.startswith(bench.cwd)


async def test_a_directory_that_is_gone_is_told_and_nothing_is_run(call, bench: Workbench) -> None:
    await call("shell", command="mkdir d; touch keep; cd d")
    await bench.sandbox.exec(["rm", "-r", "/workspace/d"], cwd="/")
    result = await call("shell", command="rm -rf ./*")
    assert not result.ok
    assert "Nothing was run" in result.text
    assert bench.cwd == "/workspace"
    assert "keep" in (await call("shell", command="ls")).text


async def test_long_output_is_cut_and_all_of_it_can_be_searched(call) -> None:
    result = await call("shell", command="seq 1 100000")
    assert len(result.text) < 11_000
    assert result.text.startswith("1\n2\n")
    assert result.text.endswith("\n100000\n[exit 0]")
    assert result.facts["dropped"] > 500_000
    spill = result.facts["spill"]
    assert spill in result.text
    found = await call("search", pattern="^54321$", path=spill)
    assert f"{spill}:54321:54321" in found.text
    assert "54321\t54321" in (await call("read", path=spill, start_line=54320, line_count=3)).text


async def test_what_is_left_out_is_counted_in_lines(call) -> None:
    result = await call("shell", command="seq 1 100000")
    before, note, after = re.split(r"\n(\[… .* …\])\n", result.text)
    last, first = int(before.rsplit("\n", 1)[1]), int(after.split("\n", 1)[0])
    assert len(after) > 2 * len(before)
    assert note == (
        f"[… {first - last - 1} lines left out, from line {last + 1} on; "
        f"all of it: {result.facts['spill']} (read or search it) …]"
    )
    page = (await call("read", path=result.facts["spill"], start_line=last + 1, line_count=1)).text
    assert page.startswith(f"{last + 1:6}\t{last + 1}\n")


async def test_what_is_a_little_long_is_not_cut(call) -> None:
    result = await call("shell", command="seq 1 2900")
    assert 12_000 < len(result.text) < WHOLE
    assert "left out" not in result.text
    assert result.facts["spill"] is None


@pytest.mark.parametrize(
    ("command", "bytes_left"),
    [
        ("head -c 50000 /dev/zero | tr '\\0' x", 40_000),
        ("echo a; head -c 50000 /dev/zero | tr '\\0' x; echo; echo b", 40_005),
    ],
)
async def test_long_lines_are_cut_by_bytes(call, command: str, bytes_left: int) -> None:
    result = await call("shell", command=command)
    assert f"\n[… {bytes_left} bytes left out; all of it: /tmp/.bridle/output/" in result.text
    assert 10_000 < len(result.text) < 10_200


async def test_a_file_that_is_not_the_whole_output_is_not_said_to_be(bench: Workbench) -> None:
    long = (await bench.sandbox.exec(["seq", "90000"], max_output=WHOLE)).output
    assert long.spill
    for meddling in ("true", 'echo more >> "$1"', 'seq 5 > "$1"', 'rm -r "$1"'):
        assert (await bench.sandbox.exec(["sh", "-c", meddling, "sh", long.spill])).exit_code == 0
        text = await printed(bench.sandbox, long, HEAD, TAIL)
        whole = rf"\d+ lines left out, from line \d+ on; all of it: {long.spill} "
        told = whole if meddling == "true" else rf"\d+ bytes left out; more of it: {long.spill} "
        assert re.search(rf"\n\[… {told}", text), meddling


@pytest.mark.parametrize("command", ["head -c 400000 /dev/zero", r"yes $'\u202e\x9b' | head -c 400000"])
async def test_output_that_grows_when_shown_is_still_bounded(call, command: str) -> None:
    assert len((await call("shell", command=command)).text) < 31_000


def as_shown(text: str) -> str:
    return wire_text(Message(role="tool", content=text, tool_call_id="x", seconds=11.234)).splitlines()[-1]


@pytest.mark.parametrize(
    ("command", "ending"),
    [
        ("true", "[exit 0; 11.2 s]"),
        ("no-such-program", "[exit 127: usually a command that was not found; 11.2 s]"),
        ("kill -9 $$", "[exit 137: killed by SIGKILL; 11.2 s]"),
        ("mkdir -p 'a];'; cd 'a];'; exit 3", "[exit 3; 11.2 s; now in /workspace/a];]"),
        (
            "sleep 9",
            "[timed out after 0.5 s, everything it started was killed; a longer timeout can be given, up to 3600]",
        ),
    ],
)
async def test_the_model_is_told_how_long_it_took(call, command: str, ending: str) -> None:
    result = await call("shell", command=command, timeout=0.5)
    assert "11.2 s" not in result.text
    assert as_shown(result.text) == ending


async def test_escapes_progress_bars_and_nuls_do_not_get_through(call) -> None:
    command = "printf '\\033[31mred\\033[0m 1%%\\r2%%\\r100%%\\nnul:\\000\\n'"
    assert (await call("shell", command=command)).text == "100%\nnul:\u2400\n[exit 0]"


async def test_what_looks_like_an_ending_is_not_the_ending(call) -> None:
    result = await call("shell", command="echo '[exit 0]'; exit 9")
    assert result.text.splitlines()[-1] == "[exit 9]"
    assert result.facts["exit_code"] == 9


async def test_startup_files_are_not_read(call) -> None:
    await call("shell", command="for f in .bashrc .profile .bash_profile; do echo 'echo planted' > ~/$f; done")
    assert "planted" not in (await call("shell", command="true")).text
    await call("shell", command="rm ~/.bashrc ~/.profile ~/.bash_profile")


async def test_running_out_of_memory_is_told(docker_backend) -> None:
    from sandboxes.protocol import Limits

    limits = Limits(memory_bytes=64 << 20)
    sandbox = await docker_backend.open(SandboxSpec(run_id="tools-oom", limits=limits))
    try:
        args = ShellArguments(command="python3 -c 'x = bytes([1]) * (1 << 29)'", timeout=60)
        result = await Shell().run(args, Workbench(sandbox))
    finally:
        await sandbox.close()
    assert result.text.splitlines()[-1] == "[killed: out of memory]"
    assert as_shown(result.text) == "[killed: out of memory; 11.2 s]"
    assert not result.ok


@pytest.mark.parametrize("arguments", [{"command": ""}, {"command": "a\0b"}, {"command": "x" * 200_000}])
async def test_what_cannot_be_run_is_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ShellArguments.model_validate(arguments)


async def test_the_preview_shows_the_whole_command_without_escapes(bench: Workbench) -> None:
    preview = await Shell().preview(ShellArguments(command="echo \x1b[2K\nrm x"), bench)
    assert "\x1b" not in preview.title + preview.detail
    assert "rm x" in preview.detail
