"""Opening repositories: every wrong one is refused in one sentence that says the way out."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.outcomes import UsageProblem
from agent.repository.source import open_repository


def problem(path: Path) -> str:
    with pytest.raises(UsageProblem) as caught:
        open_repository(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_good_repository(lab: Any) -> None:
    repo = open_repository(lab.root)
    assert repo.root == lab.root
    assert repo.head == lab.git("rev-parse", "HEAD").decode().strip()
    assert (repo.branch, repo.object_format, repo.shallow, repo.notes) == ("main", "sha1", False, ())


def test_a_folder_inside_is_taken_as_the_whole_and_said(lab: Any) -> None:
    repo = open_repository(lab.root / "src")
    assert repo.root == lab.root
    assert str(lab.root) in repo.notes[0]


def test_no_such_folder(tmp_path: Path) -> None:
    assert "no such folder" in problem(tmp_path / "nowhere")


def test_a_file_is_no_repository(lab: Any) -> None:
    assert "not a folder" in problem(lab.root / "README.md")


def test_not_a_repository_names_the_commands(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    assert "git init" in problem(tmp_path / "plain")


def test_bare(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "bare.git"], check=True)
    assert "bare" in problem(tmp_path / "bare.git")


def test_inside_dot_git_is_the_repository_around_it(lab: Any) -> None:
    assert open_repository(lab.root / ".git" / "hooks").root == lab.root


def test_a_repository_without_a_commit(make_lab: Callable[..., Any]) -> None:
    assert "no commit yet" in problem(make_lab().root)


def test_a_broken_repository(lab: Any) -> None:
    (lab.root / ".git" / "config").write_text("[core\nnonsense")
    assert str(lab.root) in problem(lab.root)


def test_git_missing(lab: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git is not installed" in problem(lab.root)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_another_users_repository(lab: Any) -> None:
    for place in (lab.root, *lab.root.rglob("*")):
        os.lchown(place, 12345, 12345)
    assert "safe.directory" in problem(lab.root)


def test_a_work_tree_elsewhere_is_refused(lab: Any, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_text("do not copy me")
    lab.git("config", "core.worktree", str(tmp_path / "elsewhere"))
    assert "core.worktree" in problem(lab.root)


def test_the_environment_cannot_redirect(
    lab: Any, make_lab: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_lab("other")
    other.write("other.txt", "other")
    other.commit()
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.root))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.root / ".git" / "index"))
    assert open_repository(lab.root).root == lab.root
    assert b"other.txt" not in lab.take_in().files


def test_detached_head_has_no_branch(lab: Any) -> None:
    lab.git("checkout", "-q", "--detach")
    assert open_repository(lab.root).branch is None


def test_in_the_middle_of_a_merge(lab: Any) -> None:
    lab.git("checkout", "-q", "-b", "side")
    lab.write("README.md", "side\n")
    lab.commit()
    lab.git("checkout", "-q", "main")
    lab.write("README.md", "main\n")
    lab.commit()
    subprocess.run(["git", "merge", "-q", "side"], cwd=lab.root, capture_output=True, check=False)
    assert (lab.root / ".git" / "MERGE_HEAD").exists()
    base = lab.take_in()
    assert base.dirty
    assert lab.tree()[b"README.md"][1].startswith(b"<<<<<<<")


def test_a_linked_worktree(lab: Any, tmp_path: Path) -> None:
    lab.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    repo = open_repository(tmp_path / "linked")
    assert (repo.root, repo.branch) == (tmp_path / "linked", "other")
    assert repo.git_dir == lab.root / ".git" / "worktrees" / "linked"
