"""The `bridle` command. Nothing heavy is imported here: `bridle --help` has to answer at once."""

from __future__ import annotations

import sys

import typer

from cli import approve, audit, clean, demo, doctor, fix, model, rewind, rules, sessions, suite

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
app.command("rewind")(rewind.rewind)
app.command("sessions")(sessions.sessions)
app.command("show")(sessions.show)
app.command("approve")(approve.approve)
app.command("audit")(audit.audit)
app.command("clean")(clean.clean)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.command("trust")(rules.trust)
app.add_typer(model.app, name="model")
app.add_typer(rules.app, name="rules")
app.add_typer(suite.app, name="suite")


def _version(show: bool) -> None:
    if show:
        from importlib.metadata import version

        typer.echo(f"bridle {version('bridle')}")
        raise typer.Exit


ON_SESSIONS = frozenset({"sessions", "show", "audit", "approve", "rewind"})
"""Commands that look at sessions. Those that open sandboxes sweep by themselves, engine included; the rest (help,
settings, models, reports) have nothing to do with either, and start at once.
"""


@app.callback()
def _options(
    context: typer.Context,
    _: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Options of the command itself, and what every command on sessions begins with."""
    if context.invoked_subcommand in ON_SESSIONS and not {"-h", "--help"} & set(sys.argv):
        from agent.housekeeping import sweep_files
        from agent.store import Store

        for problem in sweep_files(Store()).problems:
            _say(problem)


def main() -> None:
    """Entry point: errors that are the user's to mend are one sentence and exit 2."""
    import gc

    from agent.outcomes import Outcome, UsageProblem

    # The imports make objects by the hundred thousand, and looking through them each 700 is an eighth of a start.
    gc.set_threshold(50_000)
    try:
        app()
    except UsageProblem as problem:
        _say(str(problem))
        sys.exit(Outcome.USAGE.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        _say(f"{where}{error.strerror or error}")
        sys.exit(Outcome.USAGE.exit_code)


def _say(problem: str) -> None:
    """One line on standard error, harmless whatever a file or an argument brought into it."""
    import contextlib
    import os

    from agent.autonomy.visible import visible

    line = " ".join(visible(problem).splitlines())
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # nobody is there to read it; the exit code still says it
            os.write(sys.stderr.fileno(), f"bridle: {line}\n".encode(sys.stderr.encoding, "backslashreplace"))
