"""Background processes through the resident runner.

Threat model: what the runner says of a process is a few numbers, checked against each other. Its command is
remembered here and not asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sandboxes.channel.arguments import (
    UnusableArgument,
    argument_bytes,
    argument_text,
    checked_wait,
    environment_bytes,
    path_bytes,
)
from sandboxes.channel.channel import Answer, Channel, RefusedRequest
from sandboxes.channel.frames import Part, Processes, ProcessState
from sandboxes.protocol import (
    KEPT_OUTPUT,
    MAX_INPUT,
    MAX_PROCESSES,
    SPILL_DIR,
    ProcessError,
    ProcessInfo,
    ProcessOutput,
    ProcessProblem,
    PtySize,
    SandboxError,
    SandboxLost,
)

SECONDS = 60.0
"""How long a request may take that waits for nothing."""


class Background(Protocol):
    """Background processes of a sandbox; see `Sandbox` in the protocol for what the methods promise."""

    async def start(
        self, argv: Sequence[str | bytes], *, cwd: str, env: Mapping[str, str] | None, pty: PtySize | None
    ) -> int: ...

    async def list(self) -> list[ProcessInfo]: ...

    async def read(self, process: int, *, after: int, wait: float, max_bytes: int) -> ProcessOutput: ...

    async def write(self, process: int, data: bytes, *, eof: bool) -> None: ...

    async def stop(self, process: int, *, grace: float) -> ProcessInfo: ...


@dataclass(frozen=True, slots=True)
class Command:
    """What is known of a process's start: its words as text, and the number of the request."""

    text: str
    request: int


UNKNOWN = Command("?", 0)


class RunnerBackground:
    """Those that the runner keeps."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._commands: dict[int, Command] = {}
        self._last = 0

    async def start(
        self, argv: Sequence[str | bytes], *, cwd: str, env: Mapping[str, str] | None, pty: PtySize | None
    ) -> int:
        words = startable(argv)
        variables = environment_bytes(env)
        self._last += 1
        process = self._last
        header = {
            "op": "start",
            "process": process,
            "argv": [word.decode("latin-1") for word in words],
            "cwd": path_bytes(cwd).decode("latin-1"),
            "env": {k.decode("latin-1"): v.decode("latin-1") for k, v in variables.items()},
            "pty": None if pty is None else terminal_size(pty),
        }
        pending = self._channel.open_request(cwd, 0)
        try:
            await self._channel.ask(pending, header, b"", SECONDS)
        except RefusedRequest as e:
            raise process_error(e.reason, process) from None
        except asyncio.CancelledError:
            await self._undo(pending.number)  # the answer and the cancellation may have crossed
            raise
        self._commands[process] = Command(argument_text(words), pending.number)
        return process

    async def _undo(self, request: int) -> None:
        """Have nothing left of what a request has started, however often this is cancelled."""
        self._channel.end_request(request)
        asking = asyncio.ensure_future(self._ask("processes", 0))  # the runner answers in order
        while not asking.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({asking})
        with contextlib.suppress(SandboxLost):  # and all of it with it
            asking.result()

    async def list(self) -> list[ProcessInfo]:
        answer = await self._ask("processes", 0)
        assert isinstance(answer, Processes)  # the channel has checked
        infos = [self._info(state) for state in answer.states]
        known = {info.number for info in infos}
        forgotten = {number for number in self._commands if number < max(known, default=0)} - known
        for number in forgotten:
            del self._commands[number]
        return infos

    async def read(self, process: int, *, after: int, wait: float, max_bytes: int) -> ProcessOutput:
        if after < 0 or max_bytes < 0:
            raise ValueError("an offset and a number of bytes cannot be below zero")
        wait = checked_wait(wait)
        pending = self._channel.open_request("", min(max_bytes, KEPT_OUTPUT))
        header = {"op": "process_read", "process": process, "after": after, "most": max_bytes, "wait": wait}
        try:
            answer = await self._channel.ask(pending, header, b"", SECONDS + wait)
        except RefusedRequest as e:
            raise process_error(e.reason, process) from None
        assert isinstance(answer, Part)  # the channel has checked
        data, start = bytes(pending.data), answer.start
        info = self._info(answer.state)
        if start + len(data) > info.total or (info.number != process):
            raise self._channel.broken()
        return ProcessOutput(data, start, start + len(data), max(0, start - after), info)

    async def write(self, process: int, data: bytes, *, eof: bool) -> None:
        if len(data) > MAX_INPUT:
            raise process_error("input_full", process)
        await self._ask("process_write", process, {"eof": eof}, body=data)

    async def stop(self, process: int, *, grace: float) -> ProcessInfo:
        grace = checked_wait(grace)
        answer = await self._ask("process_stop", process, {"grace": grace}, seconds=SECONDS + grace)
        assert isinstance(answer, Processes)  # the channel has checked
        if [state.number for state in answer.states] != [process]:
            raise self._channel.broken()
        return self._info(answer.states[0])

    async def _ask(
        self,
        op: str,
        process: int,
        fields: dict[str, Any] | None = None,
        *,
        body: bytes = b"",
        path: str = "",
        seconds: float = SECONDS,
    ) -> Answer:
        pending = self._channel.open_request(path, 0)
        header = {"op": op, "process": process, **(fields or {})}
        try:
            return await self._channel.ask(pending, header, body, seconds)
        except RefusedRequest as e:
            raise process_error(e.reason, process) from None

    def _info(self, state: ProcessState) -> ProcessInfo:
        command = self._commands.get(state.number, UNKNOWN)
        return ProcessInfo(
            number=state.number,
            argv=command.text,
            status="running" if state.ending is None else "exited",
            exit_code=None if state.ending is None else state.code,
            ending=state.ending,
            total=state.total,
            seconds=state.milliseconds / 1000,
            pty=bool(state.pty),
            log=log_path(command.request) if state.log else None,
        )


def startable(argv: Sequence[str | bytes]) -> list[bytes]:
    """The words of a command. Raises ValueError when there are none, SandboxError for one that cannot be."""
    try:
        return argument_bytes(argv)
    except UnusableArgument as e:
        raise SandboxError(f"The command cannot be started: {e}.") from None


def log_path(request: int) -> str:
    """The file inside that holds all of a process's output, once that is more than what is kept.

    It is named for the request that started the process: those numbers go on where a checkpoint was made, and the
    files of processes before it are still there.
    """
    return f"{SPILL_DIR}/process-{request}.log"


def terminal_size(size: PtySize) -> tuple[int, int]:
    """Rows and columns. Raises ValueError for what no terminal can have."""
    if not (0 < size.rows < 1 << 16 and 0 < size.columns < 1 << 16):
        raise ValueError("a terminal has 1 to 65535 rows and columns")
    return size.rows, size.columns


def process_error(problem: ProcessProblem, process: int) -> ProcessError:
    """The error for a request about a background process, in one sentence."""
    sentences: dict[ProcessProblem, str] = {
        "unknown": f"There is no background process {process}.",
        "too_many": f"{MAX_PROCESSES} background processes live in this sandbox, the most there can be: stop one.",
        "input_closed": f"Background process {process} takes no more input: it was closed, or the process ended.",
        "input_full": f"Background process {process} does not read: {MAX_INPUT} bytes of input may wait for it.",
    }
    return ProcessError(problem, sentences[problem])
