"""`bridle demo`: fix a real bug of a real library, from nothing, in a few minutes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tasks.packages.release_pair import ReleasePair


def demo(
    into: Annotated[
        Path | None, typer.Option(help="A new or empty folder for the demo's repository (default: a fresh one).")
    ] = None,
) -> None:
    """Fix a real bug in a real library: a release from the package index, and the test its next release added."""
    from agent.autonomy.approvers import default_approver
    from agent.autonomy.approvers.absent import AbsentApprover
    from cli import fix
    from tasks.packages.demo import DEMO

    target = (into or _fresh_folder()).expanduser().absolute()
    _say(f"fetching {DEMO.package} {DEMO.broken.version}, and the test that {DEMO.fixed.version} added for a bug")
    _prepare(DEMO, target)
    _ensure_model()
    attended = not isinstance(default_approver(), AbsentApprover)
    if not attended:
        _say("there is no terminal to ask on, so this runs with --autonomy full; on a terminal you are asked")
    _say(f"now the same as: bridle fix {DEMO.issue!r} --repo {target} --verify {DEMO.verify!r}")
    code = 0
    try:
        fix.fix(DEMO.issue, repo=target, verify=DEMO.verify, autonomy=None if attended else "full")
    except typer.Exit as end:
        code = end.exit_code
    _show_branch(target)
    raise typer.Exit(code)


def _say(line: str) -> None:
    typer.echo(f"demo: {line}", err=True)


def _fresh_folder() -> Path:
    import time

    from agent.store import state_dir

    return state_dir() / "demo" / time.strftime("%Y%m%d-%H%M%S")


def _prepare(pair: ReleasePair, target: Path) -> None:
    import shutil

    from agent.models.embedded import models_folder
    from tasks.packages.release_pair import archives, make_environment, prepare

    prepare(pair, archives(pair, models_folder().parent / "releases"), target)
    _say(f"its repository is {target}; making .venv there, with what the tests need")
    try:
        make_environment(pair, target)
    except BaseException:
        shutil.rmtree(target)
        raise


def _ensure_model() -> None:
    """Fetch the embedded model where it is what will be asked, and not there yet."""
    from agent.models.embedded import verified
    from agent.models.profiles import LOCAL
    from agent.models.select import default_model_name

    name = default_model_name()
    _say(f"the model is {name}" + (", which runs on this machine" if name == LOCAL else ""))
    if name == LOCAL and verified() is None:
        from cli.model import pull

        pull()


def _show_branch(target: Path) -> None:
    """The delivered branch and its difference, coloured on a terminal."""
    from agent.autonomy.visible import visible
    from agent.repository.plumbing import run_git

    refs = run_git("for-each-ref", "--format=%(refname:short)", "refs/heads/bridle/", cwd=target)
    if not (branches := refs.decode("utf-8", "replace").split()):
        return
    span = f"main..{branches[0]}"
    text = run_git("log", "--format=commit %h%n%n%B", span, "--", cwd=target)
    text += run_git("diff", "--no-ext-diff", "--no-textconv", "--no-color", span, "--", cwd=target)
    shown = visible(text.decode("utf-8", "replace"))
    typer.echo(f"\nbranch {branches[0]} in {target}\n")
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.syntax import Syntax

        Console().print(Syntax(shown, "diff", background_color="default", word_wrap=True))
    else:
        typer.echo(shown)
