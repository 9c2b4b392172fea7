"""The agents that a suite can be run with. Each leaves a patch and a journal in the attempt's folder.

    oracle            the task's own solution
    nop               does nothing
    script:FILE       a shell script of yours, run in the sandbox (a cheat, for example)
    cheat:NAME        a script that tries to be graded as if it had solved the task; `cheats` is all of them
    command:LINE      a command line, run in the sandbox; BRIDLE_TASK names the file with the instruction
    bridle            a session of Bridle's, with any model, strategy and level
    wrong             one of the task's own wrong solutions (for `bridle suite check`)

Threat model: whatever an agent did in its sandbox is its own affair. Its processes are stopped before its files
are taken, through the backend, as delivery takes them; nothing else of the sandbox is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from agent.budgets import Spent
from agent.models.profiles import profile_for
from agent.models.protocol import Model
from agent.models.select import default_model_name, make_model
from agent.outcomes import Outcome, UsageProblem
from agent.session import Interrupt
from agent.settings import load
from sandboxes.protocol import Backend
from tasks.agents.cheats import cheat, cheats
from tasks.agents.pacing import Pace
from tasks.environments.prepare import Prepared
from tasks.format.task import Task

_OF_A_MODEL = {"model", "base_url", "price", "max_steps", "max_tokens", "max_cost"}
"""Settings that a command takes: its requests go to that model, within those limits."""
Kind = Literal["oracle", "nop", "script", "command", "bridle", "wrong", "cheats"]


class Agent(BaseModel):
    """Which agent, and everything about it that its results depend on."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    command: str = ""
    options: dict[str, Any] = {}
    number: int = 0
    """Which of a task's wrong solutions, or of the cheats."""
    scripts: tuple[tuple[str, str], ...] = ()
    """The cheats, by name: each attempt is made by the next one."""

    @property
    def name(self) -> str:
        """What reports call it."""
        said = self.command.split()[0] if self.kind == "command" else ""
        return " ".join(filter(None, (self.kind, said, str(self.options.get("model", "")))))

    @property
    def own_loop(self) -> bool:
        """Whether its calls are known to itself alone, and nobody has read beforehand what they will be."""
        return self.kind in ("command", "script")

    def of_attempt(self, number: int) -> Agent:
        """Who makes the attempt with that number, counted from 1: with several scripts, each the next."""
        return self.model_copy(update={"number": (number - 1) % len(self.scripts)}) if self.scripts else self


class Ended(BaseModel):
    """How an agent's work ended."""

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    detail: str
    spent: Spent = Spent()


@dataclass(slots=True)
class Attempt:
    """What an agent works with: a task made ready, a folder of its own, and where sandboxes come from.

    `pool` hands out sandboxes for scripts; a session's own come from `backend`, and its state is below `state`.
    """

    prepared: Prepared
    folder: Path
    state: Path
    backend: Backend
    pool: Backend
    interrupt: Interrupt = field(default_factory=Interrupt)
    model: Callable[[], Model] | None = None
    """What makes the model, where that is not one that the agent's settings name."""
    pace: Pace = field(default_factory=Pace)
    """How often the model may be asked, by all attempts that share it."""

    @property
    def patch(self) -> Path:
        """What was delivered."""
        return self.folder / "patch.diff"

    @property
    def outside(self) -> Path:
        """What was changed outside the workspace, where that is graded, too."""
        return self.folder / "outside.tar"

    @property
    def journal(self) -> Path:
        """What happened."""
        return self.folder / "journal.jsonl"


def parse_agent(text: str, options: dict[str, Any]) -> Agent:
    """The agent called `text`; `options` are settings of sessions. Raises UsageProblem."""
    kind, _, rest = text.partition(":")
    given = {name: value for name, value in options.items() if value is not None}
    if kind == "bridle" and not rest:
        said = _settings(given)
        if "autonomy" not in given:
            said.pop("autonomy")  # then a task may name its own
        return Agent(kind="bridle", options=said)
    if kind == "command" and rest and given.keys() <= _OF_A_MODEL:
        return Agent(kind="command", command=rest, options=_settings(given) if given else {})
    if given:
        raise UsageProblem(f"--{min(given.keys()).replace('_', '-')} is for --agent bridle, and not for {text}")
    if kind in ("oracle", "nop") and not rest:
        return Agent(kind="oracle" if kind == "oracle" else "nop")
    if text == "cheats":
        return Agent(kind="cheats", scripts=tuple(cheats().items()))
    if kind == "cheat" and rest:
        return Agent(kind="cheats", scripts=((rest, cheat(rest)),))
    if kind == "script" and rest:
        try:
            return Agent(kind="script", command=Path(rest).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageProblem(f"the script {rest} cannot be read: {error}") from error
    raise UsageProblem(f"no agent {text!r}: give oracle, nop, bridle, command:LINE, script:FILE or cheats")


def check_fit(agent: Agent, tasks: Iterable[Task]) -> None:
    """Whether the agent can work on all of these tasks at all. Raises UsageProblem, which names one that does not
    fit, and the way out.
    """
    if agent.kind != "bridle" or agent.options.get("verify"):
        return
    model = str(agent.options.get("model", ""))
    strategy = agent.options.get("strategy") or profile_for(model).strategy
    without = [task.name for task in tasks if task.bridle.verify is None]
    if strategy == "repair" and without:
        raise UsageProblem(
            f"the strategy repair, which is the model {model}'s own, works from a command that fails, and "
            f"{without[0]} names none in bridle.verify: choose tasks that do, or give --strategy loop"
        )


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    """The settings that results depend on, the model's name among them. Raises UsageProblem."""
    settings = load(given)
    model = settings.model or default_model_name()
    make_model(model, base_url=settings.base_url)  # a wrong name or a missing key shows before the run begins
    return settings.model_copy(update={"model": model}).model_dump(mode="json", exclude_none=True)


async def work(agent: Agent, attempt: Attempt) -> Ended:
    """Let the agent work on the task. Raises SandboxError where no sandbox could be had, PatchProblem."""
    # What a session is made of takes a second to import, and scripts have no use for it.
    if agent.kind == "bridle":
        from tasks.agents.sessions import work_in_session

        return await work_in_session(agent, attempt)
    from tasks.agents.scripts import work_by_script

    return await work_by_script(agent, attempt)
