"""How a sandbox's container is made.

Threat model: a command inside has no network, no capabilities, no way to gain privileges, an ordinary user,
limited memory, processor, processes and files, nothing of the host writable, and no variable of the host's
environment.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import docker.types

from sandboxes.host_root import add_agent_folders
from sandboxes.launch import AGENTS, CAPABILITIES, ENVIRONMENT, Contents
from sandboxes.network import egress
from sandboxes.ownership import KEEPER_LABEL, RUN_LABEL, Owner
from sandboxes.protocol import AGENT_GID, AGENT_UID, SandboxSpec

SHARED_MEMORY = 64 << 20


def first_user(contents: Contents) -> tuple[str, tuple[str, ...]]:
    """The user of that command, and its capabilities."""
    if contents in AGENTS:
        return f"{AGENT_UID}:{AGENT_GID}", ()
    return "0:0", () if contents == "shell" else CAPABILITIES


def settings(
    client: Any,
    spec: SandboxSpec,
    owner: Owner,
    *,
    contents: Contents,
    engine_cpus: int,
    mounts: Sequence[docker.types.Mount] = (),
    env: dict[str, str] | None = None,
    runtime: str | None = None,
) -> dict[str, Any]:
    """Keyword arguments of create_container() that all sandboxes share."""
    user, capabilities = first_user(contents)
    proxy = egress.environment(spec.network, spec.egress)
    return {
        "user": user,
        "working_dir": "/",
        "stdin_open": True,
        "environment": {**ENVIRONMENT, **proxy, **(env or {}), **spec.env},
        "labels": {RUN_LABEL: spec.run_id, KEEPER_LABEL: spec.keeper, **owner.labels()},
        "healthcheck": {"test": ["NONE"]},
        "hostname": "sandbox",
        "use_config_proxy": False,
        "host_config": host_config(client, spec, engine_cpus, mounts, capabilities, runtime),
    }


def host_config(
    client: Any,
    spec: SandboxSpec,
    engine_cpus: int,
    mounts: Sequence[docker.types.Mount],
    capabilities: Sequence[str],
    runtime: str | None = None,
) -> Any:
    """The limits, and everything closed that need not be open."""
    limits = spec.limits
    ulimits = [docker.types.Ulimit(name="core", soft=0, hard=0)]
    for name, value in (("nofile", limits.open_files), ("fsize", limits.file_bytes)):
        if value is not None:
            ulimits.append(docker.types.Ulimit(name=name, soft=value, hard=value))
    memory = (
        {}
        if limits.memory_bytes is None
        else {
            "mem_limit": limits.memory_bytes,
            "memswap_limit": limits.memory_bytes,
        }
    )
    cpus = {} if limits.cpus is None else {"nano_cpus": int(min(limits.cpus, engine_cpus) * 1e9)}
    return client.create_host_config(
        # A list of hosts needs no network either: its proxy is reached over the channel.
        network_mode="bridge" if spec.network.mode == "full" else "none",
        cap_drop=["ALL"],
        cap_add=list(capabilities),
        security_opt=["no-new-privileges"],
        pids_limit=limits.pids,
        ulimits=ulimits,
        mounts=list(mounts),
        log_config=docker.types.LogConfig(type="none"),
        ipc_mode="private",
        shm_size=SHARED_MEMORY,
        runtime=runtime,
        **memory,
        **cpus,
    )


def empty(place: Path) -> docker.types.Mount:
    """Something of the host that is shown without its content."""
    if place.is_dir():
        return docker.types.Mount(
            str(place), None, type="tmpfs", read_only=True, tmpfs_size=4096, tmpfs_mode=0o555
        )
    return docker.types.Mount(str(place), "/dev/null", type="bind", read_only=True)


def one_folder(path: str) -> bytes:
    """A tar archive, for the root, of one folder of root's that everybody may enter."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        folder = tarfile.TarInfo(path.lstrip("/"))
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(folder)
    return out.getvalue()


def agent_folders() -> bytes:
    """A tar archive of the folders every sandbox needs, for images that lack them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        add_agent_folders(tar)
    return out.getvalue()
