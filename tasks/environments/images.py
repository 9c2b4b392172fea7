"""The image of a task's sandboxes: built where the task brings a Dockerfile, and made ready for a sandbox.

Tasks name absolute paths in the image's working folder, and every sandbox of Bridle has its files in /workspace.
So an image is made ready by putting a link to /workspace where its working folder was; the folder's content
becomes the workspace. Folders that `[bridle] paths` names are given to the agent's user, who is never root.

Both images are named by the hash of all that they depend on: a second run builds nothing.

Threat model: see sandboxes/docker/images.py and dockerfile.py. A build has no way out unless the user allows it.
"""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from agent.outcomes import UsageProblem
from sandboxes.docker import images
from sandboxes.docker.engine import ENGINE_ERRORS, Engine
from sandboxes.docker.images import BuildFailed, ImageFacts
from sandboxes.protocol import AGENT_GID, AGENT_UID, WORKSPACE
from tasks.environments.allowed import Allowed
from tasks.environments.dockerfile import Needs, needs
from tasks.format.task import Task, content_hash

MAX_GIVEN = 1 << 30
"""The most bytes of a folder that is given to the agent's user."""
SYSTEM = frozenset(
    f"/{name}"
    for name in (
        "bin",
        "boot",
        "dev",
        "etc",
        "home",
        "lib",
        "lib32",
        "lib64",
        "opt",
        "proc",
        "run",
        "sbin",
        "sys",
        "tmp",
        "usr",
        "var",
    )
)
_FORM = 2
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class TaskImage:
    """An image made ready: its name, the one it was made of, and the folder where the task's commands run."""

    name: str
    origin: str
    workdir: str


def task_image(task: Task, allowed: Allowed) -> TaskImage | None:
    """The image of a task's sandboxes, made where it is not there; None for a task over the host's toolchain.

    Blocks, for as long as a build takes. Raises BuildFailed, SandboxError, UsageProblem.
    """
    table = task.file.environment
    if table.docker_image is None and task.dockerfile is None:
        return None
    with _ONE_AT_A_TIME:
        engine = Engine()
        found = _origin(task, allowed, engine)
        workdir = posixpath.normpath("/" + (table.workdir or found.workdir))
        workdir = "/" + workdir.strip("/")
        if workdir in SYSTEM:
            raise UsageProblem(
                f"{task.folder / 'task.toml'}: environment.workdir: {workdir} is a folder of the system's own"
            )
        tag = _tag(_FORM, found.id, workdir, task.bridle.paths, table.env)
        if images.facts(engine, f"{images.REPOSITORY}:{tag}") is None:
            _make_ready(engine, task, found, workdir, tag)
    return TaskImage(f"{images.REPOSITORY}:{tag}", found.id, workdir)


@contextmanager
def working_folder(image: TaskImage) -> Iterator[Iterator[bytes] | None]:
    """The tar stream of the folder where the task's commands run; None where there is none to speak of."""
    engine = Engine()
    if image.workdir == "/":
        yield None
        return
    try:
        with images.taken_from(engine, image.origin, image.workdir) as pieces:
            yield pieces
    except ENGINE_ERRORS as error:
        raise engine.unavailable(error) from error


def _origin(task: Task, allowed: Allowed, engine: Engine) -> ImageFacts:
    """The task's own image: the one it names, else built. Raises BuildFailed."""
    named = task.file.environment.docker_image
    if named is not None:
        found = images.facts(engine, named)
        if found is None:
            raise BuildFailed(
                f"there is no image {named} on the Docker engine, which {task.name} is worked on in: "
                f"get it with `docker pull {named}`"
            )
        return found
    context = task.folder / "environment"
    said = _needs(context / "Dockerfile")
    below = [found.id if (found := images.facts(engine, each)) else "" for each in said.images]
    tag = _tag("built", content_hash(context), below)
    name = f"{images.REPOSITORY}:{tag}"
    found = images.facts(engine, name)
    if found is None:
        if not allowed.build_network:
            _check_closed(context / "Dockerfile", said, engine)
        seconds = task.file.environment.build_timeout_sec
        images.build(engine, context, tag, network=allowed.build_network, seconds=seconds)
        found = images.facts(engine, name)
    if found is None:
        raise BuildFailed(f"{context / 'Dockerfile'} was built, and the image is gone")
    return found


def _needs(dockerfile: Path) -> Needs:
    try:
        return needs(dockerfile.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BuildFailed(f"{dockerfile} cannot be read as UTF-8 text: {error}") from error


def _check_closed(dockerfile: Path, said: Needs, engine: Engine) -> None:
    """A build without a network must not make the engine itself go there. Raises BuildFailed."""
    way_out = "or let builds use the network with --build-network"
    for image in said.images:
        if images.facts(engine, image) is None:
            raise BuildFailed(
                f"{dockerfile} begins from {image}, which the Docker engine does not have: "
                f"get it with `docker pull {image}`, {way_out}"
            )
    if said.addresses:
        raise BuildFailed(f"{dockerfile} downloads {said.addresses[0]}: put it beside the Dockerfile, {way_out}")


def _tag(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _make_ready(engine: Engine, task: Task, origin: ImageFacts, workdir: str, tag: str) -> None:
    archives = [_link(workdir)] if workdir not in ("/", WORKSPACE) else []
    if workdir == WORKSPACE:  # a folder would be kept with what it holds, so a file takes its place first
        archives += [_entry(WORKSPACE, tarfile.REGTYPE), _entry(WORKSPACE, tarfile.DIRTYPE)]
    for path in task.bridle.paths:
        archives.append(_given(engine, origin, path))
    env = {name: text for name, text in task.file.environment.env.items() if "${" not in text}
    images.derive(engine, origin.id, tag, archives, env)


def _link(workdir: str) -> bytes:
    return _entry(workdir, tarfile.SYMTYPE, mode=0o777, target=WORKSPACE)


def _entry(path: str, kind: bytes, mode: int = 0o755, uid: int = AGENT_UID, target: str = "") -> bytes:
    """A tar archive with one member."""
    member = tarfile.TarInfo(path.lstrip("/") or ".")
    member.type, member.mode, member.linkname = kind, mode, target
    member.uid = member.gid = uid
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(member)
    return out.getvalue()


def _given(engine: Engine, origin: ImageFacts, path: str) -> bytes:
    """A folder or file of the image as a tar archive in which all belongs to the agent's user."""
    with tempfile.SpooledTemporaryFile(64 << 20) as copy:
        with images.taken_from(engine, origin.id, path) as pieces:
            if pieces is None:
                return _entry(path, tarfile.DIRTYPE)
            for piece in pieces:
                copy.write(piece)
                if copy.tell() > MAX_GIVEN:
                    raise UsageProblem(f"bridle.paths: {path} is larger than {MAX_GIVEN >> 20} MiB in the image")
        copy.seek(0)
        return _owned(posixpath.dirname(path), copy)


def _owned(folder: str, archive: IO[bytes]) -> bytes:
    """The archive with its members below `folder`, all of them the agent's user's."""
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=archive, encoding="utf-8", errors="surrogateescape") as old,
        tarfile.open(fileobj=out, mode="w", encoding="utf-8", errors="surrogateescape") as new,
    ):
        for member in old:
            content = old.extractfile(member) if member.isreg() else None
            member.name = posixpath.join(folder, member.name).lstrip("/")
            if member.islnk():
                member.linkname = posixpath.join(folder, member.linkname).lstrip("/")
            member.uid, member.gid, member.uname, member.gname = AGENT_UID, AGENT_GID, "", ""
            new.addfile(member, content)
    return out.getvalue()
