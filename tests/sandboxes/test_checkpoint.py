"""What is an engine's own about checkpoints; the rest is in the conformance suite."""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.refusing_engine import refusing_engine

from sandboxes.docker.backend import DockerBackend
from sandboxes.docker.checkpoints import MAX_LAYERS
from sandboxes.ownership import CHECKPOINT_LABEL, RUN_LABEL
from sandboxes.protocol import (
    Checkpoint,
    Limits,
    Sandbox,
    SandboxError,
    SandboxSpec,
)

pytestmark = pytest.mark.docker
SMALL = Limits(memory_bytes=512 << 20, cpus=2.0, pids=128)


class Room:
    """Opens sandboxes of runs that no other test has, and leaves nothing of them."""

    def __init__(self, client: Any) -> None:
        self.backend, self.client = DockerBackend(), client
        self.prefix = f"test-{secrets.token_hex(4)}"
        self.made: list[Sandbox] = []

    async def open(self, image: str, **fields: Any) -> Sandbox:
        spec = SandboxSpec(f"{self.prefix}.w{len(self.made)}", image=image, limits=SMALL, **fields)
        self.made.append(await self.backend.open(spec))
        return self.made[-1]

    def left(self) -> list[str]:
        """Containers and images of these runs that the engine still has."""
        wanted = {"label": RUN_LABEL}
        things = [*self.client.containers(all=True, filters=wanted), *self.client.images(all=True, filters=wanted)]
        return [str(t["Id"]) for t in things if t["Labels"][RUN_LABEL].startswith(self.prefix)]

    async def empty(self) -> None:
        for box in self.made:
            await box.close()
        for checkpoint in await self.backend.checkpoints(self.prefix):
            await self.backend.drop(checkpoint)


@pytest_asyncio.fixture
async def room(client: Any) -> AsyncIterator[Room]:
    made = Room(client)
    yield made
    await made.empty()
    assert made.left() == []


async def sh(box: Sandbox, command: str) -> str:
    result = await box.exec(["sh", "-c", command], timeout=30)
    assert result.exit_code == 0, result.output.text()
    return result.output.text()


async def test_what_is_no_checkpoint_is_refused(room: Room, busybox_image: str) -> None:
    box = await room.open("host")
    real = str(room.client.inspect_image(busybox_image)["Id"])
    for id_ in ("", "--all", busybox_image, "sha256:" + "0" * 64, real):
        with pytest.raises(SandboxError, match=r"no longer has|is no checkpoint"):
            await box.restore(Checkpoint(id_, room.prefix, 1, "", 0.0, 0))
        if id_ != real:
            continue
        await room.backend.drop(Checkpoint(id_, room.prefix, 1, "", 0.0, 0))
        assert room.client.inspect_image(busybox_image)["Id"] == real
    assert await sh(box, "echo well") == "well\n"


@pytest.fixture
def deep_image(client: Any, busybox_image: str) -> Iterator[str]:
    """The busybox image with as many layers on top as a long chain of checkpoints would have."""
    saved = io.BytesIO(b"".join(client.get_image(busybox_image)))
    with tarfile.open(fileobj=saved) as tar:

        def member(name: str) -> bytes:
            file = tar.extractfile(name)
            assert file is not None
            return file.read()

        manifest = json.loads(member("manifest.json"))[0]
        config = json.loads(member(manifest["Config"]))
        layers = [member(name) for name in manifest["Layers"]]
    for number in range(MAX_LAYERS):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            info = tarfile.TarInfo(f"layer-{number}")
            tar.addfile(info)
        layers.append(out.getvalue())
    config["rootfs"]["diff_ids"] = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    config.pop("history", None)
    tag = f"bridle-test-deep-{secrets.token_hex(4)}:1"
    files = {"config.json": json.dumps(config).encode()} | {f"{n}.tar": layer for n, layer in enumerate(layers)}
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": [f"{n}.tar" for n in range(len(layers))]}]
    files["manifest.json"] = json.dumps(manifest).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    client.load_image(out.getvalue())
    yield tag
    client.remove_image(tag, force=True)


async def test_a_long_chain_becomes_one_layer(room: Room, deep_image: str) -> None:
    box = await room.open(deep_image)
    await sh(box, "echo x > file; chmod 700 file; echo $KEPT > kept")
    saved = await box.checkpoint()
    layers = room.client.inspect_image(saved.id)["RootFS"]["Layers"]
    assert len(layers) <= 2
    await box.restore(saved)
    assert await sh(box, "cat file kept; echo $KEPT; stat -c '%a %u' file; ls /layer-0") == (
        "x\nyes\nyes\n700 1000\n/layer-0\n"
    )
    assert (await box.checkpoint()).number == 2
    assert room.client.inspect_image(saved.id)["Config"]["Labels"][CHECKPOINT_LABEL] == "1"


@pytest.mark.parametrize(("times", "made"), [(2, True), (99, False)])
async def test_an_engine_that_cannot_stop_what_runs_is_asked_again(tmp_path: Path, times: int, made: bool) -> None:
    said = "runtime error: unable to freeze"
    with refusing_engine(tmp_path, rb"POST \S*/pause", said, times) as address:
        backend = DockerBackend(environ={**os.environ, "DOCKER_HOST": address})
        box = await backend.open(SandboxSpec(f"test-{secrets.token_hex(4)}", limits=SMALL))
        try:
            if made:
                await backend.drop(await box.checkpoint())
            else:
                with pytest.raises(SandboxError, match="unable to freeze"):
                    await box.checkpoint()
            assert (await box.exec(["echo", "on"])).output.text() == "on\n"
        finally:
            await box.close()
