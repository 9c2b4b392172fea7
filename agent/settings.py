"""Settings: command line over environment over the user's file; the repository's file can only tighten.

The user's file is `config.toml` in the user's configuration folder (BRIDLE_CONFIG names another). A repository
may carry `bridle.toml` with the keys of RepositorySettings.

Threat model: `bridle.toml` comes with the repository and may be hostile. It is parsed, never run; its limits can
only lower the user's; its verify command and its image are used inside the sandbox only, and an image it names
is never fetched.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from agent.autonomy.levels import DEFAULT_LEVEL, Level, parse_level
from agent.budgets import Budgets
from agent.outcomes import UsageProblem

Strategy = Literal["loop", "repair"]


class Settings(BaseSettings):
    """Everything that can be set about a session. Each field is also an environment variable, BRIDLE_NAME."""

    model_config = SettingsConfigDict(env_prefix="BRIDLE_", extra="forbid", frozen=True)

    model: str | None = None
    """`local`, `replay:FILE`, or the name of a model at the service."""
    base_url: str | None = None
    """The service, when it is not OpenAI's (OPENAI_BASE_URL works too)."""
    autonomy: Level = DEFAULT_LEVEL
    """The level, by number or name."""
    image: str | None = None
    """`host`, or an image that the engine has; by default the repository's choice, else `host`."""
    strategy: Strategy | None = None
    """`loop` or `repair`; by default what the model's profile says."""
    verify: str | None = None
    """The command that must pass."""
    verify_timeout: float = Field(default=600.0, gt=0)
    """Seconds the verify command may take."""
    price: str | None = None
    """US dollars for a million tokens: IN/OUT or IN/CACHED/OUT."""
    history: bool = False
    """Give the sandbox the repository's history instead of a single commit."""
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

        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, user_file())


class RepositorySettings(BaseModel):
    """What a repository may say about itself in `bridle.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verify: str | None = None
    image: str | None = None
    autonomy: Level | None = None
    max_steps: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_cost: float | None = Field(default=None, ge=0)
    max_time: float | None = Field(default=None, gt=0)

    @field_validator("autonomy", mode="before")
    @classmethod
    def _level(cls, value: Any) -> Any:
        return parse_level(value) if isinstance(value, str) else value


def user_file() -> Path:
    """The user's own configuration file; it need not exist."""
    if named := os.environ.get("BRIDLE_CONFIG"):
        return Path(named).expanduser()
    from platformdirs import user_config_path

    return user_config_path("bridle") / "config.toml"


def load(given: dict[str, Any]) -> Settings:
    """The settings, `given` being what the command line named. Raises UsageProblem."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise UsageProblem(f"a setting is wrong: {_first(error)}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageProblem(f"{user_file()} is not TOML: {error}") from error


def tighten(settings: Settings, repository: Path) -> Settings:
    """The settings after the repository's own `bridle.toml`, which can fill gaps and lower limits only."""
    path = repository / "bridle.toml"
    if path.is_symlink() or not path.is_file():
        return settings
    try:
        said = RepositorySettings.model_validate(tomllib.loads(path.read_text("utf-8")))
    except ValidationError as error:
        raise UsageProblem(f"bridle.toml of the repository is wrong: {_first(error)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageProblem(f"bridle.toml of the repository is not TOML: {error}") from error
    limits = {name: getattr(said, name) for name in Budgets.model_fields}
    budgets = settings.budgets.tightened(Budgets(**limits))
    return settings.model_copy(
        update={
            **budgets.model_dump(),
            "autonomy": settings.autonomy if said.autonomy is None else min(settings.autonomy, said.autonomy),
            "verify": settings.verify or said.verify,
            "image": settings.image or said.image,
        }
    )


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    name = ".".join(str(part) for part in problem["loc"])
    return f"{name}: {problem['msg']}" if name else str(problem["msg"])
