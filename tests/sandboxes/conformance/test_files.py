"""Reading, writing, and taking whole trees in and out."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from sandboxes.protocol import FileError, Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def run(box: Sandbox, script: str) -> str:
    result = await box.exec(["sh", "-c", script])
    assert result.exit_code == 0, result.output.text()
    return result.output.text()


async def problem(action: object) -> str:
    with pytest.raises(FileError) as caught:
        await action  # type: ignore[misc]
    return caught.value.problem


@pytest.mark.parametrize("size", [0, 1, 100_000, 5_000_000])
async def test_what_is_written_is_read(box: Sandbox, size: int) -> None:
    data = os.urandom(size)
    await box.write("a folder/deeper/file.bin", data)
    assert await box.read("/workspace/a folder/deeper/file.bin", max_bytes=size) == data


@pytest.mark.parametrize("name", ["-n", "ü", "a\nb", "back\\slash", "quo'te\"", "$HOME", "\udcff\udc80", "*"])
async def test_odd_names(box: Sandbox, name: str) -> None:
    await box.write(f"odd/{name}", b"x")
    assert await box.read(f"odd/{name}") == b"x"
    listing = await box.exec(["find", "odd", "-type", "f", "-print0"])
    assert os.fsencode(f"odd/{name}") in listing.output.head.split(b"\0")
    await run(box, "rm -rf odd")


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 300])
async def test_names_that_cannot_be(box: Sandbox, name: str) -> None:
    assert await problem(box.read(name)) == "bad_path"
    assert await problem(box.write(name, b"")) == "bad_path"


async def test_what_cannot_be_read(box: Sandbox) -> None:
    await box.write("large", bytes(1001))
    await run(box, "mkfifo -m 666 pipe; touch closed; chmod 0 closed; ln -sf circle circle")
    assert await problem(box.read("missing")) == "not_found"
    assert await problem(box.read("missing/too")) == "not_found"
    assert await problem(box.read("large/file")) == "bad_path"
    assert await problem(box.read("/workspace")) == "is_directory"
    assert await problem(box.read("pipe")) == "not_a_file"
    assert await problem(box.read("/dev/zero")) == "not_a_file"
    assert await problem(box.read("closed")) == "permission"
    assert await problem(box.read("large", max_bytes=1000)) == "too_large"
    assert await problem(box.read("circle")) in ("bad_path", "not_found")


async def test_files_without_a_size_are_read_to_their_end(box: Sandbox) -> None:
    assert b"PPid" in await box.read("/proc/self/status")


async def test_what_cannot_be_written(box: Sandbox) -> None:
    await run(box, "mkdir -p taken; mkfifo -m 666 tube; touch fixed; chmod 444 fixed")
    assert await problem(box.write("taken", b"x")) == "is_directory"
    assert await problem(box.write("tube", b"x")) == "not_a_file"
    assert await problem(box.write("fixed", b"x")) == "permission"
    await run(box, "ln -sf ring ring")
    assert await problem(box.write("ring", b"x")) == "bad_path"
    assert await problem(box.write("fixed/below", b"x")) == "bad_path"
    assert await problem(box.write("/etc/passwd", b"x")) == "permission"
    assert await problem(box.write("/usr-new/file", b"x")) == "permission"


async def test_mode_is_kept_and_new_files_are_plain(box: Sandbox) -> None:
    await run(box, "echo old > tool; chmod 751 tool; rm -f new")
    await box.write("tool", b"new")
    await box.write("new", b"new")
    assert await run(box, "stat -c '%a %u' tool new") == "751 1000\n644 1000\n"


async def test_links_are_followed_to_the_file_they_mean(box: Sandbox) -> None:
    await run(box, "mkdir -p real; echo old > real/file; ln -sf real/file link; ln -sf real/fresh dangling")
    await box.write("link", b"new")
    await box.write("dangling", b"made")
    assert await run(box, "cat real/file real/fresh; readlink link; readlink dangling") == (
        "newmadereal/file\nreal/fresh\n"
    )


async def test_compare_and_swap(box: Sandbox) -> None:
    await box.write("cas", b"one")
    await box.write("cas", b"two", expect=b"one")
    assert await problem(box.write("cas", b"three", expect=b"one")) == "changed"
    assert await problem(box.write("cas", b"three", expect=b"")) == "changed"
    assert await problem(box.write("gone", b"x", expect=b"")) == "changed"
    assert await box.read("cas") == b"two"
    await box.write("cas", b"", expect=b"two")
    await box.write("cas", b"again", expect=b"")
    assert await box.read("cas") == b"again"


async def test_create_only(box: Sandbox) -> None:
    await box.write("created", b"1", create_only=True)
    await run(box, "ln -sf nowhere-at-all pointing")
    for name in ("created", "pointing", "/workspace"):
        assert await problem(box.write(name, b"2", create_only=True)) == "exists"
    assert await box.read("created") == b"1"


async def test_nothing_is_left_beside_the_file(box: Sandbox) -> None:
    await run(box, "mkdir -p clean")
    await box.write("clean/file", b"1")
    await box.write("clean/file", b"2", expect=b"1")
    assert await problem(box.write("clean/file", b"3", expect=b"1")) == "changed"
    assert await problem(box.write("clean/file", b"3", create_only=True)) == "exists"
    assert await run(box, "ls -A clean") == "file\n"


def archive_of(folder: Path, entries: dict[str, bytes | str | None], uid: int) -> Path:
    """A tar of files (bytes), links (text) and folders (None), owned by `uid`."""
    path = folder / "in.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.uid = info.gid = uid
            info.uname = "root"
            info.mode = 0o644
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content if isinstance(content, bytes) else b""))
    return path


@pytest.mark.parametrize("uid", [0, 1234, 3_000_000_000])
async def test_upload_belongs_to_the_agent(box: Sandbox, tmp_path: Path, uid: int) -> None:
    entries: dict[str, bytes | str | None] = {
        "up": None,
        "up/" + "long" * 60: b"long",
        "up/file": b"data",
        "up/link": "file",
    }
    await box.upload(archive_of(tmp_path, entries, uid))
    assert await run(box, "find up -exec stat -c %u:%g {} + | sort -u") == "1000:1000\n"
    assert await box.read("up/link") == b"data"
    await run(box, "echo more >> up/file; rm -r up")


async def test_upload_elsewhere(box: Sandbox, tmp_path: Path) -> None:
    await box.upload(archive_of(tmp_path, {"file": b"1"}, 0), "deep/er")
    assert await box.read("/workspace/deep/er/file") == b"1"


async def test_download(box: Sandbox) -> None:
    await run(box, "rm -rf down; mkdir -p down/sub; echo 1 > down/sub/file; ln -s ../.. down/up")
    stream = b"".join([piece async for piece in box.download("down")])
    with tarfile.open(fileobj=io.BytesIO(stream)) as tar:
        members = {m.name.rstrip("/"): m for m in tar.getmembers()}
        assert set(members) == {"down", "down/sub", "down/sub/file", "down/up"}
        file = tar.extractfile("down/sub/file")
        assert file is not None
        assert file.read() == b"1\n"
    assert members["down/up"].linkname == "../.."


async def test_download_given_up_early(box: Sandbox) -> None:
    await box.write("heavy", bytes(20_000_000))
    async for _ in box.download("heavy"):
        break
    assert await box.read("heavy", max_bytes=20_000_000) == bytes(20_000_000)


async def test_download_of_nothing(box: Sandbox) -> None:
    async def all_of_it() -> None:
        async for _ in box.download("/not/there"):
            pass

    assert await problem(all_of_it()) == "not_found"
