"""Opening the user's repository: what it is, where it is, and whether Bridle can work with it.

Threat model: the repository's configuration is not trusted. It may name another folder as its working tree;
then Bridle refuses rather than copy that folder. git's own check of who owns the repository stays in force.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from agent.outcomes import UsageProblem
from agent.repository.plumbing import GitFailed, git_program, run_git


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository that can be worked with.

    `root` is its working tree, `git_dir` where HEAD and the index lie (for a linked worktree not the same as
    the shared folder), `head` the commit HEAD names, `branch` the branch it is on or None. `notes` are sentences
    for the user.
    """

    root: Path
    git_dir: Path
    head: str
    branch: str | None
    object_format: str
    shallow: bool = False
    notes: tuple[str, ...] = ()

    @property
    def zero(self) -> str:
        """The object name that means "nothing"."""
        return "0" * len(self.head)


def open_repository(path: Path) -> Repository:
    """The repository that holds `path`.

    Raises UsageProblem with one sentence for everything that is not a repository with a working tree and a
    commit, owned by the user.
    """
    git_program()
    path = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 -- resolve() would follow the user's links
    if not path.exists():
        raise UsageProblem(f"there is no such folder: {path}")
    if not path.is_dir():
        raise UsageProblem(f"{path} is not a folder: --repo takes the folder of a git repository")
    root = _find(path)
    git_dir, object_format, shallow = _facts(root)
    head = _head(root)
    notes = () if root == path else (f"{path} lies in the repository {root}: the whole of it is taken",)
    return Repository(root, git_dir, head, _branch(root), object_format, shallow, notes)


def _find(path: Path) -> Path:
    """The top folder of the working tree around `path`, which must be where its `.git` lies."""
    import git

    try:
        with git.Repo(path, search_parent_directories=True, expand_vars=False) as found:
            bare, folder = found.bare, found.working_tree_dir
    except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
        raise UsageProblem(
            f"{path} is not in a git repository: make it one with"
            " `git init && git add -A && git commit -m 'First commit'`"
        ) from error
    except (OSError, ValueError, git.GitError) as error:
        raise UsageProblem(f"the git repository at {path} cannot be read: {error}") from error
    if bare or folder is None:
        raise UsageProblem(f"{path} is a bare repository: clone it and point --repo at the clone")
    return Path(os.fspath(folder))


def _facts(root: Path) -> tuple[Path, str, bool]:
    """Git folder, object format and shallowness, after git itself has agreed that `root` is the working tree."""
    try:
        asked = ("--show-toplevel", "--absolute-git-dir", "--show-object-format", "--is-shallow-repository")
        answers = [_answer(root, question) for question in asked]
    except GitFailed as error:
        if "dubious ownership" in error.text:
            raise UsageProblem(
                f"{root} belongs to another user, so git does not trust it: if you do, run"
                f" `git config --global --add safe.directory {root}`"
            ) from error
        if "work tree" in error.text:
            raise UsageProblem(f"{root} is a bare repository: clone it and point --repo at the clone") from error
        raise UsageProblem(f"git cannot read the repository at {root}: {' '.join(error.text.split())}") from error
    toplevel, git_dir, object_format, shallow = answers
    if not toplevel or not os.path.samefile(toplevel, root):  # noqa: PTH121 -- bytes against a Path
        raise UsageProblem(
            f"the configuration of {root} says that its files are in {os.fsdecode(toplevel)} (core.worktree):"
            " point --repo at a plain clone"
        )
    return Path(os.fsdecode(git_dir)), object_format.decode(), shallow == b"true"


def _answer(root: Path, question: str) -> bytes:
    return run_git("rev-parse", question, cwd=root).removesuffix(b"\n")


def _head(root: Path) -> str:
    try:
        return run_git("rev-parse", "--verify", "--quiet", "HEAD^{commit}", cwd=root).decode().strip()
    except GitFailed as error:
        raise UsageProblem(
            f"the repository {root} has no commit yet: make one with `git add -A && git commit -m 'First commit'`"
        ) from error


def _branch(root: Path) -> str | None:
    try:
        name = run_git("symbolic-ref", "--quiet", "HEAD", cwd=root).removesuffix(b"\n")
    except GitFailed:
        return None
    return name.removeprefix(b"refs/heads/").decode("utf-8", "surrogateescape")
