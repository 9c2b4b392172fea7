"""The folder of an image as a repository: whatever is in its archive, nothing is written anywhere else."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.outcomes import UsageProblem
from tasks.environments.workspace import import_workspace

Entry = tuple[str, bytes, str | bytes]
"""Name, type, and content or the target of a link."""


def archive(*entries: Entry) -> Iterator[bytes]:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", encoding="utf-8", errors="surrogateescape") as tar:
        for name, kind, content in (("app", tarfile.DIRTYPE, b""), *entries):
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o755 if name.endswith(".sh") else 0o644
            if isinstance(content, str):
                member.linkname = content
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    data = out.getvalue()
    return iter([data[start : start + 1000] for start in range(0, len(data), 1000)])


def file(name: str, content: bytes = b"x\n") -> Entry:
    return (f"app/{name}", tarfile.REGTYPE, content)


def tracked(root: Path) -> dict[bytes, bytes]:
    """Mode and path of what the one commit holds, with the contents."""
    done = subprocess.run(["git", "ls-tree", "-rz", "HEAD"], cwd=root, capture_output=True, check=True)
    found = {}
    for line in done.stdout.split(b"\0")[:-1]:
        head, _, path = line.partition(b"\t")
        mode, _, oid = head.split(b" ")
        blob = subprocess.run(["git", "cat-file", "blob", oid], cwd=root, capture_output=True, check=True)
        found[mode + b" " + path] = blob.stdout
    return found


def test_files_links_and_empty_folders_are_taken_and_no_history_is(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    folders = import_workspace(
        archive(
            file("a.txt", b"one\r\n"),
            file("run.sh"),
            file("deep/\udcff \"'\n.txt"),
            file(".gitattributes", b"* text=auto eol=lf\n*.txt ident\n"),
            file(".gitignore", b"*.so\n"),
            file("lib.so", b"\0binary"),
            ("app/link", tarfile.SYMTYPE, "/etc/passwd"),
            ("app/same", tarfile.LNKTYPE, "app/a.txt"),
            ("app/empty/inner", tarfile.DIRTYPE, b""),
            file(".git/config", b"[core]\n"),
            file("sub/.git/HEAD"),
            file("__pycache__/a.pyc"),
            ("app/pipe", tarfile.FIFOTYPE, b""),
            file("a.txt", b"two\r\n"),
        ),
        b"app",
        root,
        "task",
        {"more.txt": tmp_path / "more"} if (tmp_path / "more").write_text("m") else {},
    )
    assert folders == ("empty/inner",)
    assert tracked(root) == {
        b"100644 a.txt": b"two\r\n",
        b"100755 run.sh": b"x\n",
        b"100644 deep/\xff \"'\n.txt": b"x\n",
        b"100644 .gitattributes": b"* text=auto eol=lf\n*.txt ident\n",
        b"100644 .gitignore": b"*.so\n",
        b"100644 lib.so": b"\0binary",
        b"120000 link": b"/etc/passwd",
        b"100644 same": b"one\r\n",
        b"100644 more.txt": b"m",
    }
    assert (root / "a.txt").read_bytes() == b"two\r\n", "nothing is converted"


@pytest.mark.parametrize(
    "entries",
    [
        (file("../out.txt"),),
        (file("a//b"),),
        (file("./x/../../y"),),
        (("app", tarfile.SYMTYPE, "/etc"),),
    ],
)
def test_what_no_folder_can_hold_is_refused(tmp_path: Path, entries: tuple[Entry, ...]) -> None:
    with pytest.raises(UsageProblem, match="cannot be made its workspace"):
        import_workspace(archive(*entries), b"app", tmp_path / "in" / "repository", "task")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_a_file_of_the_tasks_takes_the_place_of_what_is_in_its_way(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine\n")
    entries = (("app/conf", tarfile.SYMTYPE, str(tmp_path)), file("data/deep/x"))
    more = {"conf/x": tmp_path / "mine", "data": tmp_path / "mine"}
    import_workspace(archive(*entries), b"app", tmp_path / "repository", "task", more)
    assert tracked(tmp_path / "repository") == {b"100644 conf/x": b"mine\n", b"100644 data": b"mine\n"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "repository"]


parts = st.sampled_from(["a", "b", "..", ".", ".git", ".GIT", "git~1", "", "x\udcff", "\n", "-", '"'])
kinds = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.lists(parts, min_size=1, max_size=3).map("/".join), kinds, parts), max_size=4))
def test_whatever_the_names_are_the_host_is_left_alone(said: list[tuple[str, bytes, str]]) -> None:
    linked = (tarfile.SYMTYPE, tarfile.LNKTYPE)
    entries = [(f"app/{name}", kind, target if kind in linked else b"") for name, kind, target in said]
    with TemporaryDirectory() as name:
        place = Path(name)
        try:
            import_workspace(archive(*entries), b"app", place / "in" / "repository", "task")
        except UsageProblem:
            pass
        else:
            assert not [path for path in tracked(place / "in" / "repository") if b".." in path.split(b"/")]
        assert [path.name for path in place.iterdir()] == ["in"]
        assert {path.name for path in (place / "in").iterdir()} <= {"repository"}
