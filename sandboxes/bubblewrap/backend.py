"""The `bubblewrap` backend: sandboxes without a daemon, made of the kernel's namespaces by `bwrap`.

Threat model: see `namespace` for what a program inside can see and do, `seccomp` for the system calls it is
refused, `scratch` for how its files are kept from acting on the host. A sandbox belongs to the process that made
it and dies with it, by its channel and by the kernel's parent-death signal. Its files stay, for the next `reap` to
save.

What it cannot promise that an engine does: without control groups, memory and processes are limited a process and
a user, not together, and a command that ran out of memory fails by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sandboxes.bubblewrap import cgroups, checkpoints, doctor, scratch
from sandboxes.bubblewrap.archives import pack, save, unpack
from sandboxes.bubblewrap.cgroups import Group
from sandboxes.bubblewrap.checkpoints import Makers
from sandboxes.bubblewrap.first import First, Made, Pipes, end, greeting
from sandboxes.bubblewrap.namespace import View, new_users, start
from sandboxes.bubblewrap.sandbox import BubblewrapSandbox
from sandboxes.bubblewrap.scratch import Scratch
from sandboxes.bubblewrap.tree import Known
from sandboxes.channel.channel import Channel
from sandboxes.channel.client import open_way_out, tell_limits
from sandboxes.channel.frames import Ready
from sandboxes.host_root import folder_mounts
from sandboxes.launch import CAPABILITIES, ENVIRONMENT, entrypoint, loads, runner_payload
from sandboxes.network import egress
from sandboxes.ownership import KEEPER_LABEL, RUN_LABEL, Owner, is_anothers, is_dead, read_labels, this_owner
from sandboxes.protocol import (
    LEFT_BEHIND,
    WORKSPACE,
    Check,
    Checkpoint,
    Limits,
    Reaped,
    SandboxError,
    SandboxSpec,
    SandboxUnavailable,
)
from sandboxes.saving import UNKNOWN_REQUESTS
from sandboxes.threads import in_thread
from sandboxes.toolchain import SYSTEM_PATH, covered, find_toolchain

NAME = "bubblewrap"
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

    @property
    def incremental(self) -> bool:
        return True

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
            known, requests = Known(), 0
            if spec.checkpoint is not None:
                known, requests = await in_thread(
                    checkpoints.restore, self._folder, spec.checkpoint, made.view.scratch
                )
            if spec.workspace is not None:
                await unpack(made.view, spec.workspace.archive, spec.workspace.target)
            return await self._begin(made, spec, known, requests)
        except BaseException as e:
            await in_thread(made.view.scratch.remove)
            if isinstance(e, OSError):
                raise unavailable(e) from e
            raise

    async def checkpoints(self, run_prefix: str) -> list[Checkpoint]:
        """See `Backend` in the protocol."""
        return await in_thread(checkpoints.listed, self._folder, run_prefix)

    async def drop(self, checkpoint: Checkpoint) -> None:
        """See `Backend` in the protocol."""
        await in_thread(checkpoints.drop, self._folder, checkpoint)

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
            keep = wanted is None or wanted(known[0])
            try:
                if dry_run or await self._reap_one(left, known[0], target, known[1] if keep else None):
                    gone.append(Reaped(left.name, known[0], None if dry_run else target, size=size))
            except (OSError, SandboxError) as e:
                troubles.append(f"the workspace of {left.name} could not be saved ({e})")
        found, more = await in_thread(checkpoints.reap, self._folder, keeper, wanted, dry_run=dry_run)
        gone += found
        troubles += more
        if not dry_run:
            await in_thread(scratch.sweep, self._folder)
            await in_thread(cgroups.sweep)
        if troubles:
            raise SandboxError(f"Left below {self._folder}: {'; '.join(troubles)}; make room, or remove it.")
        return gone

    async def _reap_one(self, left: Scratch, run_id: str, target: Path | None, owner: Owner | None) -> bool:
        """Save and remove one; False when another reaper did.

        With `owner`, the dead one, its whole file state is kept as a checkpoint of theirs.
        """
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
                if owner is not None:
                    await in_thread(self._save_checkpoint, left, run_id, owner)
            await in_thread(left.remove)
        finally:
            os.close(lock)
        return True

    def _save_checkpoint(self, left: Scratch, run_id: str, owner: Owner) -> None:
        """Keep the whole file state, too: the workspace alone lacks what was installed outside it. Blocks."""
        with contextlib.suppress(SandboxError):  # the workspace is saved, which is what was promised
            before = checkpoints.listed(self._folder, run_id)
            number = 1 + max((each.number for each in before if each.run_id == run_id), default=0)
            keeper = left.labels().get(KEEPER_LABEL, "")
            about = Makers(run_id, keeper, number, LEFT_BEHIND, UNKNOWN_REQUESTS, owner)
            checkpoints.save(self._folder, left, Known(), about)

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
        proxy = egress.environment(spec.network, spec.egress)
        env = {**ENVIRONMENT, **proxy, "PATH": ":".join(tools.path)}
        if tools.virtual_env:
            env["VIRTUAL_ENV"] = str(tools.virtual_env)
        env |= spec.env
        shown = ((group.oom_file, f"/sys/fs/cgroup/{group.oom_name}"),) if group.oom_file else ()
        hidden = covered([*folder_mounts(), *tools.mounts], spec.hidden, spec.hidden_packages)
        view = View(bwrap, files, etc, tools.mounts, env, shown, tuple(hidden))
        return Made(view, group, tools.pythons, users if users and users.inside and not loads(env) else None)

    def _view(self, left: Scratch) -> View:
        """Just enough to read what is left of a sandbox. Blocks. Raises OSError, SandboxUnavailable."""
        return View(program(), left, scratch.etc_folder(self._folder), (), {"PATH": ":".join(SYSTEM_PATH)})

    async def _begin(self, made: Made, spec: SandboxSpec, known: Known, requests: int) -> BubblewrapSandbox:
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
            hello = await greeting(channel, first)
            channel.last = requests
            if isinstance(hello, Ready):
                await tell_limits(channel, spec.limits)
            await open_way_out(channel, hello, spec)
        except BaseException:
            ours.close()
            await in_thread(end, first, name)
            raise
        finally:
            pipes.close()
        shell = "bash" if hello.bash else "sh"
        apart = bool(hello.apart)
        return BubblewrapSandbox(made.view, first, shell, channel, spec, known, self.open, apart=apart)

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
