"""The patch for people and `git apply`, and the tree for a fresh check."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path
from typing import Any

from agent.repository.archive import read_archive
from agent.repository.patch import write_patch, write_result_archive


def applied(lab: Any, patch: Path, folder: Path) -> dict[bytes, bytes]:
    """The tree taken in, with the patch applied by git."""
    folder.mkdir()
    with tarfile.open(lab.archive) as tar:
        tar.extractall(folder, filter="tar")
    subprocess.run(["git", "apply", "--whitespace=nowarn", patch], cwd=folder, check=True)
    places = [each for each in folder.rglob("*") if each.is_symlink() or each.is_file()]
    return {
        str(each.relative_to(folder)).encode(): (
            str(each.readlink()).encode() if each.is_symlink() else each.read_bytes()
        )
        for each in places
    }


async def test_the_patch_applies_to_the_base(lab: Any, tmp_path: Path) -> None:
    lab.write("old.txt", "".join(f"line {number}\n" for number in range(50)))
    lab.write("dirty.txt", "uncommitted\n")
    lab.take_in()
    tree = lab.tree()
    tree[b"renamed.txt"] = (0o100644, tree.pop(b"old.txt")[1] + b"more\n")
    tree[b"src/stats.py"] = (0o100644, b"no newline at the end")
    tree[b"binary"] = (0o100755, bytes(range(256)))
    tree[b"dirty.txt"] = (0o100644, b"changed\r\n\x1b[2J")
    tree[b"run.sh"] = (0o100644, tree[b"run.sh"][1])
    tree[b"link"] = (0o120000, b"src/stats.py")
    tree['naïve\n\t"name'.encode()] = (0o100644, b"x\n")
    del tree[b"README.md"]
    changes = await lab.take_out_tree(tree)
    patch = write_patch(changes, lab.folder / "patch.diff")
    assert patch.files == len(changes.changes) == 9
    text = patch.path.read_bytes()
    assert b"rename from old.txt" in text
    assert b"GIT binary patch" in text
    assert applied(lab, patch.path, tmp_path / "applied") == {path: data for path, (_, data) in tree.items()}


async def test_a_symlink_that_becomes_a_folder_with_itself_inside(lab: Any, tmp_path: Path) -> None:
    tree = lab.tree()
    tree[b"link/link"] = tree.pop(b"link")
    patch = write_patch(await lab.take_out_tree(tree), lab.folder / "patch.diff")
    assert applied(lab, patch.path, tmp_path / "applied") == {path: data for path, (_, data) in tree.items()}


async def test_counts(lab: Any) -> None:
    tree = lab.tree() | {b"README.md": (0o100644, b"one\ntwo\n"), b"bin": (0o100644, b"\0" * 10)}
    patch = write_patch(await lab.take_out_tree(tree), lab.folder / "patch.diff")
    assert (patch.files, patch.added, patch.removed) == (2, 2, 1)


async def test_no_change_is_an_empty_patch(lab: Any) -> None:
    patch = write_patch(await lab.take_out_tree(lab.tree()), lab.folder / "patch.diff")
    assert (patch.path.read_bytes(), patch.files) == (b"", 0)


async def test_attributes_of_the_agents_making_are_only_content(
    lab: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    canary = tmp_path / "canary"
    config = Path(tmp_path / "gitconfig")
    config.write_text(
        f'[diff "evil"]\n\tcommand = touch {canary}\n\ttextconv = touch {canary}\n'
        f"[diff]\n\texternal = touch {canary}\n\tnoprefix = true\n\tmnemonicPrefix = true\n"
        "[core]\n\tattributesFile = " + str(tmp_path / "attributes") + "\n[color]\n\tui = always\n"
    )
    (tmp_path / "attributes").write_text("* diff=evil\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", f"touch {canary}")
    lab.write(".gitattributes", "* -diff\n")
    lab.take_in()
    tree = lab.tree() | {
        b".gitattributes": (0o100644, b"* diff=evil\n*.py -diff\n"),
        b"src/.gitattributes": (0o100644, b"* binary\n"),
        b"src/stats.py": (0o100644, b"hidden = 1\n"),
    }
    patch = write_patch(await lab.take_out_tree(tree), lab.folder / "patch.diff")
    text = patch.path.read_bytes()
    assert b"+hidden = 1" in text
    assert b"--- a/src/stats.py\n+++ b/src/stats.py" in text
    assert b"\x1b" not in text
    assert not canary.exists()


async def test_the_result_archive_is_the_tree(lab: Any, tmp_path: Path) -> None:
    tree = lab.tree() | {
        b"a/first.txt": (0o100644, b"1"),
        b"zzz": (0o100755, b"2"),
        b"link": (0o120000, b"elsewhere"),
    }
    del tree[b"README.md"], tree[b"src/stats.py"]
    tree[b"src"] = (0o100644, b"a file now")
    changes = await lab.take_out_tree(tree)
    target = tmp_path / "result.tar"
    write_result_archive(lab.archive, changes, target, uid=7, gid=8)
    assert {path: content.read() for path, content in read_archive(target)} == {
        path: content for path, (_, content) in tree.items()
    }
    with tarfile.open(target) as tar:
        assert {(each.uid, each.gid) for each in tar} == {(7, 8)}
        assert tar.getmember("zzz").mode == 0o755
