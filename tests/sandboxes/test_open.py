"""Opening: what cannot be opened is said in one sentence with a way out, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandboxes.docker.backend import DockerBackend
from sandboxes.protocol import SandboxSpec, SandboxUnavailable


def nothing_left(client: Any, run_id: str) -> bool:
    return not client.containers(all=True, filters={"label": f"bridle.run={run_id}"})


async def refused(backend: DockerBackend, image: str, run_id: str = "refused") -> str:
    with pytest.raises(SandboxUnavailable) as caught:
        await backend.open(SandboxSpec(run_id, image=image))
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def closed_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.mark.parametrize("kind", ["no socket", "nobody listens", "closed port", "not an address", "not an engine"])
async def test_no_engine(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "docker.sock"
    server = socket.socket(socket.AF_UNIX)
    host = f"unix://{path}"
    if kind == "nobody listens":
        server.bind(str(path))
    elif kind == "closed port":
        host = f"tcp://127.0.0.1:{closed_port()}"
    elif kind == "not an address":
        host = "nonsense://x"
    elif kind == "not an engine":
        server.bind(str(path))
        server.listen()

        async def answer() -> None:
            loop = asyncio.get_running_loop()
            server.setblocking(False)
            while True:
                connection, _ = await loop.sock_accept(server)
                await loop.sock_recv(connection, 4096)
                await loop.sock_sendall(connection, b"220 mail ready\r\n")
                connection.close()

        task = asyncio.ensure_future(answer())
    backend = DockerBackend(environ={"DOCKER_HOST": host})
    message = await refused(backend, "host")
    assert "bridle doctor" in message
    checks = await backend.check()
    assert [c.ok for c in checks] == [False]
    assert checks[0].mend
    with pytest.raises(SandboxUnavailable):
        await backend.reap()
    if kind == "not an engine":
        task.cancel()
    server.close()


@pytest.mark.skipif(os.getuid() != 0, reason="needs to become another user")
def test_an_engine_that_does_not_let_one_in(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        path.chmod(0o600)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.setuid(65534)
                backend = DockerBackend(environ={"DOCKER_HOST": f"unix://{path}", "HOME": "/nonexistent"})
                message = asyncio.run(refused(backend, "host"))
                code = 0 if "does not let you in" in message and "usermod" in message else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.docker
async def test_an_unknown_image(client: Any) -> None:
    message = await refused(DockerBackend(), "no-such-image:1", "t-unknown")
    assert "docker pull no-such-image:1" in message
    assert nothing_left(client, "t-unknown")


@pytest.mark.docker
@pytest.mark.parametrize("name", ["UPPER CASE", "../etc", "-v", "a b", ""])
async def test_what_cannot_be_an_image(client: Any, name: str) -> None:
    await refused(DockerBackend(), name, "t-badname")
    assert nothing_left(client, "t-badname")


@pytest.mark.docker
async def test_a_pull_that_fails(client: Any) -> None:
    name = f"127.0.0.1:{closed_port()}/nothing:1"
    assert "could not be pulled" in await refused(DockerBackend(pull=True), name, "t-pull")


@pytest.mark.docker
async def test_an_image_without_shell_and_python(client: Any) -> None:
    client.import_image_from_data(bytes(10240), repository="bridle-test-empty", tag="1", changes=["CMD x"])
    try:
        message = await refused(DockerBackend(), "bridle-test-empty:1", "t-empty")
        assert "neither a shell nor Python" in message
        assert nothing_left(client, "t-empty")
    finally:
        client.remove_image("bridle-test-empty:1", force=True)


@pytest.mark.docker
async def test_an_image_with_files_where_the_repository_belongs(client: Any, busybox_image: str) -> None:
    base = client.create_container(busybox_image, ["sh", "-c", "mkdir -p /workspace && touch /workspace/x"])
    client.start(base["Id"])
    client.wait(base["Id"])
    image = client.commit(base["Id"])["Id"]
    try:
        assert "/workspace" in await refused(DockerBackend(), image, "t-full")
        assert nothing_left(client, "t-full")
    finally:
        client.remove_container(base["Id"], force=True)
        client.remove_image(image, force=True)


@pytest.mark.docker
async def test_cancelled_while_opening(client: Any) -> None:
    for delay in (0.0, 0.01, 0.05, 0.15, 0.3):
        task = asyncio.ensure_future(DockerBackend().open(SandboxSpec("t-cancelled")))
        await asyncio.sleep(delay)
        task.cancel()
        try:
            sandbox = await task
        except asyncio.CancelledError:
            pass
        else:
            await sandbox.close()
        assert nothing_left(client, "t-cancelled")


@pytest.mark.docker
async def test_the_run_id_is_only_a_label(client: Any) -> None:
    run_id = "odd id/../$(x)\n" + "long" * 50
    sandbox = await DockerBackend().open(SandboxSpec(run_id))
    try:
        assert not nothing_left(client, run_id)
    finally:
        await sandbox.close()


@pytest.mark.docker
async def test_python_inside_is_the_active_environments(tmp_path: Path, client: Any) -> None:
    venv = tmp_path / "my env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    site = next(venv.glob("lib/python3*/site-packages"))
    (site / "found_only_here.py").write_text("WHERE = __file__\n")
    backend = DockerBackend(host_paths=[venv])
    sandbox = await backend.open(SandboxSpec("t-venv"))
    try:
        done = await sandbox.exec(
            ["python3", "-c", "import sys, found_only_here as f; print(f.WHERE, sys.prefix)"]
        )
        assert done.output.text() == f"{site}/found_only_here.py {venv}\n"
        denied = await sandbox.exec(["touch", str(site / "x")])
        assert denied.exit_code != 0
    finally:
        await sandbox.close()


@pytest.mark.docker
async def test_the_python_of_the_users_shell(client: Any) -> None:
    prints = "import sys; print(sys.version)"
    outside = subprocess.run(["python3", "-c", prints], capture_output=True, text=True, check=True).stdout
    sandbox = await DockerBackend().open(SandboxSpec("t-python"))
    try:
        assert (await sandbox.exec(["python3", "-c", prints])).output.text() == outside
        assert (await sandbox.exec(["git", "--version"])).exit_code == 0
        assert sandbox.shell == "bash"
    finally:
        await sandbox.close()


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
async def test_a_home_folder_is_no_toolchain() -> None:
    assert "secrets" in await refused(DockerBackend(host_paths=[Path.home()]), "host")


@pytest.mark.docker
async def test_check_of_an_engine_that_is_there(engine: None) -> None:
    checks = await DockerBackend().check()
    assert all(c.ok for c in checks), checks
    assert {c.what for c in checks} >= {"Docker engine", "Host image"}
