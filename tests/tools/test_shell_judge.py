"""An independent judge of shell_effects: benign lines are run under strace, and may do no more than was claimed.

It shares nothing with what it judges but the corpus. What a program does by itself is covered by `run`, so of a
line that claims it, only the network and places outside are judged.
"""

from __future__ import annotations

import asyncio
import posixpath
import re
import secrets
import shlex
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from corpora.report import load
from support import strace

from sandboxes.docker.backend import DockerBackend
from sandboxes.protocol import WORKSPACE, Sandbox, SandboxSpec
from tools.protocol import Effect, Effects
from tools.shell_effects import shell_effects

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]

PROJECT = (Path(__file__).parents[1] / "corpora" / "project.sh").read_text(encoding="utf-8")
# Runs each line where it finds the project as it was, under strace; the records have zero bytes between them.
RUN_EACH = r"""
[ -d /tmp/judge ] || { mkdir /tmp/judge; cp -a /workspace /tmp/judge/project; }
reset() { cd /; find /workspace -mindepth 1 -delete; cp -a /tmp/judge/project/. /workspace/; cd /workspace; }
while IFS= read -r -d '' line; do
  case $line in =*) line=${line#=};; *) reset;; esac
  timeout -k 1 3 strace OPTIONS -o /tmp/judge/log bash --norc -c "$line" </dev/null >/dev/null 2>&1
  cat /tmp/judge/log; printf '\0'
done
"""
ALIKE = 5
"""Of lines that claim to run the same program, so many are judged: what it does by itself is part of `run`."""


def judged_lines() -> list[tuple[str, Effects]]:
    """The lines to judge. Those that claim the network may ask whom they like."""
    lines, seen = [], Counter[tuple[str, Effects]]()
    for line in load("benign"):
        found = shell_effects(line.command, WORKSPACE)
        program = " ".join(re.sub(r"^cd \w+ && |^[A-Z]+=\S+ ", "", line.command).split()[:1])
        seen[program, found] += 1
        if Effect.NETWORK not in found and (Effect.RUN not in found or seen[program, found] <= ALIKE):
            lines.append((line.command, found))
    return lines


async def traced(box: Sandbox, lines: list[tuple[str, Effects]]) -> list[strace.Trace]:
    """Run the lines one after the other; what each did."""
    made = await box.exec([box.shell, "-c", PROJECT], timeout=100)
    assert made.exit_code == 0, made.output.text()
    script = RUN_EACH.replace("OPTIONS", shlex.join(strace.OPTIONS))
    fed = "".join(f"{'=' if found == {Effect.READ} else ''}{line}\0" for line, found in lines).encode()
    done = await box.exec([box.shell, "-c", script], stdin=fed, timeout=600, max_output=256 << 20)
    records = done.output.head.decode("utf-8", "replace").split("\0")
    assert len(records) == len(lines) + 1, done.ending
    assert not done.output.dropped
    return [strace.parse(record, WORKSPACE) for record in records[:-1]]


def beyond(trace: strace.Trace, claimed: Effects) -> list[str]:
    """What was done that was not claimed, in words."""
    wrong = []
    for path in trace.changed | trace.removed:
        if is_nowhere(path):
            continue
        if not is_inside(path) and Effect.OUTSIDE not in claimed:
            wrong.append(f"changed {path}, outside")
        elif not claimed & {Effect.WRITE, Effect.RUN, Effect.DESTROY, Effect.HISTORY}:
            wrong.append(f"changed {path}")
    if not claimed & {Effect.DESTROY, Effect.RUN, Effect.HISTORY}:
        gone = {path for path in trace.removed if path.startswith(WORKSPACE) and "/.git/" not in path}
        wrong += [f"deleted {path}" for path in gone if path not in trace.changed]
    if Effect.RUN not in claimed:
        wrong += [f"ran {path}" for path in trace.executed if not is_toolchain(path)]
    # npm looks for a newer npm, whatever it is told to do.
    alone = {path.rpartition("/")[2] for path in trace.executed} & {"npm", "npx"}
    here = trace.asked if alone else {"127.0.0.1", "::1"}
    return wrong + [f"asked {address}" for address in trace.asked - (here if Effect.RUN in claimed else set())]


def is_nowhere(path: str) -> bool:
    """Devices, what the shell and sort keep for themselves meanwhile, and git's memory of when files changed."""
    cache = {f"{WORKSPACE}/.git/index", f"{WORKSPACE}/.git/index.lock"}
    return path.startswith(("/dev/", "/proc/self/", "/tmp/sh-thd", "/tmp/sort")) or path in {"/tmp", *cache}


def is_inside(path: str) -> bool:
    """The agent's home holds caches of programs that run."""
    return path.startswith((f"{WORKSPACE}/", "/tmp/", "/home/agent/")) or path == WORKSPACE


# What lines that do not claim to run may start: the commands of the table that read, write or work on git.
PROGRAMS = frozenset(
    {
        *("bash", "sh", "ls", "cat", "head", "tail", "sed", "awk", "gawk", "mawk", "grep", "egrep", "rg", "find"),
        *("xargs", "wc", "sort", "uniq", "cut", "tr", "paste", "nl", "od", "xxd", "hexdump", "tac", "diff"),
        *("cmp", "comm", "file", "stat", "du", "df", "tree", "which", "env", "printenv", "uname", "nproc", "free"),
        *(
            "date",
            "whoami",
            "id",
            "ps",
            "test",
            "basename",
            "dirname",
            "realpath",
            "readlink",
            "md5sum",
            "sha256sum",
        ),
        *("strings", "column", "base64", "seq", "sleep", "touch", "mkdir", "cp", "mv", "ln", "tee", "chmod"),
        *("rm", "rmdir", "truncate", "tar", "gzip", "gunzip", "zcat", "git", "jq", "split", "mktemp", "timeout"),
        *("time", "true", "echo", "printf", "lsof", "unzip", "dos2unix", "which.debianutils"),
    }
)


def is_toolchain(path: str) -> bool:
    """One of these, where the system keeps them; or a part of git."""
    folder, name = posixpath.split(path)
    return (folder in {"/bin", "/usr/bin", "/usr/local/bin"} and name in PROGRAMS) or folder.endswith("/git-core")


@pytest_asyncio.fixture(loop_scope="session")
async def boxes(docker_backend: DockerBackend) -> AsyncIterator[list[Sandbox]]:
    """Two sandboxes, as the lines mostly wait for programs to start."""
    opened = [await docker_backend.open(SandboxSpec(f"judge-{secrets.token_hex(4)}")) for _ in range(2)]
    yield opened
    for box in opened:
        await box.close()


async def test_lines_do_no_more_than_they_claim(boxes: list[Sandbox]) -> None:
    if shutil.which("strace") is None:
        pytest.skip("NO STRACE: `apt-get install strace`, or effects are not checked against what commands do")
    lines = judged_lines()
    halves = [lines[at :: len(boxes)] for at in range(len(boxes))]
    traces = await asyncio.gather(*(traced(box, half) for box, half in zip(boxes, halves, strict=True)))
    wrong = [
        (line, sorted(map(str, claimed)), found)
        for half, results in zip(halves, traces, strict=True)
        for (line, claimed), trace in zip(half, results, strict=True)
        if (found := beyond(trace, claimed))
    ]
    assert not wrong, "\n".join(map(str, wrong))
    assert all(trace.executed for results in traces for trace in results), "strace saw every line start"
    assert sum(len(trace.changed) for results in traces for trace in results) > 100, "and lines that write do"
