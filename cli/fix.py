"""`bridle fix` and `bridle resume`: read the command line, run a session, show how it went."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from agent.repository.source import Repository
    from agent.session import Report, Session
    from agent.settings import Settings
    from agent.store import SessionFolder, Store

MAX_ISSUE_BYTES = 1 << 20

Model = Annotated[
    str | None,
    typer.Option(help="`local`, `replay:FILE`, or a model of the service (default: BRIDLE_MODEL)."),
]
BaseUrl = Annotated[str | None, typer.Option(help="An OpenAI-compatible service; its key is OPENAI_API_KEY.")]
Autonomy = Annotated[
    str | None,
    typer.Option("--autonomy", "-a", help="0 plan, 1 ask, 2 edit, 3 contained (default), 4 trusted, 5 full."),
]
Verify = Annotated[str | None, typer.Option(help="The command that must pass; found for pytest projects.")]
VerifyTimeout = Annotated[float | None, typer.Option(help="Seconds the verify command may take (600).")]
Image = Annotated[
    str | None, typer.Option(help="`host` (your own toolchain, read-only) or an image the engine has.")
]
Strategy = Annotated[str | None, typer.Option(help="`loop` or `repair`; by default what suits the model.")]
Price = Annotated[str | None, typer.Option(help="US dollars a million tokens: IN/OUT or IN/CACHED/OUT.")]
History = Annotated[
    bool | None, typer.Option("--history", help="Give the sandbox the history of HEAD, not one commit.")
]
MaxSteps = Annotated[int | None, typer.Option(help="Model turns (100).")]
MaxTokens = Annotated[int | None, typer.Option(help="Tokens, input and output together.")]
MaxCost = Annotated[float | None, typer.Option(help="US dollars; needs --price.")]
MaxTime = Annotated[float | None, typer.Option(help="Seconds, not counting your own answers.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object, and nothing else.")]


def fix(
    issue: Annotated[
        str, typer.Argument(help="What is wrong: text, a file that says it, or - for standard input.")
    ],
    repo: Annotated[Path, typer.Option(help="The repository.")] = Path(),
    model: Model = None,
    base_url: BaseUrl = None,
    autonomy: Autonomy = None,
    verify: Verify = None,
    verify_timeout: VerifyTimeout = None,
    image: Image = None,
    strategy: Strategy = None,
    price: Price = None,
    history: History = None,
    max_steps: MaxSteps = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    max_time: MaxTime = None,
    json: Json = False,
) -> None:
    """Fix an issue in a repository: in a sandbox, on a copy, delivered as a branch once you approve."""
    given = {name: value for name, value in locals().items() if name not in {"issue", "repo", "json"}}
    from agent.repository.source import open_repository
    from agent.settings import load, tighten
    from agent.store import Store

    task = _read_issue(issue)
    repository = open_repository(repo)
    settings = _complete(tighten(load(given), repository.root))
    _go(Store(), repository, settings, task=task, as_json=json)


def resume(
    session: Annotated[str, typer.Argument(help="The session's id, the beginning of it, or `last`.")],
    model: Model = None,
    base_url: BaseUrl = None,
    autonomy: Autonomy = None,
    verify: Verify = None,
    verify_timeout: VerifyTimeout = None,
    image: Image = None,
    strategy: Strategy = None,
    price: Price = None,
    max_steps: MaxSteps = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    max_time: MaxTime = None,
    json: Json = False,
) -> None:
    """Go on with a session that was interrupted, died, ran out of budget or waits for an approval."""
    given = {
        name: value for name, value in locals().items() if name not in {"session", "json"} and value is not None
    }
    from agent.journal import JournalDamaged, SessionStarted, read_events
    from agent.outcomes import UsageProblem
    from agent.repository.source import open_repository
    from agent.settings import load
    from agent.store import Store, why_not_resumable

    store = Store()
    folder = store.find(session)
    try:
        events = read_events(folder.journal)
    except (JournalDamaged, FileNotFoundError) as error:
        raise UsageProblem(f"session {folder.id} cannot be resumed: {error}") from error
    if (reason := why_not_resumable(events)) is not None:
        raise UsageProblem(f"session {folder.id} cannot be resumed: {reason}")
    begun = events[0]
    if not isinstance(begun, SessionStarted):
        raise UsageProblem(f"session {folder.id} cannot be resumed: its journal does not begin with its start")
    repository = open_repository(Path(begun.repository))
    settings = _complete(load({**begun.options, **given}))
    _go(store, repository, settings, folder=folder, as_json=json)


def _read_issue(issue: str) -> str:
    """The issue's text: standard input for -, a file's content when it names a file, else itself."""
    from agent.outcomes import UsageProblem

    if issue == "-":
        data = sys.stdin.buffer.read(MAX_ISSUE_BYTES + 1)
    elif "\n" not in issue and len(issue) < 1024 and Path(issue).is_file():
        data = Path(issue).read_bytes()[: MAX_ISSUE_BYTES + 1]
    else:
        data = issue.encode("utf-8", "surrogateescape")
    if len(data) > MAX_ISSUE_BYTES:
        raise UsageProblem(f"the issue is larger than {MAX_ISSUE_BYTES >> 20} MiB; say it in fewer words")
    text = data.decode("utf-8", "replace").strip()
    if not text:
        raise UsageProblem("the issue is empty; say what is wrong, or name a file that says it")
    return text


def _complete(settings: Settings) -> Settings:
    """The settings with the model named, refused where they cannot work together."""
    from agent.models.select import default_model_name
    from agent.outcomes import UsageProblem

    if settings.max_cost is not None and settings.price is None:
        raise UsageProblem("--max-cost needs --price IN/OUT: the price of the model's tokens is not known")
    return settings.model_copy(update={"model": settings.model or default_model_name()})


def _go(
    store: Store,
    repository: Repository,
    settings: Settings,
    *,
    task: str | None = None,
    folder: SessionFolder | None = None,
    as_json: bool,
) -> None:
    """Start a session for `task`, or go on with the one in `folder`; leave with its exit code."""
    import asyncio
    import os

    from agent import log
    from agent.autonomy.approvers import AbsentApprover, default_approver
    from agent.journal import SessionStarted
    from agent.models.select import make_model
    from agent.repository.environment import virtual_environment
    from agent.run import finished_before
    from agent.session import PatientApprover, Session, start_event
    from agent.store import open_journal
    from cli.terminal import QuietWatcher, TerminalWatcher, console, show_report
    from sandboxes.docker_backend import DockerBackend

    log.configure()
    watch = QuietWatcher() if as_json else TerminalWatcher(console())
    held = folder.lock() if folder else None
    journal = open_journal(folder) if folder else None
    model = None
    if journal is None or finished_before(journal.events) is None:
        model = make_model(settings.model or "", base_url=settings.base_url, on_retry=watch.note)
    if folder is None or journal is None:
        folder = store.create()
        held = folder.lock()
        journal = open_journal(folder)
        journal.append(start_event(folder, settings, task or "", repository), durable=True)
    environment = virtual_environment(repository)
    session = Session(
        folder=folder,
        journal=journal,
        settings=settings,
        task=next(event.task for event in journal.events if isinstance(event, SessionStarted)),
        repository=repository,
        store=store,
        backend=DockerBackend(host_paths=[environment] if environment else []),
        approver=PatientApprover(AbsentApprover() if as_json else default_approver()),
        watch=watch,
        model=model,
    )
    report = asyncio.run(_under_signals(session))
    journal.close()
    if held is not None:
        os.close(held)
    if as_json:
        typer.echo(report.model_dump_json())
    else:
        show_report(console(), report)
    raise typer.Exit(report.exit_code)


async def _under_signals(session: Session) -> Report:
    """Run; the first Ctrl-C ends it in good order, the second at once (the next start then cleans up)."""
    import asyncio
    import os
    import signal

    from agent.run import run

    def interrupted() -> None:
        if session.interrupt.fired:
            os.write(2, b"\nbridle: ended at once; the next start removes the sandbox and keeps its work\n")
            os._exit(130)
        os.write(2, b"\nbridle: interrupted, keeping the work (once more to end at once)\n")
        session.interrupt.fire()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupted)
    return await run(session)
