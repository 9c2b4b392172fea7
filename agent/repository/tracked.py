"""What git tracks: the index and trees, read without refreshing or locking anything.

Threat model: the repository's filters would run if git itself compared a filtered file with its index entry.
So Bridle asks with a copy of the index that is younger than every file, which leaves git only the time stamps
to compare, and with the filters switched off besides.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.repository.plumbing import GitFailed, disarmed, run_git, split
from agent.repository.source import Repository
from agent.scratch import scratch_folder

_CONVERSIONS = ("filter", "text", "eol", "crlf", "ident", "working-tree-encoding")


@dataclass(frozen=True, slots=True)
class Tracked:
    """An entry of the index or of a tree. `oid` is empty for a path in conflict; `sparse`: not checked out."""

    mode: int
    oid: str
    sparse: bool = False


def list_tracked(repo: Repository) -> dict[bytes, Tracked]:
    """The index."""
    entries: dict[bytes, Tracked] = {}
    for line in split(run_git("ls-files", "-z", "-s", "-t", cwd=repo.root)):
        about, _, path = line.partition(b"\t")
        tag, mode, oid, stage = about.decode("ascii").split(" ")
        entries[path] = Tracked(int(mode, 8), oid if stage == "0" else "", sparse=tag == "S")
    return entries


def list_tree(repo: Repository, commit: str) -> dict[bytes, Tracked]:
    """Every file of the tree of `commit`, an object name."""
    entries: dict[bytes, Tracked] = {}
    for line in split(run_git("ls-tree", "-r", "-z", "--full-tree", commit, cwd=repo.root)):
        about, _, path = line.partition(b"\t")
        mode, _, oid = about.decode("ascii").split(" ")
        entries[path] = Tracked(int(mode, 8), oid)
    return entries


def unconverted(repo: Repository, paths: Sequence[bytes], index: Mapping[bytes, Tracked]) -> set[bytes]:
    """Those of `paths` that differ from their object only by a conversion (line ends, filters) on checkout.

    A path counts when some conversion applies to it and git's time stamps say it is as it was checked out, or
    when the conversions that are git's own (no filter runs) lead back to the object.
    """
    converted = conversions(repo, paths)
    if not converted:
        return set()
    env = disarmed(repo.root)
    touched = _touched(repo, env)
    same = {path for path in converted if path not in touched}
    # `--stdin-paths` takes lines, and reads a leading quote as quoting.
    plain = [path for path in converted if path in touched and b"\n" not in path and not path.startswith(b'"')]
    lines = b"".join(path + b"\n" for path in plain)
    try:
        cleaned = run_git("hash-object", "--stdin-paths", cwd=repo.root, env=env, stdin=lines)
    except GitFailed:  # a file went away meanwhile; all of them then count as changed, which they may be
        return same
    oids = cleaned.decode("ascii").split()
    return same | {path for path, oid in zip(plain, oids, strict=True) if oid == index[path].oid}


def _touched(repo: Repository, env: Mapping[str, str]) -> set[bytes]:
    """Paths whose time stamp, size or mode is no longer what the index says."""
    with scratch_folder() as folder:
        copy = folder / "index"
        shutil.copyfile(repo.git_dir / "index", copy)
        # Well after now, so that no file's time stamp is too young for git to rely on.
        later = copy.stat().st_mtime + 3600
        os.utime(copy, (later, later))
        asked = ("diff-files", "-z", "--name-only", "--ignore-submodules=all")
        return set(split(run_git(*asked, cwd=repo.root, env={**env, "GIT_INDEX_FILE": str(copy)})))


def conversions(repo: Repository, paths: Sequence[bytes]) -> dict[bytes, str]:
    """Which of `paths` the user's git converts on the way in, and by what (`filter lfs`, `text`)."""
    if not paths:
        return {}
    given = b"".join(path + b"\0" for path in paths)
    fields = split(run_git("check-attr", "-z", "--stdin", *_CONVERSIONS, cwd=repo.root, stdin=given))
    found: dict[bytes, str] = {}
    for path, name, value in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        if value not in {b"unspecified", b"unset"} and path not in found:
            kind = name.decode("ascii")
            found[path] = f"{kind} {value.decode('utf-8', 'replace')}" if kind == "filter" else kind
    if _converts_line_ends(repo):
        found |= dict.fromkeys((path for path in paths if path not in found), "core.autocrlf")
    return found


def _converts_line_ends(repo: Repository) -> bool:
    values = split(run_git("config", "-z", "--default", "false", "--get", "core.autocrlf", cwd=repo.root))
    return values[-1:] not in ([b"false"], [b""])
