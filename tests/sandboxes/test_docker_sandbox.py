"""What stopping, closing and volumes mean on the Docker engine, looked at from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sandboxes.protocol import Sandbox

pytestmark = pytest.mark.docker
Open = Callable[..., Awaitable[Sandbox]]


async def test_stopped_and_closed(fresh: Open, image: str, client: Any) -> None:
    box = await fresh(image)
    await box.stop()
    assert not client.inspect_container(box.name)["State"]["Running"]
    await box.close()
    assert not client.containers(all=True, filters={"name": box.name})


async def test_volumes_go_with_the_sandbox(fresh: Open, busybox_image: str, client: Any) -> None:
    before = {v["Name"] for v in client.volumes()["Volumes"] or []}
    base = client.create_container(busybox_image, ["true"])
    image = client.commit(base["Id"], changes=["VOLUME /data"])["Id"]
    try:
        box = await fresh(image)
        await box.close()
        assert {v["Name"] for v in client.volumes()["Volumes"] or []} <= before
    finally:
        client.remove_container(base["Id"], force=True)
        client.remove_image(image, force=True)
