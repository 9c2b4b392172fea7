"""Removing what dead owners left on an engine: containers, their workspaces saved first, and checkpoints.

Threat model: a workspace is the agent's; its archive is written to the given file as bytes, never unpacked here,
and no more of it than `saving` allows. What belongs to owners that live, or might, is not touched. Several reapers
at once are harmless: each writes a file of its own, and renames it when it is whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import docker.errors
import requests

from sandboxes.docker import checkpoints
from sandboxes.docker.engine import ENGINE_ERRORS, Engine
from sandboxes.docker.host_image import IMAGE_LABEL
from sandboxes.docker.sandbox import open_archive
from sandboxes.ownership import KEEPER_LABEL, RUN_LABEL, Owner, is_anothers, is_dead, read_labels, this_owner
from sandboxes.protocol import LEFT_BEHIND, WORKSPACE, Limits, Reaped, SandboxError
from sandboxes.saving import UNKNOWN_REQUESTS, whole_archive

UNTAGGED = "<none>:<none>"


def reap(
    engine: Engine,
    save_to: Callable[[str], Path | None] | None,
    keeper: str,
    wanted: Callable[[str], bool] | None,
    *,
    dry_run: bool,
) -> list[Reaped]:
    """See `Backend.reap`. Blocks. Raises SandboxUnavailable, SandboxError."""
    client = engine.client()
    troubles: list[str] = []
    gone: list[Reaped] = []
    try:
        dead = list(_of_the_dead(engine, client.containers(all=True, filters={"label": RUN_LABEL}), keeper))
        sizes = _written_bytes(client, [container["Id"] for container, _, _ in dead])
        for container, run_id, owner in dead:
            name = container["Names"][0].lstrip("/")
            target = save_to(run_id) if save_to else None
            found = Reaped(name, run_id, target, size=sizes.get(container["Id"], 0))
            try:
                state_for = owner if wanted is None or wanted(run_id) else None
                if dry_run or _remove_container(engine, container, run_id, target, state_for):
                    gone.append(found)
            except (OSError, SandboxError) as e:
                troubles.append(f"the workspace of {name} could not be saved ({e})")
        if wanted is not None:
            gone += _reap_images(engine, keeper, wanted, dry_run=dry_run)
    except ENGINE_ERRORS as e:
        raise engine.unavailable(e) from e
    if troubles:
        raise SandboxError(
            f"Left as it is: {'; '.join(troubles)}; make room, or drop it with `docker rm -f NAME`."
        )
    return gone


def _of_the_dead(
    engine: Engine, found: Iterable[dict[str, Any]], keeper: str
) -> Iterator[tuple[dict[str, Any], str, Owner]]:
    """Those whose owner is certainly dead and whose work is not another keeper's to save; whose they are."""
    here = this_owner()
    for each in found:
        labels = each.get("Labels") or {}
        known = read_labels(labels)
        if known is None or is_anothers(labels, keeper):
            continue
        if is_dead(known[1], here, local_engine=engine.local):
            yield each, *known


def _written_bytes(client: Any, containers: list[str]) -> dict[str, int]:
    """What was written in each container, in bytes. The engine has to count, so only for those that are to go."""
    if not containers:
        return {}
    found = client.containers(all=True, size=True, filters={"id": containers})
    return {each["Id"]: int(each.get("SizeRw") or 0) for each in found}


def _remove_container(
    engine: Engine, container: dict[str, Any], run_id: str, target: Path | None, owner: Owner | None
) -> bool:
    """Save a container's files where they are wanted, and remove it; False when somebody else did.

    With `owner`, the dead one, its whole file state is kept as a checkpoint of theirs.
    """
    if target is not None:
        if not save_workspace(engine, container["Id"], target):
            return False
        if owner is not None:
            _save_checkpoint(engine, container, run_id, owner)
    return engine.remove(container["Id"])


def _reap_images(engine: Engine, keeper: str, wanted: Callable[[str], bool], *, dry_run: bool) -> list[Reaped]:
    """Remove dead owners' checkpoints that nobody wants. One that something still builds on is left for later.

    An image of a task outlives who made it: the next run of the task begins from it (see `images`).
    """
    client = engine.client()
    gone = []
    found = sorted(client.images(filters={"label": RUN_LABEL}), key=lambda image: -int(image["Created"]))
    for image, run_id, _ in _of_the_dead(engine, found, keeper):
        if wanted(run_id) or image["Labels"].get(IMAGE_LABEL) == "task":
            continue
        tags = [tag for tag in image.get("RepoTags") or [] if tag != UNTAGGED]
        try:
            size = _own_bytes(client, image)
            for name in [] if dry_run else tags or [image["Id"]]:
                client.remove_image(name)
        except docker.errors.APIError as e:
            if e.response is not None and e.response.status_code in (404, 409):  # gone, or in use
                continue
            raise
        gone.append(Reaped(tags[0] if tags else image["Id"][:19], run_id, kind="checkpoint", size=size))
    return gone


def _own_bytes(client: Any, image: dict[str, Any]) -> int:
    """The bytes an image adds to the one it was made from."""
    parent = client.inspect_image(image["Id"]).get("Parent")
    below = int(client.inspect_image(parent)["Size"]) if parent else 0
    return max(0, int(image["Size"]) - below)


def _save_checkpoint(engine: Engine, container: dict[str, Any], run_id: str, owner: Owner) -> None:
    """Keep the whole file state, too: the workspace alone lacks what was installed outside it."""
    before = checkpoints.listed(engine, run_id)
    with contextlib.suppress(SandboxError, *ENGINE_ERRORS):  # the workspace is saved, which is what was promised
        checkpoints.save(
            engine,
            container["Id"],
            run_id=run_id,
            keeper=container["Labels"].get(KEEPER_LABEL, ""),
            owner=owner,
            number=1 + max((each.number for each in before if each.run_id == run_id), default=0),
            label=LEFT_BEHIND,
            requests=UNKNOWN_REQUESTS,
            largest=Limits().saved_bytes,
        )


def save_workspace(engine: Engine, container: str, target: Path) -> bool:
    """Write a container's workspace to a file, whole or not at all; False when another reaper took it.

    Raises OSError when the file cannot be written, SandboxError when the archive is broken or too large.
    """
    with contextlib.suppress(docker.errors.APIError):  # it has stopped already, or is gone
        engine.client().kill(container)
    try:
        pieces, close = open_archive(engine, container, WORKSPACE)
        try:
            with whole_archive(target) as take:
                for piece in pieces:
                    take(piece)
        finally:
            close()
    except docker.errors.NotFound:
        return False
    except (SandboxError, requests.exceptions.RequestException):
        if not _being_removed(engine, container):
            raise
        return False  # by another reaper, whose own copy is whole
    return True


def _being_removed(engine: Engine, container: str) -> bool:
    """Is somebody else removing a container, or done with it?"""
    try:
        status = engine.client().inspect_container(container)["State"]["Status"]
    except docker.errors.NotFound:
        return True
    return status in ("removing", "dead")
