"""Where rules come from: the user's own files and the repository's `bridle.toml`, with their examples checked.

Threat model: the repository's file may be hostile. It is read as `settings.py` reads it, its rules count only as
far as they tighten until the user trusts the file (`trust.py`), and what it says is shown made harmless.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import ValidationError

from agent.autonomy.calls import Call, describe
from agent.autonomy.commands.shapes import Certainty
from agent.autonomy.own import own_data, own_file
from agent.autonomy.rules import KINDS, Example, Kind, Placed, Rule, allowing, fit, tightening
from agent.autonomy.trust import is_trusted
from agent.autonomy.visible import visible
from agent.outcomes import UsageProblem
from agent.settings import read_repository_file, user_file
from sandboxes.protocol import Sandbox
from tools.protocol import Effect, Workbench
from tools.registry import default_tools

REPOSITORY_FILE = "bridle.toml"
MAX_RULES = 500
READING = frozenset({Effect.READ})
"""What the parts of an example may do besides those that an allow rule covers."""


class Rulebook(NamedTuple):
    """The rules of a session, and lines for the user about what does not count."""

    rules: tuple[Placed, ...] = ()
    notes: tuple[str, ...] = ()


class Failure(NamedTuple):
    """An example that does not do what its rule says; `sentence` names the file, the rule and the example."""

    placed: Placed
    example: Example
    sentence: str


def load_rules(root: Path | None) -> Rulebook:
    """The rules for a session on the repository at `root`, or for none. Raises UsageProblem, for a failing
    example too.
    """
    mine = (*user_rules(), *(own_rules(root) if root is not None else ()))
    repository, trusted = repository_rules(root) if root is not None else ((), True)
    rules = (*mine, *repository)
    if failure := next(failures(rules), None):
        raise UsageProblem(failure.sentence)
    if trusted:
        return Rulebook(rules)
    ignored = len(repository) - len(tightening(repository))
    notes: tuple[str, ...] = ()
    if ignored:
        many = "an allow rule" if ignored == 1 else f"{ignored} allow rules"
        notes = (f"{REPOSITORY_FILE} of the repository has {many}, ignored until you say `bridle trust`",)
    return Rulebook((*mine, *tightening(repository)), notes)


def user_rules() -> tuple[Placed, ...]:
    """The rules of the user's own file. Raises UsageProblem."""
    path = user_file()
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror}") from error
    return parse_rules(data, str(path))


def own_rules(root: Path) -> tuple[Placed, ...]:
    """What the user always allows in the repository at `root`. Raises UsageProblem."""
    return parse_rules(own_data(root), str(own_file(root)))


def repository_rules(root: Path) -> tuple[tuple[Placed, ...], bool]:
    """All rules of the repository's file, and whether the user trusts it. Raises UsageProblem."""
    data = read_repository_file(root)
    return parse_rules(data, REPOSITORY_FILE), is_trusted(root, data)


def parse_rules(data: bytes, file: str) -> tuple[Placed, ...]:
    """The rules in a TOML file: `[[deny]]`, `[[ask]]` and `[[allow]]`. Raises UsageProblem naming the rule."""
    try:
        said: dict[str, Any] = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageProblem(f"{file} is not TOML in UTF-8: {str(error)[:300]}") from error
    for name in said:
        if name.lower() in KINDS and name not in KINDS:
            raise UsageProblem(f"{file}: write [[{name.lower()}]] in small letters")
    return tuple(placed for kind in KINDS for placed in _parsed(said.get(kind, []), kind, file))


def _parsed(entries: Any, kind: Kind, file: str) -> Iterator[Placed]:
    if not isinstance(entries, list):
        raise UsageProblem(f"{file}: {kind} is a list of rules, each under its own [[{kind}]]")
    if len(entries) > MAX_RULES:
        raise UsageProblem(f"{file}: more than {MAX_RULES} {kind} rules")
    for number, entry in enumerate(entries, 1):
        try:
            rule = Rule.model_validate(entry)
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(str(part) for part in problem["loc"])[:80]
            words = problem["msg"].removeprefix("Value error, ")[:300]
            where = f"{place}: " if place else ""
            raise UsageProblem(f"{file}: {kind} rule {number} is wrong: {where}{words}") from error
        if kind == "allow" and rule.installs:
            raise UsageProblem(
                f"{file}: allow rule {number} is wrong: installs is for deny and ask; name `commands`"
            )
        yield Placed(kind, rule, file, number)


def failures(rules: Iterable[Placed]) -> Iterator[Failure]:
    """The examples that fail, in order."""
    for placed in rules:
        for wanted, examples in ((True, placed.rule.match), (False, placed.rule.not_match)):
            for number, example in enumerate(examples, 1):
                if problem := _problem(placed, example, wanted=wanted):
                    name = f"{'match' if wanted else 'not_match'} example {number}"
                    sentence = f"{placed.label}: {name}, {visible(str(example))[:200]!r}, {problem}"
                    yield Failure(placed, example, sentence)


def count_examples(rules: Iterable[Placed]) -> int:
    """How many examples there are."""
    return sum(len(placed.rule.match) + len(placed.rule.not_match) for placed in rules)


def _problem(placed: Placed, example: Example, *, wanted: bool) -> str:
    """What is wrong with an example; "" if nothing is."""
    try:
        call = example_call(example)
    except ValueError as error:
        return f"is no call: {error}"
    if placed.kind == "allow":
        found = Certainty.YES if allowing([placed], call, READING) else Certainty.NO
    else:
        found = fit(placed.rule, call)
    if wanted and (found is Certainty.NO or (found is Certainty.MAYBE and placed.kind == "deny")):
        return "may match, which is asked about and not refused" if found is Certainty.MAYBE else "does not match"
    return "matches" if not wanted and found is Certainty.YES else "may match" if not wanted and found else ""


def example_call(example: Example) -> Call:
    """The call of an example, made in the workspace. Raises ValueError with a clause."""
    tool = default_tools().get(example.tool)
    if tool is None:
        raise ValueError(f"there is no tool {visible(example.tool)[:80]!r}")
    try:
        args = tool.arguments.model_validate(example.arguments)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise ValueError(f"{place}: {problem['msg'].removeprefix('Value error, ')}") from error
    bench = Workbench(cast("Sandbox", None))  # effects are pure: they ask nothing of a sandbox
    return describe(tool.name, args.model_dump(mode="json"), tool.effects(args, bench), bench.cwd)
