"""The `process` tool: background processes that `shell` started, listed, read, written to and stopped.

Threat model: what a process writes is the agent's: it is bounded and stripped of escapes, as everywhere. The input
is the model's text, for a program that it has started itself: stopping is as good as running, and what is typed
has the effects it would have in a shell, as one may read it (see `tools/commands/typed.py`).
"""

from __future__ import annotations

import asyncio
import codecs
import shlex
import time
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from sandboxes.protocol import (
    ProcessError,
    ProcessInfo,
    ProcessOutput,
    SandboxError,
    SandboxLost,
)
from tools.protocol import Arguments, Cause, Effect, Effects, Preview, Talk, ToolResult, Workbench
from tools.shell_effects import Found
from tools.text import one_line, plural, signal_name, terminal_text, visible

MAX_WAIT = 600
SHOWN_BYTES = 10_000
"""The most bytes of output that one result shows."""
FIRST_SECONDS = 1.0
"""How long the first output of a process is waited for."""
WAIT_SECONDS = 5.0
"""How long new output is waited for, if the model does not say."""
SETTLE_SECONDS = 0.1
"""What comes this soon after the last output still belongs to it."""
BUSY_SECONDS = 2.0
"""How long output that goes on coming is followed."""


class ProcessArguments(Arguments):
    """Arguments of `process`."""

    action: Literal["list", "read", "write", "stop"] = Field(
        description="list all; read what one wrote; write to its input; stop it and all that it started."
    )
    process: int = Field(0, ge=0, description="Its number. Needed for all but list.")
    after: int | None = Field(
        None,
        description="For read: the byte of its output to read on from; negative counts from the end. Left out, "
        "it goes on where the last result ended.",
    )
    wait: float = Field(
        WAIT_SECONDS,
        ge=0,
        le=MAX_WAIT,
        description="For read and write: how many seconds to wait for new output.",
    )
    input: str = Field(
        "",
        max_length=100_000,
        description="For write: the text, as it is. End it with a line break to enter a line; \\u0003 is Ctrl-C "
        "where the process has a terminal.",
    )
    eof: bool = Field(False, description="For write: end the input after it.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.action != "list" and not self.process:
            raise ValueError(f"{self.action} needs the number of a `process`; list shows them")
        if self.action == "write" and not self.input and not self.eof:
            raise ValueError("write needs an `input`, or `eof`")
        return self


class Process:
    """Looks at, talks to and ends background processes."""

    name: ClassVar[str] = "process"
    description: ClassVar[str] = (
        "Work with processes that shell started with background: list them, read what one wrote since you last "
        "looked, write to its standard input, stop it. read and write end with the byte up to which you have seen "
        "its output. All of them end with the sandbox."
    )
    arguments: ClassVar[type[Arguments]] = ProcessArguments

    def effects(self, args: ProcessArguments, bench: Workbench) -> Effects:
        """Looking changes nothing; input can make a process do what it says."""
        if args.action == "write":
            return _typed(args, bench).effects - {Effect.READ, Effect.SECRET} | {Effect.RUN}
        return frozenset({Effect.READ if args.action in ("list", "read") else Effect.RUN})

    async def preview(self, args: ProcessArguments, bench: Workbench) -> Preview:
        """The action, all of the input, and what in it has its effects."""
        what = f" {args.process}" if args.process else ""
        ends = "\n(then the end of its input)" if args.eof else ""
        detail = visible(args.input) + ends if args.action == "write" else ""
        causes = _typed(args, bench).causes if args.action == "write" else ()
        return Preview(
            f"process {args.action}{what} {one_line(args.input)}".rstrip(),
            detail=detail,
            causes=tuple(cause for cause in causes if cause.effect is not Effect.SECRET),
        )

    async def run(self, args: ProcessArguments, bench: Workbench) -> ToolResult:
        """Do it; what cannot be done says which processes there are."""
        try:
            if args.action == "list":
                return await _list(bench)
            if args.action == "read":
                return await _read(bench, args.process, args.after, args.wait)
            if args.action == "write":
                return await _write(bench, args.process, args)
            return await _stop(bench, args.process)
        except SandboxLost:
            raise
        except SandboxError as error:
            problem = error.problem if isinstance(error, ProcessError) else "other"
            there = f" {_there_are(await bench.sandbox.processes())}" if problem == "unknown" else ""
            return ToolResult(f"{error}{there}", ok=False, facts={"error": problem})


async def new_output(bench: Workbench, process: int, wait: float) -> ToolResult:
    """What a process has written since it was last looked at, waiting for more as long as it comes thick and fast.

    Raises ProcessError, SandboxLost.
    """
    after = bench.seen.get(process, 0)
    first = max(4, bench.secrets.longest)
    part = await bench.sandbox.process_read(process, after=after, wait=wait, max_bytes=first)
    whole = part.data[: _whole_characters(part.data)]
    if part.data and len(whole) == bench.secrets.begun(whole):  # seen the last time, and held back
        part = await bench.sandbox.process_read(process, after=part.next, wait=wait, max_bytes=0)
    end = time.monotonic() + BUSY_SECONDS
    while part.info.status == "running" and after < part.info.total < after + SHOWN_BYTES:
        more = await bench.sandbox.process_read(process, after=part.info.total, wait=SETTLE_SECONDS, max_bytes=0)
        if more.info.total == part.info.total or time.monotonic() > end:
            break
        part = more
        await asyncio.sleep(SETTLE_SECONDS / 5)
    return _told(bench, await bench.sandbox.process_read(process, after=after, max_bytes=SHOWN_BYTES), after)


async def _list(bench: Workbench) -> ToolResult:
    infos = await bench.sandbox.processes()
    lines = [f"{info.number}  {_state(info)}  {_new(info, bench)}{_command(info)}" for info in infos]
    return ToolResult("\n".join(lines) or _there_are([]), facts={"processes": [_facts(i) for i in infos]})


async def _read(bench: Workbench, process: int, after: int | None, wait: float) -> ToolResult:
    if after is None:
        return await new_output(bench, process, wait)
    if after < 0:
        info = (await bench.sandbox.process_read(process, max_bytes=0)).info
        after = max(0, info.total + after)
    part = await bench.sandbox.process_read(process, after=after, wait=wait, max_bytes=SHOWN_BYTES)
    return _told(bench, part, after)


def _talk(bench: Workbench, process: int) -> Talk:
    """What is known of a process; nothing of one that another run of the session started."""
    return bench.talks.get(process, Talk("", ""))


def whole_input(args: ProcessArguments, bench: Workbench) -> str:
    """The input, with what was typed before of the line that it goes on with."""
    from tools.commands.typed import whole  # with the parser: not needed to start Bridle

    return whole(_talk(bench, args.process), args.input)


def _typed(args: ProcessArguments, bench: Workbench) -> Found:
    from tools.commands.typed import typed  # with the parser: not needed to start Bridle

    found = typed(_talk(bench, args.process), args.input)
    cause = Cause(Effect.RUN, one_line(args.input, 200), "is input of a process that runs")
    return Found(found.effects, (cause, *found.causes))


async def _write(bench: Workbench, process: int, args: ProcessArguments) -> ToolResult:
    talk = _talk(bench, process)
    bench.talks[process] = talk._replace(text=talk.text + args.input)
    await bench.sandbox.process_write(process, args.input.encode(), eof=args.eof)
    return await new_output(bench, process, args.wait)


async def _stop(bench: Workbench, process: int) -> ToolResult:
    await bench.sandbox.process_stop(process)
    return await new_output(bench, process, 0.0)


def _told(bench: Workbench, part: ProcessOutput, after: int) -> ToolResult:
    """A part of a process's output as a result, and how the process is."""
    info, data, begun = part.info, part.data, 0
    if part.next < info.total:
        data = data[: data.rfind(b"\n") + 1] or data  # the next look begins with a whole line
    if part.next < info.total or info.status == "running":
        data = data[: _whole_characters(data)]
        begun = bench.secrets.begun(data)  # what may be the beginning of a secret waits, too
    seen = part.start + len(data) - (begun if begun < len(data) or part.next == info.total else 0)
    data = data[: len(data) - begun]
    if part.start != bench.seen.get(info.number, 0):
        data = bench.secrets.cut(b"", data)[1]
    bench.seen[info.number] = seen
    text = terminal_text(data.decode("utf-8", "replace")).rstrip("\n")
    log = f"; all of it: {info.log} (read or search it)" if info.log else ""
    gone = f"[… {plural(part.dropped, 'byte')} before this are no longer kept{log} …]\n" if part.dropped else ""
    left = info.total - seen - (begun if info.status == "running" and part.next == info.total else 0)
    more = f"; {plural(left, 'byte')} more to read on from byte {seen}" if left else ""
    nothing = "(no new output)" if after else "(no output)"
    if info.status == "running":
        nothing = f"{nothing[:-1]} yet; read waits longer with a larger `wait`)"
    last = f"[process {info.number} {_state(info)}; output up to byte {seen}{more}]"
    return ToolResult(f"{gone}{text or nothing}\n{last}", facts={**_facts(info), "after": after, "next": seen})


def _whole_characters(data: bytes) -> int:
    """How many bytes there are before a character that is cut off at the end."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(data)
    return len(data) - len(decoder.getstate()[0])


def _state(info: ProcessInfo) -> str:
    """How a process is, in words."""
    if info.status == "running":
        return "running"
    code = info.exit_code
    how = {"stopped": "stopped", "out_of_memory": "killed: out of memory"}.get(info.ending or "", "ended")
    return f"{how}, exit {code}{signal_name(code)}"


def _new(info: ProcessInfo, bench: Workbench) -> str:
    unseen = info.total - bench.seen.get(info.number, 0)
    return f"{plural(unseen, 'byte')} of new output  " if unseen > 0 else ""


def _command(info: ProcessInfo) -> str:
    """The command line as it was given to the shell."""
    try:
        words = shlex.split(info.argv)
    except ValueError:  # it was cut
        return one_line(info.argv)
    return one_line(words[-1] if words[-2:-1] == ["-c"] else info.argv)


def _there_are(infos: list[ProcessInfo]) -> str:
    if not infos:
        return "There are no background processes; shell starts them, with `background`."
    known = "; ".join(f"{info.number} ({_state(info)}): {one_line(_command(info), 60)}" for info in infos)
    return f"There are: {known}."


def _facts(info: ProcessInfo) -> dict[str, Any]:
    return {
        "process": info.number,
        "status": info.status,
        "exit_code": info.exit_code,
        "ending": info.ending,
        "total": info.total,
        "log": info.log,
        "seconds": info.seconds,
    }
