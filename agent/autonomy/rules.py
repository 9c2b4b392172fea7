"""Rules: what is allowed, asked about or refused whatever the table of levels says.

A rule has conditions, all of which have to hold: on the tool, its arguments, its effects, paths, hosts, and
commands. Where it speaks of paths, hosts, effects and commands, it is held against each part of a call
(`calls.py`):

* `deny` and `ask` need one part that fits; one that may fit, as far as can be told, is asked about.
* `allow` needs every part to be allowed, by this rule or another, or by the table alone.

`deny` goes before `ask`, `ask` before `allow`, `allow` before the table, in whatever order they are written. An
allow rule turns a question into a yes; what a level refuses stays refused.

Threat model: the call is the model's and is made to pass; the rules may be a hostile repository's, which is why
only what tightens counts of those (`trust.py`). Everything here is a pure function, and every doubt counts
against the call.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from agent.autonomy.calls import Call, Part, Place
from agent.autonomy.commands.shapes import Certainty, Shape, covers, mentions, parse_shape, resembles
from agent.autonomy.places import Places
from agent.autonomy.visible import visible
from sandboxes.network.rules import HostRule, parse_rule
from tools.protocol import Effect, Effects

Kind = Literal["deny", "ask", "allow"]
KINDS: tuple[Kind, ...] = ("deny", "ask", "allow")
"""Strictest first."""

Scalar = str | int | float | bool
MAX_TEXTS = 200
MAX_TEXT = 2000


class Example(BaseModel):
    """A call of a tool, as an example; one of the shell may be written as its command alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tool: str
    arguments: dict[str, Any] = {}

    def __str__(self) -> str:
        return str(self.arguments.get("command")) if self.tool == "shell" else f"{self.tool} {self.arguments}"


class Rule(BaseModel):
    """One rule. Every condition is a list (one value may stand alone), and holds if one entry of it does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("", max_length=80)
    tool: tuple[str, ...] = ()
    """Names of tools; `*` and `?` as in file names."""
    arguments: dict[str, tuple[Scalar, ...]] = {}
    """Values of arguments; texts with `*` and `?` as in file names."""
    effects: tuple[Effect, ...] = ()
    paths: tuple[str, ...] = ()
    """Patterns as in .gitignore, from the workspace's root; those that begin with // from the sandbox's root."""
    hosts: tuple[str, ...] = ()
    directory: tuple[str, ...] = ()
    """Directories that the call is made in, each by its whole path in the sandbox."""
    commands: tuple[str, ...] = ()
    """Shapes of commands, see commands/shapes.py."""
    installs: bool = False
    """Whether it is about what installs packages, see tools/data/installs.toml."""
    reason: str = Field("", max_length=500)
    """Shown to the model and the person."""
    match: tuple[Example, ...] = ()
    not_match: tuple[Example, ...] = ()

    @field_validator(
        "tool", "effects", "paths", "hosts", "directory", "commands", "match", "not_match", mode="before"
    )
    @classmethod
    def _one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str | dict) else value

    @field_validator("match", "not_match", mode="before")
    @classmethod
    def _command(cls, value: Any) -> Any:
        values = value if isinstance(value, list | tuple) else [value]
        return [{"tool": "shell", "arguments": {"command": v}} if isinstance(v, str) else v for v in values]

    @field_validator("arguments", mode="before")
    @classmethod
    def _values(cls, value: Any) -> Any:
        return (
            {k: v if isinstance(v, list | tuple) else [v] for k, v in value.items()}
            if isinstance(value, dict)
            else value
        )

    @field_validator("paths", "hosts", "directory", "commands", "tool")
    @classmethod
    def _bounded(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if len(values) > MAX_TEXTS or any(not value.strip() or len(value) > MAX_TEXT for value in values):
            raise ValueError(f"up to {MAX_TEXTS} texts of 1 to {MAX_TEXT} characters each")
        return values

    @field_validator("commands")
    @classmethod
    def _shaped(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            parse_shape(value)
        return values

    @field_validator("hosts")
    @classmethod
    def _named(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            parse_rule(value)
        return values

    @field_validator("paths")
    @classmethod
    def _patterns(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        Places(values)
        return values

    @field_validator("name", "reason")
    @classmethod
    def _plain(cls, value: str) -> str:
        if visible(value) != value or "\n" in value or "\t" in value:
            raise ValueError("it has to be one line without control characters or hidden ones")
        return value

    @model_validator(mode="after")
    def _about_something(self) -> Rule:
        about = (self.tool, self.arguments, self.effects, self.paths, self.hosts, self.directory, self.commands)
        if not any(about) and not self.installs:
            raise ValueError(
                "say what it is about: tool, arguments, effects, paths, hosts, directory, commands or installs"
            )
        return self

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The commands, taken apart."""
        return tuple(map(parse_shape, self.commands))

    @cached_property
    def host_rules(self) -> tuple[HostRule, ...]:
        """The hosts, taken apart."""
        return tuple(map(parse_rule, self.hosts))

    @cached_property
    def places(self) -> Places:
        """The paths, taken apart."""
        return Places(self.paths)

    @property
    def only_effects(self) -> Effects:
        """The effects, if it is about nothing but them."""
        other = (
            self.tool
            or self.arguments
            or self.paths
            or self.hosts
            or self.directory
            or self.commands
            or self.installs
        )
        return frozenset() if other else frozenset(self.effects)

    @property
    def only_hosts(self) -> tuple[HostRule, ...]:
        """The hosts, if it is about whatever reaches them."""
        more_effects = set(self.effects) - {Effect.NETWORK}
        other = self.tool or self.arguments or self.paths or self.commands or self.installs or more_effects
        return () if other else self.host_rules

    def words(self) -> str:
        """The conditions in words."""
        parts = {
            "tool": self.tool,
            "effects": self.effects,
            "paths": self.paths,
            "hosts": self.hosts,
            "directory": self.directory,
            "commands": self.commands,
        }
        said = [f"{name} {', '.join(values)}" for name, values in parts.items() if values]
        said += [f"{name} = {' or '.join(map(str, values))}" for name, values in self.arguments.items()]
        said += ["whatever installs packages"] if self.installs else []
        return visible("; ".join(said))


@dataclass(frozen=True)
class Placed:
    """A rule, its kind, and where it stands: the `number`th of its kind in `file`, from 1."""

    kind: Kind
    rule: Rule
    file: str
    number: int

    @property
    def label(self) -> str:
        """`deny rule 2 (no-push) of bridle.toml`."""
        name = f" ({self.rule.name})" if self.rule.name else ""
        return f"{self.kind} rule {self.number}{name} of {self.file}"

    @property
    def why(self) -> str:
        """The label and the reason it gives."""
        return f"{self.label}: {self.rule.reason or self.rule.words()}"


@dataclass(frozen=True, slots=True)
class Said:
    """What rules say to a call: nothing, or a kind and the rules that decided, or allow its parts.

    `doubt`: a rule that refuses may fit, as far as can be told.
    """

    kind: Kind | None
    rules: tuple[Placed, ...] = ()
    doubt: bool = False


def consult(rules: Iterable[Placed], call: Call, allowed: Effects) -> Said:
    """What the rules say. `allowed` are the effects that the level allows without asking. The order means
    nothing.
    """
    ordered = sorted(rules, key=lambda placed: (placed.file, placed.number, KINDS.index(placed.kind)))
    fits = {kind: [(p, fit(p.rule, call)) for p in ordered if p.kind == kind] for kind in ("deny", "ask")}
    if denying := tuple(placed for placed, sure in fits["deny"] if sure is Certainty.YES):
        return Said("deny", denying)
    doubtful = tuple(placed for placed, sure in fits["deny"] if sure is Certainty.MAYBE)
    if asking := (*doubtful, *(placed for placed, sure in fits["ask"] if sure is not Certainty.NO)):
        return Said("ask", asking, doubt=bool(doubtful))
    used = allowing([placed for placed in ordered if placed.kind == "allow"], call, allowed)
    return Said("allow", used) if used else Said(None)


def fit(rule: Rule, call: Call) -> Certainty:
    """Is the call one that a deny or ask rule is about?"""
    if not _tool_fits(rule, call):
        return Certainty.NO
    named = [_part_fits(rule, part) for part in call.besides] if rule.commands and not rule.effects else []
    sure = max([*(_part_fits(rule, part) for part in call.parts), *named])
    return min(sure, _INSTALLS[call.installs]) if rule.installs else sure


_INSTALLS = {True: Certainty.YES, None: Certainty.MAYBE, False: Certainty.NO}


def allows(rule: Rule, call: Call, part: Part) -> bool:
    """Does an allow rule cover this part of a call, wholly and for certain?"""
    if (
        rule.installs
        or not _tool_fits(rule, call)
        or (rule.effects and not part.effects <= frozenset(rule.effects))
    ):
        return False
    if rule.commands and not (
        part.command is not None and any(covers(shape, part.command, moved=part.moved) for shape in rule.shapes)
    ):
        return False
    if rule.paths and (part.open or not part.places or not all(map(rule.places.holds, part.places))):
        return False
    return not rule.hosts or (
        not part.open and bool(part.hosts) and all(_host_fits(rule.host_rules, host) for host in part.hosts)
    )


def allowing(rules: Sequence[Placed], call: Call, allowed: Effects) -> tuple[Placed, ...]:
    """The allow rules that cover the call, where each part is covered by one or has only `allowed` effects.

    Nothing if a part is left over, or no rule is needed.
    """
    used: dict[str, Placed] = {}
    for part in call.parts:
        found = next((placed for placed in rules if allows(placed.rule, call, part)), None)
        if found is not None:
            used[found.label] = found
        elif not part.effects <= allowed or _only_sets(part):
            return ()
    return tuple(used.values())


def _only_sets(part: Part) -> bool:
    """Is it an assignment by itself? It changes what the rest of the line means."""
    return part.command is not None and not part.command.words


def _tool_fits(rule: Rule, call: Call) -> bool:
    if rule.tool and not any(fnmatchcase(call.tool, pattern) for pattern in rule.tool):
        return False
    if rule.directory and call.cwd not in rule.directory:
        return False
    return all(
        name in call.arguments and any(_equal(call.arguments[name], value) for value in values)
        for name, values in rule.arguments.items()
    )


def _equal(given: Any, wanted: Scalar) -> bool:
    if isinstance(given, list):
        return any(_equal(item, wanted) for item in given)
    if isinstance(given, str) and isinstance(wanted, str):
        return fnmatchcase(given, wanted)
    if isinstance(given, bool) or isinstance(wanted, bool):
        return given is wanted
    return bool(given == wanted)


def _part_fits(rule: Rule, part: Part) -> Certainty:
    """The least certain of the conditions."""
    sure = Certainty.YES
    if rule.effects and not part.effects & frozenset(rule.effects):
        return Certainty.NO
    if rule.commands:
        sure = max(_command_fits(shape, part) for shape in rule.shapes)
    if rule.paths and sure is not Certainty.NO:
        destroys = Effect.DESTROY in part.effects
        places = [place for place in part.places if _counts(rule, place)]
        named = max((rule.places.fits(place, destroys=destroys) for place in places), default=Certainty.NO)
        sure = min(sure, max(named, _unsaid(part)))
    if rule.hosts and sure is not Certainty.NO:
        named = Certainty.YES if any(_host_fits(rule.host_rules, host) for host in part.hosts) else Certainty.NO
        open_ = Effect.NETWORK in part.effects and (part.open or not part.hosts)
        sure = min(sure, max(named, Certainty.MAYBE if open_ else Certainty.NO))
    return sure


def _command_fits(shape: Shape, part: Part) -> Certainty:
    if part.command is None:
        return Certainty.NO
    found = resembles(shape, part.command)
    if found is Certainty.NO and Effect.RUN in part.effects and mentions(shape, part.command):
        return Certainty.MAYBE
    return found


def _counts(rule: Rule, place: Place) -> bool:
    """Is it a path that the rule may be about, for what is done to it?

    Everything but a few folders is meant where a pattern has exceptions: then a word has to be a path for certain.
    """
    if place.role == "none" or (place.role == "unknown" and rule.places.excepts):
        return False
    return place.role != "read" or not rule.effects or Effect.READ in rule.effects


def _unsaid(part: Part) -> Certainty:
    """May it touch a path that it does not name? Reading alone hides nothing that could be told from a path."""
    return Certainty.MAYBE if part.open and part.effects - {Effect.READ} else Certainty.NO


def _host_fits(rules: Sequence[HostRule], host: str) -> bool:
    return any(rule.matches(host, port) for rule in rules for port in rule.ports)


def tightening(rules: Iterable[Placed]) -> tuple[Placed, ...]:
    """Those that can only make a verdict stricter."""
    return tuple(placed for placed in rules if placed.kind != "allow")
