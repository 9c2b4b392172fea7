"""`bridle rules` and `bridle trust`: what the rules say, whether their examples hold, and whose file may widen."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from agent.autonomy.checking import Checked
    from agent.autonomy.rules import Placed

app = typer.Typer(no_args_is_help=True, help="Rules on what the agent may do: try a command on them, test them.")

ALLOWED, FAILS, ASKED = 0, 3, 5
MAX_LINE = 1 << 20

Repo = Annotated[Path, typer.Option(help="The repository.")]
MaybeRepo = Annotated[Path | None, typer.Option(help="The repository (the one you are in, if any).")]


@app.command("check")
def check(
    command: Annotated[str | None, typer.Argument(help="A command line, as the agent would run it.")] = None,
    repo: MaybeRepo = None,
    level: Annotated[str | None, typer.Option("--level", "-a", help="The autonomy level (your setting).")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    jsonl: Annotated[
        Path | None,
        typer.Option(
            help="A file (- is standard input) with one JSON string a line: one object a line comes out."
        ),
    ] = None,
) -> None:
    """Say what a command could do, and what decides about it. Exit code 0: allowed, 5: asked about, 3: refused."""
    from agent.autonomy.checking import check as checked
    from agent.autonomy.levels import parse_level
    from agent.autonomy.rulebook import load_rules
    from agent.outcomes import UsageProblem
    from agent.settings import load, tighten

    if (command is None) == (jsonl is None):
        raise UsageProblem("give a command, or --jsonl FILE with one JSON string a line")
    root = _maybe_root(repo)
    settings = load({}) if root is None else tighten(load({}), root)
    try:
        at = settings.autonomy if level is None else parse_level(level)
    except ValueError as error:
        raise UsageProblem(str(error)) from error
    book = load_rules(root)
    listed = settings.reach.mode == "allowlist"
    for note in book.notes:
        typer.echo(f"bridle: {note}", err=True)
    if jsonl is not None:
        for each in _commands(jsonl):
            typer.echo(checked(each, at, book.rules, listed=listed).model_dump_json())
        return
    found = checked(command or "", at, book.rules, listed=listed)
    if json:
        typer.echo(found.model_dump_json())
    else:
        _show(found)
    raise typer.Exit({"allow": ALLOWED, "ask": ASKED, "deny": FAILS}[found.decision])


@app.command("test")
def run_examples(repo: MaybeRepo = None) -> None:
    """Hold the rules against their examples. Exit code 0: they all hold, 3: one does not, 2: a rule is wrong."""
    from agent.autonomy.rulebook import count_examples, failures, repository_rules, user_rules
    from tools.text import plural

    root = _maybe_root(repo)
    rules = (*user_rules(), *(repository_rules(root)[0] if root is not None else ()))
    failed = list(failures(rules))
    for failure in failed:
        typer.echo(_plain(failure.sentence))
    count = count_examples(rules)
    typer.echo(f"{plural(len(rules), 'rule')}, {plural(count, 'example')}, {len(failed)} failed")
    raise typer.Exit(FAILS if failed else 0)


def trust(
    repo: Repo = Path(),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    revoke: Annotated[bool, typer.Option("--revoke", help="Trust it no longer.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="List the repositories you trust.")] = False,
) -> None:
    """Let the repository's bridle.toml widen what is allowed, after showing how; until the file changes."""
    from agent.autonomy import trust as record
    from agent.autonomy.rulebook import REPOSITORY_FILE, failures, repository_rules
    from agent.outcomes import UsageProblem
    from agent.settings import read_repository_file

    if listing:
        for path in sorted(record.trusted()):
            typer.echo(_plain(path))
        return
    root = _root(repo)
    if revoke:
        gone = record.revoke(root)
        typer.echo(f"{'not trusted any more' if gone else 'it was not trusted'}: {_plain(str(root))}")
        return
    data = read_repository_file(root)
    if not data:
        raise UsageProblem(f"{root} has no {REPOSITORY_FILE}: there is nothing to trust")
    rules, already = repository_rules(root)
    if failure := next(failures(rules), None):
        raise UsageProblem(failure.sentence)
    if already:
        typer.echo("This very file is trusted already.")
        return
    _show_widening([placed for placed in rules if placed.kind == "allow"])
    if not yes and not _says_yes():
        raise typer.Exit(ASKED)
    if read_repository_file(root) != data:
        raise UsageProblem(f"{REPOSITORY_FILE} has changed meanwhile: look at it again")
    record.trust(root, data)
    typer.echo("Trusted, as it is now; a changed file is not.")


def _root(repo: Path) -> Path:
    from agent.repository.source import open_repository

    return open_repository(repo).root


def _maybe_root(repo: Path | None) -> Path | None:
    """The repository that was named, or the one this is; None where there is none."""
    from agent.outcomes import UsageProblem

    if repo is not None:
        return _root(repo)
    try:
        return _root(Path())
    except UsageProblem:
        return None


def _show_widening(allowing: list[Placed]) -> None:
    if not allowing:
        typer.echo("It has no allow rules: nothing in it widens what is allowed, today.")
    else:
        typer.echo("It would allow without a question, where your level would ask:")
    for placed in allowing:
        name = f" ({placed.rule.name})" if placed.rule.name else ""
        reason = f" -- {placed.rule.reason}" if placed.rule.reason else ""
        typer.echo(_plain(f"  {placed.number}.{name} {placed.rule.words()}{reason}"))


def _says_yes() -> bool:
    from agent.outcomes import UsageProblem

    if not sys.stdin.isatty():
        raise UsageProblem("nobody is there to say yes: look at what it would allow, then give --yes")
    typer.echo("Trust it? [y/N] ", nl=False)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _commands(path: Path) -> Iterator[str]:
    """The commands of a file, each as soon as its line is there. Raises UsageProblem."""
    from agent.outcomes import UsageProblem

    with sys.stdin.buffer if str(path) == "-" else path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), 1):
            if not line.strip():
                continue
            try:
                command = jsonlib.loads(line) if len(line) <= MAX_LINE else None
            except (ValueError, RecursionError):
                command = None
            if not isinstance(command, str):
                raise UsageProblem(f"line {number} is not a JSON string of at most {MAX_LINE >> 20} MiB")
            yield command


def _show(found: Checked) -> None:
    verdict = {"allow": "allowed", "ask": "asked about", "deny": "refused"}[found.decision]
    typer.echo(f"effects:  {', '.join(found.effects)}")
    typer.echo(f"decision: {verdict}")
    typer.echo(_plain(f"because:  {found.because}"))
    if found.needed:
        typer.echo(_plain(f"needed:   {found.needed}"))


def _plain(text: str) -> str:
    from agent.autonomy.visible import visible

    return visible(text).replace("\n", "\\n")
