"""The `docker` backend: hardened containers, one resident runner in each.

Threat model: the image is the user's choice and trusted to start; what runs later is not. The engine is trusted.
A container belongs to the process that made it (labels) and ends with it: the stream to its first process breaks,
the first process ends, the rest with it. What is then left, the next `reap` saves and removes.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import docker.errors
import docker.types

from sandboxes import launch
from sandboxes.channel.channel import Channel
from sandboxes.channel.client import RunnerClient, open_way_out, tell_limits
from sandboxes.channel.frames import Plain, Ready
from sandboxes.docker import checkpoints, doctor, host_image, reaper
from sandboxes.docker import container as containers
from sandboxes.docker.engine import ENGINE_ERRORS, Engine, explanation, runtimes
from sandboxes.docker.plain_exec import PlainClient
from sandboxes.docker.sandbox import DockerSandbox, Means
from sandboxes.host_root import folder_mounts
from sandboxes.ownership import OPEN_ROOT_LABEL, this_owner
from sandboxes.protocol import (
    Check,
    Checkpoint,
    Reaped,
    Sandbox,
    SandboxSpec,
    SandboxUnavailable,
)
from sandboxes.threads import in_thread
from sandboxes.toolchain import covered, find_toolchain

P = ParamSpec("P")
T = TypeVar("T")

IMAGE_NAME = re.compile(
    r"[a-zA-Z0-9][\w.-]*(?::\d+)?(?:/[a-zA-Z0-9][\w.-]*)*(?::\w[\w.-]*)?(?:@\w+:[0-9a-f]+)?", re.ASCII
)
"""The repository may choose it, and it becomes part of a request's path: nothing in it may lead elsewhere."""
READY_SECONDS = 30.0
OPENED_AT_ONCE = 8
"""How many sandboxes are being started at a time: an engine asked for a hundred at once serves none well."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start: an image by id, how, and whether it still needs the agent's folders.

    With `open_root`, everybody may make files beside the system's folders, as in /tmp. `agents`: it begins
    as the agent's user, since commands can change what it would load, or could and by now may have.
    """

    image: str
    pythons: tuple[str, ...]
    mounts: tuple[docker.types.Mount, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    needs_folders: bool = False
    open_root: bool = False
    agents: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    """A container that runs: what of its image it was started with, its streams.

    `requests` is the number of the last request that its files know of.
    """

    container: str
    contents: launch.Contents
    sock: socket.socket
    early: bytes
    requests: int


class DockerBackend:
    """Makes sandboxes on the engine that DOCKER_HOST or the current Docker context names.

    `host_paths` are further installations (folders with a `bin`) of the `host` image, first on PATH; `pull` lets
    a missing image be pulled; `runtime` is the OCI runtime that containers are made with, of those that the engine
    has (default: the engine's own choice); `environ` is the user's environment (default: this process's), read for
    the engine and the toolchain and never given to a sandbox.
    """

    def __init__(
        self,
        *,
        host_paths: Sequence[Path] = (),
        pull: bool = False,
        runtime: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._environ = dict(os.environ if environ is None else environ)
        self._host_paths = tuple(host_paths)
        self._pull = pull
        self._runtime = runtime
        self._engine = Engine(self._environ)
        self._contents: dict[str, launch.Contents] = {}
        self._cpus = 0
        self._opening = asyncio.Semaphore(OPENED_AT_ONCE)

    @property
    def name(self) -> str:
        return "docker"

    @property
    def incremental(self) -> bool:
        return False

    def answers(self) -> bool:
        """Does the engine answer? Blocks."""
        try:
            self._engine.client()
        except SandboxUnavailable:
            return False
        return True

    async def open(self, spec: SandboxSpec) -> Sandbox:
        """See `Backend` in the protocol."""
        sandbox = await self._open(spec)
        if spec.workspace is not None:
            try:
                await sandbox.upload(spec.workspace.archive, spec.workspace.target)
            except BaseException:
                await sandbox.close()
                raise
        return sandbox

    async def _open(self, spec: SandboxSpec) -> DockerSandbox:
        async with self._opening:
            return await self._open_now(spec)

    async def _open_now(self, spec: SandboxSpec) -> DockerSandbox:
        name = f"bridle-{re.sub(r'[^a-zA-Z0-9_.-]', '-', spec.run_id)[:40]}-{secrets.token_hex(4)}"
        try:
            started = await in_thread(self._start, spec, name)
            hello, channel = await self._greet(started, name, spec)
            while isinstance(hello, Plain) and (less := _less(started.contents, hello)):
                # Nothing in it could give up what it was started with: once more, without.
                channel.close()
                self._contents[spec.image] = less
                await in_thread(self._engine.remove, name)
                started = await in_thread(self._start, spec, name)
                hello, channel = await self._greet(started, name, spec)
            if isinstance(hello, Ready):
                await tell_limits(channel, spec.limits)
            await open_way_out(channel, hello, spec)
        except BaseException:
            await self._discard(name)
            raise
        means = self._means(hello, started.container, name, channel)
        return DockerSandbox(self._engine, started.container, name, *means, spec, self._open)

    async def checkpoints(self, run_prefix: str) -> list[Checkpoint]:
        """See `Backend` in the protocol."""
        return await self._ask(checkpoints.listed, self._engine, run_prefix)

    async def drop(self, checkpoint: Checkpoint) -> None:
        """See `Backend` in the protocol."""
        await self._ask(checkpoints.drop, self._engine, checkpoint)

    async def _ask(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await in_thread(function, *args, **kwargs)
        except ENGINE_ERRORS as e:
            raise self._engine.unavailable(e) from e

    async def check(self) -> list[Check]:
        """What is there and what is missing, for `bridle doctor`. Never raises."""
        return await in_thread(doctor.checks, self._engine, self._environ, self._host_paths, self._runtime)

    async def reap(
        self,
        save_to: Callable[[str], Path | None] | None = None,
        *,
        keeper: str = "",
        wanted: Callable[[str], bool] | None = None,
        dry_run: bool = False,
    ) -> list[Reaped]:
        """See `Backend` in the protocol. Raises SandboxUnavailable, or SandboxError when a workspace that was
        wanted could not be saved: its container is then left, stopped, and the message says where."""
        return await in_thread(reaper.reap, self._engine, save_to, keeper, wanted, dry_run=dry_run)

    def _start(self, spec: SandboxSpec, name: str) -> Started:
        """Create and start the container, its streams taken over and the runner's text on its way."""
        try:
            requests = checkpoints.look_up(self._engine, spec.checkpoint) if spec.checkpoint else 0
            plan = self._plan(spec)
            contents = self._contents.get(spec.image, "Python and shell")
            if plan.agents and contents not in launch.AGENTS:
                contents = "the agent's Python"
            try:
                return self._run(spec, plan, name, contents, requests)
            except docker.errors.APIError as e:
                if contents == "Python" or not _no_such_program(e):
                    raise
            self._engine.remove(name)
            try:
                started = self._run(spec, plan, name, "Python", requests)
            except docker.errors.APIError as e:
                if not _no_such_program(e):
                    raise
                raise SandboxUnavailable(
                    f"The image {spec.image} has neither a shell nor Python; name another one with --image."
                ) from e
            self._contents[spec.image] = "Python"
        except ENGINE_ERRORS as e:
            raise self._engine.unavailable(e) from e
        return started

    def _plan(self, spec: SandboxSpec) -> Plan:
        if spec.image != "host":
            saved = spec.checkpoint
            image = saved.id if saved else self._image_id(spec.image)
            about = self._engine.client().inspect_image(image)["Config"]
            return Plan(
                image,
                ("python3",),
                needs_folders=saved is None,
                open_root=OPEN_ROOT_LABEL in (about.get("Labels") or {}),
                agents=saved is not None and about.get("User") == containers.first_user("the agent's Python")[0],
            )
        reason = host_image.why_impossible(self._engine)
        if reason:
            raise SandboxUnavailable(reason)
        tools = find_toolchain(self._environ, self._host_paths)
        folders = [*folder_mounts(), *tools.mounts]
        mounts = [docker.types.Mount(str(f), str(f), type="bind", read_only=True) for f in folders]
        mounts += [containers.empty(place) for place in covered(folders, spec.hidden, spec.hidden_packages)]
        env = {"PATH": ":".join(tools.path)}
        if tools.virtual_env:
            env["VIRTUAL_ENV"] = str(tools.virtual_env)
        image = spec.checkpoint.id if spec.checkpoint else host_image.ensure_image(self._engine)
        return Plan(image, tools.pythons, tuple(mounts), tuple(env.items()), agents=launch.loads(spec.env))

    def _image_id(self, image: str) -> str:
        """The id of an image the engine has. Raises SandboxUnavailable."""
        if not IMAGE_NAME.fullmatch(image):
            raise SandboxUnavailable(f"{image[:200]!r} cannot be the name of an image: write NAME:TAG, or an id.")
        client = self._engine.client()
        try:
            return str(client.inspect_image(image)["Id"])
        except docker.errors.ImageNotFound as e:
            if not self._pull:
                raise SandboxUnavailable(
                    f"There is no image {image} on the Docker engine; get it with `docker pull {image}`."
                ) from e
        except docker.errors.APIError as e:
            raise SandboxUnavailable(f"{image!r} cannot be the name of an image: {explanation(e)}.") from e
        try:
            repository, tag = docker.utils.parse_repository_tag(image)
            client.pull(repository, tag=tag or "latest")
            return str(client.inspect_image(image)["Id"])
        except docker.errors.APIError as e:
            raise SandboxUnavailable(f"The image {image} could not be pulled: {explanation(e)}.") from e

    def _run(self, spec: SandboxSpec, plan: Plan, name: str, contents: launch.Contents, requests: int) -> Started:
        client = self._engine.client()
        if not self._cpus:
            info = client.info()
            self._check_runtime(info)
            self._cpus = int(info["NCPU"])
        settings = containers.settings(
            client,
            spec,
            this_owner(),
            contents=contents,
            engine_cpus=self._cpus,
            mounts=plan.mounts,
            env=dict(plan.env),
            runtime=self._runtime,
        )
        container = str(
            client.create_container(
                plan.image, name=name, entrypoint=launch.entrypoint(contents, plan.pythons), **settings
            )["Id"]
        )
        if plan.needs_folders:
            client.put_archive(container, "/", containers.agent_folders())
        sock, early = self._engine.attach(container)
        try:
            # The runner's text waits in the stream, so that it can be read at once.
            sock.setblocking(True)
            sock.sendall(launch.runner_payload())
            sock.setblocking(False)
            client.start(container)
            if plan.open_root:
                self._open_root(container, containers.first_user(contents)[0])
        except BaseException:
            sock.close()
            raise
        return Started(container, contents, sock, early, requests)

    def _open_root(self, container: str, user: str) -> None:
        """The engine keeps no mode of the root folder in an image, so it is set in each container, by its owner.

        As the user who the first process begins as: by root only where commands could not have changed /bin.
        """
        client = self._engine.client()
        client.exec_start(client.exec_create(container, ["/bin/chmod", "1777", "/"], user=user)["Id"])

    def _check_runtime(self, info: Mapping[str, Any]) -> None:
        """Raises SandboxUnavailable when the engine has no runtime of that name."""
        if self._runtime is not None and self._runtime not in (names := runtimes(info)):
            raise SandboxUnavailable(
                f"The Docker engine at {self._engine.address} has no runtime {self._runtime}, only "
                f"{', '.join(names)}; name one of these with --runtime, or leave it out."
            )

    async def _greet(self, started: Started, name: str, spec: SandboxSpec) -> tuple[Ready | Plain, Channel]:
        channel = await Channel.over(started.sock, started.early, name)
        try:
            either: set[asyncio.Future[Any]] = {channel.hello, channel.ended}
            await asyncio.wait(either, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            channel.close()
            raise
        if not channel.hello.done() or channel.hello.cancelled():
            channel.close()
            said = channel.notes.splitlines()[-1:] or ["it said nothing"]
            raise SandboxUnavailable(f"The image {spec.image} does not start: {said[0][:300]}.")
        hello = channel.hello.result()
        if not hello.empty and spec.checkpoint is None:
            channel.close()
            raise SandboxUnavailable(
                f"The image {spec.image} has files in /workspace, where the repository belongs; "
                "name an image without."
            )
        channel.last = started.requests
        return hello, channel

    def _means(
        self, hello: Ready | Plain, container: str, name: str, channel: Channel
    ) -> tuple[str, Channel, Means]:
        shell = "bash" if hello.bash else "sh"
        if isinstance(hello, Ready):
            return shell, channel, RunnerClient(channel)
        return shell, channel, PlainClient(self._engine, container, name, channel)

    async def _discard(self, name: str) -> None:
        """Remove a container that did not become a sandbox, if it came to be at all."""
        if not self._engine.connected:
            return
        discarding = asyncio.ensure_future(asyncio.to_thread(self._remove_quietly, name))
        await asyncio.shield(discarding)

    def _remove_quietly(self, name: str) -> None:
        try:
            self._engine.remove(name)
        except (*ENGINE_ERRORS, SandboxUnavailable):
            return  # the engine is not there; the reaper finds what may be left


def _less(contents: launch.Contents, hello: Plain) -> launch.Contents | None:
    """What an image is to be started with instead, after only its shell had something to say."""
    if contents in launch.AGENTS:
        return None
    if hello.python:
        return "the agent's Python"
    return "shell" if contents != "shell" else None


def _no_such_program(error: docker.errors.APIError) -> bool:
    """Did a container not start because its first program does not exist?"""
    text = explanation(error)
    return "executable file not found" in text or "no such file or directory" in text
