"""Taking out: what differs, and every trick a hostile archive could play."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.lab import FILE, pieces

from agent.repository.changes import PatchLimits, PatchProblem, take_out

DEVICE, FIFO, HARD, SYM, FOLDER = (
    tarfile.CHRTYPE,
    tarfile.FIFOTYPE,
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.DIRTYPE,
)


def kinds(changes: Any) -> dict[bytes, str]:
    return {each.path: each.kind for each in changes.changes}


def content(changes: Any, path: bytes) -> bytes:
    (change,) = (each for each in changes.changes if each.path == path)
    return changes.content(change.new).read_bytes()


async def test_nothing_changed(lab: Any) -> None:
    changes = await lab.take_out_tree(lab.tree())
    assert not changes
    assert changes.skipped == ()


async def test_every_kind_of_change(lab: Any) -> None:
    tree = lab.tree()
    del tree[b"README.md"]
    tree[b"src/stats.py"] = (0o100644, b"fixed\n")
    tree[b"run.sh"] = (0o100644, tree[b"run.sh"][1])
    tree[b"link"] = (0o100644, b"a file now\n")
    tree[b"new.bin"] = (0o100755, bytes(range(256)) * 9000)
    changes = await lab.take_out_tree(tree)
    assert kinds(changes) == {
        b"README.md": "deleted",
        b"link": "type",
        b"new.bin": "added",
        b"run.sh": "mode",
        b"src/stats.py": "modified",
    }
    assert content(changes, b"new.bin") == bytes(range(256)) * 9000
    (change,) = (each for each in changes.changes if each.path == b"src/stats.py")
    assert changes.content(change.old).read_bytes().startswith(b"def mean")


async def test_a_file_becomes_a_folder_and_a_folder_a_file(lab: Any) -> None:
    tree = lab.tree()
    del tree[b"README.md"], tree[b"src/stats.py"]
    tree[b"README.md/part"] = (0o100644, b"x")
    tree[b"src"] = (0o120000, b"README.md")
    changes = await lab.take_out_tree(tree)
    assert kinds(changes) == {
        b"README.md": "deleted",
        b"README.md/part": "added",
        b"src": "added",
        b"src/stats.py": "deleted",
    }


async def test_ignored_and_junk_files_are_left_out_and_counted(lab: Any) -> None:
    tree = lab.tree()
    left = [b"x.log", b"build/a/b.o", b"src/__pycache__/s.pyc", b"node_modules/m/index.js", b".coverage"]
    tree |= dict.fromkeys(left, (0o100644, b"x"))
    tree[b".gitignore"] = (0o100644, b"!*.log\nkept.txt\n")  # the agent's rules have no say
    tree[b"kept.txt"] = (0o100644, b"x")
    changes = await lab.take_out_tree(tree)
    assert kinds(changes) == {b".gitignore": "modified", b"kept.txt": "added"}
    assert "2 left out as the repository ignores them: build/a/b.o, x.log" in changes.skipped
    assert any(note.startswith("3 left out as what tools leave behind") for note in changes.skipped)


async def test_what_the_base_has_is_never_left_out(lab: Any) -> None:
    for path in ("forced.log", "node_modules/own/a.js", "x.pyc"):
        lab.write(path, "base\n")
        lab.git("add", "-f", path)
    lab.commit()
    lab.take_in()
    tree = lab.tree()
    for path in (b"forced.log", b"node_modules/own/a.js", b"x.pyc"):
        tree[path] = (0o100644, b"changed\n")
    tree[b"node_modules/own/b.js"] = (0o100644, b"new beside it\n")
    changes = await lab.take_out_tree(tree)
    assert set(kinds(changes)) == {b"forced.log", b"node_modules/own/a.js", b"node_modules/own/b.js", b"x.pyc"}


ODD = [
    b":(glob)**",
    b":!x",
    b"-n",
    b"--stdin",
    b'"quoted',
    b" space ",
    b"new\nline",
    b"tab\t",
    b"\xff\xfe",
    b"*",
    b"back\\slash",
    b"\x1b[31m",
    "\u202edesrever".encode(),
    b"sub/" + b"n" * 255,
    b"p/" * 60 + b"deep",
]


async def test_odd_names_come_back_as_they_are(lab: Any) -> None:
    tree = lab.tree() | {path: (0o100644, path) for path in ODD}
    changes = await lab.take_out_tree(tree)
    assert set(kinds(changes)) == set(ODD)
    assert all(content(changes, path) == path for path in ODD)


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
async def test_odd_names_in_every_format(lab: Any, make_engine: Any, format: int) -> None:  # noqa: A002
    from_format = make_engine(format)
    from_format.tree(lab.tree() | {path: (0o100644, path) for path in ODD})
    assert set(kinds(await lab.take_out(from_format.bytes()))) == set(ODD)


@pytest.mark.parametrize(
    "name",
    [
        b".git/hooks/post-checkout",
        b".GIT/config",
        b".Git/config",
        b"git~1/config",
        b"GIT~1",
        b".git /config",
        b".git./config",
        b".git::$INDEX_ALLOCATION/config",
        ".g\u200cit/config".encode(),
        "\ufeff.git/config".encode(),
        b"deep/.git/config",
        b"deep/.gIt",
        b"a\\.git\\config",
    ],
)
async def test_nothing_of_gits_own_comes_back(lab: Any, engine: Any, name: bytes) -> None:
    engine.tree(lab.tree())
    engine.add(b"workspace/" + name, b"[core]\n\tfsmonitor = touch /tmp/pwned\n")
    assert not await lab.take_out(engine.bytes())


@pytest.mark.parametrize(
    "name",
    [b"/etc/passwd", b"../x", b"workspace/../x", b"workspace/a/../../x", b"workspace/./x", b"workspace//x", b"x"],
)
async def test_names_that_lead_elsewhere_are_left_out(lab: Any, engine: Any, name: bytes) -> None:
    engine.tree(lab.tree())
    engine.add(name, b"x")
    changes = await lab.take_out(engine.bytes())
    assert not changes
    assert len(changes.skipped) == 1


@pytest.mark.parametrize("type", [DEVICE, FIFO, tarfile.BLKTYPE, b"Z"])
async def test_devices_and_unknown_things_are_left_out(lab: Any, engine: Any, type: bytes) -> None:  # noqa: A002
    engine.tree(lab.tree())
    engine.add(b"workspace/thing", type=type)
    changes = await lab.take_out(engine.bytes())
    assert not changes
    assert "thing was left out" in changes.skipped[0]


async def test_a_base_file_replaced_by_a_fifo_is_deleted(lab: Any, engine: Any) -> None:
    tree = lab.tree()
    del tree[b"README.md"]
    engine.tree(tree)
    engine.add(b"workspace/README.md", type=FIFO)
    assert kinds(await lab.take_out(engine.bytes())) == {b"README.md": "deleted"}


async def test_hard_links_are_contents(lab: Any, engine: Any) -> None:
    engine.tree(lab.tree() | {b"a.txt": (0o100644, b"shared\n")})
    engine.add(b"workspace/b.txt", type=HARD, linkname="workspace/a.txt")
    engine.add(
        b"workspace/c.txt", type=HARD, linkname="workspace/README.md"
    )  # unchanged, so not in the stream's spool
    engine.add(b"workspace/d.txt", type=HARD, linkname="/etc/shadow")
    engine.add(b"workspace/e.txt", type=HARD, linkname="workspace/.git/config")
    engine.add(b"workspace/f.txt", type=HARD, linkname="workspace/f.txt")
    changes = await lab.take_out(engine.bytes())
    assert set(kinds(changes)) == {b"a.txt", b"b.txt", b"c.txt"}
    assert content(changes, b"b.txt") == b"shared\n"
    assert content(changes, b"c.txt") == b"# Example\n"
    assert len([note for note in changes.skipped if "hard link" in note]) == 3


async def test_a_base_file_linked_to_something_unknown_is_refused(lab: Any, engine: Any) -> None:
    tree = lab.tree()
    del tree[b"README.md"]
    engine.tree(tree)
    engine.add(b"workspace/README.md", type=HARD, linkname="workspace/x.log")
    with pytest.raises(PatchProblem, match="hard link"):
        await lab.take_out(engine.bytes())


async def test_the_last_of_several_wins(lab: Any, engine: Any) -> None:
    engine.tree(lab.tree())
    engine.add(b"workspace/twice", b"first")
    engine.add(b"workspace/twice", b"second")
    engine.add(b"workspace/README.md", type=FOLDER)
    changes = await lab.take_out(engine.bytes())
    assert kinds(changes) == {b"README.md": "deleted", b"twice": "added"}
    assert content(changes, b"twice") == b"second"


async def test_a_file_below_a_symlink_is_refused(lab: Any, engine: Any) -> None:
    engine.tree(lab.tree())
    engine.add(b"workspace/etc", type=SYM, linkname="/etc")
    engine.add(b"workspace/etc/passwd", b"root::0:0:::\n")
    with pytest.raises(PatchProblem, match="below a file"):
        await lab.take_out(engine.bytes())


async def test_places_that_were_not_taken_in_are_left_alone(lab: Any) -> None:
    os.mkfifo(lab.root / "pipe")
    lab.git("rm", "-q", "--cached", "README.md")
    (lab.root / "README.md").unlink()
    os.mkfifo(lab.root / "README.md")
    lab.git("reset", "-q")
    lab.take_in()
    assert b"README.md" in lab.base.kept
    tree = lab.tree() | {b"README.md": (0o100644, b"mine"), b"README.md.d/x": (0o100644, b"x")}
    changes = await lab.take_out_tree(tree)
    assert kinds(changes) == {b"README.md.d/x": "added"}
    assert "not taken in" in changes.skipped[0]


@pytest.mark.parametrize(
    ("limits", "path", "data", "said"),
    [
        (PatchLimits(entries=7), b"a", b"", "more than 7 entries"),
        (PatchLimits(file_bytes=10), b"big", b"x" * 11, "big is new or changed and larger"),
        (PatchLimits(file_bytes=1 << 21), b"big", bytes((1 << 21) + 1), "big is new or changed and larger"),
        (PatchLimits(changed_bytes=10), b"big", b"x" * 11, "changed files are more"),
        (PatchLimits(changed_bytes=1 << 20), b"big", bytes(3 << 19), "changed files are more"),
        (PatchLimits(stream_bytes=5000), b"big", b"x" * 9000, "workspace is larger"),
        (PatchLimits(path_bytes=20), b"a/" * 12 + b"b", b"", "longer than 20 bytes"),
        (PatchLimits(name_bytes=20), b"n" * 21, b"", "name is longer than 20"),
        (PatchLimits(depth=5), b"a/" * 6 + b"b", b"", "deeper than 5"),
    ],
)
async def test_limits(lab: Any, engine: Any, limits: PatchLimits, path: bytes, data: bytes, said: str) -> None:
    engine.tree(lab.tree())
    engine.add(b"workspace/z", b"")
    engine.add(b"workspace/" + path, data)
    with pytest.raises(PatchProblem, match=said):
        await lab.take_out(engine.bytes(), limits)


async def test_large_unchanged_files_meet_no_limit(lab: Any, make_engine: Any) -> None:
    lab.write("data.bin", bytes(3 << 20))
    lab.take_in()
    engine = make_engine()
    engine.tree(lab.tree())
    assert not await lab.take_out(engine.bytes(), PatchLimits(file_bytes=1 << 20, changed_bytes=10))
    engine = make_engine()
    engine.tree(lab.tree() | {b"data.bin": (0o100644, bytes((3 << 20) - 1) + b"x")})
    with pytest.raises(PatchProblem, match=r"data\.bin is new or changed"):
        await lab.take_out(engine.bytes(), PatchLimits(file_bytes=1 << 20))


async def test_ignored_files_count_for_nothing(lab: Any, engine: Any) -> None:
    engine.tree(lab.tree())
    engine.add(b"workspace/build/huge.o", bytes(4 << 20))
    assert not await lab.take_out(engine.bytes(), PatchLimits(file_bytes=1 << 20, changed_bytes=1 << 20))


async def test_every_cut_is_refused(lab: Any, engine: Any) -> None:
    engine.tree(lab.tree() | {b"new.txt": (0o100644, b"x" * 3000)})
    whole = engine.bytes()
    end = len(whole.rstrip(b"\0"))
    for cut in range(0, end, 131):
        with pytest.raises(PatchProblem):
            await lab.take_out(whole[:cut])


async def test_garbage_in_place_of_a_header_is_refused(lab: Any, engine: Any) -> None:
    engine.tree(lab.tree())
    whole = bytearray(engine.bytes())
    whole[512:1024] = b"\xa5" * 512
    with pytest.raises(PatchProblem):
        await lab.take_out(bytes(whole))


async def test_an_archive_of_something_else_is_refused(lab: Any) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("other/file"))
    with pytest.raises(PatchProblem, match="does not hold the folder workspace"):
        await lab.take_out(buffer.getvalue())
    with pytest.raises(PatchProblem):
        await lab.take_out(b"")


def header(name: bytes, size: bytes, kind: bytes) -> bytes:
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[108:124] = b"0000000\0" * 2
    block[124:136] = size
    block[136:148] = b"00000000000\0"
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


@pytest.mark.parametrize(
    "tail",
    [
        header(b"x", b"77777777777\0", b"x") + bytes(1 << 16),  # an 8 GiB extended header
        header(b"x", b"77777777777\0", b"L") + bytes(1 << 16),  # an 8 GiB long name
        header(b"workspace/x", b"\xff" * 12, b"0"),  # size -1
        header(b"workspace/x", b"\xff" * 12, b"g"),
        header(b"workspace/s", b"00000001000\0", b"S") + bytes(2048),  # sparse
        (header(b"l", b"00000000001\0", b"L") + b"x" + bytes(511)) * 5000,  # long names of long names
        (header(b"p", b"00000000013\0", b"x") + b"11 path=a/b\n" + bytes(500)) * 5000,
        header(b"p", b"00000000024\0", b"x")
        + b"20 size=999999999999"
        + bytes(492)
        + header(b"workspace/y", b"0" * 12, b"0"),
        header(b"p", b"00000000012\0", b"x") + b"99999 x=\n" + bytes(503),
    ],
)
async def test_malformed_headers_are_refused(lab: Any, engine: Any, tail: bytes) -> None:
    engine.tree(lab.tree())
    whole = engine.bytes().rstrip(b"\0")
    whole += bytes(-len(whole) % 512)
    with pytest.raises(PatchProblem):
        await lab.take_out(whole + tail + bytes(1024))


async def test_a_header_may_not_be_larger_than_it_needs_to_be(lab: Any, engine: Any) -> None:
    engine.tree(lab.tree())
    engine.add(b"workspace/new", b"x", pax_headers={"comment": "c" * (2 << 20)})
    with pytest.raises(PatchProblem, match="header is larger"):
        await lab.take_out(engine.bytes())


async def test_symlinks_git_would_refuse_are_left_out(lab: Any, engine: Any) -> None:
    engine.tree(lab.tree())
    engine.add(b"workspace/.gitmodules", type=SYM, linkname="x")
    engine.add(b"workspace/empty", type=SYM, linkname="")
    engine.add(b"workspace/long", type=SYM, linkname="x" * 5000)
    changes = await lab.take_out(engine.bytes())
    assert not changes
    assert len(changes.skipped) == 3


async def test_what_the_user_links_is_no_obstacle(lab: Any) -> None:
    (lab.root / "linked").symlink_to("src")
    lab.take_in()
    tree = lab.tree()
    del tree[b"linked"]
    tree[b"linked/new.py"] = (0o100644, b"x")
    tree[b"linked/new.log"] = (0o100644, b"x")
    changes = await lab.take_out_tree(tree)
    assert kinds(changes)[b"linked"] == "deleted"
    assert kinds(changes)[b"linked/new.py"] == "added"


async def test_a_stream_that_fails_says_why(lab: Any) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield bytes(10)
        raise ConnectionResetError("the engine went away")

    with pytest.raises(ConnectionResetError):
        await take_out(failing(), lab.base, lab.archive, lambda path: False, spool=lab.folder / "spool")


async def test_cancelling_ends_the_reading(lab: Any, engine: Any) -> None:
    engine.tree(lab.tree())
    first, waiting, closed = engine.bytes()[:600], asyncio.Event(), asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        try:
            yield first
            waiting.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    spool = lab.folder / "spool"
    task = asyncio.create_task(take_out(stuck(), lab.base, lab.archive, lambda path: False, spool=spool))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 30)
    assert closed.is_set()


async def test_contents_of_a_killed_run_are_not_believed(lab: Any) -> None:
    tree = lab.tree() | {b"new.txt": (0o100644, b"good\n")}
    changes = await lab.take_out_tree(tree)
    (change,) = changes.changes
    changes.content(change.new).write_bytes(b"to")
    assert content(await lab.take_out_tree(tree), b"new.txt") == b"good\n"


async def test_many_are_taken_out_at_a_time_where_threads_are_few(lab: Any, engine: Any) -> None:
    engine.tree(lab.tree() | {b"new.txt": (FILE, b"new")})
    data = engine.bytes()

    async def from_a_thread() -> AsyncIterator[bytes]:
        async for piece in pieces(data):
            yield await asyncio.to_thread(bytes, piece)

    async def taken(number: int) -> Any:
        spool = lab.folder / f"changes-{number}"
        return await take_out(from_a_thread(), lab.base, lab.archive, lambda _: False, spool=spool)

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    async with asyncio.timeout(30):
        found = await asyncio.gather(*map(taken, range(3)))
    assert [kinds(each) for each in found] == [{b"new.txt": "added"}] * 3
