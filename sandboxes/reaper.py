"""Removing what dead owners left, their workspaces saved first.

Threat model: a workspace is the agent's; its archive is written to the given file as bytes, never unpacked here,
and no more of it than MAX_SAVED. Containers of owners that live, or might, are not touched. Several reapers at
once are harmless: each writes a file of its own and renames it when it is whole.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import docker.errors
import requests

from sandboxes.docker_sandbox import open_archive
from sandboxes.engine import ENGINE_ERRORS, Engine
from sandboxes.ownership import RUN_LABEL, is_anothers, is_dead, read_labels, this_owner
from sandboxes.protocol import WORKSPACE, Reaped, SandboxError

MAX_SAVED = 8 << 30
TRAILER = 1024
"""A whole tar archive ends with at least this many zero bytes."""


def reap(engine: Engine, save_to: Callable[[str], Path | None] | None, keeper: str) -> list[Reaped]:
    """See `Backend.reap`. Blocks. Raises SandboxUnavailable, SandboxError."""
    client = engine.client()
    here = this_owner()
    gone: list[Reaped] = []
    troubles: list[str] = []
    try:
        for container in client.containers(all=True, filters={"label": RUN_LABEL}):
            labels = container.get("Labels") or {}
            known = read_labels(labels)
            if known is None or is_anothers(labels, keeper):
                continue
            if not is_dead(known[1], here, local_engine=engine.local):
                continue
            number, name, run_id = container["Id"], container["Names"][0].lstrip("/"), known[0]
            target = save_to(run_id) if save_to else None
            try:
                saved = save_workspace(engine, number, target) if target else False
            except (OSError, SandboxError) as e:
                troubles.append(f"the workspace of {name} could not be saved ({e})")
                continue
            if engine.remove(number):
                gone.append(Reaped(name, run_id, target if saved else None))
    except ENGINE_ERRORS as e:
        raise engine.unavailable(e) from e
    if troubles:
        raise SandboxError(
            f"Left as it is: {'; '.join(troubles)}; make room, or drop it with `docker rm -f NAME`."
        )
    return gone


def save_workspace(engine: Engine, container: str, target: Path) -> bool:
    """Write a container's workspace to a file, whole or not at all; False when another reaper took it.

    Raises OSError when the file cannot be written, SandboxError when the archive is broken or too large.
    """
    with contextlib.suppress(docker.errors.APIError):  # it has stopped already, or is gone
        engine.client().kill(container)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        _save(engine, container, temporary)
        temporary.replace(target)
        _sync_folder(target.parent)
    except docker.errors.NotFound:
        return False
    except (SandboxError, requests.exceptions.RequestException):
        if not _being_removed(engine, container):
            raise
        return False  # by another reaper, whose own copy is whole
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _being_removed(engine: Engine, container: str) -> bool:
    """Is somebody else removing a container, or done with it?"""
    try:
        status = engine.client().inspect_container(container)["State"]["Status"]
    except docker.errors.NotFound:
        return True
    return status in ("removing", "dead")


def _save(engine: Engine, container: str, file: Path) -> None:
    pieces, close = open_archive(engine, container, WORKSPACE)
    try:
        with file.open("xb") as f:
            size, end = 0, b""
            for piece in pieces:
                size += len(piece)
                if size > MAX_SAVED:
                    raise SandboxError(f"it is larger than {MAX_SAVED >> 30} GiB")
                f.write(piece)
                end = (end + piece)[-TRAILER:]
            if end != bytes(TRAILER):
                raise SandboxError("its archive broke off")
            f.flush()
            os.fsync(f.fileno())
    finally:
        close()


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
