"""What stopping, closing and volumes mean on the Docker engine, looked at from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from sandboxes.protocol import Limits, Sandbox

pytestmark = pytest.mark.docker
Open = Callable[..., Awaitable[Sandbox]]


async def test_stopped_and_closed(fresh: Open, image: str, client: Any) -> None:
    box = await fresh(image)
    await box.stop()
    assert not client.inspect_container(box.name)["State"]["Running"]
    await box.close()
    assert not client.containers(all=True, filters={"name": box.name})


@pytest.fixture
def odd_image(debian_image: str, client: Any) -> Iterator[str]:
    """An image with a volume of the agent's, and a large file of root's that everybody may write to."""
    script = (
        "mkdir -p /data /opt/log && chown 1000:1000 /data && head -c 80000000 /dev/zero > /opt/log/app.log"
        " && chmod 666 /opt/log/app.log"
    )
    base = client.create_container(debian_image, ["sh", "-c", script], user="0:0")
    client.start(base["Id"])
    assert client.wait(base["Id"])["StatusCode"] == 0
    image = client.commit(base["Id"], changes=["VOLUME /data", "USER 1000"])["Id"]
    client.remove_container(base["Id"], force=True)
    yield image
    client.remove_image(image, force=True)


@pytest.mark.parametrize("place", ["/data/bomb", "/opt/log/app.log"])
async def test_what_fills_a_volume_or_a_file_of_others_is_ended(odd_image: str, fresh: Open, place: str) -> None:
    limits = Limits(memory_bytes=512 << 20, disk_bytes=64 << 20)
    box = await fresh(odd_image, limits=limits)
    quiet = await box.exec(["sh", "-c", "head -c 1000000 /dev/zero > /data/fine; sleep 1"], timeout=60)
    assert quiet.ending == "exited"  # what the image brought is not the agent's doing
    slowly = f"n=0; while [ $n -lt 500 ]; do head -c 1000000 /dev/zero >> {place}; sleep 0.01; n=$((n+1)); done"
    assert (await box.exec(["sh", "-c", slowly], timeout=200)).ending == "disk_full"
    assert (await box.exec(["sh", "-c", f": > {place}; sleep 2"], timeout=60)).ending == "exited"


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
