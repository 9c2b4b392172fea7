"""Settings: command line over environment over the user's file; the repository's file can only tighten.

The user's file is `config.toml` in the user's configuration folder (BRIDLE_CONFIG names another). A repository
may carry `bridle.toml` with the keys of RepositorySettings.

Threat model: `bridle.toml` comes with the repository and may be hostile. It is read only when it is a small
regular file, so that no link, pipe or device can hang or feed the reader; it is parsed, never run; its limits can
only lower the user's. What it suggests (`verify`, `image`) is kept apart from what the user set, and is one line
without characters that act or hide, so that it can be shown to a person as it is.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from agent.autonomy.levels import DEFAULT_LEVEL, Level, parse_level
from agent.autonomy.rules import KINDS
from agent.autonomy.visible import visible
from agent.budgets import Budgets
from agent.outcomes import UsageProblem
from agent.secrets import InjectSetting, checked_sources
from sandboxes.network.rules import Network, NetworkMode, parse_rule
from sandboxes.select import BackendChoice

Strategy = Literal["loop", "repair"]
OnAsk = Literal["ask", "deny", "stop", "wait"]

_RUNTIME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
MAX_REPOSITORY_FILE = 64 << 10
"""Bytes of a `bridle.toml`."""
MAX_LIMIT = 10**12
"""More steps or tokens than any session has, and still a number that every reader of a journal takes."""


class Settings(BaseSettings):
    """Everything that can be set about a session. Each field is also an environment variable, BRIDLE_NAME."""

    model_config = SettingsConfigDict(env_prefix="BRIDLE_", extra="forbid", frozen=True)

    model: str | None = None
    """`local`, `replay:FILE`, or the name of a model at the service."""
    base_url: str | None = None
    """The service, when it is not OpenAI's (OPENAI_BASE_URL works too)."""
    autonomy: Level = DEFAULT_LEVEL
    """The level, by number or name."""
    backend: BackendChoice = "auto"
    """`docker`, `bubblewrap`, or `auto`: Docker where an engine answers, else bubblewrap."""
    runtime: str | None = None
    """The OCI runtime of Docker's containers, such as `runsc`; by default the engine's own choice."""
    on_ask: OnAsk | None = None
    """What becomes of a question: `ask` at the terminal, and deny without one (the default); or `deny`, `stop`,
    `wait`."""
    approval_timeout: float | None = Field(default=None, gt=0)
    """Seconds until a question that nobody answers is denied; see docs/settings.md for what holds without."""
    policy: str | None = None
    """A file of answers to what would be asked."""
    approver_cmd: str | None = None
    """A program that answers what would be asked."""
    judge: str | None = None
    """A model that reviews what is asked, by name."""
    image: str | None = None
    """`host`, or an image that the engine has; by default the repository's choice, else `host`."""
    strategy: Strategy | None = None
    """`loop` or `repair`; by default what the model's profile says."""
    network: NetworkMode | None = None
    """`none`, `allowlist` (the hosts of `allow_hosts`) or `full`; by default `allowlist` where hosts are given."""
    allow_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts that commands may reach: `example.org`, `example.org:8443`, `*.example.org`."""
    secrets: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict)
    """Names of secrets, and where the value of each is: `env:VARIABLE` or `file:PATH`."""
    inject: Annotated[tuple[InjectSetting, ...], NoDecode] = ()
    """Headers with secrets for hosts of the list: `HOST:HEADER=VALUE`, `{NAME}` where the secret belongs."""
    verify: str | None = None
    """The command that must pass."""
    verify_timeout: float = Field(default=600.0, gt=0)
    """Seconds the verify command may take."""
    price: str | None = None
    """US dollars for a million tokens: IN/OUT or IN/CACHED/OUT."""
    history: bool = False
    """Give the sandbox the repository's history instead of a single commit."""
    tokens: bool = False
    """Ask the service for token ids and log probabilities, and journal them: training wants them."""
    max_steps: int | None = Field(default=100, ge=1)
    """Model turns."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Tokens, input and output together."""
    max_cost: float | None = Field(default=None, ge=0)
    """US dollars."""
    max_time: float | None = Field(default=None, gt=0)
    """Seconds, not counting what a person takes to answer."""

    @field_validator("autonomy", mode="before")
    @classmethod
    def _level(cls, value: Any) -> Any:
        return parse_level(value) if isinstance(value, str) else value

    @field_validator("runtime")
    @classmethod
    def _runtime(cls, value: str | None) -> str | None:
        if value is not None and not _RUNTIME.fullmatch(value):
            raise ValueError("it has to be a runtime's name, such as runsc")
        return value

    @field_validator("policy")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        return None if value is None else str(Path(value).expanduser().absolute())

    @field_validator("allow_hosts", mode="before")
    @classmethod
    def _hosts(cls, value: Any) -> Any:
        hosts = value.replace(",", " ").split() if isinstance(value, str) else value
        if isinstance(hosts, list | tuple):
            for host in hosts:
                parse_rule(str(host))
        return hosts

    @field_validator("secrets", mode="before")
    @classmethod
    def _sources(cls, value: Any) -> Any:
        return checked_sources(value)

    @field_validator("inject", mode="before")
    @classmethod
    def _headers(cls, value: Any) -> Any:
        return [line for line in value.splitlines() if line.strip()] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fit(self) -> Self:
        rules = tuple(map(parse_rule, self.allow_hosts))
        for each in self.inject:
            missing = [name for name in each.secrets if name not in self.secrets]
            if missing:
                raise ValueError(
                    f"inject names the secret {missing[0]}, which is not there: add --secret {missing[0]}"
                )
            to = each.injection()
            if self.network == "full" or not any(rule.matches(to.host, to.port) for rule in rules):
                raise ValueError(
                    f"a secret is put into requests to listed hosts only, and {each.host} is not listed: add "
                    f"--allow-host {each.host}" + (" and leave --network out" if self.network == "full" else "")
                )
        return self

    @property
    def reach(self) -> Network:
        """What the sandbox can reach."""
        mode = self.network or ("allowlist" if self.allow_hosts else "none")
        return Network(mode, tuple(map(parse_rule, self.allow_hosts)) if mode == "allowlist" else ())

    @property
    def budgets(self) -> Budgets:
        """The limits together."""
        return Budgets(
            max_steps=self.max_steps, max_tokens=self.max_tokens, max_cost=self.max_cost, max_time=self.max_time
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, environment, the user's file: no .env file of a repository is ever read."""
        from pydantic_settings import TomlConfigSettingsSource

        source = TomlConfigSettingsSource(settings_cls, user_file())
        # Rules are no setting: agent/autonomy/rulebook.py reads them, anew for each run.
        source.init_kwargs = {name: value for name, value in source.init_kwargs.items() if name not in KINDS}
        return init_settings, env_settings, source


class RepositorySettings(BaseModel):
    """What a repository may say about itself in `bridle.toml`: suggestions, and limits on what is done in it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    verify: str | None = None
    image: str | None = None
    network: Literal["none"] | None = None
    autonomy: Level | None = None
    max_steps: int | None = Field(default=None, ge=1, le=MAX_LIMIT)
    max_tokens: int | None = Field(default=None, ge=1, le=MAX_LIMIT)
    max_cost: float | None = Field(default=None, ge=0)
    max_time: float | None = Field(default=None, gt=0)

    @field_validator("autonomy", mode="before")
    @classmethod
    def _level(cls, value: Any) -> Any:
        return parse_level(value) if isinstance(value, str) else value

    @field_validator("verify", "image")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        if value is not None and (visible(value) != value or "\n" in value or "\t" in value):
            raise ValueError("it has to be one line without control characters or hidden ones")
        return value


def user_file() -> Path:
    """The user's own configuration file; it need not exist."""
    if named := os.environ.get("BRIDLE_CONFIG"):
        return Path(named).expanduser()
    from platformdirs import user_config_path

    return user_config_path("bridle") / "config.toml"


def load(given: dict[str, Any]) -> Settings:
    """The settings, `given` being what the command line named. Raises UsageProblem."""
    path = user_file()
    try:
        if path.is_dir():
            raise UsageProblem(f"the settings at {path} are a folder: BRIDLE_CONFIG has to name a TOML file")
        if os.environ.get("BRIDLE_CONFIG") and not path.exists():
            raise UsageProblem(f"BRIDLE_CONFIG names {path}, which does not exist")
        return Settings(**{name: value for name, value in given.items() if value not in (None, [], {})})
    except ValidationError as error:
        raise UsageProblem(f"a setting is wrong: {_first(error)}") from error
    except (ValueError, RecursionError) as error:
        raise UsageProblem(f"{path} is not TOML in UTF-8: {_brief(str(error))}") from error
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror}") from error


def tighten(settings: Settings, root: Path) -> Settings:
    """The settings with level, limits and network lowered to what the repository at `root` says.

    Raises UsageProblem.

    A cost limit of the repository's counts only where the price is known: without one there is no cost.
    """
    said = repository_settings(root)
    limits = {name: getattr(said, name) for name in Budgets.model_fields}
    if settings.price is None:
        limits["max_cost"] = None
    autonomy = settings.autonomy if said.autonomy is None else min(settings.autonomy, said.autonomy)
    budgets = settings.budgets.tightened(Budgets(**limits))
    network = settings.network if said.network is None else said.network
    return settings.model_copy(update={**budgets.model_dump(), "autonomy": autonomy, "network": network})


def repository_settings(root: Path) -> RepositorySettings:
    """What the `bridle.toml` in the repository at `root` says; nothing when there is none. Raises UsageProblem."""
    data = read_repository_file(root)
    try:
        said = tomllib.loads(data.decode("utf-8"))
        if taken := {"secrets", "inject"} & set(said):
            raise UsageProblem(
                f"bridle.toml of the repository has {' and '.join(sorted(taken))}: which secrets are given to "
                "what is yours to say, with --secret or in your own config.toml"
            )
        return RepositorySettings.model_validate({n: value for n, value in said.items() if n not in KINDS})
    except ValidationError as error:
        raise UsageProblem(f"bridle.toml of the repository is wrong: {_first(error)}") from error
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, an endless number, a deep nest
        raise UsageProblem(f"bridle.toml of the repository is not TOML in UTF-8: {_brief(str(error))}") from error


def read_repository_file(root: Path) -> bytes:
    """The bytes of the repository's `bridle.toml`, none when there is no such file. Raises UsageProblem.

    A pipe or device is not waited for, a link not followed.
    """
    try:
        descriptor = os.open(root / "bridle.toml", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    except PermissionError as error:
        raise UsageProblem("bridle.toml of the repository cannot be read: permission denied") from error
    except OSError as error:  # ELOOP for a link, ENXIO for a socket
        raise UsageProblem("bridle.toml of the repository is not a regular file") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UsageProblem("bridle.toml of the repository is not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_REPOSITORY_FILE + 1)
    finally:
        os.close(descriptor)
    if len(data) > MAX_REPOSITORY_FILE:
        raise UsageProblem(f"bridle.toml of the repository is larger than {MAX_REPOSITORY_FILE >> 10} KiB")
    return data


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    name = ".".join(str(part) for part in problem["loc"])
    words = problem["msg"].removeprefix("Value error, ")
    return _brief(f"{name[:80]}: {words}" if name else words)


def _brief(text: str) -> str:
    return text if len(text) <= 300 else text[:300] + "…"
