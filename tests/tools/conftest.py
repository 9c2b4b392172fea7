"""One real sandbox for the tests of this folder, emptied between them."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from sandboxes.docker.backend import DockerBackend
from sandboxes.protocol import WORKSPACE, Sandbox, SandboxSpec, SandboxUnavailable
from tools.protocol import Tool, ToolResult, Workbench
from tools.registry import default_tools

CallTool = Callable[..., Awaitable[ToolResult]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sandbox() -> AsyncIterator[Sandbox]:
    """A host-image sandbox; skips, loudly, when no engine answers."""
    try:
        opened = await DockerBackend().open(SandboxSpec(run_id=f"tools-{uuid.uuid4().hex[:8]}"))
    except SandboxUnavailable as error:
        pytest.skip(f"NO DOCKER ENGINE, tools untested: {error}")
    try:
        yield opened
    finally:
        await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def bench(sandbox: Sandbox) -> Workbench:
    """A workbench on an empty workspace."""
    script = f"cd {WORKSPACE} && find . -mindepth 1 -delete; rm -rf /tmp/.bridle/cwd /tmp/t /tmp/bin"
    assert (await sandbox.exec(["sh", "-c", script], cwd="/")).exit_code == 0
    return Workbench(sandbox)


@pytest.fixture
def call(bench: Workbench) -> CallTool:
    """Calls a tool by name, its arguments validated as the loop does."""
    tools: dict[str, Tool] = default_tools()

    async def _call(name: str, /, **arguments: Any) -> ToolResult:
        return await tools[name].run(tools[name].arguments.model_validate(arguments), bench)

    return _call


@pytest.fixture(scope="session")
def docker_backend(sandbox: Sandbox) -> DockerBackend:
    """For tests that need a sandbox of their own."""
    return DockerBackend()
