"""A task as a folder: Harbor's, as it is, and Bridle's own table beside it.

    task.toml            [metadata] [verifier] [agent] [environment] [[steps]] …, and [bridle]
    instruction.md       what the agent is told
    environment/         a Dockerfile and what it needs; or files/, the workspace over the host's toolchain
    tests/               test.sh, which writes /logs/verifier/reward.txt; or the tests that [bridle] expects by id
    solution/solve.sh    how the oracle solves it
    steps/NAME/          of a task with steps: each one's instruction.md, tests/, solution/ and workdir/

Fields that are not known are told, never fatal; what Bridle cannot do (GPUs, several containers) is refused,
since a verdict without it would be a wrong one. Every refusal names file, field and reason.

Threat model: a task's author is trusted to write tests and to name an image; nothing of a task is run on the host.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent.outcomes import UsageProblem
from tasks.format.tables import BridleTable, Difficulty, Healthcheck, Split, Step, Table, TaskFile

__all__ = [
    "Difficulty",
    "Split",
    "Task",
    "TaskFile",
    "content_hash",
    "find_tasks",
    "load_suite",
    "load_task",
    "read_task_file",
]

MAX_TASK_BYTES = 64 << 20
MAX_TASK_FILES = 5000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_UNSUPPORTED = {
    "environment.gpus": "GPUs",
    "environment.tpu": "TPUs",
    "environment.mcp_servers": "MCP servers",
    "verifier.environment": "an environment of the verifier's own",
    "verifier.collect": "collecting commands",
}
"""Fields that change what a verdict means, and that Bridle has nothing for."""
_MEANINGLESS = {
    "artifacts": "Bridle keeps the patch of each attempt, and collects no artifacts",
    "environment.skills_dir": "Bridle hands no skills to agents",
}
"""Fields that are known, and change nothing here."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task that was read: its folder, what task.toml says, what the agent is told, and what was noted of it.

    One step of a task is a task, too: `step` is its name, and `file` has its limits.
    """

    name: str
    folder: Path
    file: TaskFile
    instruction: str
    hash: str
    notes: tuple[str, ...] = ()
    step: str = ""

    @property
    def bridle(self) -> BridleTable:
        """Bridle's own table."""
        return self.file.bridle

    @property
    def category(self) -> str:
        """The table's category, else Harbor's."""
        own = self.bridle.category
        return own if own != "other" else str(self.file.metadata.get("category", own))

    @property
    def files(self) -> Path:
        """The folder whose content becomes the workspace."""
        return self.folder / self.bridle.files

    @property
    def dockerfile(self) -> Path | None:
        """The Dockerfile, if the task has one."""
        path = self.folder / "environment" / "Dockerfile"
        return path if path.is_file() else None

    @property
    def solution(self) -> Path | None:
        """The oracle's script, if the task has one; with steps, the first one's, if every step has one."""
        if self.file.steps and not self.step:
            found = [each.solution for each in self.steps]
            return None if None in found else found[0]
        path = self.own / "solution" / "solve.sh"
        return path if path.is_file() else None

    @property
    def own(self) -> Path:
        """The folder with this step's own files; of a task without steps, the task's."""
        return self.folder / "steps" / self.step if self.step else self.folder

    @property
    def healthchecks(self) -> tuple[Healthcheck, ...]:
        """What has to succeed before the agent begins: the environment's, and a step's own."""
        own = [each.healthcheck for each in self.file.steps if each.name == self.step]
        return tuple(each for each in (self.file.environment.healthcheck, *own) if each is not None)

    @property
    def steps(self) -> tuple[Task, ...]:
        """The steps, each as a task of its own; nothing for a task without. Raises UsageProblem."""
        return () if self.step else tuple(_step(self, each) for each in self.file.steps)

    @property
    def workdir(self) -> dict[str, Path]:
        """What a step brings into the workspace, by path."""
        folder = self.own / "workdir"
        found = (path for path in sorted(folder.rglob("*")) if path.is_symlink() or path.is_file())
        return {path.relative_to(folder).as_posix(): path for path in found} if self.step else {}

    @property
    def tests(self) -> dict[str, Path]:
        """The files of the tests, by path below tests/: the task's, and a step's own, which come before those."""
        found = {}
        for folder in dict.fromkeys((self.folder / "tests", self.own / "tests")):
            for path in sorted(folder.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    found[path.relative_to(folder).as_posix()] = path
        return found

    @property
    def test_patch(self) -> Path | None:
        """What brings the tests of a task whose tests lie in the workspace up to date, if it has such a thing."""
        path = self.folder / "tests" / "test.patch"
        return path if self.bridle.tests == "workspace" and path.is_file() else None

    @property
    def wrong(self) -> list[Path]:
        """Scripts that look like solutions, by name: each has to fail."""
        return sorted((self.folder / "wrong").glob("*.sh"))


def load_task(folder: Path) -> Task:
    """The task in `folder`. Raises UsageProblem, which names file, field and reason."""
    file = read_task_file(folder)
    instruction = _instruction(folder, needed=not file.steps)
    task = Task(folder.name, folder, file, instruction, content_hash(folder), tuple(_notes(file)))
    _check_files(task)
    return task


def read_task_file(folder: Path) -> TaskFile:
    """What task.toml of `folder` says, whatever else is there. Raises UsageProblem."""
    where = folder / "task.toml"
    try:
        said = tomllib.loads(where.read_text(encoding="utf-8"))
        file = TaskFile.model_validate(said)
    except ValidationError as error:
        raise UsageProblem(f"{where}: {_first(error)}") from error
    except (ValueError, RecursionError) as error:
        raise UsageProblem(f"{where} is not TOML in UTF-8: {error}") from error
    except OSError as error:
        raise UsageProblem(f"{where} cannot be read ({error.strerror}): a task is a folder with one") from error
    if not _NAME.fullmatch(folder.name):
        raise UsageProblem(f"{folder}: a task's folder is named with letters, digits, `.`, `_` and `-`")
    _refuse(where, said)
    return file


def load_suite(path: Path) -> list[Task]:
    """The task at `path`, or all tasks in the folders of `path`, by name. Raises UsageProblem."""
    return [load_task(folder) for folder in find_tasks(path)]


def find_tasks(path: Path) -> list[Path]:
    """The folder of the task at `path`, or of all tasks in it, by name. Raises UsageProblem."""
    if (path / "task.toml").is_file():
        return [path.absolute()]
    if not path.is_dir():
        raise UsageProblem(f"{path} is no folder: give a task, or a folder of tasks")
    folders = sorted(each.parent for each in path.absolute().glob("*/task.toml"))
    if not folders:
        raise UsageProblem(f"{path} holds no task: a task is a folder with a task.toml")
    return folders


def content_hash(folder: Path) -> str:
    """SHA-256 over names, executable bits and contents of everything in a task's folder. Raises UsageProblem."""
    whole, total = hashlib.sha256(), 0
    for number, path in enumerate(_walk(folder)):
        data = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
        total += len(data)
        if number >= MAX_TASK_FILES or total > MAX_TASK_BYTES:
            limit = f"{MAX_TASK_FILES} files or {MAX_TASK_BYTES >> 20} MiB"
            raise UsageProblem(f"{folder} has more than {limit}: make the task smaller")
        mode = "l" if path.is_symlink() else "x" if path.stat().st_mode & 0o100 else "f"
        name = path.relative_to(folder).as_posix()
        whole.update(f"{mode} {len(name)} {name} {len(data)}\n".encode("utf-8", "surrogateescape"))
        whole.update(data)
    return whole.hexdigest()


def _walk(folder: Path) -> Iterator[Path]:
    for root, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if name != "__pycache__")
        links = [name for name in names if (Path(root) / name).is_symlink()]
        for name in sorted([*files, *links]):
            path = Path(root) / name
            if path.is_symlink() or path.is_file():
                yield path


def _step(task: Task, step: Step) -> Task:
    """A step as a task of its own: what it does not say is as the task says."""
    file, folder = task.file, task.folder / "steps" / step.name
    agent = {name: value for name in ("timeout_sec", "user") if (value := getattr(step.agent, name)) is not None}
    tests = {
        name: value for name in ("timeout_sec", "user") if (value := getattr(step.verifier, name)) is not None
    }
    tests["env"] = {**file.verifier.env, **step.verifier.env}
    for table, changed in ((step.agent, agent), (step.verifier, tests)):
        if table.mode is not None:
            changed |= {"network_mode": table.network_mode, "allowed_hosts": table.allowed_hosts}
    own = file.model_copy(
        update={
            "agent": file.agent.model_copy(update=agent),
            "verifier": file.verifier.model_copy(update=tests),
        }
    )
    instruction = _instruction(folder, needed=True)
    return replace(task, file=own, instruction=instruction, step=step.name)


def _instruction(folder: Path, *, needed: bool) -> str:
    path = folder / "instruction.md"
    if not needed and not path.exists():
        return ""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{path} cannot be read as UTF-8 text: {error}") from error
    if not text and needed:
        raise UsageProblem(f"{path} is empty: it says what the agent is to do")
    return text


def _value(said: dict[str, Any], field: str) -> Any:
    value: Any = said
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _refuse(where: Path, said: dict[str, Any]) -> None:
    """Refuse what changes the meaning of a verdict and cannot be done here."""
    for field, words in _UNSUPPORTED.items():
        if _value(said, field):
            raise UsageProblem(f"{where}: {field}: Bridle runs no tasks with {words}")
    for step in said.get("steps", ()):
        for field in ("verifier.environment", "verifier.collect"):
            if _value(step, field):
                raise UsageProblem(f"{where}: steps.{field}: Bridle runs no tasks with {_UNSUPPORTED[field]}")
    if _value(said, "verifier.environment_mode") == "separate":
        raise UsageProblem(
            f"{where}: verifier.environment_mode: Bridle runs no tasks with {_UNSUPPORTED['verifier.environment']}"
        )
    if str(_value(said, "environment.os") or "linux").lower() != "linux":
        raise UsageProblem(f"{where}: environment.os: Bridle runs tasks on Linux only")


def _check_files(task: Task) -> None:
    where, environment = task.folder / "task.toml", task.folder / "environment"
    for name in ("docker-compose.yaml", "docker-compose.yml"):
        if (environment / name).exists():
            raise UsageProblem(f"{environment / name}: Bridle runs no tasks with several containers")
    if task.bridle.source is not None and not task.files.is_dir():
        raise UsageProblem(
            f"{task.folder}: its files come from a package index: `bridle suite fetch {task.folder}`"
        )
    has_image = task.dockerfile is not None or task.file.environment.docker_image is not None
    if not task.files.is_dir() and (not has_image or "files" in task.bridle.model_fields_set):
        raise UsageProblem(f"{where}: bridle.files: there is no folder {task.bridle.files}, and no image either")
    if task.bridle.paths and not has_image:
        raise UsageProblem(f"{where}: bridle.paths: folders outside the workspace need an image of the task's own")
    names = [each.name for each in task.file.steps]
    if len(set(names)) != len(names):
        raise UsageProblem(f"{where}: steps: two have the same name")
    if task.file.steps and task.bridle.expected:
        raise UsageProblem(f"{where}: bridle.expected: a task with steps is judged by their test.sh")
    for each in task.steps or (task,):
        _check_tests(each, where)


def _check_tests(task: Task, where: Path) -> None:
    expected, regression = task.bridle.expected, task.bridle.regression
    if not expected and "test.sh" not in task.tests:
        raise UsageProblem(
            f"{task.own / 'tests'}: a task has a test.sh, or names the tests it expects in [bridle] expected"
        )
    if task.bridle.tests == "workspace":
        if not expected:
            raise UsageProblem(f"{where}: bridle.tests: tests in the workspace are named in [bridle] expected")
    else:
        for each in expected:
            if each.split("::")[0] not in task.tests:
                raise UsageProblem(f"{where}: bridle.expected: there is no test file for {each}")
    if stray := set(regression) - set(expected):
        raise UsageProblem(f"{where}: bridle.regression: {min(stray)} is not in expected")


def unknown(file: TaskFile) -> Iterator[str]:
    """A sentence for each field that is not known, or known and without a meaning here."""
    for prefix, table in _tables(file):
        for name in sorted(table.model_extra or {}):
            known = _MEANINGLESS.get(prefix + name)
            yield f"task.toml: {prefix}{name}" + (f": {known}" if known else " is not known and does nothing")


def _notes(file: TaskFile) -> Iterator[str]:
    """A sentence for each field that does nothing here, or not what it says."""
    yield from unknown(file)
    for who, user in (("agent", file.agent.user), ("verifier", file.verifier.user)):
        if user is not None:
            yield f"task.toml: {who}.user is {user}; commands run as an ordinary user here, whatever it says"
    if any((found := file.network(phase)) is not None and found.mode != "none" for phase in ("agent", "verifier")):
        yield "task.toml: the task asks for a network; sandboxes have none without --allow-network"


def _tables(file: TaskFile) -> Iterator[tuple[str, Table]]:
    yield from (("", file), ("verifier.", file.verifier), ("agent.", file.agent), ("solution.", file.solution))
    yield from (("environment.", file.environment), ("bridle.", file.bridle))
    yield "bridle.forbidden.", file.bridle.forbidden
    if file.environment.healthcheck is not None:
        yield "environment.healthcheck.", file.environment.healthcheck
    for step in file.steps:
        yield from ((f"steps.{step.name}.", step), (f"steps.{step.name}.agent.", step.agent))
        yield f"steps.{step.name}.verifier.", step.verifier
        if step.healthcheck is not None:
            yield f"steps.{step.name}.healthcheck.", step.healthcheck


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    name = ".".join(str(part) for part in problem["loc"])
    return f"{name}: {problem['msg'].removeprefix('Value error, ')}"
