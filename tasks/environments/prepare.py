"""What an attempt begins with: a repository of the task's files, as if a user had handed it in.

The repository is made anew for each run, always with the same commit, and both ends use it: the agent's sandbox is
filled from it, and what the agent delivers is a patch on it. Its files are the task's own, or the content of the
working folder of the task's image.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.checks import import_path
from agent.outcomes import UsageProblem
from agent.repository.base import Base
from agent.repository.intake import take_in
from agent.repository.plumbing import GitFailed, run_git
from agent.repository.source import Repository, open_repository
from agent.workspace import DEFAULT_IMAGE
from sandboxes.network.rules import Network
from sandboxes.protocol import AGENT_GID, AGENT_UID, WORKSPACE, Limits, SandboxSpec
from tasks.environments.allowed import Allowed
from tasks.environments.hidden import NEEDED, hidden_folders, own_packages
from tasks.environments.images import TaskImage, task_image, working_folder
from tasks.environments.workspace import import_workspace
from tasks.format.tables import Phase
from tasks.format.task import Task

_DATE = "2020-01-01T00:00:00 +0000"
_WHO = {f"GIT_{role}_NAME": "Task" for role in ("AUTHOR", "COMMITTER")} | {
    f"GIT_{role}_EMAIL": "task@localhost" for role in ("AUTHOR", "COMMITTER")
}
QUIET = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_LITERAL_PATHSPECS": "0"}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A task made ready: its repository on the host, and the tree that goes into sandboxes.

    `made` is its image, None for the host's toolchain. `folders` of the workspace hold no file, and `carried` is
    what earlier steps changed outside the workspace, as a tar.
    """

    task: Task
    repository: Repository
    base: Base
    archive: Path
    made: TaskImage | None = None
    folders: tuple[str, ...] = ()
    carried: Path | None = None
    allowed: Allowed = field(default_factory=Allowed)

    @property
    def image(self) -> str:
        """The image of the task's sandboxes."""
        return self.made.name if self.made is not None else DEFAULT_IMAGE

    @property
    def workdir(self) -> str:
        """Where the task's commands run: the workspace, by the name that the task has for it."""
        return self.made.workdir if self.made is not None else WORKSPACE

    def spec(self, run_id: str, keeper: Path, phase: Phase = "agent") -> SandboxSpec:
        """What kind of sandbox a phase runs in, which hides `keeper`: the state of whoever runs the task.

        Nobody saves what is in it: it has no keeper of its own, and whoever finds its owner dead may remove it.
        Raises UsageProblem for a variable that is not given.
        """
        file, table = self.task.file, self.task.file.environment
        env = self.allowed.filled(f"{self.task.folder / 'task.toml'}: environment.env", table.env)
        if self.made is None:  # over the host's toolchain nothing is installed, so the files are importable
            env["PYTHONPATH"] = import_path(self.base.text_paths())
        asked = file.network(phase) or Network("full" if self.made is not None else "none")
        packages = own_packages(self.base.text_paths())
        return SandboxSpec(
            run_id=run_id,
            image=self.image,
            limits=Limits(memory_bytes=table.memory_bytes, cpus=table.cpus, disk_bytes=table.storage_bytes),
            env=env,
            network=asked if self.allowed.network else Network(),
            hidden=hidden_folders(self.task.folder, keeper),
            hidden_packages=tuple(sorted(packages - NEEDED)),
        )


def prepare(task: Task, folder: Path, allowed: Allowed | None = None) -> Prepared:
    """Make the task's repository below `folder`, which is emptied first, and its image where it is not there.

    Blocking, for as long as a build takes. Raises UsageProblem, BuildFailed, SandboxError.
    """
    allowed = allowed or Allowed()
    shutil.rmtree(folder, ignore_errors=True)
    root = folder / "repository"
    folder.mkdir(parents=True)
    image = task_image(task, allowed)
    folders: tuple[str, ...] = ()
    if image is not None and not _own_files(task):
        with working_folder(image) as pieces:
            name = image.workdir.rpartition("/")[2].encode()
            folders = import_workspace(pieces, name, root, task.name)
    else:
        _copy_files(task, root)
    repository = open_repository(root)
    archive = folder / "base.tar"
    base = take_in(repository, archive, uid=AGENT_UID, gid=AGENT_GID)
    return Prepared(task, repository, base, archive, image, folders, allowed=allowed)


def prepare_step(
    before: Prepared, step: Task, tree: Path, folder: Path, more: Mapping[str, Path], carried: Path | None
) -> Prepared:
    """A step of a task made ready below `folder`: it begins with the tar `tree` and the files `more` on top.

    `before` is the task or the step before it, `carried` what was changed outside the workspace so far. Blocking.
    Raises UsageProblem.
    """
    shutil.rmtree(folder, ignore_errors=True)
    root = folder / "repository"
    folder.mkdir(parents=True)
    with tree.open("rb") as file:
        import_workspace(iter(lambda: file.read(1 << 18), b""), b"", root, step.name, more)
    repository = open_repository(root)
    archive = folder / "base.tar"
    base = take_in(repository, archive, uid=AGENT_UID, gid=AGENT_GID)
    return replace(before, task=step, repository=repository, base=base, archive=archive, carried=carried)


def _own_files(task: Task) -> bool:
    """Whether the task brings the workspace itself: beside a Dockerfile, which copies what it wants, only if
    named.
    """
    built = task.dockerfile is not None and task.file.environment.docker_image is None
    return "files" in task.bridle.model_fields_set or (not built and task.files.is_dir())


def _copy_files(task: Task, root: Path) -> None:
    try:
        shutil.copytree(task.files, root, symlinks=True)
        run_git("init", "--quiet", "--template=", "--initial-branch=main", ".", cwd=root, env=QUIET)
        commit_all(root, task.name)
    except (OSError, shutil.Error, GitFailed) as error:
        raise UsageProblem(f"{task.files} cannot be made the workspace of {task.name}: {error}") from error


def commit_all(root: Path, message: str) -> None:
    """Commit the working tree of a task's repository as it is. Blocking. Raises GitFailed."""
    run_git("add", "--all", "--force", "--", ".", cwd=root, env=QUIET)
    dates = {"GIT_AUTHOR_DATE": _DATE, "GIT_COMMITTER_DATE": _DATE}
    commit = ("commit", "--quiet", "--no-verify", "--allow-empty", "-m", message)
    run_git(*commit, cwd=root, env={**QUIET, **_WHO, **dates})
