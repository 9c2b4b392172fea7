"""Delivery: the branch is exactly the tree, and nothing of the user's has moved."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.outcomes import UsageProblem
from agent.repository.changes import PatchProblem
from agent.repository.delivery import commit_message, slugify, stored_raw
from agent.repository.flags import Flag
from agent.repository.plumbing import run_git
from agent.repository.source import open_repository


def edited(lab: Any) -> dict[bytes, tuple[int, bytes]]:
    tree: dict[bytes, tuple[int, bytes]] = lab.tree()
    tree[b"src/stats.py"] = (0o100644, b"def mean(xs):\n    return sum(xs) / len(xs)\n")
    tree[b"new/file.txt"] = (0o100755, b"new\n")
    return tree


async def test_a_clean_tree_gives_one_commit(lab: Any) -> None:
    head = lab.git("rev-parse", "HEAD").decode().strip()
    changes = await lab.take_out_tree(edited(lab))
    done = lab.deliver(changes, "Fix mean!", "Fix mean\n\nAssisted-by: Bridle 1\n")
    assert done.branch == "bridle/fix-mean"
    assert done.found is None
    assert lab.git("rev-parse", "bridle/fix-mean").decode().strip() == done.commit
    assert lab.git("log", "--format=%P|%an <%ae>|%cn|%B", "-1", done.commit).decode().strip() == (
        f"{head}|Ada <ada@example.org>|Ada|Fix mean\n\nAssisted-by: Bridle 1"
    )
    assert lab.tree_of(done.commit) == edited(lab)
    names = lab.git("diff", "--name-only", "main", done.branch).decode().split()
    assert names == ["new/file.txt", "src/stats.py"]


def make_dirty(lab: Any) -> None:
    for name in ("to-rename", "to-delete", "to-chmod", "staged-and-more", "staged-delete"):
        lab.write(name, f"{name} with some content\n")
    lab.commit()
    lab.write("README.md", "stashed\n")
    lab.git("stash", "push", "-q")
    lab.write("staged-and-more", "staged\n")
    lab.git("add", "staged-and-more")
    lab.write("staged-and-more", "staged and more\n")
    lab.git("mv", "to-rename", "renamed")
    (lab.root / "to-delete").unlink()
    lab.git("rm", "-q", "--cached", "staged-delete")
    (lab.root / "to-chmod").chmod(0o755)
    lab.write("untracked", "untracked\n")
    lab.write("intended", "later\n")
    lab.git("add", "-N", "intended")
    lab.write("ignored.log", "ignored\n")
    lab.write("README.md", "unstaged\n")


async def test_a_dirty_tree_gives_two_commits_and_stays_byte_for_byte(lab: Any) -> None:
    make_dirty(lab)
    before = lab.snapshot()
    stash = lab.git("stash", "list")
    base = lab.take_in()
    changes = await lab.take_out_tree(edited(lab))
    stored_raw(lab.repo, changes)
    done = lab.deliver(changes)
    assert lab.snapshot() == before
    assert lab.git("stash", "list") == stash
    assert lab.tree_of(done.commit) == edited(lab)
    assert done.found is not None
    assert lab.tree_of(done.found) == lab.tree()
    log = lab.git("log", "--format=%s", done.commit).decode().splitlines()
    assert log[:2] == ["Fix", "Uncommitted changes as Bridle found them"]
    assert lab.git("rev-parse", f"{done.found}~").decode().strip() == base.head
    assert lab.git("diff", "--name-only", done.found, done.commit).split() == [b"new/file.txt", b"src/stats.py"]
    assert lab.git("fsck", "--strict", "--no-dangling") == b""


async def test_what_the_user_does_meanwhile_is_not_delivered(lab: Any) -> None:
    lab.write("README.md", "as taken in\n")
    lab.take_in()
    tree = edited(lab)
    changes = await lab.take_out_tree(tree)
    lab.write("README.md", "edited while the agent worked\n")
    lab.commit("Moved on")
    done = lab.deliver(changes)
    assert lab.tree_of(done.commit) == tree
    assert lab.git("rev-parse", f"{done.commit}~2").decode().strip() == lab.base.head


async def test_a_taken_name_gets_a_number(lab: Any) -> None:
    changes = await lab.take_out_tree(edited(lab))
    lab.git("branch", "bridle/fix")
    mine = lab.git("rev-parse", "bridle/fix")
    assert [lab.deliver(changes).branch for _ in range(2)] == ["bridle/fix-2", "bridle/fix-3"]
    assert lab.git("rev-parse", "bridle/fix") == mine


async def test_a_branch_called_bridle(lab: Any) -> None:
    lab.git("branch", "bridle")
    assert lab.deliver(await lab.take_out_tree(edited(lab))).branch == "bridle-fix"


async def test_nothing_to_deliver(lab: Any) -> None:
    with pytest.raises(PatchProblem, match="nothing to deliver"):
        lab.deliver(await lab.take_out_tree(lab.tree()))


async def test_folders_and_files_swap(lab: Any) -> None:
    tree = lab.tree()
    del tree[b"README.md"], tree[b"src/stats.py"]
    tree[b"README.md/inner"] = (0o100644, b"x")
    tree[b"src"] = (0o120000, b"README.md")
    tree[b"link"] = (0o100755, b"file now\n")
    done = lab.deliver(await lab.take_out_tree(tree))
    assert lab.tree_of(done.commit) == tree


async def test_odd_names_are_delivered(lab: Any) -> None:
    lab.git("config", "core.ignoreCase", "true")
    names = [b":(glob)**", b"--stdin", b'"q', b"new\nline", b"tab\t", b"\xff", b" ", b"a\\b", b"README.MD", b"*"]
    tree = lab.tree() | {name: (0o100644, name) for name in names}
    done = lab.deliver(await lab.take_out_tree(tree))
    assert lab.tree_of(done.commit) == tree


async def test_submodules_stay(lab: Any, make_lab: Callable[..., Any]) -> None:
    inner = make_lab("inner")
    inner.write("inside.txt", "x")
    inner.commit()
    lab.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.root), "vendor/inner")
    lab.commit()
    lab.take_in()
    tree = edited(lab) | {b"vendor/inner/planted.txt": (0o100644, b"x"), b"vendor/other.txt": (0o100644, b"y")}
    changes = await lab.take_out_tree(tree)
    assert any("vendor/inner/planted.txt" in note for note in changes.skipped)
    done = lab.deliver(changes)
    delivered = lab.tree_of(done.commit)
    assert delivered.pop(b"vendor/inner") == lab.tree_of("HEAD")[b"vendor/inner"]
    del tree[b"vendor/inner/planted.txt"]
    assert delivered == tree


async def test_sparse_files_stay(lab: Any) -> None:
    lab.git("sparse-checkout", "set", "--no-cone", "/*", "!/src/")
    lab.take_in()
    tree = lab.tree() | {b"README.md": (0o100644, b"changed\n")}
    done = lab.deliver(await lab.take_out_tree(tree))
    assert lab.git("diff", "--name-only", "main", done.branch).split() == [b"README.md"]


async def test_converted_files_that_nobody_changed_do_not_appear(make_lab: Callable[..., Any]) -> None:
    lab = make_lab()
    lab.write(".gitattributes", "*.bat text eol=crlf\n*.enc filter=rot\n")
    lab.git("config", "filter.rot.clean", "tr a-z b-za")
    lab.git("config", "filter.rot.smudge", "tr b-za a-z")
    for name in ("kept.bat", "edited.bat"):
        lab.write(name, "echo\r\n")
    for name in ("kept.enc", "edited.enc"):
        lab.write(name, "plain\n")
    lab.commit()
    lab.take_in()
    tree = lab.tree()
    tree[b"edited.bat"] = (0o100644, b"echo changed\r\n")
    tree[b"edited.enc"] = (0o100644, b"changed\n")
    tree[b"kept.enc"] = (0o100755, tree[b"kept.enc"][1])
    changes = await lab.take_out_tree(tree)
    done = lab.deliver(changes)
    assert done.found is None
    names = lab.git("diff", "--name-only", "main", done.branch).split()
    assert names == [b"edited.bat", b"edited.enc", b"kept.enc"]
    assert lab.tree_of(done.commit)[b"kept.enc"] == (0o100755, b"qmbjo\n")
    assert lab.tree_of(done.commit)[b"edited.enc"][1] == b"changed\n"
    raw = stored_raw(lab.repo, changes)
    assert any("edited.enc is subject to `filter rot`" in note for note in raw)
    assert any("edited.bat has CRLF" in note for note in raw)


@pytest.mark.parametrize("setting", ["worktree", "detached", "sha256", "no identity", "reftable"])
async def test_unusual_repositories(
    setting: str, make_lab: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = subprocess.run(["git", "init", "-h"], capture_output=True, check=False).stdout
    if setting == "reftable" and b"ref-format" not in usage:
        pytest.skip("this git knows no reftable")
    options = {"sha256": ["--object-format=sha256"], "reftable": ["--ref-format=reftable"]}.get(setting, [])
    lab = make_lab("repo", *options)
    lab.write("src/stats.py", "wrong\n")
    lab.commit()
    if setting == "worktree":
        lab.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
        lab.root = tmp_path / "linked"
    if setting == "detached":
        lab.git("checkout", "-q", "--detach")
    if setting == "no identity":
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    lab.write("src/stats.py", "dirty\n")
    status = lab.git("status", "--porcelain=v2", "--branch")
    lab.take_in()
    done = lab.deliver(await lab.take_out_tree(edited(lab)))
    assert lab.tree_of(done.commit) == edited(lab)
    assert lab.git("rev-parse", done.branch).decode().strip() == done.commit
    assert lab.git("status", "--porcelain=v2", "--branch") == status
    author = "Bridle" if setting == "no identity" else "Ada"
    assert lab.git("log", "-1", "--format=%an", done.commit).decode().strip() == author


HOOKS = (
    "reference-transaction",
    "post-index-change",
    "pre-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "post-checkout",
    "fsmonitor-watchman",
    "pre-auto-gc",
    "post-rewrite",
    "update",
)


async def test_a_hostile_repository_runs_nothing(lab: Any, tmp_path: Path) -> None:
    """Every command that a repository's configuration can name, armed at once."""
    canaries = tmp_path / "canaries"
    canaries.mkdir()

    def trap(name: str) -> str:
        script = tmp_path / f"trap-{name.replace('/', '-')}"
        script.write_text(f"#!/bin/sh\ntouch {canaries}/{script.name}\ncat\n")
        script.chmod(0o755)
        return str(script)

    hooks = tmp_path / "hooks"
    for name in HOOKS:
        for place in (hooks, lab.root / ".git" / "hooks"):
            place.mkdir(exist_ok=True)
            (place / name).write_text(Path(trap(f"hook/{name}")).read_text())
            (place / name).chmod(0o755)
    lab.write(".gitattributes", "* filter=evil diff=evil merge=evil text=auto\n")
    lab.write("big.txt", "some text\n")
    lab.commit()
    for key, value in {
        "core.fsmonitor": trap("fsmonitor"),
        "core.hooksPath": str(hooks),
        "core.pager": trap("pager"),
        "core.editor": trap("editor"),
        "core.sshCommand": trap("ssh"),
        "core.gitProxy": trap("proxy"),
        "core.askPass": trap("askpass"),
        "core.alternateRefsCommand": trap("alternates"),
        "credential.helper": trap("credential"),
        "diff.external": trap("diff"),
        "diff.evil.command": trap("diff-driver"),
        "diff.evil.textconv": trap("textconv"),
        "merge.evil.driver": trap("merge"),
        "filter.evil.clean": trap("clean"),
        "filter.evil.smudge": trap("smudge"),
        "filter.evil.process": trap("process"),
        "filter.evil.required": "true",
        "filter.od=d.clean": trap("odd"),
        "hook.evil.command": trap("config-hook"),
        "hook.evil.event": "reference-transaction",
        "gpg.program": trap("gpg"),
        "commit.gpgSign": "true",
        "log.showSignature": "true",
        "sequence.editor": trap("sequence"),
        "uploadpack.packObjectsHook": trap("pack"),
        "alias.rev-parse": f"!{trap('alias')}",
        "alias.update-index": f"!{trap('alias2')}",
        "pager.ls-files": trap("pager2"),
        "user.signingKey": "x",
    }.items():
        lab.git("config", key, value)
    os.utime(lab.root / "big.txt")  # so that git would compare it through its filter
    lab.write("README.md", "dirty\n")
    for trapped in canaries.iterdir():
        trapped.unlink()
    before = lab.snapshot()
    lab.take_in()
    tree = edited(lab) | {b"big.txt": (0o100644, b"edited\n")}
    changes = await lab.take_out_tree(tree)
    done = lab.deliver(changes)
    assert sorted(each.name for each in canaries.iterdir()) == []
    assert lab.snapshot() == before
    delivered = {
        path: run_git("cat-file", "blob", f"{done.commit}:{path.decode()}", cwd=lab.root) for path in tree
    }
    assert delivered == {path: content for path, (_, content) in tree.items()}


async def test_a_partial_clone_fetches_nothing(lab: Any, tmp_path: Path, make_lab: Callable[..., Any]) -> None:
    lab.git("config", "uploadpack.allowFilter", "true")
    subprocess.run(
        ["git", "clone", "-q", "--filter=blob:none", f"file://{lab.root}", tmp_path / "partial"], check=True
    )
    moved = lab.root.rename(tmp_path / "moved")
    partial = type(lab)(tmp_path / "partial", tmp_path / "partial-session")
    partial.folder.mkdir()
    partial.take_in()
    done = partial.deliver(await partial.take_out_tree(edited(partial)))
    assert partial.tree_of(done.commit) == edited(partial)
    assert moved.exists()


async def test_a_damaged_archive_is_noticed(lab: Any) -> None:
    lab.write("README.md", "dirty\n")
    lab.take_in()
    changes = await lab.take_out_tree(edited(lab))
    lab.archive.write_bytes(lab.archive.read_bytes().replace(b"dirty\n", b"Dirty\n"))
    with pytest.raises(PatchProblem, match="no longer holds"):
        lab.deliver(changes)
    assert lab.git("branch", "--list", "bridle/*") == b""


async def test_a_repository_that_cannot_be_written(lab: Any) -> None:
    changes = await lab.take_out_tree(edited(lab))
    objects = lab.root / ".git" / "objects"
    objects.rename(lab.root / ".git" / "gone")
    with pytest.raises(UsageProblem) as caught:
        lab.deliver(changes)
    assert str(lab.root) in str(caught.value)


async def test_a_session_resumed_by_another_process(lab: Any) -> None:
    lab.write("README.md", "dirty\n")
    lab.take_in()
    lab.base = type(lab.base).model_validate_json(lab.base.model_dump_json())
    lab.repo = open_repository(lab.root)
    done = lab.deliver(await lab.take_out_tree(edited(lab)))
    assert lab.tree_of(done.commit) == edited(lab)


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Fix mean() for one element", "fix-mean-for-one-element"),
        ("  Ünïcode & more!! ", "unicode-more"),
        ("../../etc/passwd", "etc-passwd"),
        ("--upload-pack=evil", "upload-pack-evil"),
        ("修复", "change"),
        ("", "change"),
        ("word " * 40, "word-" * 9 + "word"),
        ("x" * 80, "x" * 50),
        ("HEAD.lock", "head-lock"),
    ],
)
def test_slugs(text: str, slug: str) -> None:
    assert slugify(text) == slug
    assert subprocess.run(["git", "check-ref-format", f"refs/heads/bridle/{slug}"], check=False).returncode == 0


def test_messages() -> None:
    message = commit_message(
        "\n# Fix \x1b[31mmean\n\nSigned-off-by: Someone Else <x@y>",
        version="1.2",
        verified="pytest -q\nSigned-off-by: Nobody",
        flags=[Flag(b"setup.py\nx", "trusted", "changed Python package or tool configuration")],
    )
    assert message.splitlines()[0] == "# Fix \\x1b[31mmean"
    assert "Verified by: pytest -q Signed-off-by: Nobody" in message
    assert "- setup.py\\nx: changed Python" in message
    trailers = subprocess.run(
        ["git", "interpret-trailers", "--parse"], input=message, capture_output=True, text=True, check=True
    )
    assert trailers.stdout == "Assisted-by: Bridle 1.2\n"
    assert len(commit_message("x" * 200, version="1").splitlines()[0]) == 72
    assert "Not verified" in commit_message("x", version="1")
