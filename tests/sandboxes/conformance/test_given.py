"""What the host gives a sandbox to read, and what of the host's toolchain it does not show."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conformance.kinds import Kind, params

from sandboxes.bubblewrap.backend import BubblewrapBackend
from sandboxes.docker.backend import DockerBackend
from sandboxes.protocol import GIVEN, Sandbox, SandboxSpec

Open = Callable[..., Awaitable[Sandbox]]
CHANGES = ["echo no > {}", "rm -f {}", "mv {} /tmp/x", "chmod 666 {}", "ln -sf /dev/null {}", "touch {}.new"]


def archive(folder: Path, **texts: str) -> Path:
    """A tar of files, as the grader makes one."""
    path = folder / "given.tar"
    with tarfile.open(path, "w") as tar:
        for name, text in texts.items():
            member = tarfile.TarInfo(f"deep/{name}.txt")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def outside_tmp() -> Iterator[Path]:
    """A folder that no folder of the sandbox's own covers."""
    here = Path(__file__).parent
    place = here if not here.is_relative_to("/tmp") else Path.home()
    with TemporaryDirectory(dir=place, prefix="bridle-tools-") as name:
        yield Path(name)


async def test_what_is_given_is_read_and_never_changed(fresh: Open, tmp_path: Path) -> None:
    box = await fresh()
    await box.give(archive(tmp_path, one="first"))
    await box.give(archive(tmp_path, two="second"))
    file = f"{GIVEN}/deep/one.txt"
    for change in CHANGES:
        for path in (file, f"{GIVEN}/deep", GIVEN):
            await box.exec(["sh", "-c", change.format(path)])
    shown = await box.exec(["cat", file, f"{GIVEN}/deep/two.txt"])
    assert shown.output.text() == "firstsecond"
    listed = await box.exec(["sh", "-c", f"ls -A {GIVEN} {GIVEN}/deep"])
    assert listed.output.text().split() == [f"{GIVEN}:", "deep", f"{GIVEN}/deep:", "one.txt", "two.txt"]


@pytest.mark.parametrize("kind", params(lambda kind: kind.image == "host"), indirect=True, scope="session")
async def test_what_is_hidden_is_shown_empty(kind: Kind, outside_tmp: Path) -> None:
    tools, link = outside_tmp / "real" / "tools", outside_tmp / "tools"
    packages = tools / "lib" / "python3.99" / "site-packages"
    for path in ("secret/answer.txt", "open/file.txt"):
        (tools / path).parent.mkdir(parents=True)
        (tools / path).write_text("42")
    (packages / "fixed").mkdir(parents=True)
    (packages / "fixed" / "__init__.py").write_text("answer = 42")
    (packages / "single.py").write_text("answer = 42")
    (packages / "other.py").write_text("answer = 42")
    (tools / "bin").mkdir()
    link.symlink_to(tools)
    backend = {"docker-host": DockerBackend, "bubblewrap": BubblewrapBackend}[kind.name](host_paths=[link])
    hidden = (str(tools / "secret"), str(outside_tmp / "not-there"))
    spec = SandboxSpec("test-hidden", hidden=hidden, hidden_packages=("fixed", "single", "missing"))
    box = await backend.open(spec)
    try:
        for top in (link, tools):
            found = await box.exec(["grep", "-rls", "42", str(top)], cwd="/")
            wanted = {"open/file.txt", "lib/python3.99/site-packages/other.py"}
            assert set(found.output.text().split()) == {f"{top}/{each}" for each in wanted}
        site = link / "lib" / "python3.99" / "site-packages"
        changed = await box.exec(["sh", "-c", f"umount {link}/secret; echo 42 > {site}/fixed/x.py"], cwd="/")
        assert changed.exit_code != 0
    finally:
        await box.close()
