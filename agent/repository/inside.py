"""The `.git` that the agent finds in its workspace: a fresh single commit, or the history of HEAD.

Everything in it is deterministic (fixed identity, HEAD's date), so a session started twice from the same tree
shows the agent the same commit.
"""

from __future__ import annotations

from pathlib import Path

from agent.outcomes import UsageProblem
from agent.repository.base import Base
from agent.repository.plumbing import GitFailed, run_git
from agent.repository.source import Repository

HISTORY_BUNDLE = "/tmp/history.bundle"  # noqa: S108 -- a path inside the sandbox, not on the host
"""Where `setup_commands` expects the bundle, inside, when history is asked for."""

_MESSAGE = "The repository as it was taken in"
_NAME, _EMAIL = "Bridle", "bridle@localhost"


def history_bundle(repo: Repository, path: Path) -> None:
    """Write HEAD's history (no other branch, no tag, no stash) as a git bundle to `path`.

    Blocking. Raises UsageProblem when the history is not all there (shallow or partial clone).
    """
    if repo.shallow:
        raise UsageProblem(
            f"{repo.root} is a shallow clone, so its history cannot be handed in:"
            " run `git fetch --unshallow` first"
        )
    partial = path.with_name(path.name + ".partial")
    try:
        run_git("bundle", "create", "--quiet", str(partial.absolute()), "HEAD", cwd=repo.root)
        partial.replace(path)
    except GitFailed as error:
        raise UsageProblem(f"the history of {repo.root} cannot be bundled: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def setup_commands(base: Base, *, history: bool = False) -> list[list[str]]:
    """The commands that, run one after another in the workspace inside the sandbox, make its `.git`.

    With `history`, the bundle must be at HISTORY_BUNDLE inside; HEAD and the index are then the user's HEAD, so
    that `git status` shows the user's uncommitted changes. They need git in the image, and touch no file of the
    workspace outside `.git`.
    """
    date = f"{max(base.time, 0)} +0000"
    git = ["git", "-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.hooksPath=/dev/null"]
    branch = f"refs/heads/{base.branch or 'main'}"
    begin = [
        [*git, "init", "-q", *(["--object-format=sha256"] if base.object_format == "sha256" else [])],
        [*git, "config", "user.name", _NAME],
        [*git, "config", "user.email", _EMAIL],
        [*git, "config", "gc.auto", "0"],
        [*git, "config", "core.autocrlf", "false"],
        [*git, "symbolic-ref", "HEAD", branch],
    ]
    if history:
        return [
            *begin,
            [*git, "fetch", "-q", "--no-tags", HISTORY_BUNDLE, "HEAD"],
            [*git, "update-ref", branch, base.head],
            [*git, "read-tree", base.head],
            [*git, "update-index", "-q", "--refresh"],
        ]
    dated = ["env", f"GIT_AUTHOR_DATE={date}", f"GIT_COMMITTER_DATE={date}"]
    return [
        *begin,
        [*git, "add", "-A", "-f", "."],
        [*dated, *git, "commit", "-q", "--allow-empty", "--no-verify", "--no-gpg-sign", "-m", _MESSAGE],
    ]
