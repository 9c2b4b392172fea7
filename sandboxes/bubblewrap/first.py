"""The first process of a sandbox, on the host's side: how it is let go, greeted and ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import select
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandboxes.bubblewrap import freeze
from sandboxes.bubblewrap.cgroups import Group
from sandboxes.bubblewrap.namespace import Users, View
from sandboxes.bubblewrap.scratch import kill_and_wait
from sandboxes.channel.channel import Channel
from sandboxes.channel.frames import Ready
from sandboxes.protocol import Limits, SandboxUnavailable

READY_SECONDS = 30.0


@dataclass(slots=True)
class First:
    """A sandbox's processes: bubblewrap itself, outside, and the first one inside (-1 for what is closed)."""

    outer: subprocess.Popen[bytes]
    group: Group
    notes: int
    pidfd: int = -1

    @property
    def pid(self) -> int:
        """The first process's number on the host; 0 when it lives no more."""
        if self.pidfd < 0:
            return 0
        info = Path(f"/proc/self/fdinfo/{self.pidfd}").read_text()
        return max(0, int(next(line for line in info.splitlines() if line.startswith("Pid:")).split()[1]))


@dataclass(frozen=True, slots=True)
class Made:
    """What a sandbox needs before its first process starts."""

    view: View
    group: Group
    pythons: tuple[str, ...]
    users: Users | None


class Pipes:
    """How bubblewrap says which process is the first one inside, and is made to wait while that is arranged."""

    def __init__(self, maps: bool) -> None:
        self._info, info = os.pipe()
        block, self._block = os.pipe()
        self.waits = {"--info-fd": info, "--block-fd": block}
        self._maps = -1
        if maps:
            self.waits["--userns-block-fd"], self._maps = os.pipe()

    def let_go(self, first: First, made: Made, limits: Limits) -> None:
        """Arrange it, and let the first process start. Blocks. Raises SandboxUnavailable, OSError."""
        for fd in self.waits.values():
            os.close(fd)
        self.waits = {}
        pid = self._first_process()
        if pid is None:
            first.outer.kill()
            first.outer.wait()
            raise SandboxUnavailable(f"bubblewrap does not start: {notes_of(first) or 'it said nothing'}.")
        first.pidfd = os.pidfd_open(pid)
        made.view.scratch.started(pid)
        if made.users:
            made.users.write_maps(pid)
            os.write(self._maps, b"1")
        if limits.pids is not None and "pids" not in made.group.covered:
            # Counted a user and namespace, so it must not be set before the namespace is there.
            try:
                resource.prlimit(pid, resource.RLIMIT_NPROC, (limits.pids, limits.pids))
            except PermissionError as e:
                raise SandboxUnavailable(
                    "The processes of a sandbox cannot be limited here: no control group can be made, and this "
                    "user lacks CAP_SYS_RESOURCE; use a Docker engine."
                ) from e
        os.write(self._block, b"1")

    def _first_process(self) -> int | None:
        """Its number on the host; None when bubblewrap ends without having started one."""
        text, poller = b"", select.poll()
        poller.register(self._info, select.POLLIN)
        while poller.poll(READY_SECONDS * 1000) and (part := os.read(self._info, 4096)):
            text += part
            with contextlib.suppress(ValueError, KeyError):
                return int(json.loads(text)["child-pid"])
        return None

    def close(self) -> None:
        """Close what is still open."""
        for fd in (self._info, self._block, self._maps, *self.waits.values()):
            if fd >= 0:
                os.close(fd)
        self._info = self._block = self._maps = -1
        self.waits = {}


async def greeting(channel: Channel, first: First) -> Ready:
    """Wait for the runner's first words. Raises SandboxUnavailable."""
    either: set[asyncio.Future[Any]] = {channel.hello, channel.ended}
    try:
        await asyncio.wait(either, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    except BaseException:
        channel.close()
        raise
    if not channel.hello.done() or channel.hello.cancelled():
        channel.close()
        raise SandboxUnavailable(f"bubblewrap does not start: {notes_of(first) or 'it said nothing'}.")
    hello = channel.hello.result()
    if not isinstance(hello, Ready):
        channel.close()
        raise SandboxUnavailable("No python3 of the host's works in a sandbox; install python3, or use Docker.")
    return hello


def end(first: First, name: str) -> None:
    """End every process of a sandbox. Blocks; harmless when they have ended. Raises SandboxError."""
    try:
        freeze.thaw(first.group.folders)
        if first.pidfd >= 0:
            kill_and_wait(first.pidfd, name)
    finally:
        first.outer.kill()
        first.outer.wait()
        for fd in (first.pidfd, first.notes):
            if fd >= 0:
                os.close(fd)
        first.pidfd = first.notes = -1
    first.group.remove()


def notes_of(first: First) -> str:
    """What bubblewrap or the runner wrote to standard error: the last line."""
    with contextlib.suppress(OSError):
        os.set_blocking(first.notes, False)
        text = os.read(first.notes, 1 << 16).decode("utf-8", "replace").strip()
        return (text.splitlines() or [""])[-1][:300]
    return ""
