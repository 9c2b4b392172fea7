"""A stream that breaks in the middle of a call: the call is lost, and was carried out once or not at all."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Awaitable, Callable

import pytest
from conformance.cutting import Scissors, Way
from conformance.kinds import Kind

from sandboxes.protocol import ExecResult, FileError, Sandbox, SandboxLost

Open = Callable[..., Awaitable[Sandbox]]

INPUT = bytes(range(256)) * 8
PARTS = 4


@pytest.fixture
def scissors(monkeypatch: pytest.MonkeyPatch) -> Scissors:
    return Scissors(monkeypatch)


async def ask(box: Sandbox) -> ExecResult:
    return await box.exec(["sh", "-c", "echo ran >> ran; exec cat"], stdin=INPUT, timeout=30)


async def times_run(box: Sandbox) -> int:
    """How often the command ran in a sandbox that is gone, from its files."""
    try:
        stream = b"".join([piece async for piece in box.download("ran")])
    except FileError:
        return 0
    with tarfile.open(fileobj=io.BytesIO(stream)) as tar:
        file = tar.extractfile("ran")
        assert file is not None
        return file.read().count(b"ran\n")


async def bytes_of_a_call(box: Sandbox, scissors: Scissors, way: Way) -> int:
    before = scissors.passed[way]
    assert (await ask(box)).output.head == INPUT
    return scissors.passed[way] - before


@pytest.mark.parametrize("way", ["in", "out"])
async def test_cut_after_any_number_of_bytes(fresh: Open, kind: Kind, scissors: Scissors, way: Way) -> None:
    box = await fresh()
    size = await bytes_of_a_call(box, scissors, way)
    assert size >= len(INPUT)
    assert await times_run(box) == 1
    await box.close()
    lost = 0
    for count in sorted({0, 1, 8, *(size * part // PARTS for part in range(PARTS)), size - 1}):
        box = await fresh()
        scissors.cut_after(way, count)
        try:
            result = await ask(box)
        except SandboxLost:
            lost += 1
            times = await times_run(box)
            assert times <= (0 if way == "in" and kind.runner else 1), count
        else:  # what was cut was not needed any more
            assert (result.exit_code, result.output.head) == (0, INPUT), count
            assert count >= len(INPUT) or not kind.runner
        scissors.cut()
        with pytest.raises(SandboxLost):
            await ask(box)
        assert await times_run(box) <= 1, count
        await box.close()
    assert lost >= PARTS


async def test_a_write_cut_off_is_whole_or_not_there(fresh: Open, scissors: Scissors) -> None:
    text = b"line\n" * 40_000
    for count in (1, 100, 70_000, 199_000):
        box = await fresh()
        await box.write("ran", b"ran\n")
        scissors.cut_after("in", count)
        with pytest.raises(SandboxLost):
            await box.write("ran", text, expect=b"ran\n")
        assert await times_run(box) == 1
        await box.close()
