"""Attempts by way of links and archives: the file tools, and what goes into a sandbox and comes out."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agent.repository.changes import PatchLimits, PatchProblem
from sandboxes.protocol import Sandbox, SandboxError, WorkspaceArchive
from support.escape.scene import Attempt, Scene, refused
from support.lab import Engine, Lab
from tools.protocol import Effect, ToolResult, Workbench
from tools.registry import default_tools


async def use(box: Sandbox, name: str, /, **arguments: object) -> tuple[ToolResult, frozenset[Effect]]:
    """A tool called as the loop does it, and the effects it claims beforehand."""
    tool, bench = default_tools()[name], Workbench(box)
    args = tool.arguments.model_validate(arguments)
    return await tool.run(args, bench), tool.effects(args, bench)


LINKS = """
mkdir -p ~/target /workspace/real .git/hooks && cd /workspace && printf old > ~/target/f && printf old > ~/target/g
ln -s ~/target/f file; ln -s ~/target folder; ln -s folder/../target/f crooked
ln -s ../home/agent/target/f relative
ln -s two one; ln -s three two; ln -s ~/target/f three; ln -s /proc/self/root/home/agent/target/f proc
ln -s .git/hooks hooks; ln -s /proc/self/cwd/.git/hooks/x hook; ln -s ~/target/new dangling; ln -s real/../folder a
ln ~/target/g hard 2>/dev/null || cp ~/target/g hard
"""


async def tool_links(scene: Scene) -> None:
    """Through links in the workspace, nothing outside it and nothing of git's changes under the claim `write`."""
    box = await scene.open()
    await scene.sh(LINKS, box)
    names = (
        "file",
        "folder/f",
        "folder/new",
        "crooked",
        "relative",
        "one",
        "proc",
        "hooks/pre-commit",
        "hook",
        "dangling",
    )
    for name in (*names, "a/f", "a/new", "./folder/../folder/f", "real/../folder/f"):
        written, claimed = await use(box, "write", path=name, content="mine")
        assert claimed == {Effect.WRITE}, name
        assert not written.ok or name.startswith("real/../"), name
        edited, _ = await use(box, "edit", path=name, old="old", new="mine")
        assert not edited.ok, name
    written, _ = await use(box, "write", path="hard", content="mine")
    assert written.ok
    said = await scene.sh("cat ~/target/f ~/target/g; ls ~/target; ls -A .git/hooks", box)
    assert said == "oldoldf\ng\n"


SWAP = """
import os
os.chdir("/workspace")
while True:
    for name in ("folder", "link"):
        os.rename(name, "race")
        os.rename("race", name)
"""


async def tool_race(scene: Scene) -> None:
    """A path in the workspace is a folder of it and a link out of it in turn, as fast as that can be done."""
    box = await scene.open()
    await scene.sh("mkdir -p ~/target folder; printf old | tee ~/target/f folder/f; ln -s ~/target link", box)
    swapping = await box.start(["python3", "-I", "-c", SWAP])
    done = []
    for number in range(150):
        for name, fields in (("write", {"content": f"mine {number}"}), ("edit", {"old": "old", "new": "mine"})):
            result, claimed = await use(box, name, path="race/f", **fields)
            assert claimed == {Effect.WRITE}
            done.append(result.ok)
        await use(box, "write", path="race/new", content="mine")
    assert not all(done), "the folder was never swapped at the wrong moment"
    await box.process_stop(swapping)
    assert await scene.sh("cat ~/target/f; ls ~/target", box) == "oldf\n"


async def tool_paths(scene: Scene) -> None:
    path = scene.host_file()
    before = path.stat().st_mtime_ns
    await scene.sh(f"cd /workspace; ln -sfn {path} to-file; ln -sfn {scene.folder} to-folder; ln -sfn / to-root")
    spelled = (
        str(path),
        f"../../../..{path}",
        f"/proc/1/root{path}",
        f"/proc/self/root{path}",
        f"/dev/fd/0/..{path}",
    )
    linked = ("to-file", "to-folder/canary", f"to-root{path}")
    for each in (*spelled, *linked):
        for name, more in (("read", {}), ("edit", {"old": scene.secret[:8], "new": "x"})):
            result, _ = await use(scene.box, name, path=each, **more)
            assert not result.ok, (name, each)
            assert scene.secret not in result.text
    for place in (str(scene.folder), "to-folder", f"to-root{scene.folder}", "/proc/1/root", "/tmp"):
        found, _ = await use(scene.box, "search", pattern=scene.secret[1:-1], path=place)
        assert scene.secret not in found.text, place
    for each in (*linked, f"/proc/1/root{path}"):
        await use(scene.box, "write", path=each, content="mine")
    await use(scene.box, "write", path=str(path), content="mine")  # what comes to be is inside
    assert (path.read_text(), path.stat().st_mtime_ns) == (scene.secret, before)
    await scene.sh("rm -f to-file to-folder to-root")


def slips(outside: Path) -> Iterator[bytes]:
    """Archives whose members lie, or reach, outside the folder they are unpacked in."""
    link, hard, char, block = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE
    up = "../" * 12
    cases: list[list[tuple[str, bytes, str, bytes]]] = [
        [(f"{up}{str(outside)[1:]}/slip", b"0", "", b"x")],
        [(f"{outside}/absolute", b"0", "", b"x")],
        [(f"a/../{up}{str(outside)[1:]}/dots", b"0", "", b"x")],
        [("l", link, str(outside), b""), ("l/through", b"0", "", b"x")],
        [("l", link, up, b""), (f"l/{str(outside)[1:]}/up", b"0", "", b"x")],
        [("l", link, "/proc/1/root", b""), (f"l{outside}/proc", b"0", "", b"x")],
        [("h", hard, f"{outside}/canary", b""), ("h", b"0", "", b"x")],
        [("h", hard, f"{up}{str(outside)[1:]}/canary", b""), ("h", b"0", "", b"x")],
        [("l", link, f"{outside}/canary", b""), ("l", b"0", "", b"x")],
        [("l", link, "x", b""), ("l", tarfile.DIRTYPE, "", b""), ("l/double", b"0", "", b"x")],
        [("memory", char, "1:1", b""), ("disk", block, "8:0", b""), ("port", char, "1:4", b"")],
    ]
    for case in cases:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, kind, target, data in case:
                member = tarfile.TarInfo(name)
                member.type, member.mode, member.size = kind, 0o6777, len(data)
                if kind in (char, block):
                    member.devmajor, member.devminor = map(int, target.split(":"))
                else:
                    member.linkname = target
                tar.addfile(member, io.BytesIO(data))
        yield out.getvalue()


async def tar_in(scene: Scene) -> None:
    outside = scene.folder / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    (outside / "canary").write_text(scene.secret)
    archive = scene.folder / "in.tar"
    box = await scene.open()
    await scene.sh(
        f"ln -s {outside} /workspace/planted; ln -s / /workspace/root; ln -s /proc/1/root /workspace/proc", box
    )
    places = ("/workspace", "/workspace/planted", f"/workspace/root{outside}", f"/workspace/proc{outside}")
    for place in places:
        for data in slips(outside):
            archive.write_bytes(data)
            with suppress(SandboxError):
                await box.upload(archive, place)
            assert [each.name for each in outside.iterdir()] == ["canary"], place
            assert (outside / "canary").read_text() == scene.secret
    tastes = "\n".join(f"attempt({name!r}, taste, '/workspace/{name}')" for name in ("memory", "disk", "port"))
    refused(await scene.python(tastes, box=box), also=("ENOENT", "ENXIO"), at_least=3)
    assert scene.secret not in await scene.sh("cat /workspace/h /workspace/l; true", box)
    for data in slips(outside):
        archive.write_bytes(data)
        with suppress(SandboxError):
            await scene.open(workspace=WorkspaceArchive(archive))
        assert [each.name for each in outside.iterdir()] == ["canary"]


OUT = """
cd /workspace && ln -s {outside} folder && ln -s {outside}/canary file && ln -s / root && ln -s /proc/1/root proc
mkfifo pipe; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("s")'
ln new.txt hard 2>/dev/null; echo new > new.txt; ln new.txt hard; ln -s /etc/passwd README.md.link
mkdir -p d && cd d && n=0; while [ $n -lt 40 ]; do mkdir d; cd d; n=$((n+1)); done; ln -s {outside}/canary deep
cd /workspace; touch 'new
line' '-rf' '--checkpoint=1' '--checkpoint-action=exec=touch {outside}/ran'
"""


async def tar_out(scene: Scene) -> None:
    outside = scene.folder / "outside"
    outside.mkdir()
    (outside / "canary").write_text(scene.secret)
    lab = Lab.begun(scene.folder)
    box = await scene.open(workspace=WorkspaceArchive(lab.archive))
    await scene.sh(OUT.format(outside=outside), box)
    data = b"".join([piece async for piece in box.download("/workspace")])
    assert scene.secret.encode() not in data
    changes = await lab.take_out(data)
    done = lab.deliver(changes)
    tree = lab.tree_of(done.commit)
    assert tree[b"file"] == (0o120000, str(outside / "canary").encode())
    assert (tree[b"hard"][1], b"pipe" in tree, b"s" in tree) == (b"new\n", False, False)
    assert scene.secret not in str(tree)
    said = await scene.sh("truncate -s 2T larger; rm larger; truncate -s 3G huge", box)
    assert "limit exceeded" in said or "too large" in said
    with pytest.raises(PatchProblem, match="huge is new or changed and larger"):
        await lab.take_out_stream(box.download("/workspace"))
    assert [each.name for each in outside.iterdir()] == ["canary"]


async def tar_crafted(scene: Scene) -> None:
    """A stream as no engine would make it: whoever made it, it is only ever compared."""
    outside = scene.folder / "outside"
    outside.mkdir()
    (outside / "canary").write_text(scene.secret)
    lab = Lab.begun(scene.folder)
    whole = PatchLimits(stream_bytes=1 << 20, entries=1000)
    for data in [*slips(outside), *twice(outside), *sized()]:
        for prefix in (b"", b"workspace/"):
            with suppress(PatchProblem):
                changes = await lab.take_out(renamed(data, prefix), whole)
                assert scene.secret.encode() not in b"".join(p.read_bytes() for p in changes.spool.iterdir())
                if changes:
                    tree = lab.tree_of(lab.deliver(changes).commit)
                    assert not [path for path in tree if b".." in path or path.startswith(b"/")]
                    assert scene.secret not in str(tree)
            assert [each.name for each in outside.iterdir()] == ["canary"]
            assert (outside / "canary").read_text() == scene.secret


def renamed(data: bytes, prefix: bytes) -> bytes:
    """The archive with `prefix` before each name, below a folder `workspace`."""
    engine = Engine()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            fields = {"type": member.type, "linkname": member.linkname}
            name = prefix + member.name.encode("utf-8", "surrogateescape")
            engine.add(name, content.read() if content else b"", member.mode, **fields)
    return engine.bytes()


def twice(outside: Path) -> Iterator[bytes]:
    """Archives that hold one name several times."""
    for kinds in (
        ("link", "file"),
        ("file", "link"),
        ("folder", "link", "file"),
        ("file", "folder"),
        ("link", "folder"),
    ):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for kind in kinds:
                member = tarfile.TarInfo("same")
                member.type = {"link": tarfile.SYMTYPE, "file": b"0", "folder": tarfile.DIRTYPE}[kind]
                member.linkname = str(outside / "canary") if kind == "link" else ""
                member.size = 1 if kind == "file" else 0
                tar.addfile(member, io.BytesIO(b"x"))
            below = tarfile.TarInfo("same/below")
            below.size = 1
            tar.addfile(below, io.BytesIO(b"x"))
        yield out.getvalue()


def sized() -> Iterator[bytes]:
    """Archives of very many entries, and with more bytes than are taken."""
    many, large = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=many, mode="w") as tar:
        for number in range(1200):
            tar.addfile(tarfile.TarInfo(f"n{number}"))
    yield many.getvalue()
    with tarfile.open(fileobj=large, mode="w") as tar:
        member = tarfile.TarInfo("large")
        member.size = 2 << 20
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    yield large.getvalue()


ROWS = (
    Attempt(
        "tool-links",
        "links against the file tools",
        "`write` and `edit` through fourteen kinds of symbolic and hard links in the workspace, to files outside "
        "it and to `.git/hooks`",
        "The real place is looked up, and a write that has other effects than were claimed is refused "
        "(`tools/paths.py`)",
        tool_links,
    ),
    Attempt(
        "tool-race",
        "a race against the file tools",
        "A folder in the workspace and a link out of it take turns at one path while `write` and `edit` use it",
        "The place that was looked at is written to, and no link on the way is followed (`sandboxes/inside/`)",
        tool_race,
        seconds=120,
    ),
    Attempt(
        "tool-paths",
        "host paths in the file tools",
        "`read`, `edit`, `write` and `search` for a file of the host by absolute path, `..`, `/proc` and links",
        "The tools work inside, with the agent's rights; there is no path to the host",
        tool_paths,
    ),
    Attempt(
        "tar-in",
        "tar slips on the way in",
        "Archives with `..`, absolute names, links and files through them, hard links, devices, unpacked also "
        "into links that the agent planted",
        "Archives are unpacked inside the sandbox's own root: by the engine, or by `tar` in a namespace "
        "(`sandboxes/bubblewrap/sandbox.py`)",
        tar_in,
        seconds=180,
    ),
    Attempt(
        "tar-out",
        "tar slips on the way out",
        "A workspace with links to the host, hard links, pipes, sockets, names that are options, deep folders, "
        "and a file of three gigabytes",
        "The stream is compared and never unpacked; every quantity has a limit (`agent/repository/taking.py`)",
        tar_out,
        seconds=120,
    ),
    Attempt(
        "tar-crafted",
        "a crafted stream",
        "The same slips, names that come twice as different things, and too much of everything, as if the engine "
        "had sent them",
        "The same",
        tar_crafted,
        on=("host",),
        seconds=120,
    ),
)
