"""The table of commands, `tools/data/commands/*.toml`: what each could do, its options and its operands.

Threat model: a row allows no more than it says. An option that is not in it makes the command an unknown one that
runs; an abbreviated long option counts as every option that it could be short for.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache, cached_property
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tools.protocol import Effect

OptionKind = Literal["flag", "value", "read", "write", "delete", "program", "folder"]
"""flag: no value. value: one that means nothing here. The others say what the value is: a place that is read,
written, deleted or worked in, or a command line.
"""

_KINDS: dict[str, OptionKind] = {
    "flags": "flag",
    "optional": "value",
    "values": "value",
    "reads": "read",
    "writes": "write",
    "deletes": "delete",
    "programs": "program",
    "folders": "folder",
}
OperandKind = Literal["text", "read", "write", "delete", "none", "url", "program"]


class Row(BaseModel):
    """What one command (or sub-command) could do.

    Lists of options are strings with blanks between them. `optional`: those whose value is only ever attached, so
    that the next word is none of theirs, whatever else they are listed as. `any`: no option of it writes, runs or
    reaches anything, so those that are not listed are harmless. `operands` says what each operand is, by position;
    `..` after one means any number of it. `pattern` is what an operand has to match for the row to hold. `stops`:
    options end at the first operand. `single`: long options have one dash. `wraps`: after `skip` operands comes a
    command. `special` names the function for a command with a language of its own. `reason` is for people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    source: str = Field(
        min_length=3, description="Where it is specified: POSIX, GNU manual, man page and section."
    )
    effects: frozenset[Effect] = frozenset({Effect.READ})
    reason: str = ""
    any: bool = False
    flags: str = ""
    values: str = ""
    optional: str = ""
    reads: str = ""
    writes: str = ""
    deletes: str = ""
    programs: str = ""
    folders: str = ""
    grants: dict[str, frozenset[Effect]] = {}
    operands: str = "text.."
    pattern: str = ""
    stops: bool = False
    single: bool = False
    wraps: bool = False
    skip: int = Field(0, ge=0)
    special: str = ""
    sub: tuple[Row, ...] = ()

    @field_validator("operands")
    @classmethod
    def _operands(cls, operands: str) -> str:
        for kind in operands.split():
            if kind.removesuffix("..") not in OperandKind.__args__:  # type: ignore[attr-defined]
                raise ValueError(f"no such kind of operand: {kind}")
        return operands

    @property
    def names(self) -> list[str]:
        """All names it goes by."""
        return self.name.split()

    @cached_property
    def options(self) -> dict[str, OptionKind]:
        """Every option in the row, and what follows it."""
        listed = {name: kind for key, kind in _KINDS.items() for name in getattr(self, key).split()}
        return {name: listed.get(name, "flag") for names in self.grants for name in names.split()} | listed

    @cached_property
    def _attached(self) -> frozenset[str]:
        return frozenset(self.optional.split())

    def takes(self, option: str) -> bool:
        """Is the word behind this option its value?"""
        return self.options.get(option, "flag") != "flag" and option not in self._attached

    @cached_property
    def granted(self) -> dict[str, frozenset[Effect]]:
        """What an option adds to the effects."""
        return {name: effects for names, effects in self.grants.items() for name in names.split()}

    @cached_property
    def worst(self) -> frozenset[Effect]:
        """What an option that nobody can read could add."""
        effects = set[Effect]().union(*self.grants.values())
        if "write" in self.options.values() or "delete" in self.options.values():
            effects |= {Effect.WRITE, Effect.OUTSIDE}
        if not self.any or "program" in self.options.values():
            effects.add(Effect.RUN)
        return frozenset(effects)

    def matching(self, option: str) -> list[str]:
        """The options in the row that `option` is or, being long, is short for."""
        if option in self.options:
            return [option]
        if not option.startswith("--"):
            return []
        return [name for name in self.options if name.startswith(option)]

    def subs(self, name: str | None) -> list[Row]:
        """The sub-commands of that name; all of them when it is not known."""
        return [row for row in self.sub if name is None or name in row.names]


class Table(BaseModel):
    """All of it. `environment` are the variables that change nothing about what a command does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: str = ""
    command: tuple[Row, ...]

    @cached_property
    def rows(self) -> dict[str, Row]:
        """By name. Raises ValueError for a name with two rows."""
        found: dict[str, Row] = {}
        for row in self.command:
            for name in row.names:
                if name in found:
                    raise ValueError(f"two rows for {name} in the table of commands")
                found[name] = row
        return found

    def row(self, name: str) -> Row | None:
        """The row of a command, `python3.12` being a `python`."""
        return self.rows.get(name) or self.rows.get(re.sub(r"[-.]?\d+(\.\d+)*$", "", name))

    @cached_property
    def harmless(self) -> re.Pattern[str]:
        """Matches the names in `environment`."""
        return re.compile("|".join(name.replace("*", r"\w*") for name in self.environment.split()))


@cache
def table() -> Table:
    """The table that comes with Bridle, read once."""
    environment, rows = "", list[Row]()
    for file in sorted(files("tools").joinpath("data", "commands").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            part = Table.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
            environment += " " + part.environment
            rows += part.command
    return Table(environment=environment.strip(), command=tuple(rows))
