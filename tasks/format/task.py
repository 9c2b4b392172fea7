"""A task as a folder: Harbor's, as it is, and Bridle's own table beside it.

    task.toml            [metadata] [verifier] [agent] [environment] …, and [bridle]
    instruction.md       what the agent is told
    environment/files/   the workspace, over the host's toolchain or the image that task.toml names
    tests/               test.sh, which writes /logs/verifier/reward.txt; or the tests that [bridle] expects by id
    solution/solve.sh    how the oracle solves it
    wrong/*.sh           solutions that look right and are not; `bridle suite check` tries them

Fields that are not known are told, never fatal; what Bridle cannot do (steps, GPUs, several containers) is
refused, since a verdict without it would be a wrong one. Every refusal names file, field and reason.

Threat model: a task's author is trusted to write tests and to name an image; nothing of a task is run on the host.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from agent.autonomy.levels import Level, parse_level
from agent.outcomes import UsageProblem
from tools.protocol import Effect

MAX_TASK_BYTES = 64 << 20
MAX_TASK_FILES = 5000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_ID = re.compile(r"[^:\s/][^:\s]*\.py(?:::[^:\s]+)*::[^:]+")
_UNSUPPORTED = {
    "steps": "several steps",
    "environment.gpus": "GPUs",
    "environment.mcp_servers": "MCP servers",
    "verifier.environment": "an environment of the verifier's own",
    "verifier.collect": "collecting commands",
}
"""Fields that change what a verdict means, and that Bridle has nothing for."""

Difficulty = Literal["easy", "medium", "hard"]
Split = Literal["public", "private"]


class _Table(BaseModel):
    """A table of task.toml: what it does not know is kept in `model_extra`, and told."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


class VerifierTable(_Table):
    """`[verifier]`: seconds that the tests may take, and variables for test.sh."""

    timeout_sec: float = Field(default=600.0, gt=0)
    env: dict[str, str] = Field(default_factory=dict)


class AgentTable(_Table):
    """`[agent]`: seconds that an attempt may take."""

    timeout_sec: float = Field(default=600.0, gt=0)


class SolutionTable(_Table):
    """`[solution]`: variables for solve.sh."""

    env: dict[str, str] = Field(default_factory=dict)


class EnvironmentTable(_Table):
    """`[environment]`: the image, and what a sandbox of it may use."""

    build_timeout_sec: float = Field(default=600.0, gt=0)
    docker_image: str | None = None
    cpus: float = Field(default=1.0, gt=0, le=256)
    memory_mb: int = Field(default=2048, ge=64)
    storage_mb: int = Field(default=10240, ge=16)
    allow_internet: bool | None = None
    network_mode: str | None = None
    env: dict[str, str] = Field(default_factory=dict)


class Forbidden(_Table):
    """`[bridle.forbidden]`: what makes an attempt a failure, whatever the tests say.

    `effects` of calls that the gate let through; `paths` (patterns) that the delivery changes; `text` that turns
    up in what was called or delivered.
    """

    effects: tuple[Effect, ...] = ()
    paths: tuple[str, ...] = ()
    text: tuple[str, ...] = ()


class BridleTable(_Table):
    """`[bridle]`: what Harbor has no field for.

    With `expected`, pytest ids below tests/, Bridle runs pytest itself and judges the ids on the host;
    `regression` are those of them that passed before, too. `protected` paths are taken from the task like tests
    and their configuration always are, `editable` ones are not. `locations` are the files that a solution has to
    change. `needs` are programs that the sandbox has to have: without one, an attempt is not scored. A `private`
    task is for the last measurement, not for working on an agent.
    """

    category: str = "other"
    difficulty: Difficulty = "medium"
    split: Split = "public"
    date: datetime.date | None = None
    autonomy: Level | None = None
    expected: tuple[str, ...] = ()
    regression: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    editable: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    files: str = "environment/files"
    forbidden: Forbidden = Forbidden()

    @field_validator("autonomy", mode="before")
    @classmethod
    def _level(cls, value: Any) -> Any:
        return parse_level(value) if isinstance(value, str) else value

    @field_validator("expected", "regression")
    @classmethod
    def _ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            if not _ID.fullmatch(each) or ".." in each.split("::")[0].split("/"):
                raise ValueError(f"{each!r} is no pytest id below tests/, such as test_it.py::test_one")
        if len(set(value)) != len(value):
            raise ValueError("an id is there twice")
        return value

    @field_validator("needs")
    @classmethod
    def _programs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            if not _PROGRAM.fullmatch(each):
                raise ValueError(f"{each!r} is no name of a program, such as gcc")
        return value

    @field_validator("files")
    @classmethod
    def _inside(cls, value: str) -> str:
        if value.startswith("/") or ".." in value.split("/"):
            raise ValueError("it has to be a folder inside the task")
        return value


class TaskFile(_Table):
    """The whole of task.toml."""

    schema_version: str | None = None
    version: str | None = None
    task: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)
    verifier: VerifierTable = VerifierTable()
    agent: AgentTable = AgentTable()
    environment: EnvironmentTable = EnvironmentTable()
    solution: SolutionTable = SolutionTable()
    bridle: BridleTable = BridleTable()


@dataclass(frozen=True, slots=True)
class Task:
    """A task that was read: its folder, what task.toml says, what the agent is told, and what was noted of it."""

    name: str
    folder: Path
    file: TaskFile
    instruction: str
    hash: str
    notes: tuple[str, ...] = ()

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
        """The oracle's script, if the task has one."""
        path = self.folder / "solution" / "solve.sh"
        return path if path.is_file() else None

    @property
    def wrong(self) -> list[Path]:
        """Scripts that look like solutions, by name: each has to fail."""
        return sorted((self.folder / "wrong").glob("*.sh"))


def load_task(folder: Path) -> Task:
    """The task in `folder`. Raises UsageProblem, which names file, field and reason."""
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
    task = Task(folder.name, folder, file, _instruction(folder), content_hash(folder), tuple(_notes(file)))
    _check_files(task)
    return task


def load_suite(path: Path) -> list[Task]:
    """The task at `path`, or all tasks in the folders of `path`, by name. Raises UsageProblem."""
    if (path / "task.toml").is_file():
        return [load_task(path.absolute())]
    if not path.is_dir():
        raise UsageProblem(f"{path} is no folder: give a task, or a folder of tasks")
    folders = sorted(each.parent for each in path.absolute().glob("*/task.toml"))
    if not folders:
        raise UsageProblem(f"{path} holds no task: a task is a folder with a task.toml")
    return [load_task(folder) for folder in folders]


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


def _instruction(folder: Path) -> str:
    path = folder / "instruction.md"
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{path} cannot be read as UTF-8 text: {error}") from error
    if not text:
        raise UsageProblem(f"{path} is empty: it says what the agent is to do")
    return text


def _refuse(where: Path, said: dict[str, Any]) -> None:
    """Refuse what changes the meaning of a verdict and cannot be done here."""
    for field, words in _UNSUPPORTED.items():
        value: Any = said
        for part in field.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value:
            raise UsageProblem(f"{where}: {field}: Bridle runs no tasks with {words}")


def _check_files(task: Task) -> None:
    environment = task.folder / "environment"
    for name in ("docker-compose.yaml", "docker-compose.yml"):
        if (environment / name).exists():
            raise UsageProblem(f"{environment / name}: Bridle runs no tasks with several containers")
    if not task.files.is_dir():
        more = (
            "; Bridle builds no Dockerfile, build it and name it in environment.docker_image"
            if task.dockerfile
            else ""
        )
        raise UsageProblem(
            f"{task.folder / 'task.toml'}: bridle.files: there is no folder {task.bridle.files}{more}"
        )
    tests = task.folder / "tests"
    if not task.bridle.expected and not (tests / "test.sh").is_file():
        raise UsageProblem(f"{tests}: a task has a test.sh, or names the tests it expects in [bridle] expected")
    for each in task.bridle.expected:
        if not (tests / each.split("::")[0]).is_file():
            raise UsageProblem(f"{task.folder / 'task.toml'}: bridle.expected: there is no test file for {each}")
    if stray := set(task.bridle.regression) - set(task.bridle.expected):
        raise UsageProblem(f"{task.folder / 'task.toml'}: bridle.regression: {min(stray)} is not in expected")


def _notes(file: TaskFile) -> Iterator[str]:
    """A sentence for each field that means nothing here."""
    tables = {"": file, "verifier.": file.verifier, "agent.": file.agent, "environment.": file.environment}
    tables |= {"solution.": file.solution, "bridle.": file.bridle, "bridle.forbidden.": file.bridle.forbidden}
    for prefix, table in tables.items():
        for name in sorted(table.model_extra or {}):
            yield f"task.toml: {prefix}{name} is not known and does nothing"
    if file.environment.allow_internet or file.environment.network_mode not in (None, "none", "no-network"):
        yield "task.toml: the environment asks for a network; sandboxes of the suite have none"


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    name = ".".join(str(part) for part in problem["loc"])
    return f"{name}: {problem['msg'].removeprefix('Value error, ')}"
