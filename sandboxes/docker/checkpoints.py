"""Checkpoints of the `docker` backend: a container's file state, committed as an image.

Each is an image with one name in CHECKPOINT_REPOSITORY and labels that say whose it is. The engine keeps the
layers below it as long as anything needs them: dropping a checkpoint takes its name away, and the engine removes
the image at once, or with the last container or checkpoint that began with it.

Threat model: what is saved is the agent's, and stays inside the engine. Labels are read back as text and numbers
only; an image counts as a checkpoint only with its labels and its name. The container stands still while it is
saved, so that no process can write one half of a change into it.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

import docker.errors
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_fixed

from sandboxes.docker.engine import Engine, explanation
from sandboxes.docker.host_image import IMAGE_LABEL
from sandboxes.ownership import (
    BASE_LABEL,
    CHECKPOINT_LABEL,
    CHECKPOINT_REPOSITORY,
    CREATED_LABEL,
    KEEPER_LABEL,
    NOTE_LABEL,
    REQUESTS_LABEL,
    RUN_LABEL,
    Owner,
    owner_labels,
)
from sandboxes.protocol import Checkpoint, SandboxError

MAX_LAYERS = 100
"""A state on top of this many layers is saved as one layer anew: engines stop at some 125."""
MAX_NOTE = 200
_ID = re.compile(r"sha256:[0-9a-f]{64}")


def save(
    engine: Engine,
    container: str,
    *,
    run_id: str,
    keeper: str,
    owner: Owner,
    number: int,
    label: str,
    requests: int,
    largest: int | None,
) -> Checkpoint:
    """Commit a container, running or not. Blocks. Raises the SDK's errors, SandboxError.

    More than `largest` bytes are refused. An engine fills the holes in files when it saves them, so a file that
    took no room could take all there is; nothing inside runs between the look and the copy.
    """
    client = engine.client()
    state = client.inspect_container(container)
    image = client.inspect_image(state["Image"])
    deep = len(image["RootFS"].get("Layers") or ()) >= MAX_LAYERS
    labels = {
        RUN_LABEL: run_id,
        KEEPER_LABEL: keeper,
        CHECKPOINT_LABEL: str(number),
        NOTE_LABEL: label[:MAX_NOTE],
        CREATED_LABEL: repr(round(time.time(), 3)),
        BASE_LABEL: "0" if deep else str(image["Size"]),
        REQUESTS_LABEL: str(requests),
        IMAGE_LABEL: "checkpoint",
        **owner.labels(),
    }
    tag = f"{re.sub(r'[^a-zA-Z0-9_.-]', '-', run_id)[:60].lstrip('.-')}-{number}-{secrets.token_hex(4)}"
    running = state["State"]["Running"]
    if running:
        _pause(client, container)
    try:
        _check_size(client, container, largest)
        if deep:
            made = _as_one_layer(client, container, state, tag, labels)
        else:
            made = str(client.commit(container, CHECKPOINT_REPOSITORY, tag, conf={"Labels": labels})["Id"])
    finally:
        if running:
            client.unpause(container)
    return _checkpoint(made, labels, client.inspect_image(made))


def _moves(error: BaseException) -> bool:
    return isinstance(error, docker.errors.APIError) and "unable to freeze" in explanation(error)


@retry(retry=retry_if_exception(_moves), stop=stop_after_attempt(5), wait=wait_fixed(0.2), reraise=True)
def _pause(client: Any, container: str) -> None:
    """An engine on control groups of version 1 gives up where processes begin faster than it stops them."""
    client.pause(container)


def listed(engine: Engine, run_prefix: str) -> list[Checkpoint]:
    """See `Backend.checkpoints`. Blocks. Raises the SDK's errors."""
    client = engine.client()
    found = []
    for image in client.images(name=CHECKPOINT_REPOSITORY, filters={"label": CHECKPOINT_LABEL}):
        labels = image.get("Labels") or {}
        if labels.get(RUN_LABEL, "").startswith(run_prefix):
            found.append(_checkpoint(str(image["Id"]), labels, image))
    return sorted(found, key=lambda each: (each.created, each.run_id, each.number))


def look_up(engine: Engine, checkpoint: Checkpoint) -> int:
    """The number of the last request before a checkpoint, which the engine still has. Raises SandboxError."""
    try:
        labels = _image(engine, checkpoint)["Config"]["Labels"] or {}
    except (docker.errors.ImageNotFound, KeyError, TypeError):
        labels = {}
    if labels.get(RUN_LABEL) != checkpoint.run_id:
        raise SandboxError(f"The engine no longer has checkpoint {checkpoint.number} of {checkpoint.run_id}.")
    return int(_number(labels.get(REQUESTS_LABEL)))


def drop(engine: Engine, checkpoint: Checkpoint) -> None:
    """See `Backend.drop`. Blocks. Raises the SDK's errors."""
    client = engine.client()
    with contextlib.suppress(docker.errors.ImageNotFound, KeyError):
        for name in _image(engine, checkpoint)["RepoTags"] or []:
            if name.startswith(CHECKPOINT_REPOSITORY + ":"):
                client.remove_image(name, force=True)
    sweep(engine, checkpoint.run_id)


def sweep(engine: Engine, run_id: str) -> None:
    """Remove images of a run that have lost their names, where nothing needs them. Blocks. Raises SDK errors."""
    client = engine.client()
    wanted = {"label": [f"{RUN_LABEL}={run_id}", CHECKPOINT_LABEL], "dangling": True}
    for image in client.images(filters=wanted):
        try:
            client.remove_image(image["Id"])
        except docker.errors.NotFound:
            continue  # somebody else did it
        except docker.errors.APIError as e:
            if e.response is None or e.response.status_code != 409:  # something needs it
                raise


def _image(engine: Engine, checkpoint: Checkpoint) -> dict[str, Any]:
    if not _ID.fullmatch(checkpoint.id):
        raise SandboxError(f"{checkpoint.id[:80]!r} is no checkpoint of the docker backend.")
    image: dict[str, Any] = engine.client().inspect_image(checkpoint.id)
    return image


def _checkpoint(image_id: str, labels: Mapping[str, str], image: Mapping[str, Any]) -> Checkpoint:
    """What an image's labels and size say."""
    return Checkpoint(
        id=image_id,
        run_id=labels.get(RUN_LABEL, ""),
        number=int(_number(labels.get(CHECKPOINT_LABEL))),
        label=labels.get(NOTE_LABEL, ""),
        created=_number(labels.get(CREATED_LABEL)),
        size=max(0, int(image.get("Size") or 0) - int(_number(labels.get(BASE_LABEL)))),
    )


def _number(text: str | None) -> float:
    """A label's number; 0 for one that says none."""
    try:
        number = float(text or 0)
    except ValueError:
        return 0
    return number if 0 <= number < 1 << 53 else 0


def _check_size(client: Any, container: str, largest: int | None) -> None:
    """Raise SandboxError when what was written since the container was made is more than `largest` bytes."""
    if largest is None:
        return
    found = client.containers(all=True, size=True, filters={"id": container})
    size = max((int(each.get("SizeRw") or 0) for each in found), default=0)
    if size > largest:
        raise SandboxError(
            f"The sandbox's files come to {size >> 20} MiB, holes in files included, more than the"
            f" {largest >> 20} MiB that are saved: delete or shorten the largest."
        )


def _as_one_layer(client: Any, container: str, state: Mapping[str, Any], tag: str, labels: dict[str, str]) -> str:
    """The container's file state as an image on top of nothing, with the container's environment and user."""
    # Labelled already, so that it is known whose it was if this process is killed in between.
    owned = [f"LABEL {_quoted(name)}={_quoted(text)}" for name, text in owner_labels(labels).items()]
    said = client.import_image(client.export(container), stream_src=True, changes=owned)
    try:
        imported = str(json.loads(said.splitlines()[-1])["status"])
    except (ValueError, KeyError, IndexError):
        raise SandboxError(f"The engine could not save the checkpoint: {said[:200]!r}.") from None
    try:
        owned_by = owner_labels(labels)
        made = client.create_container(imported, ["true"], network_disabled=True, labels=owned_by)["Id"]
        try:
            conf = {"Labels": labels, "Env": state["Config"]["Env"], "User": state["Config"]["User"]}
            return str(client.commit(made, CHECKPOINT_REPOSITORY, tag, conf=conf)["Id"])
        finally:
            client.remove_container(made, v=True)
    except BaseException:
        with contextlib.suppress(docker.errors.APIError):
            client.remove_image(imported)
        raise


def _quoted(text: str) -> str:
    """Text as a Dockerfile takes it in a LABEL: nothing in it is expanded."""
    return '"' + re.sub(r'([\\"$])', r"\\\1", text.replace("\n", " ")) + '"'
