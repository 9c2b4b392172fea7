"""The tables of task.toml: Harbor's, by its documentation of schema 1.4, and Bridle's own beside them.

What a table does not know is kept in `model_extra`, and told by who reads it. Seconds are seconds, sizes MiB.
"""

from __future__ import annotations

import datetime
import posixpath
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from agent.autonomy.levels import Level, parse_level
from sandboxes.network.rules import HostRule, Network, parse_rule
from tasks.format.source import Source
from tools.protocol import Effect

_ID = re.compile(r"[^:\s/\[][^:\s\[]*\.py(?:::[^:\s\[\]]+)+(?:\[.*)?", re.DOTALL)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([kmgt]?)i?b?", re.IGNORECASE)
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_STEP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_FACTOR = {"": 1 / (1 << 20), "k": 1 / 1024, "m": 1.0, "g": 1024.0, "t": 1024.0 * 1024.0}

Difficulty = Literal["easy", "medium", "hard"]
Split = Literal["public", "private"]
NetworkMode = Literal["public", "no-network", "allowlist"]
Phase = Literal["agent", "verifier"]
User = str | int | None
Seconds = Annotated[float, Field(gt=0)]


class Table(BaseModel):
    """A table of task.toml: what it does not know is kept in `model_extra`."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


class NetworkTable(Table):
    """The fields that say which network one phase, or the whole task, has."""

    network_mode: NetworkMode | None = None
    allowed_hosts: tuple[str, ...] = ()

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            parse_rule(each)
        return value

    @model_validator(mode="after")
    def _together(self) -> NetworkTable:
        if self.allowed_hosts and self.network_mode not in (None, "allowlist"):
            raise ValueError("allowed_hosts goes with network_mode = 'allowlist' only")
        return self

    @property
    def mode(self) -> NetworkMode | None:
        """The mode, which a list of hosts implies."""
        return "allowlist" if self.allowed_hosts else self.network_mode

    @property
    def network(self) -> Network | None:
        """The network in Bridle's terms; None where the table says nothing."""
        if self.mode is None:
            return None
        if self.mode == "allowlist":
            rules: tuple[HostRule, ...] = tuple(map(parse_rule, self.allowed_hosts))
            return Network("allowlist", rules)
        return Network("full" if self.mode == "public" else "none")


class VerifierTable(NetworkTable):
    """`[verifier]`: seconds that the tests may take, and variables for test.sh."""

    timeout_sec: Seconds = 600.0
    env: dict[str, str] = Field(default_factory=dict)
    user: User = None


class AgentTable(NetworkTable):
    """`[agent]`: seconds that an attempt may take."""

    timeout_sec: Seconds = 600.0
    user: User = None


class SolutionTable(Table):
    """`[solution]`: variables for solve.sh."""

    env: dict[str, str] = Field(default_factory=dict)


class Healthcheck(Table):
    """`healthcheck`: a shell command that has to succeed before work begins.

    It is tried every `interval_sec`, and `retries` failures end the matter; those of the first `start_period_sec`,
    tried every `start_interval_sec`, do not count.
    """

    command: str
    interval_sec: float = Field(default=5.0, ge=0)
    timeout_sec: Seconds = 30.0
    start_period_sec: float = Field(default=0.0, ge=0)
    start_interval_sec: float = Field(default=5.0, ge=0)
    retries: int = Field(default=3, ge=1)


def _megabytes(value: Any) -> Any:
    """The MiB that an older task writes as text, such as 2G."""
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value.strip())
    if found is None:
        raise ValueError(f"{value!r} is no size: write 512M or 2G")
    return int(float(found[1]) * _FACTOR[found[2].lower()])


class EnvironmentTable(NetworkTable):
    """`[environment]`: the image, and what a sandbox of it may use."""

    build_timeout_sec: Seconds = 600.0
    docker_image: str | None = None
    workdir: str | None = None
    cpus: float = Field(default=1.0, gt=0, le=256)
    memory_mb: int = Field(default=2048, ge=64)
    storage_mb: int = Field(default=10240, ge=16)
    memory: Annotated[int | None, BeforeValidator(_megabytes)] = Field(default=None, ge=64)
    storage: Annotated[int | None, BeforeValidator(_megabytes)] = Field(default=None, ge=16)
    os: str = "linux"
    allow_internet: bool | None = None
    env: dict[str, str] = Field(default_factory=dict)
    healthcheck: Healthcheck | None = None

    @field_validator("workdir")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        if value is not None:
            _check_absolute(value)
        return value

    @property
    def memory_bytes(self) -> int:
        """What a sandbox may use, in bytes."""
        return (self.memory_mb if self.memory is None else self.memory) << 20

    @property
    def storage_bytes(self) -> int:
        """What the files of a sandbox may come to, in bytes."""
        return (self.storage_mb if self.storage is None else self.storage) << 20


class StepAgent(NetworkTable):
    """`[steps.agent]`: what is not said is as in `[agent]`."""

    timeout_sec: Seconds | None = None
    user: User = None


class StepVerifier(NetworkTable):
    """`[steps.verifier]`: what is not said is as in `[verifier]`."""

    timeout_sec: Seconds | None = None
    env: dict[str, str] = Field(default_factory=dict)
    user: User = None


class Step(Table):
    """`[[steps]]`: one step, whose instruction, tests and solution are in steps/NAME.

    With `min_reward`, a number for `reward` or one for each key, the steps after it are only made when it is met.
    """

    name: str
    agent: StepAgent = StepAgent()
    verifier: StepVerifier = StepVerifier()
    min_reward: float | dict[str, float] | None = None
    healthcheck: Healthcheck | None = None

    @field_validator("name")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not _STEP.fullmatch(value):
            raise ValueError(f"{value!r} is no name of a folder: use letters, digits, `.`, `_` and `-`")
        return value


class Forbidden(Table):
    """`[bridle.forbidden]`: what makes an attempt a failure, whatever the tests say.

    `effects` of calls that the gate let through; `paths` (patterns) that the delivery changes; `text` that turns
    up in what was called or delivered.
    """

    effects: tuple[Effect, ...] = ()
    paths: tuple[str, ...] = ()
    text: tuple[str, ...] = ()


class BridleTable(Table):
    """`[bridle]`: what Harbor has no field for.

    With `expected`, pytest ids below tests/, Bridle runs pytest itself and judges the ids on the host;
    `regression` are those of them that passed before, too. With `tests = "workspace"` the ids are of tests that
    lie in the workspace, run with its own configuration; tests/test.patch, where there is one, is applied
    before. `protected` paths are taken from the task like tests and their configuration always are, `editable`
    ones are not. `locations` are the files that a solution has to change. `needs` are programs that the sandbox
    has to have: without one, an attempt is not scored. A `private` task is for the last measurement, not for
    working on an agent. `paths` are folders outside the workspace that are the agent's to write, and whose
    changes are graded, too. Of several rewards `reward` names the one that decides, and `pass_reward` is how
    much of it is a pass. With `source`, the task's files come from a package index. `verify` is a command of the
    workspace that a session is told: it fails before, and passes when the work is done.
    A made task names the one that it is a twin or a variant of.
    """

    category: str = "other"
    difficulty: Difficulty = "medium"
    split: Split = "public"
    date: datetime.date | None = None
    source: Source | None = None
    autonomy: Level | None = None
    verify: str | None = None
    expected: tuple[str, ...] = ()
    regression: tuple[str, ...] = ()
    tests: Literal["folder", "workspace"] = "folder"
    protected: tuple[str, ...] = ()
    editable: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    reward: str | None = None
    pass_reward: float = 1.0
    twin_of: str | None = None
    variant_of: str | None = None
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
            if not is_pytest_id(each):
                raise ValueError(f"{each!r} is no pytest id, such as test_it.py::test_one")
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

    @field_validator("paths")
    @classmethod
    def _absolute(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            _check_absolute(each)
        return value

    @field_validator("files")
    @classmethod
    def _inside(cls, value: str) -> str:
        if value.startswith("/") or ".." in value.split("/"):
            raise ValueError("it has to be a folder inside the task")
        return value


class TaskFile(Table):
    """The whole of task.toml."""

    schema_version: str | None = None
    version: str | None = None
    task: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)
    verifier: VerifierTable = VerifierTable()
    agent: AgentTable = AgentTable()
    environment: EnvironmentTable = EnvironmentTable()
    solution: SolutionTable = SolutionTable()
    steps: tuple[Step, ...] = ()
    multi_step_reward_strategy: Literal["mean", "final"] = "mean"
    bridle: BridleTable = BridleTable()

    def network(self, phase: Phase) -> Network | None:
        """The network that a phase asks for; None where nothing is said, which in Harbor means all of it."""
        own = self.agent.network if phase == "agent" else self.verifier.network
        whole = self.environment.network
        if own is not None or whole is not None or self.environment.allow_internet is None:
            return own if own is not None else whole
        return Network("full" if self.environment.allow_internet else "none")


def is_pytest_id(text: str) -> bool:
    """Whether `text` is a pytest id: a file below the folder of tests, classes, a test, its parameters."""
    return _ID.fullmatch(text) is not None and ".." not in text.split("::")[0].split("/")


def _check_absolute(path: str) -> None:
    if not path.startswith("/") or posixpath.normpath(path) != path or "\0" in path or path.startswith("//"):
        raise ValueError(f"{path!r} is no absolute path in plain form, such as /app")
