"""Images of tasks: built from a Dockerfile, looked into, and made ready for a sandbox, without running any of it
here.

Threat model: a Dockerfile is its author's, and its commands run in the engine's build containers, as root there
and with the engine's own protection only: it is trusted as far as an image is. A build has no network unless the
caller says so. What is taken out of an image is a stream like an agent's, for the caller to distrust. Every
container made here is never started, and carries its owner's labels, so that the reaper removes what a killed
process leaves.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.errors
import urllib3.exceptions

from sandboxes.docker.engine import ENGINE_ERRORS, Engine, explanation
from sandboxes.docker.host_image import DAY, IMAGE_LABEL
from sandboxes.ownership import KEEPER_LABEL, OPEN_ROOT_LABEL, RUN_LABEL, this_owner
from sandboxes.protocol import SandboxError, SandboxUnavailable

REPOSITORY = "bridle-task"
KEPT_DAYS = 30
"""An image of a task that is older is removed when another one is made, and built again when it is wanted."""
LAST_LINES = 10
_ITS_OWN = (" --->", "Step ", "Removing intermediate container", "Successfully ")
"""How lines of the builder's own begin, which say nothing of what went wrong."""
_RUN = "suite.image"


class BuildFailed(SandboxError):
    """An image could not be built; the message ends with the builder's last lines."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image says of itself. `workdir` is "/" where it says nothing."""

    id: str
    workdir: str
    env: tuple[str, ...]


def facts(engine: Engine, image: str) -> ImageFacts | None:
    """What the engine knows of an image; None when it has no such image. Blocks. Raises SandboxUnavailable."""
    try:
        found = engine.client().inspect_image(image)
    except docker.errors.ImageNotFound:
        return None
    except ENGINE_ERRORS as error:
        raise engine.unavailable(error) from error
    config = found.get("Config") or {}
    return ImageFacts(str(found["Id"]), config.get("WorkingDir") or "/", tuple(config.get("Env") or ()))


def build(engine: Engine, context: Path, tag: str, *, network: bool, seconds: float) -> None:
    """Build `context`/Dockerfile as `REPOSITORY:tag`. Blocks. Raises BuildFailed, SandboxUnavailable.

    A build that takes longer than `seconds` is given up; the engine then ends it.
    """
    client, deadline = engine.client(), time.monotonic() + seconds
    said: deque[str] = deque(maxlen=LAST_LINES)
    try:
        lines = client.build(
            path=str(context),
            tag=f"{REPOSITORY}:{tag}",
            rm=True,
            forcerm=True,
            decode=True,
            use_config_proxy=False,
            network_mode="default" if network else "none",
            labels={IMAGE_LABEL: "task", **this_owner().labels()},
            timeout=seconds,
        )
        for line in lines:
            lines_said = str(line.get("stream") or "").splitlines()
            said.extend(each for each in lines_said if each.strip() and not each.startswith(_ITS_OWN))
            if error := line.get("error"):
                raise BuildFailed(_failure(context, str(error), said))
            if time.monotonic() > deadline:
                lines.close()
                raise BuildFailed(_failure(context, f"it took longer than {seconds:g} s", said))
    except docker.errors.APIError as error:
        raise BuildFailed(_failure(context, explanation(error), said)) from error
    except urllib3.exceptions.ReadTimeoutError as error:  # the SDK lets it through as it is
        raise BuildFailed(_failure(context, f"it said nothing for {seconds:g} s", said)) from error
    except (*ENGINE_ERRORS, urllib3.exceptions.HTTPError) as error:
        raise engine.unavailable(error) from error
    _drop_old(client)


def _failure(context: Path, reason: str, said: Iterable[str]) -> str:
    words = "\n".join(said)
    return f"{context / 'Dockerfile'} cannot be built: {' '.join(reason.split())[:500]}\n{words}".rstrip()


@contextmanager
def taken_from(engine: Engine, image: str, path: str) -> Iterator[Iterator[bytes] | None]:
    """The tar stream of `path` in an image, its members named after the last part of `path`; None when it is not
    there. Blocks. Raises SandboxUnavailable, and the SDK's errors while it is read.
    """
    with _container(engine, image) as (client, container):
        try:
            pieces, _ = client.get_archive(container, path)
        except docker.errors.NotFound:
            yield None
            return
        try:
            yield pieces
        finally:
            pieces.close()


def derive(engine: Engine, image: str, tag: str, archives: Iterable[bytes], env: Mapping[str, str]) -> None:
    """Make `REPOSITORY:tag` of an image with `archives` unpacked at `/`, one after another, and `env` on top.

    What is in the way of a member of another kind is replaced by it, folders with all they hold. In its sandboxes
    files can be made beside the system's folders. Blocks. Raises
    SandboxError.
    """
    with _container(engine, image) as (client, container):
        try:
            for archive in archives:
                client.put_archive(container, "/", archive)
            conf = {
                "Env": [f"{name}={value}" for name, value in env.items()],
                "Labels": {IMAGE_LABEL: "task", OPEN_ROOT_LABEL: "yes", **this_owner().labels()},
            }
            client.commit(container, REPOSITORY, tag, conf=conf)
        except docker.errors.APIError as error:
            raise SandboxError(f"the image {image} cannot be made ready: {explanation(error)}") from error
    _drop_old(engine.client())


@contextmanager
def _container(engine: Engine, image: str) -> Iterator[tuple[Any, str]]:
    """A container of an image that is never started, and gone afterwards."""
    try:
        client = engine.client()
        labels = {RUN_LABEL: _RUN, KEEPER_LABEL: "", **this_owner().labels()}
        made = client.create_container(image, ["true"], entrypoint=[], network_disabled=True, labels=labels)
    except docker.errors.APIError as error:
        raise SandboxUnavailable(f"The image {image} cannot be looked into: {explanation(error)}.") from error
    except ENGINE_ERRORS as error:
        raise engine.unavailable(error) from error
    try:
        yield client, str(made["Id"])
    finally:
        engine.remove(str(made["Id"]))


def _drop_old(client: Any) -> None:
    """Remove images of tasks that were made long ago. One in use stays."""
    for image in client.images(name=REPOSITORY, filters={"label": f"{IMAGE_LABEL}=task"}):
        if time.time() - image["Created"] > KEPT_DAYS * DAY:
            for name in image.get("RepoTags") or []:
                with contextlib.suppress(docker.errors.APIError):  # in use, or somebody else removed it
                    client.remove_image(name)
