"""The embedded model for real: its child answers, and is gone when it should be."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.models import local_server
from agent.models.embedded import missing, verified
from agent.models.local import LocalModel, physical_cores
from agent.models.protocol import Message, ModelError, Request
from agent.models.select import make_model
from agent.outcomes import UsageProblem

ASK = Request(
    messages=(Message(role="user", content="What is 2 + 3? Answer with one number."),),
    temperature=0.0,
    max_output_tokens=8,
)


@pytest.fixture
def model_there() -> None:
    if problem := missing():
        pytest.skip(f"NO EMBEDDED MODEL, so nothing real was tested: {problem}")


def alive(pid: int) -> bool:
    """Whether `pid` still runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive(pid)


@pytest.mark.local_model
@pytest.mark.usefixtures("model_there")
async def test_it_answers_and_its_child_goes_with_it() -> None:
    model = LocalModel(context_tokens=2048)
    pieces: list[str] = []
    try:
        reply = await model.complete(ASK, pieces.append)
        pid = model.pid
        assert pid is not None
        assert "5" in reply.text
        assert "".join(pieces) == reply.text
        assert 10 < reply.usage.input < 200
        assert 1 <= reply.usage.output <= 8
        assert not reply.estimated
        assert "/" not in reply.model, "no path of this machine"
        assert Path(f"/proc/{pid}/cmdline").read_bytes().count(b"\0") == 3, "no secret among the arguments"
    finally:
        await model.close()
    assert not alive(pid)
    await model.close()


@pytest.mark.local_model
@pytest.mark.usefixtures("model_there")
async def test_a_child_that_is_killed_is_told() -> None:
    model = LocalModel(context_tokens=1024)
    try:
        await model.start()
        assert model.pid is not None
        os.kill(model.pid, signal.SIGKILL)
        with pytest.raises(ModelError, match=r"signal 9.*\.log"):
            await model.complete(ASK)
    finally:
        await model.close()


@pytest.mark.local_model
@pytest.mark.usefixtures("model_there")
async def test_a_strangers_request_is_refused() -> None:
    import httpx

    model = LocalModel(context_tokens=1024)
    try:
        await model.start()
        url = model.url
        assert url is not None
        async with httpx.AsyncClient(trust_env=False) as stranger:
            answer = await stranger.post(f"{url}/v1/chat/completions", json={"messages": []})
        assert answer.status_code == 401
    finally:
        await model.close()


@pytest.mark.local_model
@pytest.mark.usefixtures("model_there")
@pytest.mark.parametrize("when", ["loading", "serving"])
def test_the_child_dies_with_its_killed_parent(when: str) -> None:
    program = (
        "import asyncio\n"
        "from agent.models.local import LocalModel\n"
        "async def main():\n"
        "    model = LocalModel(context_tokens=1024)\n"
        "    loading = asyncio.create_task(model.start())\n"
        f"    while model.pid is None or ({when == 'serving'} and not loading.done()):\n"
        "        await asyncio.sleep(0.01)\n"
        "    print(model.pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone_within(child, 20)


@pytest.mark.local_model
@pytest.mark.usefixtures("model_there")
async def test_cancelling_while_it_loads_leaves_nothing() -> None:
    model = LocalModel(context_tokens=1024)
    task = asyncio.create_task(model.complete(ASK))
    while model.pid is None:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(model.pid)
    await model.close()


@pytest.mark.local_model
@pytest.mark.usefixtures("model_there")
async def test_a_context_that_cannot_be_had_is_one_sentence() -> None:
    model = LocalModel(context_tokens=1 << 31)
    with pytest.raises(ModelError, match=r"embedded model .*\.log"):
        await model.start()
    await model.close()


async def test_without_the_file_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDLE_CACHE_DIR", str(tmp_path))
    with pytest.raises(UsageProblem, match=r"bridle model pull|bridle\[local\]"):
        make_model("local")
    model = LocalModel()
    with pytest.raises(ModelError, match=r"bridle model pull|bridle\[local\]"):
        await model.complete(ASK)
    await model.close()


def test_no_more_threads_than_cores() -> None:
    assert 1 <= physical_cores() <= (os.cpu_count() or 1)


@pytest.mark.local_model
@pytest.mark.usefixtures("model_there")
def test_the_child_ends_when_its_input_does() -> None:
    """What ends it where the kernel does not tie a child to its parent."""
    settings = {"path": str(verified()), "alias": "x", "key": "k", "context_tokens": 512, "threads": 1}
    child = subprocess.Popen(
        [sys.executable, "-P", local_server.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(settings).encode() + b"\n")
    child.stdin.flush()
    assert "url" in json.loads(child.stdout.readline())
    child.stdin.close()
    assert child.wait(20) == 0
    child.stdout.close()
