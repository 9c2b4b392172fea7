"""The `bridle` command. Nothing heavy is imported here: `bridle --help` has to answer at once."""

from __future__ import annotations

import sys

import typer

from cli import demo, doctor, fix, model, sessions

app = typer.Typer(
    name="bridle",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A sandboxed coding agent: it works on a copy of your repository, asks before it does what you kept for "
    "yourself, and gives you a verified patch on a branch.",
)
app.command("fix")(fix.fix)
app.command("resume")(fix.resume)
app.command("sessions")(sessions.sessions)
app.command("show")(sessions.show)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.add_typer(model.app, name="model")


def _version(show: bool) -> None:
    if show:
        from importlib.metadata import version

        typer.echo(f"bridle {version('bridle')}")
        raise typer.Exit


@app.callback()
def _options(
    _: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Options of the command itself."""


def main() -> None:
    """Entry point: errors that are the user's to mend are one sentence and exit 2."""
    from agent.outcomes import Outcome, UsageProblem

    try:
        app()
    except UsageProblem as problem:
        typer.echo(f"bridle: {problem}", err=True)
        sys.exit(Outcome.USAGE.exit_code)
    except BrokenPipeError:
        sys.exit(1)
