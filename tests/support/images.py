"""Images for tests: nothing but busybox, a small Debian, the same without Python. All are removed afterwards."""

from __future__ import annotations

import io
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "debian_root.sh"


def busybox_file(folder: Path) -> Path:
    """A static busybox: the host's, or the one of Debian's package, which is fetched but not installed."""
    for name in ("/bin/busybox", "/usr/bin/busybox"):
        if (
            Path(name).is_file()
            and b"dynamic" not in subprocess.run(["ldd", name], capture_output=True, check=False).stdout
        ):
            return Path(name)
    if shutil.which("apt-get"):
        subprocess.run(
            ["apt-get", "download", "busybox-static"], cwd=folder, capture_output=True, timeout=120, check=False
        )
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
    found = list(folder.glob("**/bin/busybox"))
    if not found:
        pytest.skip("NO STATIC BUSYBOX: `apt-get install busybox-static`, or nothing is proved without Python")
    return found[0]


def busybox(client: Any, folder: Path) -> Iterator[str]:
    """An image with busybox, its links, and nothing else; `folder` may be filled."""
    program = busybox_file(folder)
    names = subprocess.run([str(program), "--list"], capture_output=True, text=True, check=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.add(program, "bin/busybox")
        for name in names:
            if name != "busybox":
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
    tag = f"bridle-test-{secrets.token_hex(4)}:1"
    changes = ["ENV PATH=/bin", "ENV KEPT=yes"]
    client.import_image_from_data(out.getvalue(), repository=tag.partition(":")[0], tag="1", changes=changes)
    yield tag
    client.remove_image(tag, force=True)


def debian_archive() -> str:
    """The path of a tar archive of a small Debian, made when it is not there."""
    done = subprocess.run([str(SCRIPT)], capture_output=True, text=True, timeout=900, check=False)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        pytest.skip(f"NO DEBIAN IMAGE: {reason[0]}; nothing is proved on an ordinary image until it is there")
    return done.stdout.strip()


def debian(client: Any) -> Iterator[str]:
    """An image of a small Debian with Python, bash and git."""
    tag = f"bridle-test-{secrets.token_hex(4)}:1"
    client.import_image_from_file(debian_archive(), repository=tag.partition(":")[0], tag="1")
    yield tag
    client.remove_image(tag, force=True)


def without_python(client: Any, base: str) -> Iterator[str]:
    """The image `base` after its Python was removed."""
    tag = f"bridle-test-{secrets.token_hex(4)}:1"
    remove = ["sh", "-c", "rm -rf /usr/bin/python* /usr/bin/pydoc* /usr/lib/python*"]
    settings = client.create_host_config(network_mode="none")
    container = client.create_container(base, remove, host_config=settings)["Id"]
    try:
        client.start(container)
        assert client.wait(container)["StatusCode"] == 0
        client.commit(container, repository=tag.partition(":")[0], tag="1")
    finally:
        client.remove_container(container, force=True)
    yield tag
    client.remove_image(tag, force=True)


EXAMPLES_BASE = "bridle-test/debian:bookworm"
"""What the Dockerfiles of tests/tasks/examples begin from. It stays on the engine: all test runs share it."""


def examples_base(client: Any) -> None:
    """Make it where it is not there."""
    if not client.images(name=EXAMPLES_BASE):
        name, _, tag = EXAMPLES_BASE.partition(":")
        client.import_image_from_file(debian_archive(), repository=name, tag=tag)
