"""What the commands about suites share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Suite = Annotated[Path, typer.Argument(help="A task, a folder of tasks, or `bundled`.")]
Jobs = Annotated[int, typer.Option(min=1, help="Attempts at a time.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
AllowNetwork = Annotated[
    bool, typer.Option("--allow-network", help="Let tasks have the network that they ask for.")
]
BuildNetwork = Annotated[
    bool, typer.Option("--build-network", help="Let the builds of tasks' images use the network.")
]
TaskEnv = Annotated[
    list[str] | None,
    typer.Option(
        help="A variable of this environment that tasks may have where they ask for it: for every command there."
    ),
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The --out folder of a run.")]


def allowed(network: bool, build_network: bool, variables: list[str] | None) -> Any:
    from tasks.environments.allowed import Allowed

    return Allowed(network=network, build_network=build_network, variables=tuple(variables or ()))


def pick_backend(name: str | None) -> Any:
    """The backend to use, with what dead owners left on it removed."""
    from agent.settings import load
    from sandboxes.select import choose

    chosen = choose(load({"backend": name}).backend)
    if chosen.note:
        say(chosen.note)
    _tidy(chosen.backend)
    return chosen.backend


def _tidy(backend: Any) -> None:
    import asyncio
    import contextlib

    from agent.housekeeping import tidy
    from agent.store import Store
    from sandboxes.protocol import SandboxUnavailable

    with contextlib.suppress(SandboxUnavailable):  # which is told when a sandbox is opened
        asyncio.run(tidy(Store(), backend, (), say))


def sandboxed(work: Any) -> Any:
    """Do it; where no sandbox can be had, that is one sentence and its exit code."""
    from agent.outcomes import Outcome
    from sandboxes.protocol import SandboxError

    try:
        return work()
    except SandboxError as error:
        say(str(error))
        raise typer.Exit(Outcome.SANDBOX_FAILED.exit_code) from error


def shown(line: str) -> str:
    from agent.autonomy.visible import visible

    return visible(line)


def say(line: str) -> None:
    typer.echo(shown(f"suite: {line}"), err=True)
