"""Commands and files in a container whose image has no Python: through the engine's exec and a few lines of `sh`.

The same promises as the runner's, at the engine's price (some 70 ms a call, and all output passes the host).

Threat model: everything but the engine's stream framing may be the agent's. Control lines come on their own
stream; a command that forges them only lies about itself. Nothing is kept beyond what was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sandboxes.channel.arguments import (
    UnusableArgument,
    argument_bytes,
    checked_timeout,
    environment_bytes,
    not_startable,
    path_bytes,
)
from sandboxes.channel.channel import Channel
from sandboxes.channel.file_replies import FILE_SECONDS, MAX_PATH, listing_bytes, parse_listing, parse_path
from sandboxes.channel.packets import ERRORS, ProtocolError
from sandboxes.docker.engine import ENGINE_ERRORS, Engine, lost_or_unavailable
from sandboxes.docker.plain_background import NoBackground
from sandboxes.docker.plain_replies import MAX_CONTROL, Control, Packets
from sandboxes.docker.plain_scripts import (
    KILL,
    LIST,
    READ,
    RESOLVE,
    RUN,
    WRITE,
    file_error,
    shell_command,
    with_hidden_variables,
    with_variables,
)
from sandboxes.docker.stillness import Stillness
from sandboxes.inside.output import HeadTail
from sandboxes.protocol import (
    AGENT_GID,
    AGENT_UID,
    SPILL_DIR,
    Ending,
    ExecResult,
    FileError,
    Listing,
    Output,
    SandboxLost,
)
from sandboxes.threads import in_thread, to_its_end

SPILL_BLOCKS = (256 << 20) // 512
LIVE_CHUNK = 1 << 16
LIVE_EVERY = 0.02
QUIET_SECONDS = 0.2
"""How long nothing must come after a command's end for its output to count as complete, if its pipe stays open."""
SETTLE_SECONDS = 1.0
"""How long it may go on coming: from then on it is a background process's."""
KILL_TRIES = 5
BEGIN_SECONDS = 5.0
MAX_ARGUMENT = (128 << 10) - 1
"""The longest argument that the kernel hands on, in bytes."""
NOT_BEGUN = b"bridle: cannot be started: the engine did not; its arguments may be too long, or there is no room\n"
LAST = b"."
"""What our scripts write last, so that output that was cut off is not taken for all of it."""
LOST_SECONDS = 2.0
"""How long a container may take to end after its commands' streams have."""


class Run:
    """What is known of one command while it runs: output, control lines, its end."""

    def __init__(self, limit: int, on_output: Callable[[bytes], None] | None) -> None:
        self.output = HeadTail(limit)
        self.on_output = on_output
        self.control = Control()
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()
        self.closed = asyncio.Event()
        self.last = time.monotonic()
        self.over = False
        self._live_room, self._live_next, self._missed = LIVE_CHUNK, 0.0, 0

    async def follow(self, packets: Packets) -> None:
        """Take everything until the stream ends; after the call is over, only so that nobody inside is blocked."""
        try:
            async for kind, data in packets:
                if self.over:
                    continue
                self.last = time.monotonic()
                if kind == ERRORS:
                    self.control.add(data)
                    if self.begun_for_sure:
                        self.begun.set()
                    if self.told_its_end:
                        self.ended.set()
                else:
                    self.output.add(data)
                    self._show(data)
        except (OSError, ProtocolError):
            pass  # the end of the stream, however it came
        finally:
            packets.close()
            self.begun.set()
            self.closed.set()
            self.ended.set()

    @property
    def begun_for_sure(self) -> bool:
        """Has the script come to where it starts the command?"""
        return self.control.values("pid") is not None

    @property
    def told_its_end(self) -> bool:
        """Has the script said how it went? It has not if it was killed."""
        return self.control.values("exit") is not None or self.control.values("cwd") is not None

    @property
    def whole(self) -> bool:
        """Has the script said that there is no more output?"""
        return self.control.values("over") is not None or self.control.values("cwd") is not None

    def _show(self, data: bytes) -> None:
        if self.on_output is None:
            return
        now = time.monotonic()
        if now >= self._live_next:
            self._live_room, self._live_next = LIVE_CHUNK, now + LIVE_EVERY
            if self._missed:
                self.on_output(b"\n[... %d bytes not shown here ...]\n" % self._missed)
                self._missed = 0
        part = data[: self._live_room]
        self._live_room -= len(part)
        self._missed += len(data) - len(part)
        if part:
            self.on_output(part)


class PlainClient:
    """See `Sandbox` in the protocol for what the methods promise."""

    def __init__(self, engine: Engine, container: str, name: str, channel: Channel) -> None:
        self._engine, self._container, self._name, self._channel = engine, container, name, channel
        self._followers: dict[asyncio.Task[None], str] = {}
        self._writing = asyncio.Lock()
        self._killing = asyncio.Lock()
        self._stillness = Stillness()
        self.background = NoBackground()

    async def exec(
        self,
        argv: Sequence[str | bytes],
        *,
        cwd: str,
        env: Mapping[str, str] | None,
        stdin: bytes,
        timeout: float,  # noqa: ASYNC109
        max_output: int,
        on_output: Callable[[bytes], None] | None,
        alone: bool,
    ) -> ExecResult:
        begun = time.monotonic()
        try:
            words = argument_bytes(argv)
        except UnusableArgument as e:
            return not_startable(str(e))
        folder = path_bytes(cwd)
        variables = environment_bytes(env)
        hidden: dict[str, str] = {}
        if alone:
            words, hidden = with_hidden_variables(words, variables)
        elif variables:
            words = with_variables(words, variables)
        timeout = checked_timeout(timeout)
        self._channel.last += 1
        number = self._channel.last
        call = f"{number}-{secrets.token_hex(4)}"
        plan = [call.encode(), b"%d" % number, b"%d" % SPILL_BLOCKS, b"%d" % max_output, folder]
        command, variable = shell_command(RUN, [*plan, b"1" if stdin else b"0", *words])
        if any(len(word.encode()) > MAX_ARGUMENT for word in command):
            return not_startable("Argument list too long")
        run = Run(max_output, on_output)
        ending: Ending = "exited"
        follower, cancelled = await to_its_end(self._begin(run, command, {**variable, **hidden}, stdin))
        if cancelled:
            await self._kill_for_sure(call, run)
            run.over = True
            raise asyncio.CancelledError
        try:
            try:
                async with asyncio.timeout(timeout):
                    await self._until(run.ended, follower)
                if alone:
                    await self._kill(call, run)
                await self._settle(run)
                if run.closed.is_set() and not run.whole:
                    await self._unless_lost()
            except TimeoutError:
                ending = "timeout"
                await self._kill(call, run)
                await self._settle(run)
        except (SandboxLost, GeneratorExit):
            raise
        except BaseException:
            await self._kill_for_sure(call, run)
            raise
        finally:
            run.over = True
        return self._result(run, ending, cwd, number, begun)

    async def _begin(self, run: Run, command: list[str], env: dict[str, str], stdin: bytes) -> asyncio.Task[None]:
        exec_id, packets = await self._start(command, env)

        async def converse() -> None:
            sender = asyncio.ensure_future(packets.send(stdin))
            try:
                await run.follow(packets)
            finally:
                sender.cancel()

        follower = asyncio.ensure_future(converse())
        self._followers[follower] = exec_id
        follower.add_done_callback(lambda done: self._followers.pop(done, None))
        return follower

    @asynccontextmanager
    async def standstill(self) -> AsyncIterator[None]:
        """While this lasts, commands wait to be started, and none is half started. Raises SandboxError."""
        async with self._stillness.standstill():
            try:
                for exec_id in [*self._followers.values()]:
                    await in_thread(self._engine.until_begun, exec_id)
            except ENGINE_ERRORS as e:
                raise lost_or_unavailable(self._engine, self._name, e) from e
            yield

    async def _start(self, command: list[str], env: dict[str, str]) -> tuple[str, Packets]:
        async with self._stillness.beginning():
            return await self._start_now(command, env)

    async def _start_now(self, command: list[str], env: dict[str, str]) -> tuple[str, Packets]:
        if self._channel.ended.done():
            raise self._channel.lost()
        try:
            exec_id, sock, early = await in_thread(
                self._engine.start_exec,
                self._container,
                cmd=command,
                environment=env,
                user=f"{AGENT_UID}:{AGENT_GID}",
            )
        except ENGINE_ERRORS as e:
            error = lost_or_unavailable(self._engine, self._name, e)
            if isinstance(error, SandboxLost):
                self._channel.close("the engine runs no command in it any more")
            raise error from e
        return exec_id, Packets(sock, early)

    async def _until(self, event: asyncio.Event, follower: asyncio.Task[None]) -> None:
        """Wait for an event of a call; raise SandboxLost as soon as the container is gone."""
        waiter = asyncio.ensure_future(event.wait())
        either: set[asyncio.Future[Any]] = {waiter, self._channel.ended}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
        if self._channel.ended.done():
            raise self._channel.lost()
        if follower.done() and not follower.cancelled() and (error := follower.exception()) is not None:
            raise error

    async def _unless_lost(self) -> None:
        """Raise SandboxLost if a stream that ended too early ended with the whole container."""
        await asyncio.wait({self._channel.ended}, timeout=LOST_SECONDS)
        if self._channel.ended.done():
            raise self._channel.lost()

    async def _settle(self, run: Run) -> None:
        """Wait until all output has come: the stream has ended, or nothing came for a moment."""
        end = time.monotonic() + SETTLE_SECONDS
        while not run.closed.is_set():
            left = min(run.last + QUIET_SECONDS, end) - time.monotonic()
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await run.closed.wait()

    async def _kill(self, call: str, run: Run) -> None:
        """Kill the call's whole tree. If that cannot be done, the whole sandbox goes. Raises SandboxLost then."""
        with contextlib.suppress(TimeoutError):  # what has not begun yet cannot be found yet
            async with asyncio.timeout(BEGIN_SECONDS):
                await run.begun.wait()
        for _ in range(KILL_TRIES):
            try:
                async with self._killing:
                    code, _ = await self._script(KILL, [call.encode(), b"%d" % run.control.root()])
            except SandboxLost:
                raise
            except Exception:  # noqa: BLE001 -- no room for another process, say: tried again, then drastic
                code = 1
            if code == 0:
                return
        with contextlib.suppress(*ENGINE_ERRORS):
            await in_thread(self._engine.client().kill, self._container)
        self._channel.close("a command in it could not be ended otherwise")
        raise self._channel.lost()

    async def _kill_for_sure(self, call: str, run: Run) -> None:
        """The same, whatever else is cancelled meanwhile."""
        killing = asyncio.ensure_future(self._kill(call, run))
        while not killing.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({killing})
        killing.exception()

    def _result(self, run: Run, ending: Ending, cwd: str, number: int, begun: float) -> ExecResult:
        problem = run.control.values("cwd")
        if problem is not None and ending == "exited":
            raise file_error(cwd, 1, " ".join(problem))
        if ending == "exited" and not run.begun_for_sure:
            run.output.add(NOT_BEGUN)
            return ExecResult(126, "exited", Output(*run.output.ends()), time.monotonic() - begun)
        head, tail, dropped = run.output.ends()
        spill = f"{SPILL_DIR}/{number}.log" if dropped and run.control.values("spill") is not None else None
        code: int | None = None
        if ending == "exited":
            code, out_of_memory = run.control.end()
            ending = "out_of_memory" if out_of_memory else "exited"
        return ExecResult(code, ending, Output(head, tail, dropped, spill), time.monotonic() - begun)

    async def _script(
        self, script: str, arguments: Sequence[bytes], stdin: bytes = b"", limit: int = MAX_CONTROL
    ) -> tuple[int, bytes]:
        """Run a script of ours to its end: its exit code and what it wrote, errors if it failed.

        More than `limit` bytes of output are an error of the script.
        """
        command = shell_command(f'({script})\ncode=$?; printf .; echo "\nexit $code" >&2', arguments)
        run = Run(limit + len(LAST), None)
        follower = await self._begin(run, *command, stdin)
        await self._until(run.closed, follower)
        said, _, dropped = run.output.ends()
        code = run.control.script_end()
        if dropped:
            return code or 1, b"more was said than there can be"
        if not said.endswith(LAST):  # cut off, or killed
            await self._unless_lost()
            code = code or 1
        return code, run.control.said if code else said.removesuffix(LAST)

    async def read(self, path: str, *, max_bytes: int) -> bytes:
        data = await self._file_script(path, READ, [b"%d" % (max_bytes + 1)], limit=max_bytes + 1)
        if len(data) > max_bytes:
            raise FileError("too_large", path, f"more than the limit of {max_bytes} bytes")
        return data

    async def write(
        self, path: str, data: bytes, *, expect: bytes | None, create_only: bool, follow: bool
    ) -> None:
        digest = b"" if expect is None else hashlib.sha256(expect).hexdigest().encode()
        token = secrets.token_hex(6).encode()
        flags = [b"%d" % create_only, b"%d" % follow]
        async with self._writing:  # comparing and replacing are two steps of the script
            await self._file_script(path, WRITE, [token, digest, *flags], data)

    async def resolve(self, path: str) -> str:
        data = await self._file_script(path, RESOLVE, [], limit=MAX_PATH)
        try:
            return parse_path(data)
        except ProtocolError as e:
            raise FileError("other", path, str(e)) from None

    async def list(self, path: str, *, max_entries: int) -> Listing:
        data = await self._file_script(path, LIST, [b"%d" % max_entries], limit=listing_bytes(max_entries))
        try:
            return parse_listing(data, max_entries)
        except ProtocolError as e:
            raise FileError("other", path, str(e)) from None

    async def _file_script(
        self, path: str, script: str, arguments: Sequence[bytes], stdin: bytes = b"", limit: int = MAX_CONTROL
    ) -> bytes:
        """What a script about `path` wrote. Raises FileError, also when a pipe put in its way holds it up."""
        try:
            async with asyncio.timeout(FILE_SECONDS):
                code, said = await self._script(script, [path_bytes(path), *arguments], stdin, limit)
        except TimeoutError:
            raise FileError("other", path, f"was not done within {FILE_SECONDS:g} s") from None
        if code:
            raise file_error(path, code, said.decode("utf-8", "replace"))
        return said
