"""Whatever tree and whatever edit: what comes back on the branch is what the agent left, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.repository.archive import read_archive
from agent.repository.changes import PatchProblem
from agent.repository.names import is_git_own, is_junk, parents, unusable
from agent.repository.patch import write_patch, write_result_archive

Tree = dict[bytes, tuple[int, bytes]]

NAMES = st.one_of(
    st.sampled_from(
        [b"a", b"b", b"c", b"A", b"a.b", b"-x", b":x", b" ", b'"', b"\xff", "é".encode(), b"x\ny", b"*"]
    ),
    st.binary(min_size=1, max_size=6).filter(lambda name: not unusable(name) and b"/" not in name),
).filter(lambda name: not name.startswith(b".") and not is_git_own(name) and not is_junk(name + b"/x", set()))
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join).filter(lambda path: not is_junk(path, set()))
CONTENTS = st.one_of(
    st.binary(max_size=40), st.sampled_from([b"", b"same\n", b"line\n" * 50, bytes(2000), b"a\r\nb\n"])
)
FILES = st.one_of(
    st.tuples(st.sampled_from([0o100644, 0o100755]), CONTENTS),
    st.tuples(st.just(0o120000), st.sampled_from([b"a", b"../a", b"/nowhere", b"\xff", b"b/c"])),
)


def without_conflicts(tree: Tree) -> Tree:
    """No file is a folder of another."""
    return {path: entry for path, entry in tree.items() if not any(folder in tree for folder in parents(path))}


TREES = st.dictionaries(PATHS, FILES, max_size=8).map(without_conflicts)


@st.composite
def edits(draw: st.DrawFn) -> tuple[Tree, Tree, Tree]:
    """HEAD, the tree the user has, and the tree the agent leaves, each an edit of the one before."""
    steps = [draw(TREES)]
    for _ in range(2):
        kept = {path: entry for path, entry in steps[-1].items() if draw(st.booleans())}
        steps.append(without_conflicts(draw(TREES) | kept))
    return steps[0], steps[1], steps[2]


def lay_out(root: Path, tree: Tree) -> None:
    for each in root.iterdir():
        if each.name != ".git":
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
    for path, (mode, content) in tree.items():
        place = Path(os.fsdecode(os.fsencode(root) + b"/" + path))
        place.parent.mkdir(parents=True, exist_ok=True)
        if mode == 0o120000:
            place.symlink_to(os.fsdecode(content))
        else:
            place.write_bytes(content)
            place.chmod(mode & 0o777)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(steps=edits())
def test_round_trip(make_lab: Callable[..., Any], steps: tuple[Tree, Tree, Tree]) -> None:
    head, dirty, left = steps
    with tempfile.TemporaryDirectory() as folder:
        lab = make_lab(f"repo-{Path(folder).name}")
        lay_out(lab.root, head)
        lab.commit()
        lay_out(lab.root, dirty)
        before = lab.snapshot()
        base = lab.take_in()
        assert lab.tree() == dirty
        assert base.dirty == (dirty != head)
        changes = asyncio.run(lab.take_out_tree(left))
        assert bool(changes) == (left != dirty)
        write_result_archive(lab.archive, changes, lab.folder / "result.tar", uid=0, gid=0)
        result = {path: content.read() for path, content in read_archive(lab.folder / "result.tar")}
        assert result == {path: content for path, (_, content) in left.items()}
        patch = write_patch(changes, lab.folder / "patch.diff").path
        if changes:
            done = lab.deliver(changes)
            assert lab.tree_of(done.commit) == left
            assert (done.found is not None) == base.dirty
            # git itself cannot read the header of an empty file whose path begins with a space, and no delivery
            # goes by the patch.
            if not any(path.startswith(b" ") for path in {*dirty, *left}):
                check_patch(lab, done.found or base.head, done.commit, patch)
        assert lab.snapshot() == before


def check_patch(lab: Any, old: str, new: str, patch: Path) -> None:
    """Applied to the tree taken in, the patch gives the tree delivered."""
    index = {**os.environ, "GIT_INDEX_FILE": str(lab.folder / "index")}

    def git(*args: str) -> bytes:
        return subprocess.run(["git", *args], cwd=lab.root, env=index, capture_output=True, check=True).stdout

    git("read-tree", old)
    git("apply", "--cached", "--whitespace=nowarn", str(patch))
    assert git("write-tree") == lab.git("rev-parse", f"{new}^{{tree}}")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_streams_never_pass_for_good_ones(lab: Any, make_engine: Any, data: st.DataObject) -> None:
    """A stream with bytes flipped in its headers is refused, or read as some tree; it never breaks anything."""
    engine = make_engine(data.draw(st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])))
    engine.tree(lab.tree() | {b"n" * 120: (0o100644, b"long name"), b"\xff": (0o100644, b"odd")})
    whole = bytearray(engine.bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole.rstrip(b"\0")) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PatchProblem):
        changes = asyncio.run(lab.take_out(bytes(whole)))
        for change in changes.changes:
            assert not unusable(change.path)
            assert not is_git_own(change.path)
