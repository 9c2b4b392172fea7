"""Resolving, listing and writing without following links, among whatever commands make of the folders."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import Any

import pytest
from conformance.kinds import WITH_A_RUNNER, Kind

from sandboxes.protocol import Entry, FileError, Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def run(box: Sandbox, script: str) -> str:
    result = await box.exec(["sh", "-c", script], timeout=60)
    assert result.exit_code == 0, result.output.text()
    return result.output.text()


async def problem(action: object) -> str:
    with pytest.raises(FileError) as caught:
        await action  # type: ignore[misc]
    return caught.value.problem


async def emptied(box: Sandbox) -> None:
    await run(box, "chmod -R u+rwx . 2>/dev/null; rm -rf ./* ./.[!.]* ./..?* /tmp/t; mkdir /tmp/t")


# resolve


async def test_a_path_without_links_is_its_own(box: Sandbox) -> None:
    await emptied(box)
    await run(box, "mkdir -p a/b; touch a/b/f")
    for path in ("a/b/f", "/workspace/a/b/f", "a//b/./f", "a/../a/b/f", "a/b/f/"):
        assert await box.resolve(path) == "/workspace/a/b/f"
    assert await box.resolve("/") == "/"
    assert await box.resolve("/..") == "/"
    assert await box.resolve(".") == "/workspace"
    assert await box.resolve("a/b") == "/workspace/a/b"


async def test_links_are_resolved_as_the_kernel_does(box: Sandbox) -> None:
    await emptied(box)
    await run(
        box,
        "mkdir -p a/b c; touch a/b/f; ln -s a/b d; ln -s ../a/b/f c/f; ln -s /workspace/c /tmp/t/c; ln -s d e; "
        "ln -s . here; ln -s ../../workspace/here/a up",
    )
    assert await box.resolve("d/f") == "/workspace/a/b/f"
    assert await box.resolve("c/f") == "/workspace/a/b/f"
    assert await box.resolve("/tmp/t/c/f") == "/workspace/a/b/f"
    assert await box.resolve("e") == "/workspace/a/b"
    assert await box.resolve("e/..") == "/workspace/a"  # of the real folder, not of the spelling
    assert await box.resolve("d/../new") == "/workspace/a/new"
    assert await box.resolve("here/here/up/b") == "/workspace/a/b"


async def test_what_is_missing_is_added_as_spelled(box: Sandbox) -> None:
    await emptied(box)
    await run(box, "mkdir real; ln -s real link; touch file")
    assert await box.resolve("link/new") == "/workspace/real/new"
    assert await box.resolve("link/new/er/x") == "/workspace/real/new/er/x"
    assert await box.resolve("new/../x") == "/workspace/x"
    assert await problem(box.resolve("file/below")) == "bad_path"


async def test_links_to_nowhere_and_circles_are_told(box: Sandbox) -> None:
    await emptied(box)
    await run(
        box, "ln -s nowhere a; ln -s b/x b; ln -s d c; ln -s c d; ln -s no/such e; mkdir r; ln -s ../r/n r/f"
    )
    for path in ("a", "a/x", "b", "b/x", "c", "c/x/y", "e/x", "r/f"):
        with pytest.raises(FileError, match="symbolic link") as caught:
            await box.resolve(path)
        assert caught.value.problem == "bad_path"


async def test_links_of_proc_lead_where_their_text_says(box: Sandbox, kind: Kind) -> None:
    """They could otherwise lead into the process that does the resolving, or where no path leads."""
    await emptied(box)
    if kind.runner:  # elsewhere `self` is a process that is gone by then
        assert await box.resolve("/proc/self/root/workspace") == "/workspace"
    await run(box, "for n in 0 1 2; do ln -s /proc/self/fd/$n fd$n; done; ln -s /proc/1/root p")
    for number in range(3):
        with pytest.raises(FileError):
            await box.write(f"fd{number}/x", b"x")
        with pytest.raises(FileError):
            await box.list(f"fd{number}")
        if kind.runner:
            with pytest.raises(FileError):
                await box.read(f"fd{number}")
            with pytest.raises(FileError):
                await box.write(f"fd{number}", b"x")


async def test_too_long_and_too_deep(box: Sandbox) -> None:
    await emptied(box)
    assert await problem(box.resolve("x" * 256)) == "bad_path"
    assert await problem(box.read("./" * 1000 + "x" * 256)) == "bad_path"
    assert await box.resolve("y" * 255) == "/workspace/" + "y" * 255
    await box.write("y" * 255, b"long", follow=False)
    assert await box.read("y" * 255) == b"long"


async def test_a_closed_folder(box: Sandbox) -> None:
    await emptied(box)
    await run(box, "mkdir -p closed/in; chmod 0 closed")
    assert await problem(box.resolve("closed/in/x")) == "permission"
    assert await problem(box.read("closed/in/x")) == "permission"
    assert await problem(box.write("closed/in/x", b"", follow=False)) == "permission"
    assert await problem(box.list("closed")) == "permission"


# write, following nothing


async def test_a_write_that_follows_nothing(box: Sandbox) -> None:
    await emptied(box)
    await run(box, "mkdir real; echo old > real/f; ln -s real link; ln -s real/f last; ln -s real/new dangling")
    await box.write("real/f", b"1", follow=False)
    await box.write("real/f", b"2", expect=b"1", follow=False)
    await box.write("real/new/er/g", b"3", create_only=True, follow=False)
    for path in ("link/f", "last", "dangling", "link/x/y", "real/../link/f"):
        assert await problem(box.write(path, b"planted", follow=False)) == "bad_path"
        assert await problem(box.write(path, b"planted", create_only=True, follow=False)) == "bad_path"
    assert await run(box, "cat real/f real/new/er/g; ls real; readlink last") == "23f\nnew\nreal/f\n"
    assert await problem(box.write("real/f", b"x", create_only=True, follow=False)) == "exists"
    assert await problem(box.write("real/f", b"x", expect=b"1", follow=False)) == "changed"
    assert await problem(box.write("real/none", b"x", expect=b"1", follow=False)) == "changed"
    assert await problem(box.write("real/no/ne", b"x", expect=b"1", follow=False)) == "changed"
    assert await problem(box.write("real", b"x", follow=False)) == "is_directory"
    assert await problem(box.write("/", b"x", follow=False)) == "is_directory"
    assert await run(box, "ls -A real") == "f\nnew\n"


async def test_another_name_of_a_file_keeps_its_text(box: Sandbox) -> None:
    """A hard link is no way to have a write of one file change another."""
    await emptied(box)
    await run(box, "mkdir kept; echo guarded > kept/guarded; ln kept/guarded innocent")
    await box.write("innocent", b"planted\n", expect=b"guarded\n", follow=False)
    assert await run(box, "cat kept/guarded innocent") == "guarded\nplanted\n"


async def test_a_file_that_is_read_only_or_running(box: Sandbox) -> None:
    await emptied(box)
    await run(box, "echo '#!/bin/sh' > tool; chmod 555 tool; echo x > closed; chmod 0 closed")
    assert await problem(box.write("tool", b"x", follow=False)) == "permission"
    assert await problem(box.write("closed", b"x", follow=False)) == "permission"
    await run(box, "cp $(command -v sleep) runs; (./runs 30 >/dev/null 2>&1 &)")
    await box.write("runs", b"new")
    assert await box.read("runs") == b"new"


async def test_things_that_are_no_files(box: Sandbox) -> None:
    await emptied(box)
    await run(box, "mkfifo pipe; ln -s pipe link; ln -s /dev/ptmx terminal; ln -s /dev/zero zero")
    for path in ("pipe", "link", "zero", "terminal"):
        assert await problem(box.read(path)) == "not_a_file"
        assert await problem(box.write(path, b"x")) == "not_a_file"
        assert await problem(box.list(path)) == "bad_path"
    for path in ("link", "zero"):
        assert await problem(box.write(path, b"x", follow=False)) == "bad_path"
    assert await problem(box.write("pipe", b"x", follow=False)) == "not_a_file"


# list


def entry(name: str, kind: str) -> Entry:
    return Entry(name, kind)  # type: ignore[arg-type]


async def test_a_folder_is_listed(box: Sandbox) -> None:
    await emptied(box)
    await run(
        box, "mkdir d .hidden '...'; touch file .dot 'with space' ./-n ..x '*'; ln -s d l; ln -s no m; mkfifo p"
    )
    listing = await box.list()
    assert {(e.name, e.kind) for e in listing.entries} == {
        *((name, "folder") for name in ("d", ".hidden", "...")),
        *((name, "file") for name in ("file", ".dot", "with space", "-n", "..x", "*")),
        *((name, "link") for name in ("l", "m")),
        ("p", "other"),
    }
    assert [e.name for e in listing.entries] == sorted(e.name for e in listing.entries)
    assert (listing.left_out, listing.counted) == (0, True)
    assert (await box.list("l")).entries == ()
    assert (await box.list("/workspace/d/../d")).entries == ()


async def test_names_of_any_bytes_are_listed(box: Sandbox) -> None:
    await emptied(box)
    names = ["a\nb", "\udcff\udc80", "ü", "tab\t", "\\", "'\"", " ", "\x1b[31m", "n" * 255, "+3", "~", "[a]"]
    for name in names:
        await box.write(name, b"")
    assert sorted(e.name for e in (await box.list()).entries) == sorted(names)
    for name in names:
        assert await box.resolve(name) == f"/workspace/{name}"


async def test_a_large_folder_is_listed_in_part(box: Sandbox) -> None:
    await emptied(box)
    await run(box, "mkdir many; cd many; seq -w 1 20000 | xargs touch")
    listing = await box.list("many")
    assert (len(listing.entries), listing.left_out, listing.counted) == (10_000, 10_000, True)
    assert [e.name for e in listing.entries] == [f"{n:05}" for n in range(1, 10_001)]
    listing = await box.list("many", max_entries=1)
    assert (listing.entries, listing.left_out) == ((entry("00001", "file"),), 19_999)


async def test_bounds_of_a_listing(box: Sandbox) -> None:
    await emptied(box)
    await run(box, "touch a b c")
    for most in range(5):
        listing = await box.list(max_entries=most)
        assert [e.name for e in listing.entries] == ["a", "b", "c"][:most]
        assert listing.left_out == max(0, 3 - most)


async def test_what_cannot_be_listed(box: Sandbox) -> None:
    await emptied(box)
    await run(box, "touch file; ln -s loop loop; mkdir unreadable; chmod 300 unreadable")
    assert await problem(box.list("file")) == "bad_path"
    assert await problem(box.list("file/below")) == "bad_path"
    assert await problem(box.list("missing")) == "not_found"
    assert await problem(box.list("missing/deeper")) == "not_found"
    assert await problem(box.list("loop")) == "bad_path"
    assert await problem(box.list("unreadable")) == "permission"


# attacks while it happens

FLIP = """
mkdir -p {work}/real {forbidden}/deep
cd {work}
end=$(($(date +%s) + 4))
while [ $(date +%s) -lt $end ]; do
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        {step}
    done
done
"""
STEPS = {
    "folder": "mv -T real aside; ln -sT {forbidden} real; rm -f real; mv -T aside real || rm -rf real",
    "file": "rm -f real/file; ln -sT {forbidden}/file real/file; rm -f real/file; mkdir real/file; rmdir real/*",
    "link-to-folder": "rm -f real/file; ln -sT {forbidden}/deep real/file; rm -f real/file",
    "new": "rm -rf real/new; ln -sT {forbidden} real/new; rm -f real/new",
    "pipe": "rm -f real/file; mkfifo real/file; rm -f real/file; echo x > real/file",
}


async def test_swapping_parts_of_a_path_leads_no_write_elsewhere(box: Sandbox) -> None:
    """Processes inside swap folders and files for links while the host writes."""
    await emptied(box)
    for what, step in STEPS.items():
        forbidden = f"/tmp/t/{what}"
        script = FLIP.format(work=f"/workspace/{what}", forbidden=forbidden, step=step.format(forbidden=forbidden))
        await run(box, f"({script}) </dev/null >/dev/null 2>&1 & sleep 0.1")
    refused = await asyncio.gather(*(write_on(box, what, 2.5) for what in STEPS))
    assert sum(refused), "nothing ever came between: this test shows nothing"
    assert await run(box, "find /tmp/t -mindepth 2 | sort") == "".join(f"/tmp/t/{w}/deep\n" for w in sorted(STEPS))


async def write_on(box: Sandbox, what: str, seconds: float) -> int:
    """Write below a folder for a while. How often that was refused; anything but a FileError is raised."""
    path = f"{what}/real/new/deep/file" if what == "new" else f"{what}/real/file"
    refused = 0
    end = time.monotonic() + seconds
    ways: list[dict[str, Any]] = [{}, {"create_only": True}, {"expect": b"planted"}]
    while time.monotonic() < end:
        try:
            place = await box.resolve(path) if random.random() < 0.3 else path
            if not place.startswith("/tmp/t"):  # as a caller does who looks before it writes
                await box.write(place, b"planted", follow=False, **random.choice(ways))
        except FileError:
            refused += 1
        if random.random() < 0.1:
            with contextlib.suppress(FileError):
                await box.read(path)
                await box.list(f"{what}/real")
    return refused


LEASE = """
import fcntl, time
f = open("leased")
fcntl.fcntl(f, 1024, 1)
open("taken", "w")
time.sleep(20)
"""


@WITH_A_RUNNER
async def test_a_lease_does_not_hold_the_sandbox_up(box: Sandbox) -> None:
    """Opening a file on which another process holds a lease waits for it, unless told not to."""
    await emptied(box)
    await run(box, "echo text > leased")
    await run(box, f"(python3 -c '{LEASE}' >/dev/null 2>&1 &); until [ -e taken ]; do sleep 0.1; done")
    begun = time.monotonic()
    with pytest.raises(FileError):
        await box.read("leased")
    await box.write("leased", b"new")
    assert (await box.exec(["true"])).exit_code == 0
    assert time.monotonic() - begun < 10


async def test_a_deep_tree(box: Sandbox) -> None:
    await emptied(box)
    await run(box, "i=0; while [ $i -lt 900 ]; do mkdir d; cd -P d; i=$((i+1)); done; echo deep > f")
    path = "d/" * 900 + "f"
    assert await box.read(path) == b"deep\n"
    await box.write(path, b"deeper\n", expect=b"deep\n", follow=False)
    assert await box.resolve(path) == f"/workspace/{path}"
    assert await box.read(path) == b"deeper\n"
