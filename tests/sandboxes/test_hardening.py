"""What a container is closed to, looked at from outside, and the runner from inside."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sandboxes.protocol import Limits, Sandbox

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]
Open = Callable[..., Awaitable[Sandbox]]


async def text(box: Sandbox, script: str) -> str:
    return (await box.exec(["sh", "-c", script], max_output=1 << 20)).output.text()


async def test_limits_reach_the_engine(fresh: Open, image: str, client: Any) -> None:
    limits = Limits(memory_bytes=256 << 20, cpus=1000, pids=99, open_files=512, file_bytes=1 << 30)
    box = await fresh(image, limits=limits)
    host = client.inspect_container(box.name)["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (256 << 20, 256 << 20, 99)
    assert 0 < host["NanoCpus"] <= os.cpu_count() * 10**9  # type: ignore[operator]
    assert (host["NetworkMode"], host["CapDrop"]) == ("none", ["ALL"])
    added = {name.removeprefix("CAP_") for name in host["CapAdd"] or []}
    assert added == ({"SETUID", "SETGID", "SETPCAP", "KILL"} if image == "host" else set())
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert not host["Privileged"]
    assert not host["AutoRemove"]
    assert host["LogConfig"]["Type"] == "none"
    assert all(mount["ReadOnly"] for mount in host.get("Mounts") or [])
    assert not host["Binds"]
    assert await text(box, "ulimit -n; ulimit -c") == "512\n0\n"


async def test_limits_can_be_absent(fresh: Open, image: str, client: Any) -> None:
    box = await fresh(image, limits=Limits(None, None, None, None, None))
    host = client.inspect_container(box.name)["HostConfig"]
    assert (host["Memory"], host["NanoCpus"]) == (0, 0)
    assert not host["PidsLimit"]
    assert await text(box, "echo well") == "well\n"


async def test_an_image_keeps_its_own_environment(fresh: Open, busybox_image: str) -> None:
    box = await fresh(busybox_image)
    assert await text(box, 'echo "$PATH $KEPT"') == "/bin yes\n"


async def test_the_runner_survives_the_death_of_everything_else(fresh: Open) -> None:
    box = await fresh("host")
    for number in (9, 15, 19, 9, 19):
        result = await box.exec(["python3", "-c", f"import os; os.kill(-1, {number}); print('here')"], timeout=60)
        assert (result.exit_code, result.ending, result.output.text()) == (0, "exited", "here\n")
        assert result.seconds < 30
    assert await text(box, "echo well") == "well\n"


async def test_the_runner_is_small_and_its_text_is_not_in_the_process_list(fresh: Open, client: Any) -> None:
    box = await fresh("host")
    await box.exec(["true"])
    listing = await text(box, "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | sort -u")
    assert "bridle-runner" in listing
    assert "import" not in listing
    runner = client.inspect_container(box.name)["State"]["Pid"]
    assert await text(box, "grep VmRSS /proc/1/status") != ""
    resident = int((await text(box, "awk '/VmRSS/ {print $2}' /proc/1/status")).strip())
    assert runner > 0
    assert resident < 15 * 1024


async def test_no_other_process_holds_the_channel(fresh: Open) -> None:
    box = await fresh("host")
    script = "ls -l /proc/self/fd"
    names = (await text(box, script)).splitlines()
    opened = {line.split()[-3] for line in names if "->" in line}
    assert opened == {"0", "1", "2", "3"}  # 3 is the folder that ls itself reads
