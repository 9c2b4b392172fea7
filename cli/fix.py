"""`bridle fix` and `bridle resume`: read the command line, run a session, show how it went."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.autonomy.rulebook import Rulebook
    from agent.journal import AnyEvent, Journal
    from agent.repository.source import Repository
    from agent.session import Report, Session
    from agent.settings import Settings
    from agent.store import SessionFolder
    from cli.steering import TerminalSteering
    from sandboxes.secrets import Secrets

MAX_ISSUE_BYTES = 1 << 20
KEEPING = b"interrupted, keeping the work (once more to end at once)"

ModelName = Annotated[
    str | None,
    typer.Option(help="`local`, `replay:FILE`, or a model of the service (default: BRIDLE_MODEL)."),
]
BaseUrl = Annotated[str | None, typer.Option(help="An OpenAI-compatible service; its key is OPENAI_API_KEY.")]
Autonomy = Annotated[
    str | None,
    typer.Option("--autonomy", "-a", help="0 plan, 1 ask, 2 edit, 3 contained (default), 4 trusted, 5 full."),
]
OnAsk = Annotated[
    str | None,
    typer.Option(
        help="What to do with a question: `ask` (default; without a terminal, deny), `deny`, `stop`, `wait`."
    ),
]
Policy = Annotated[str | None, typer.Option(help="A file of answers by tool, effects and paths (TOML).")]
ApproverCmd = Annotated[str | None, typer.Option(help="A program that answers: JSON in, JSON out, no shell.")]
Judge = Annotated[str | None, typer.Option(help="A model that reviews what is asked, and advises.")]
ApprovalTimeout = Annotated[float | None, typer.Option(help="Seconds until an unanswered question is denied.")]
Verify = Annotated[str | None, typer.Option(help="The command that must pass; found for pytest projects.")]
VerifyTimeout = Annotated[float | None, typer.Option(help="Seconds the verify command may take (600).")]
BackendName = Annotated[
    str | None,
    typer.Option("--backend", help="`docker`, `bubblewrap`, or `auto`: Docker where an engine answers."),
]
Runtime = Annotated[str | None, typer.Option(help="The OCI runtime of Docker's containers, such as runsc.")]
Image = Annotated[
    str | None, typer.Option(help="`host` (your own toolchain, read-only) or an image the engine has.")
]
Network = Annotated[
    str | None, typer.Option(help="`none`, `allowlist` or `full`; allowlist where hosts are given, else none.")
]
AllowHosts = Annotated[
    list[str] | None,
    typer.Option("--allow-host", help="A host that commands may reach, such as example.org or *.example.org."),
]
SecretNames = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        help="A secret that commands can be given: NAME (of an environment variable), NAME=env:VARIABLE, "
        "NAME=file:PATH.",
    ),
]
Inject = Annotated[
    list[str] | None,
    typer.Option(
        "--inject",
        help="A header with a secret for requests to a listed host: HOST:HEADER=VALUE, with {NAME} in VALUE for "
        "the secret.",
    ),
]
Strategy = Annotated[str | None, typer.Option(help="`loop` or `repair`; by default what suits the model.")]
Price = Annotated[str | None, typer.Option(help="US dollars a million tokens: IN/OUT or IN/CACHED/OUT.")]
History = Annotated[
    bool | None, typer.Option("--history", help="Give the sandbox the history of HEAD, not one commit.")
]
MaxSteps = Annotated[int | None, typer.Option(help="Model turns (100).")]
MaxTokens = Annotated[int | None, typer.Option(help="Tokens, input and output together.")]
MaxCost = Annotated[float | None, typer.Option(help="US dollars; needs --price.")]
MaxTime = Annotated[
    float | None,
    typer.Option(help="Seconds the agent may work, not counting your answers and the checks on its patch."),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print the result as one JSON object, and never ask here; --on-ask then denies by default.",
    ),
]


def fix(
    issue: Annotated[
        str, typer.Argument(help="What is wrong: text, a file that says it, or - for standard input.")
    ],
    repo: Annotated[Path, typer.Option(help="The repository.")] = Path(),
    model: ModelName = None,
    base_url: BaseUrl = None,
    autonomy: Autonomy = None,
    on_ask: OnAsk = None,
    approval_timeout: ApprovalTimeout = None,
    policy: Policy = None,
    approver_cmd: ApproverCmd = None,
    judge: Judge = None,
    verify: Verify = None,
    verify_timeout: VerifyTimeout = None,
    backend: BackendName = None,
    runtime: Runtime = None,
    image: Image = None,
    network: Network = None,
    allow_hosts: AllowHosts = None,
    secrets: SecretNames = None,
    inject: Inject = None,
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
    from agent.autonomy.rulebook import load_rules
    from agent.models.select import make_model
    from agent.repository.source import open_repository
    from agent.secrets import read_secrets, sources_from
    from agent.session import start_event
    from agent.settings import load, tighten
    from agent.store import Store, open_journal

    task = _read_issue(issue)
    repository = open_repository(repo)
    settings = _complete(tighten(load({**given, "secrets": sources_from(secrets or [])}), repository.root))
    values = read_secrets(settings.secrets)
    rules = load_rules(repository.root)
    make_model(
        settings.model or "", base_url=settings.base_url
    )  # a wrong name or key shows before a session begins
    folder = Store().create()
    lock = folder.lock()
    journal = open_journal(folder, values)
    journal.append(start_event(folder, settings, task, repository), durable=True)
    _go(folder, lock, journal, settings, repository, task, values, rules, as_json=json)


def resume(
    session: Annotated[str, typer.Argument(help="The session's id, the beginning of it, or `last`.")],
    model: ModelName = None,
    base_url: BaseUrl = None,
    autonomy: Autonomy = None,
    on_ask: OnAsk = None,
    approval_timeout: ApprovalTimeout = None,
    policy: Policy = None,
    approver_cmd: ApproverCmd = None,
    judge: Judge = None,
    verify: Verify = None,
    verify_timeout: VerifyTimeout = None,
    backend: BackendName = None,
    runtime: Runtime = None,
    image: Image = None,
    network: Network = None,
    allow_hosts: AllowHosts = None,
    secrets: SecretNames = None,
    inject: Inject = None,
    strategy: Strategy = None,
    price: Price = None,
    max_steps: MaxSteps = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    max_time: MaxTime = None,
    json: Json = False,
) -> None:
    """Go on with a session that was interrupted, died, ran out of budget or waits for an approval."""
    said = {name: value for name, value in locals().items() if name not in {"session", "json"}}
    given = {name: value for name, value in said.items() if value not in (None, [])}
    from agent.autonomy.rulebook import load_rules
    from agent.journal import SessionStarted
    from agent.outcomes import UsageProblem
    from agent.repository.source import open_repository
    from agent.secrets import read_secrets, sources_from
    from agent.session import options_of
    from agent.settings import load
    from agent.store import Store, events_of, open_journal, why_not_resumable

    folder = Store().find(session)
    lock = folder.lock()
    events = events_of(folder)
    if (reason := why_not_resumable(events)) is not None:
        raise UsageProblem(f"session {folder.id} cannot be resumed: {reason}")
    begun = events[0]
    if not isinstance(begun, SessionStarted):
        raise UsageProblem(f"session {folder.id} cannot be resumed: its journal does not begin with its start")
    repository = open_repository(Path(begun.repository))
    options = options_of(events)
    sources = {**options.get("secrets", {}), **sources_from(secrets or [])}
    settings = _complete(_as_opened(load({**options, **given, "secrets": sources}), events, given))
    values = read_secrets(settings.secrets)
    rules = load_rules(repository.root)
    journal = open_journal(folder, values)
    _go(folder, lock, journal, settings, repository, begun.task, values, rules, as_json=json)


def _read_issue(issue: str) -> str:
    """The issue's text: standard input for -, a file's content when it names a file, else itself."""
    import os

    from agent.outcomes import UsageProblem

    if issue == "-":
        data = sys.stdin.buffer.read(MAX_ISSUE_BYTES + 1)
    elif os.path.isfile(issue):  # noqa: PTH113 -- a long text is no path, and Path.is_file raises for it
        try:
            with Path(issue).open("rb") as file:
                data = file.read(MAX_ISSUE_BYTES + 1)
        except OSError as error:
            raise UsageProblem(f"the issue file {issue} cannot be read: {error.strerror}") from error
    elif issue.endswith((".md", ".txt", ".rst")) and " " not in issue:
        raise UsageProblem(f"there is no file {issue}; give the issue's text, a file that says it, or - for input")
    else:
        data = issue.encode("utf-8", "surrogateescape")
    if len(data) > MAX_ISSUE_BYTES:
        raise UsageProblem(f"the issue is larger than {MAX_ISSUE_BYTES >> 20} MiB; say it in fewer words")
    text = data.decode("utf-8", "replace").strip()
    if not text:
        raise UsageProblem("the issue is empty; say what is wrong, or name a file that says it")
    return text


def _as_opened(settings: Settings, events: Sequence[AnyEvent], given: Mapping[str, object]) -> Settings:
    """A session goes on with the backend and the runtime that its last sandbox had, unless others are given."""
    from agent.session import last_opening
    from sandboxes.select import BACKENDS

    opened = last_opening(events)
    if opened is None:
        return settings
    kept: dict[str, object] = {}
    if "backend" not in given and opened.backend in BACKENDS:
        kept["backend"] = opened.backend
    if "runtime" not in given:
        same = kept.get("backend", settings.backend) == opened.backend
        kept["runtime"] = (opened.runtime or None) if same else None
    return settings.model_copy(update=kept)


def _complete(settings: Settings) -> Settings:
    """The settings with the model named, refused where they cannot work together."""
    from agent.models.select import default_model_name
    from agent.outcomes import UsageProblem

    if settings.runtime is not None and settings.backend == "bubblewrap":
        raise UsageProblem(
            f"the runtime {settings.runtime} is one of Docker's, which bubblewrap does not use: leave it out, or "
            "give --backend docker"
        )

    if settings.max_cost is not None and settings.price is None:
        raise UsageProblem("--max-cost needs --price IN/OUT: the price of the model's tokens is not known")
    return settings.model_copy(update={"model": settings.model or default_model_name()})


def _go(
    folder: SessionFolder,
    lock: int,
    journal: Journal,
    settings: Settings,
    repository: Repository,
    task: str,
    secrets: Secrets,
    rules: Rulebook,
    *,
    as_json: bool,
) -> None:
    """Run a session whose folder this process has locked by `lock`; leave with its exit code."""
    import asyncio
    import contextlib

    from agent import log
    from agent.autonomy.approvers.compose import compose
    from agent.masking import MaskedApprover, MaskedWatcher
    from agent.models.select import make_model
    from agent.repository.environment import virtual_environment
    from agent.session import PatientApprover, Session
    from agent.steering import Steering
    from agent.store import Store
    from cli.steering import SteeredWatcher, TerminalSteering, at_terminal
    from cli.terminal import QuietWatcher, TerminalWatcher, console, show_report
    from sandboxes.select import choose, other_backends

    log.configure(secrets)
    screen = SteeredWatcher(TerminalWatcher(console(), secrets.mask))
    terminal = TerminalSteering(screen, Steering()) if not as_json and at_terminal() else None
    watch = MaskedWatcher(QuietWatcher() if as_json else screen, secrets)
    environment = virtual_environment(repository)
    chosen = choose(settings.backend, host_paths=[environment] if environment else [], runtime=settings.runtime)
    if chosen.note:
        watch.note(chosen.note)

    def record(event: AnyEvent) -> None:
        session.record(event)

    pause = contextlib.nullcontext if terminal is None else terminal.pause
    chain = compose(settings, folder.path, journal.events, record, watch.note, may_ask=not as_json, pause=pause)
    session = Session(
        folder=folder,
        journal=journal,
        settings=settings,
        task=secrets.mask(task),
        repository=repository,
        store=Store(),
        backend=chosen.backend,
        others=other_backends(chosen.backend, asked_engine=settings.backend == "auto"),
        approver=PatientApprover(MaskedApprover(chain, secrets)),
        let_go=chain.close,
        watch=watch,
        make_model=lambda: make_model(settings.model or "", base_url=settings.base_url, on_retry=watch.note),
        secrets=secrets,
        rules=rules.rules,
        steering=Steering() if terminal is None else terminal.steering,
    )
    for note in rules.notes:
        watch.note(note)
    report = asyncio.run(_under_signals(session, terminal))
    journal.close()
    if as_json:
        typer.echo(report.model_dump_json())
    else:
        show_report(console(), report)
    if report.plan is not None and terminal is not None:
        _go_on_with_plan(folder, lock, report.plan)
    raise typer.Exit(report.exit_code)


def _go_on_with_plan(folder: SessionFolder, lock: int, plan: Path) -> None:
    """Ask what becomes of the plan; when it is run, this process resumes the session, and does not come back."""
    import asyncio
    import os

    from cli.plan import offer

    level = asyncio.run(offer(plan))
    if level is not None:
        os.close(lock)
        resume(folder.id, autonomy=level.label)


async def _under_signals(session: Session, terminal: TerminalSteering | None) -> Report:
    """Run; the first Ctrl-C ends it in good order, the second at once (the next start then cleans up).

    At a terminal, one during a call or a model's turn interrupts that alone.
    """
    import asyncio
    import contextlib
    import os
    import signal

    from agent.run import run

    def interrupted() -> None:
        again = session.interrupt.fired
        session.interrupt.fire()
        words = b"ended at once; the next start removes the sandbox and keeps its work" if again else KEEPING
        with contextlib.suppress(OSError):  # the terminal may be what went away
            os.write(2, b"\nbridle: " + words + b"\n")
        if again:
            if terminal is not None:
                terminal.restore()
            os._exit(130)

    def ctrl_c() -> None:
        if terminal is None or session.interrupt.fired or not session.steering.interrupt():
            interrupted()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ctrl_c if number is signal.SIGINT else interrupted)
    try:
        with contextlib.nullcontext() if terminal is None else terminal.steers(session):
            return await run(session)
    finally:  # what is left is printing how it ended; a late Ctrl-C must not change that
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
