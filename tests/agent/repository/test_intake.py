"""Taking in: the tree as it is, the same bytes each time, and nothing of the user's touched."""

from __future__ import annotations

import os
import socket
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.outcomes import UsageProblem
from agent.repository.base import Base
from agent.repository.inside import HISTORY_BUNDLE, history_bundle, setup_commands
from agent.repository.intake import take_in
from agent.repository.source import open_repository


def test_the_tree_as_it_is(lab: Any) -> None:
    lab.write("src/stats.py", "changed\n")
    lab.write("staged.txt", "staged\n")
    lab.git("add", "staged.txt")
    lab.write("untracked.txt", "untracked\n", mode=0o755)
    lab.write("debug.log", "ignored\n")
    lab.write("build/out.o", "ignored\n")
    (lab.root / "README.md").unlink()
    base = lab.take_in()
    assert lab.tree() == {
        b".gitignore": (0o100644, b"*.log\nbuild/\n"),
        b"link": (0o120000, b"README.md"),
        b"run.sh": (0o100755, b"#!/bin/sh\necho hi\n"),
        b"src/stats.py": (0o100644, b"changed\n"),
        b"staged.txt": (0o100644, b"staged\n"),
        b"untracked.txt": (0o100755, b"untracked\n"),
    }
    assert base.dirty
    assert base.notes == ()


def test_a_clean_tree_is_clean(lab: Any) -> None:
    assert not lab.base.dirty
    assert all(entry.stored for entry in lab.base.files.values())
    os.utime(lab.root / "README.md")
    assert not lab.take_in().dirty


def test_the_archive_is_deterministic_and_owned(lab: Any) -> None:
    first = lab.archive.read_bytes()
    os.utime(lab.root / "README.md", (1, 1))
    lab.take_in()
    assert lab.archive.read_bytes() == first
    with tarfile.open(lab.archive) as tar:
        members = tar.getmembers()
        assert {(each.uid, each.gid, each.mtime) for each in members} == {(1000, 1000, lab.base.time)}
        assert [each.name for each in members] == [
            ".gitignore",
            "README.md",
            "link",
            "run.sh",
            "src",
            "src/stats.py",
        ]


def test_the_manifest_survives_json(lab: Any) -> None:
    lab.write(b'odd \xff\n%41"name', "x")
    lab.write("naïve/файл.txt", "y")
    base = lab.take_in()
    again = Base.model_validate_json(base.model_dump_json())
    assert again == base
    assert b'odd \xff\n%41"name' in again.files
    assert "naïve/файл.txt".encode() in again.files
    assert "naïve/файл.txt" in again.text_paths()
    assert len(again.text_paths()) == len(again.files) - 1
    assert lab.tree()[b'odd \xff\n%41"name'] == (0o100644, b"x")


def test_links_are_not_followed(lab: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    (lab.root / "out").symlink_to(tmp_path / "secret")
    (lab.root / "src" / "stats.py").unlink()
    (lab.root / "src").rmdir()
    (lab.root / "src").symlink_to(tmp_path / "secret")
    (tmp_path / "secret" / "stats.py").write_text("secret")
    lab.take_in()
    assert lab.tree()[b"out"] == (0o120000, os.fsencode(tmp_path / "secret"))
    assert lab.tree()[b"src"] == (0o120000, os.fsencode(tmp_path / "secret"))
    assert b"src/stats.py" not in lab.base.files
    assert b"secret" not in {content for _, content in lab.tree().values()}


def test_what_is_no_file_is_left_out_and_said(lab: Any) -> None:
    os.mkfifo(lab.root / "fifo")
    (lab.root / "README.md").unlink()
    os.mkfifo(lab.root / "README.md")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(lab.root / "s"))
        base = lab.take_in()
    said = "\n".join(base.notes)
    assert "README.md is no regular file" in said
    assert not {b"fifo", b"s", b"README.md"} & set(base.files)
    assert b"README.md" in base.kept


def test_submodules_and_nested_repositories(lab: Any, make_lab: Callable[..., Any]) -> None:
    inner = make_lab("inner")
    inner.write("inside.txt", "x")
    inner.commit()
    lab.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.root), "vendor/inner")
    lab.commit()
    subprocess.run(["git", "clone", "-q", inner.root, lab.root / "nested"], check=True)
    base = lab.take_in()
    assert base.submodules == (b"vendor/inner",)
    assert set(base.kept) == {b"vendor/inner", b"nested"}
    assert not any(path.startswith((b"vendor/", b"nested")) for path in base.files)
    assert any("vendor/inner is a submodule" in note for note in base.notes)
    assert any("nested is a repository of its own" in note for note in base.notes)
    with tarfile.open(lab.archive) as tar:
        assert tar.getmember("vendor/inner").isdir()
    assert not base.dirty


def test_a_sparse_checkout_keeps_what_is_not_there(lab: Any) -> None:
    lab.git("sparse-checkout", "set", "--no-cone", "/*", "!/src/")
    assert not (lab.root / "src").exists()
    base = lab.take_in()
    assert base.kept == (b"src/stats.py",)
    assert not base.dirty


def test_line_ends_converted_on_checkout_are_no_change(make_lab: Callable[..., Any]) -> None:
    lab = make_lab()
    lab.write(".gitattributes", "*.bat text eol=crlf\n")
    lab.write("run.bat", "echo\r\n")
    lab.write("also.bat", "echo also\r\n")
    lab.commit()
    assert lab.tree_of("HEAD")[b"run.bat"][1] == b"echo\n"
    assert not lab.take_in().dirty
    os.utime(lab.root / "run.bat")
    assert not lab.take_in().dirty
    lab.write("also.bat", "echo changed\r\n")
    base = lab.take_in()
    assert base.dirty
    assert base.files[b"run.bat"].stored
    assert not base.files[b"also.bat"].stored


def test_a_filtered_file_is_no_change_and_its_filter_does_not_run(lab: Any, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    lab.write(".gitattributes", "*.enc filter=rot\n")
    lab.git("config", "filter.rot.clean", "tr a-z b-za")
    lab.git("config", "filter.rot.smudge", "tr b-za a-z")
    lab.write("secret.enc", "plain text\n")
    lab.commit()
    assert lab.tree_of("HEAD")[b"secret.enc"][1] == b"qmbjo ufyu\n"
    lab.git("config", "filter.rot.clean", f"touch {canary}; tr a-z b-za")
    lab.git("config", "filter.rot.process", f"touch {canary}")
    base = lab.take_in()
    assert lab.tree()[b"secret.enc"][1] == b"plain text\n"
    assert not base.dirty
    assert not canary.exists()


def test_modes_when_the_file_system_has_none(lab: Any) -> None:
    lab.git("config", "core.fileMode", "false")
    (lab.root / "run.sh").chmod(0o644)
    (lab.root / "README.md").chmod(0o755)
    base = lab.take_in()
    assert not base.dirty
    assert base.files[b"run.sh"].mode == 0o100755


def test_too_much_names_the_biggest(lab: Any) -> None:
    lab.write("big.bin", bytes(3 << 20))
    with pytest.raises(UsageProblem, match=r"big\.bin \(3 MiB\)"):
        lab.take_in(max_bytes=2 << 20)
    with pytest.raises(UsageProblem, match="at most 3"):
        lab.take_in(max_files=3)


def test_intent_to_add_and_renames(lab: Any) -> None:
    lab.write("later.txt", "content\n")
    lab.git("add", "-N", "later.txt")
    lab.git("mv", "README.md", "READ.md")
    lab.take_in()
    assert lab.tree()[b"later.txt"][1] == b"content\n"
    assert b"README.md" not in lab.tree()
    assert b"READ.md" in lab.tree()
    assert lab.base.dirty


def test_a_sha256_repository(make_lab: Callable[..., Any]) -> None:
    lab = make_lab("repo", "--object-format=sha256")
    lab.write("a.txt", "a\n")
    lab.commit()
    base = lab.take_in()
    assert base.object_format == "sha256"
    assert not base.dirty
    assert base.files[b"a.txt"].blob == lab.git("rev-parse", "HEAD:a.txt").decode().strip()


async def test_replaced_objects_are_not_believed(lab: Any) -> None:
    real = lab.git("rev-parse", "HEAD").decode().strip()
    lab.write("README.md", "planted\n")
    lab.commit("Planted")
    lab.git("reset", "-q", "--hard", real)
    lab.git("replace", real, "HEAD@{1}")
    assert not lab.take_in().dirty
    done = lab.deliver(await lab.take_out_tree(lab.tree() | {b"new": (0o100644, b"x")}))
    names = lab.git("--no-replace-objects", "diff", "--name-only", real, done.commit)
    assert names == b"new\n"


def test_a_tree_with_nothing_in_it(lab: Any) -> None:
    for path in lab.tree():
        (lab.root / path.decode()).unlink()
    assert lab.take_in().files == {}
    assert lab.tree() == {}


def test_a_file_that_grows_while_it_is_read(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    growing = lab.write("growing.dat", b"x" * 100)
    real = os.fstat

    def appending(descriptor: int) -> os.stat_result:
        with growing.open("ab") as file:
            file.write(b"y")
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", appending)
    base = lab.take_in()
    monkeypatch.undo()
    assert any("growing.dat kept changing" in note for note in base.notes)
    assert len(lab.tree()[b"growing.dat"][1]) == base.files[b"growing.dat"].size


def test_nothing_of_the_user_is_touched(lab: Any) -> None:
    lab.write("README.md", "dirty\n")
    os.utime(lab.root / "run.sh", (5, 5))
    before = lab.snapshot()
    lab.take_in()
    assert lab.snapshot() == before


def test_a_failed_take_in_leaves_no_archive(lab: Any, tmp_path: Path) -> None:
    target = tmp_path / "new.tar"
    lab.write("big.bin", bytes(1 << 20))
    with pytest.raises(UsageProblem):
        take_in(open_repository(lab.root), target, uid=1, gid=1, max_bytes=100)
    assert not target.exists()


def unpacked(lab: Any, folder: Path) -> Path:
    folder.mkdir()
    with tarfile.open(lab.archive) as tar:
        tar.extractall(folder, filter="tar")
    subprocess.run(["chown", "-R", f"{os.getuid()}:{os.getgid()}", folder], check=True)
    return folder


def run(commands: list[list[str]], folder: Path) -> None:
    for command in commands:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stderr)


def says(folder: Path, *args: str) -> str:
    return subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_a_fresh_commit_inside_is_always_the_same(lab: Any, tmp_path: Path) -> None:
    lab.write("forced.log", "tracked although ignored\n")
    lab.git("add", "-f", "forced.log")
    lab.write("README.md", "dirty\n")
    lab.take_in()
    heads = []
    for name in ("one", "two"):
        folder = unpacked(lab, tmp_path / name)
        run(setup_commands(lab.base), folder)
        assert says(folder, "status", "--porcelain", "--ignored") == ""
        assert says(folder, "rev-list", "--count", "--all").strip() == "1"
        assert says(folder, "branch", "--show-current").strip() == "main"
        assert "forced.log" in says(folder, "ls-files")
        heads.append(says(folder, "rev-parse", "HEAD"))
    assert heads[0] == heads[1]


def test_history_inside_shows_the_uncommitted_changes(lab: Any, tmp_path: Path) -> None:
    lab.git("checkout", "-q", "-b", "secret-branch")
    lab.write("secret.txt", "other branch\n")
    secret = lab.commit("Secret")
    lab.git("checkout", "-q", "main")
    lab.write("README.md", "second\n")
    lab.commit("Second")
    lab.write("README.md", "dirty\n")
    lab.write("untracked.txt", "new\n")
    lab.take_in()
    folder = unpacked(lab, tmp_path / "inside")
    bundle = tmp_path / "history.bundle"
    history_bundle(lab.repo, bundle)
    commands = setup_commands(lab.base, history=True)
    run([[str(bundle) if part == HISTORY_BUNDLE else part for part in each] for each in commands], folder)
    assert says(folder, "log", "--format=%s").split() == ["Second", "A", "commit"]
    assert says(folder, "status", "--porcelain").splitlines() == [" M README.md", "?? untracked.txt"]
    assert subprocess.run(["git", "cat-file", "-e", secret], cwd=folder, check=False).returncode != 0
    assert (folder / "README.md").read_text() == "dirty\n"


def test_history_of_a_shallow_clone_is_refused(lab: Any, tmp_path: Path) -> None:
    lab.commit("Second")
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{lab.root}", tmp_path / "shallow"], check=True)
    with pytest.raises(UsageProblem, match="unshallow"):
        history_bundle(open_repository(tmp_path / "shallow"), tmp_path / "x.bundle")
