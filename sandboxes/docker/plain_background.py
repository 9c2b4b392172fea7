"""Background processes in a container whose image has no Python: there are none yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from sandboxes.protocol import ProcessInfo, ProcessOutput, PtySize, SandboxError


class NoBackground:
    """See `Background`: every method raises SandboxError."""

    async def start(
        self, argv: Sequence[str | bytes], *, cwd: str, env: Mapping[str, str] | None, pty: PtySize | None
    ) -> int:
        _refuse()

    async def list(self) -> list[ProcessInfo]:
        return []

    async def read(self, process: int, *, after: int, wait: float, max_bytes: int) -> ProcessOutput:
        _refuse()

    async def write(self, process: int, data: bytes, *, eof: bool) -> None:
        _refuse()

    async def stop(self, process: int, *, grace: float) -> ProcessInfo:
        _refuse()


def _refuse() -> NoReturn:
    raise SandboxError("This image has no Python, without which there are no background processes.")
