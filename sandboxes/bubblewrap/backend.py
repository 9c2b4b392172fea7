"""The `bubblewrap` backend: sandboxes without a daemon, made of the kernel's namespaces by `bwrap`.

Threat model: see `namespace` for what a program inside can see and do, `seccomp` for the system calls it is
refused, `scratch` for how its files are kept from acting on the host. A sandbox belongs to the process that made
it and dies with it, by its channel and by the kernel's parent-death signal. Its files stay, for the next `reap` to
save.

What it cannot promise that an engine does: the disk is not limited in total; without control groups, memory and
processes are limited a process and a user, not together, and a command that ran out of memory fails by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import resource
import secrets
import select
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandboxes.bubblewrap import cgroups, doctor, scratch
from sandboxes.bubblewrap.cgroups import Group
from sandboxes.bubblewrap.namespace import Users, View, new_users, start
from sandboxes.bubblewrap.sandbox import BubblewrapSandbox, First, end, notes_of, pack, save, unpack
from sandboxes.bubblewrap.scratch import Scratch
from sandboxes.channel.channel import Channel
from sandboxes.channel.client import open_way_out, tell_limits
from sandboxes.channel.frames import Ready
from sandboxes.launch import CAPABILITIES, ENVIRONMENT, entrypoint, runner_payload
from sandboxes.network import egress
from sandboxes.ownership import KEEPER_LABEL, RUN_LABEL, is_anothers, is_dead, read_labels, this_owner
from sandboxes.protocol import (
    WORKSPACE,
    Check,
    Limits,
    Reaped,
    SandboxError,
    SandboxSpec,
    SandboxUnavailable,
)
from sandboxes.threads import in_thread
from sandboxes.toolchain import SYSTEM_PATH, find_toolchain

NAME = "bubblewrap"
READY_SECONDS = 30.0
MISSING = (
    "There is no bubblewrap here (the program bwrap); install it (`sudo apt install bubblewrap`), "
    "or use a Docker engine."
)


class BubblewrapBackend:
    """Makes sandboxes of the host's toolchain without an engine.

    `folder` is where the sandboxes' files are; `host_paths` and `environ` are as for the docker backend.
    """

    def __init__(
        self,
        *,
        folder: Path | None = None,
        host_paths: Sequence[Path] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._environ = dict(os.environ if environ is None else environ)
        self._host_paths = tuple(host_paths)
        self._folder = folder or default_folder(self._environ)

    @property
    def name(self) -> str:
        return NAME

    async def open(self, spec: SandboxSpec) -> BubblewrapSandbox:
        """See `Backend` in the protocol."""
        if spec.image != "host":
            raise SandboxUnavailable(
                f"bubblewrap can only show the host's own toolchain, not the image {spec.image}: "
                "leave --image out, or use a Docker engine."
            )
        if spec.network.mode == "full":
            raise SandboxUnavailable(
                "bubblewrap has no network of its own, and the host's is never shared: list the hosts "
                "(--allow-host), or use a Docker engine."
            )
        name = f"bridle-{re.sub(r'[^a-zA-Z0-9_.-]', '-', spec.run_id)[:40]}-{secrets.token_hex(4)}"
        try:
            made = await in_thread(self._make, spec, name)
        except OSError as e:
            raise unavailable(e) from e
        try:
            if spec.workspace is not None:
                await unpack(made.view, spec.workspace.archive, spec.workspace.target)
            return await self._begin(made, spec)
        except BaseException as e:
            await in_thread(made.view.scratch.remove)
            if isinstance(e, OSError):
                raise unavailable(e) from e
            raise

    async def check(self) -> list[Check]:
        """What is there and what is missing, for `bridle doctor`. Never raises."""
        return await doctor.checks(self)

    async def reap(
        self,
        save_to: Callable[[str], Path | None] | None = None,
        *,
        keeper: str = "",
        wanted: Callable[[str], bool] | None = None,
        dry_run: bool = False,
    ) -> list[Reaped]:
        """See `Backend` in the protocol. Raises SandboxError when a workspace that was wanted could not be saved:
        it is then left where it is, and the message says where."""
        here = this_owner()
        gone: list[Reaped] = []
        troubles: list[str] = []
        for left in await in_thread(scratch.existing, self._folder):
            labels = left.labels()
            known = read_labels(labels)
            if known is None or is_anothers(labels, keeper) or not is_dead(known[1], here, local_engine=True):
                continue
            target = save_to(known[0]) if save_to else None
            size = await in_thread(left.size) if dry_run else 0
            try:
                if dry_run or await self._reap_one(left, target):
                    gone.append(Reaped(left.name, known[0], None if dry_run else target, size=size))
            except (OSError, SandboxError) as e:
                troubles.append(f"the workspace of {left.name} could not be saved ({e})")
        if not dry_run:
            await in_thread(scratch.sweep, self._folder)
        if troubles:
            raise SandboxError(f"Left below {self._folder}: {'; '.join(troubles)}; make room, or remove it.")
        return gone

    async def _reap_one(self, left: Scratch, target: Path | None) -> bool:
        """Save and remove one; False when another reaper did."""
        try:
            while (lock := left.lock()) is None:  # noqa: ASYNC110 -- it is another process's
                await asyncio.sleep(0.05)
        except FileNotFoundError:
            return False
        try:
            if not left.files.is_dir():
                return False
            await in_thread(left.end_first_process)
            if target is not None:
                view = await in_thread(self._view, left)
                await save(pack(view, WORKSPACE), target)
            await in_thread(left.remove)
        finally:
            os.close(lock)
        return True

    def _make(self, spec: SandboxSpec, name: str) -> Made:
        """The files and control groups of a new sandbox. Blocks. Raises OSError, SandboxUnavailable."""
        bwrap = program()
        tools = find_toolchain(self._environ, self._host_paths)
        etc = scratch.etc_folder(self._folder)
        group, users = cgroups.make(name, spec.limits), new_users()
        try:
            labels = {RUN_LABEL: spec.run_id, KEEPER_LABEL: spec.keeper, **this_owner().labels()}
            files = scratch.create(self._folder, name, labels, users.agent if users else None, group.folders)
        except BaseException:
            group.remove()
            raise
        proxy = egress.ENVIRONMENT if spec.network.mode == "allowlist" else {}
        env = {**ENVIRONMENT, **proxy, "PATH": ":".join(tools.path)}
        if tools.virtual_env:
            env["VIRTUAL_ENV"] = str(tools.virtual_env)
        env |= spec.env
        shown = ((group.oom_file, f"/sys/fs/cgroup/{group.oom_name}"),) if group.oom_file else ()
        view = View(bwrap, files, etc, tools.mounts, env, shown)
        return Made(view, group, tools.pythons, users if users and users.inside else None)

    def _view(self, left: Scratch) -> View:
        """Just enough to read what is left of a sandbox. Blocks. Raises OSError, SandboxUnavailable."""
        return View(program(), left, scratch.etc_folder(self._folder), (), {"PATH": ":".join(SYSTEM_PATH)})

    async def _begin(self, made: Made, spec: SandboxSpec) -> BubblewrapSandbox:
        """Start the first process and its runner. Raises SandboxUnavailable, SandboxError, OSError."""
        name = made.view.scratch.name
        ours, theirs = socket.socketpair()
        pipes = Pipes(bool(made.users))
        try:
            first = self._start(made, spec.limits, theirs, pipes)
        except BaseException:
            ours.close()
            pipes.close()
            raise
        finally:
            theirs.close()
        try:
            await in_thread(pipes.let_go, first, made, spec.limits)
            ours.setblocking(False)
            channel = await Channel.over(ours, b"", name, packets=False)
            await channel.send_raw(runner_payload())
            hello = await _greeting(channel, first)
            if isinstance(hello, Ready):
                await tell_limits(channel, spec.limits)
            await open_way_out(channel, hello, spec)
        except BaseException:
            ours.close()
            await in_thread(end, first, name)
            raise
        finally:
            pipes.close()
        return BubblewrapSandbox(made.view, first, "bash" if hello.bash else "sh", channel)

    def _start(self, made: Made, limits: Limits, stream: socket.socket, pipes: Pipes) -> First:
        begun = start(
            made.view,
            entrypoint("Python and shell" if made.users else "the agent's Python", made.pythons),
            users=made.users,
            groups=made.group.folders,
            limits=limits_of_each(limits, made.group),
            capabilities=[f"CAP_{name}" for name in CAPABILITIES] if made.users else (),
            waits=pipes.waits,
        )
        notes, notes_write = os.pipe()
        try:
            # From this very thread: when the thread that starts it ends, the kernel ends the sandbox.
            outer = subprocess.Popen(
                begun.argv,
                stdin=stream.fileno(),
                stdout=stream.fileno(),
                stderr=notes_write,
                pass_fds=[*begun.fds, *pipes.waits.values()],
                env={},
            )
        except BaseException:
            os.close(notes)
            raise
        finally:
            os.close(notes_write)
            begun.close()
        return First(outer, made.group, notes)


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
            resource.prlimit(pid, resource.RLIMIT_NPROC, (limits.pids, limits.pids))
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


async def _greeting(channel: Channel, first: First) -> Ready:
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


def limits_of_each(limits: Limits, group: Group) -> list[tuple[int, int]]:
    """What is limited process by process: always files, and memory where no control group limits it."""
    found = [(resource.RLIMIT_CORE, 0)]
    if limits.open_files is not None:
        found.append((resource.RLIMIT_NOFILE, limits.open_files))
    if limits.file_bytes is not None:
        found.append((resource.RLIMIT_FSIZE, limits.file_bytes))
    if limits.memory_bytes is not None and "memory" not in group.covered:
        # Not the address space: languages reserve far more of that than they use.
        found.append((resource.RLIMIT_DATA, limits.memory_bytes))
    return found


def default_folder(environ: Mapping[str, str]) -> Path:
    """Where sandboxes' files are kept: below BRIDLE_STATE_DIR, else the platform's folder for state."""
    if named := environ.get("BRIDLE_STATE_DIR"):
        return Path(named).expanduser().absolute() / NAME
    from platformdirs import user_state_path

    return user_state_path("bridle") / NAME


def unavailable(error: OSError) -> SandboxUnavailable:
    """One sentence for what the system refused."""
    where = f" ({error.filename})" if error.filename else ""
    return SandboxUnavailable(f"A bubblewrap sandbox cannot be made: {error.strerror or error}{where}.")


def program() -> str:
    """Where bwrap is. Raises SandboxUnavailable."""
    found = shutil.which("bwrap", path=os.pathsep.join(SYSTEM_PATH)) or shutil.which("bwrap")
    if sys.platform != "linux":
        raise SandboxUnavailable("bubblewrap only exists on Linux; use a Docker engine.")
    if found is None:
        raise SandboxUnavailable(MISSING)
    return found
