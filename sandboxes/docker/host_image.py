"""The `host` image: the root folder of `host` sandboxes as an image, made where it is not there."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import docker.errors

from sandboxes.docker.engine import Engine
from sandboxes.host_root import fingerprint, image_archive
from sandboxes.protocol import SandboxUnavailable

REPOSITORY = "bridle-host"
IMAGE_LABEL = "bridle.image"
DAY = 86400


def why_impossible(engine: Engine) -> str | None:
    """Why this engine cannot show the host's toolchain, or None when it can. Raises SandboxUnavailable."""
    if sys.platform != "linux":
        return "The host's toolchain can only be used on Linux; name an image with --image."
    if not Path("/usr/bin").is_dir():
        return "This system keeps its programs outside /usr; name an image with --image."
    system = engine.client().info().get("OperatingSystem")
    if not engine.local or system == "Docker Desktop":
        return "The Docker engine does not run on this machine itself; name an image with --image."
    return None


def ensure_image(engine: Engine) -> str:
    """The id of the host image, made first when it is not there. Raises SandboxUnavailable."""
    client = engine.client()
    tag = fingerprint()
    try:
        return str(client.inspect_image(f"{REPOSITORY}:{tag}")["Id"])
    except docker.errors.ImageNotFound:
        pass
    changes = [f"LABEL {IMAGE_LABEL}=host"]
    answer = client.import_image_from_data(image_archive(), repository=REPOSITORY, tag=tag, changes=changes)
    try:
        image = str(json.loads(answer.splitlines()[-1])["status"])
    except (ValueError, KeyError, IndexError):
        raise SandboxUnavailable(f"The Docker engine could not make the host image: {answer[:200]!r}.") from None
    _drop_old_images(client)
    return image


def _drop_old_images(client: Any) -> None:
    """Remove host images of earlier states of /etc: no longer used, and no longer about to be."""
    # By name, too: a checkpoint of a sandbox inherits the label.
    for image in client.images(name=REPOSITORY, filters={"label": f"{IMAGE_LABEL}=host"}):
        if time.time() - image["Created"] > DAY:
            with contextlib.suppress(docker.errors.APIError):  # in use
                client.remove_image(image["Id"])
