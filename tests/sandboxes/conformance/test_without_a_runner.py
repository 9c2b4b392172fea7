"""What a sandbox without a resident runner does where it cannot promise the same; see docs/sandbox.md."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from conformance.kinds import WITHOUT_A_RUNNER

from sandboxes.protocol import Limits, PtySize, Sandbox, SandboxError

pytestmark = [pytest.mark.asyncio(loop_scope="module"), WITHOUT_A_RUNNER]
Open = Callable[..., Awaitable[Sandbox]]


async def test_background_processes_are_refused_with_the_reason(box: Sandbox) -> None:
    assert await box.processes() == []
    for action in (
        box.start(["true"]),
        box.start(["true"], pty=PtySize()),
        box.process_read(1),
        box.process_write(1, b""),
        box.process_stop(1),
    ):
        with pytest.raises(SandboxError, match="has no Python"):
            await action
    assert (await box.exec(["echo", "well"])).output.text() == "well\n"


async def test_the_disk_is_bounded_by_file_and_not_in_total(fresh: Open) -> None:
    box = await fresh(limits=Limits(file_bytes=1 << 20, disk_bytes=2 << 20, files=10))
    script = (
        "exec 2>/dev/null; for n in 1 2 3 4; do head -c 3000000 /dev/zero > $n && echo whole; done; stat -c %s ?"
    )
    result = await box.exec(["sh", "-c", script])
    assert (result.exit_code, result.ending) == (0, "exited")
    assert result.output.text().split() == [str(1 << 20)] * 4
