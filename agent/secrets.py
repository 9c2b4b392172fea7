"""Where a session's secrets come from, and which headers they go into: read from the user's settings.

Threat model: a value is read from the environment or a file of the user's, once, before a session begins. It is
never part of a command line or of settings, so that no process list, shell history or journal gets it; what is
kept and journalled is its name and where it was read. What is said about a wrong secret never holds its value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from agent.outcomes import UsageProblem
from sandboxes.network.outside import Injection
from sandboxes.network.rules import Refused, parse_rule, plain_name
from sandboxes.secrets import MAX_LENGTH, Secrets, places

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OWN_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that the proxy writes itself."""


class InjectSetting(BaseModel):
    """A header that requests to `host` get on their way out; `{NAME}` in `value` is the place of a secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    header: str
    value: str

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, raw: Any) -> Any:
        """`HOST:HEADER=TEMPLATE`, where the host may end in `:PORT`."""
        if not isinstance(raw, str):
            return raw
        place, _, value = raw.partition("=")
        host, _, header = place.rpartition(":")
        if not host or not value:
            raise ValueError("write it as HOST:HEADER=VALUE, such as api.example.org:Authorization=Bearer {TOKEN}")
        return {"host": host.strip(), "header": header.strip(), "value": value}

    @field_validator("host")
    @classmethod
    def _one_host(cls, host: str) -> str:
        name, _, port = host.partition(":")
        if "*" in host:
            raise ValueError(f"{host!r} is no single host: a secret goes to hosts that are named one by one")
        parse_rule(host)
        try:
            return f"{plain_name(name)}:{int(port)}" if port else plain_name(name)
        except Refused as error:
            raise ValueError(f"{host!r} is no host: {error}") from error

    @field_validator("header")
    @classmethod
    def _one_header(cls, header: str) -> str:
        if not _HEADER.fullmatch(header):
            raise ValueError(f"{header[:80]!r} is no header's name")
        if header.lower() in _OWN_HEADERS:
            raise ValueError(f"the header {header} belongs to the proxy and cannot be set")
        return header

    @field_validator("value")
    @classmethod
    def _template(cls, value: str) -> str:
        value = value.strip()
        if not places(value):
            raise ValueError("the header's value names no secret: write {NAME} where its value belongs")
        if not (value.isascii() and value.isprintable() and len(value) <= MAX_LENGTH):
            raise ValueError("the header's value has to be one line of plain ASCII")
        return value

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the secrets in it."""
        return places(self.value)

    def injection(self) -> Injection:
        """It as the proxy takes it."""
        name, _, port = self.host.partition(":")
        return Injection(name, self.header, self.value, int(port or 443))


def sources_from(given: Iterable[str]) -> dict[str, str]:
    """Sources by name, from what was given on the command line. Raises UsageProblem."""
    sources = {}
    for text in given:
        name, equals, source = text.partition("=")
        if equals and not source.startswith(("env:", "file:")):
            shown = name if _NAME.fullmatch(name) else "NAME"
            raise UsageProblem(
                f"the value of the secret {shown} does not belong on the command line, where the shell's history "
                "and every other user's list of processes have it: put it into an environment variable or a file, "
                f"and give --secret {shown}, {shown}=env:VARIABLE or {shown}=file:PATH"
            )
        if source.startswith("file:"):
            source = f"file:{Path(source.removeprefix('file:')).expanduser().absolute()}"
        sources[name] = source or f"env:{name}"
    return sources


def checked_sources(raw: Any) -> Any:
    """The setting `secrets` as a table of sources. Raises ValueError with a sentence that holds no value."""
    if isinstance(raw, str):
        try:
            raw = sources_from(raw.replace(",", " ").split())
        except UsageProblem as problem:
            raise ValueError(str(problem)) from None
    if not isinstance(raw, Mapping):
        return raw
    for name, source in raw.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError("a secret's name is made of letters, digits and _, as an environment variable's is")
        kind, _, place = source.partition(":") if isinstance(source, str) else ("", "", "")
        if kind not in ("env", "file") or not place:
            raise ValueError(
                f"the secret {name} has to say where its value is: env:VARIABLE or file:PATH, never the value "
                "itself"
            )
        if kind == "file" and not Path(place).expanduser().is_absolute():
            raise ValueError(f"the file of the secret {name} has to be an absolute path")
        if not place.isprintable():
            raise ValueError(
                f"where the value of the secret {name} is cannot be read: it holds control characters"
            )
    return dict(raw)


def read_secrets(sources: Mapping[str, str]) -> Secrets:
    """The values of a session's secrets. Raises UsageProblem, in one sentence without any value."""
    values = {}
    for name, source in sources.items():
        kind, _, place = source.partition(":")
        value = _from_environment(name, place) if kind == "env" else _from_file(name, Path(place).expanduser())
        if any(not char.isprintable() for char in value):
            raise UsageProblem(
                f"the secret {name} ({source}) holds a line break or another control character, which has no "
                "place in a header and cannot be masked line by line: give it on one line, in base64 for example"
            )
        if value != value.strip():
            raise UsageProblem(f"the secret {name} ({source}) begins or ends with a space: take it away")
        values[name] = value
    try:
        return Secrets(values)
    except ValueError as error:
        raise UsageProblem(str(error)) from None


def _from_environment(name: str, variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        what = "is empty" if value is not None else "is not set"
        raise UsageProblem(
            f"the secret {name} is to come from the environment variable {variable}, which {what}: export it, or "
            f"name another place with {name}=env:VARIABLE or {name}=file:PATH"
        )
    return value


def _from_file(name: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LENGTH + 3)
        return data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UsageProblem(f"the file {path} of the secret {name} is not text in UTF-8") from None
    except OSError as error:
        raise UsageProblem(
            f"the secret {name} is to come from the file {path}, which cannot be read: {error.strerror}"
        ) from error


def kept_outside(sources: Mapping[str, str], root: Path, copied: Callable[[bytes], bool]) -> None:
    """Refuse a secret's file that is `copied` into the sandbox with the repository. Raises UsageProblem."""
    for name, source in sources.items():
        kind, _, place = source.partition(":")
        path = Path(place).expanduser().resolve()
        inside = kind == "file" and path.is_relative_to(root.resolve())
        if inside and copied(os.fsencode(path.relative_to(root.resolve()).as_posix())):
            raise UsageProblem(
                f"the file {path} of the secret {name} is part of the repository, so the sandbox would hold it: "
                "keep it elsewhere, or have git ignore it"
            )


def for_commands(secrets: Secrets, injected: Iterable[InjectSetting]) -> tuple[str, ...]:
    """The secrets that commands may be given: those that go into headers never enter a sandbox."""
    kept = {name for each in injected for name in each.secrets}
    return tuple(name for name in secrets.names if name not in kept)
