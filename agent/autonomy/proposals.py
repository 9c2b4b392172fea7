"""What "always" may remember of a call: the narrowest shape first, then a few wider ones that are still narrow.

    exactly this command   →  `git add *`  →  nothing wider

Threat model: the person is asked in a hurry and the agent chose the call. So what is proposed is a short list of
programs whose arguments only say what they work on (`SUBCOMMANDS`, `PROGRAMS`): a shell, an interpreter, a wrapper
or anything that runs what its arguments name would allow everything, and is never proposed. Each proposal keeps
the effects that were approved, and is held against the call it was made from: one that does not cover it is
dropped. What could delete, reach outside, deliver or hand out a secret is remembered exactly or not at all.
"""

from __future__ import annotations

import glob
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agent.autonomy.calls import Call, Part
from agent.autonomy.commands.line import Command
from agent.autonomy.remembered import Shape
from agent.autonomy.rules import Placed, Rule, allowing
from agent.autonomy.visible import visible
from agent.autonomy.words import in_order
from sandboxes.protocol import WORKSPACE
from tools.protocol import Effect, Effects

READING = frozenset({Effect.READ})
WIDENED = frozenset({Effect.READ, Effect.WRITE, Effect.RUN, Effect.HISTORY, Effect.NETWORK})
"""What a call may at most do for a wider shape than itself to be proposed."""
MAX_TEXT = 2000
"""Characters of an argument that goes into a rule."""
MAX_WORDS = 120


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


SUBCOMMANDS: dict[str, frozenset[str]] = {
    "git": _names("add commit mv branch tag switch merge cherry-pick revert stash"),
    "cargo": _names("test check build clippy fmt doc"),
    "go": _names("test vet build fmt"),
    "npm": _names("test"),
    "dotnet": _names("test build"),
    "mix": _names("test format"),
    "swift": _names("test build"),
}
"""Programs whose first word says what they do, and the words that are proposed with anything behind."""
PROGRAMS = _names(
    """
    pytest ruff mypy pyright pylint flake8 black isort jest vitest mocha eslint prettier tsc rspec rubocop phpunit
    ctest gofmt golangci-lint rustfmt clang-format shellcheck mkdir touch cp mv
    """
)
"""Programs that are proposed with anything behind: checks, tests, formatters, and what makes files."""
CLIENTS = frozenset({"curl", "wget"})
"""Programs that are proposed together with the hosts they were given."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Something that "always" may mean. `words` completes "always allow …". `shape`: exactly this call.
    `rule`: as a rule, which alone can be kept for the repository.
    """

    words: str
    shape: Shape | None = None
    rule: Rule | None = None


def proposals(call: Call, shape: Shape) -> tuple[Proposal, ...]:
    """What can be remembered of a call, the narrowest first; `shape` is its own. Nothing for one that may deliver.
    A pure function.
    """
    if Effect.DELIVER in call.effects:
        return ()
    exact = Proposal(shape.words, shape, _covering(_exactly(call), call))
    return (exact, *_wider(call))


def covers(rule: Rule, call: Call, effects: Effects) -> bool:
    """Does a remembered rule cover a call whole, where no more than `effects` were approved?"""
    return call.effects <= effects and bool(allowing([Placed("allow", rule, "always", 1)], call, READING))


def _covering(rule: Rule | None, call: Call) -> Rule | None:
    return rule if rule is not None and covers(rule, call, call.effects) else None


def _wider(call: Call) -> Iterator[Proposal]:
    if not call.effects <= WIDENED:
        return
    made = _of_commands(call) if call.tool == "shell" else _of_folder(call)
    if made is not None and _covering(made[1], call) is not None:
        yield Proposal(made[0], None, made[1])


def _of_commands(call: Call) -> tuple[str, Rule] | None:
    """Shapes for all commands of a line that do more than read; nothing if one of them has none."""
    shapes: list[str] = []
    hosts: list[str] = []
    for part in call.parts:
        if part.effects <= READING:
            continue
        text = _shape_text(part)
        if text is None:
            return None
        shapes.append(text)
        hosts += part.hosts if Effect.NETWORK in part.effects else ()
    if not shapes:
        return None
    shapes, hosts = list(dict.fromkeys(shapes)), list(dict.fromkeys(hosts))
    try:
        rule = Rule(
            tool=("shell",), commands=tuple(shapes), hosts=tuple(hosts), effects=tuple(in_order(call.effects))
        )
    except ValueError:  # a host that no rule can name
        return None
    to = f" to {', '.join(hosts)}" if hosts else ""
    return f"{' and '.join(f'`{shape}`' for shape in shapes)}{to}", rule


def _shape_text(part: Part) -> str | None:
    """The shape of one command, or None where it has none that is narrow."""
    command = part.command
    if command is None or command.assigned or not _plain(command) or part.open:
        return None
    words = [word.text for word in command.words]
    if Effect.NETWORK in part.effects:
        return f"{words[0]} *" if words[0] in CLIENTS and part.hosts else None
    if words[0] in SUBCOMMANDS:
        known = len(words) > 1 and words[1] in SUBCOMMANDS[words[0]]
        return f"{words[0]} {words[1]} *" if known else None
    return f"{words[0]} *" if words[0] in PROGRAMS else None


def _plain(command: Command) -> bool:
    return bool(command.words) and all(word.known for word in command.words)


def _of_folder(call: Call) -> tuple[str, Rule] | None:
    """Edits below the folder of this one."""
    path = _place(call)
    if call.tool not in {"edit", "write"} or path is None or call.effects != {Effect.WRITE}:
        return None
    folder = posixpath.dirname(path)
    if not folder:
        return None
    rule = Rule(tool=("edit", "write"), paths=(f"/{folder}/",), effects=(Effect.WRITE,))
    return f"`edit` and `write` below {visible(folder)}/", rule


def _place(call: Call) -> str | None:
    """The path of an edit, relative to the workspace, if it can stand in a pattern as it is."""
    path = call.parts[0].places[0].path if call.parts and call.parts[0].places else ""
    if not path.startswith(f"{WORKSPACE}/"):
        return None
    path = path.removeprefix(f"{WORKSPACE}/")
    plain = path.isprintable() and path.strip() == path and not set(path) & set("*?[]\\!#")
    return path if plain and len(path) < MAX_TEXT else None


def _exactly(call: Call) -> Rule | None:
    """The call itself as a rule; None where a rule cannot say it."""
    effects = tuple(in_order(call.effects))
    if Effect.DELIVER in call.effects or Effect.SECRET in call.effects:
        return None
    if call.tool in {"edit", "write"}:
        path = _place(call)
        return Rule(tool=(call.tool,), paths=(f"/{path}",), effects=effects) if path is not None else None
    if call.tool not in {"shell", "git"}:
        return None
    wanted = {"git": ("action",), "shell": ("command", "background", "pty")}[call.tool]
    arguments: dict[str, Any] = {name: call.arguments.get(name) for name in wanted}
    for name, value in arguments.items():
        if not isinstance(value, str | bool) or (isinstance(value, str) and len(value) > MAX_TEXT):
            return None
        arguments[name] = glob.escape(value) if isinstance(value, str) else value
    directory = (call.cwd,) if call.tool == "shell" else ()
    return Rule(tool=(call.tool,), arguments=arguments, directory=directory, effects=effects)
