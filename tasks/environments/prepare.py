"""What an attempt begins with: a repository of the task's files, as if a user had handed it in.

The repository is made anew for each run, always with the same commit, and both ends use it: the agent's sandbox is
filled from it, and what the agent delivers is a patch on it.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from agent.checks import import_path
from agent.outcomes import UsageProblem
from agent.repository.base import Base
from agent.repository.intake import take_in
from agent.repository.plumbing import GitFailed, run_git
from agent.repository.source import Repository, open_repository
from agent.workspace import DEFAULT_IMAGE
from sandboxes.protocol import AGENT_GID, AGENT_UID, Limits, SandboxSpec
from tasks.format.task import Task

_DATE = "2020-01-01T00:00:00 +0000"
_WHO = {f"GIT_{role}_NAME": "Task" for role in ("AUTHOR", "COMMITTER")} | {
    f"GIT_{role}_EMAIL": "task@localhost" for role in ("AUTHOR", "COMMITTER")
}
QUIET = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_LITERAL_PATHSPECS": "0"}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A task made ready: its repository on the host, and the tree that goes into sandboxes."""

    task: Task
    repository: Repository
    base: Base
    archive: Path

    @property
    def image(self) -> str:
        """The image of the task's sandboxes."""
        return self.task.file.environment.docker_image or DEFAULT_IMAGE

    def spec(self, run_id: str, keeper: Path) -> SandboxSpec:
        """What kind of sandbox the task is worked on and graded in: one without a network."""
        table = self.task.file.environment
        return SandboxSpec(
            run_id=run_id,
            image=self.image,
            keeper=str(keeper),
            limits=Limits(memory_bytes=table.memory_mb << 20, cpus=table.cpus, disk_bytes=table.storage_mb << 20),
            env={**table.env, "PYTHONPATH": import_path(self.base.text_paths())},
        )


def prepare(task: Task, folder: Path) -> Prepared:
    """Make the task's repository below `folder`, which is emptied first. Blocking. Raises UsageProblem."""
    shutil.rmtree(folder, ignore_errors=True)
    root = folder / "repository"
    folder.mkdir(parents=True)
    try:
        shutil.copytree(task.files, root, symlinks=True)
        run_git("init", "--quiet", "--template=", "--initial-branch=main", ".", cwd=root, env=QUIET)
        run_git("add", "--all", "--force", "--", ".", cwd=root, env=QUIET)
        dates = {"GIT_AUTHOR_DATE": _DATE, "GIT_COMMITTER_DATE": _DATE}
        message = ("commit", "--quiet", "--no-verify", "--allow-empty", "-m", task.name)
        run_git(*message, cwd=root, env={**QUIET, **_WHO, **dates})
    except (OSError, shutil.Error, GitFailed) as error:
        raise UsageProblem(f"{task.files} cannot be made the workspace of {task.name}: {error}") from error
    repository = open_repository(root)
    archive = folder / "base.tar"
    base = take_in(repository, archive, uid=AGENT_UID, gid=AGENT_GID)
    return Prepared(task, repository, base, archive)
