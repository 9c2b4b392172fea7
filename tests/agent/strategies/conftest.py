"""A session at work in a real sandbox, with a scripted model service; and what it left in the files."""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.service import Answer, Service

from agent.autonomy.answers import Answer as Ruled
from agent.autonomy.approvers import AbsentApprover
from agent.autonomy.gate import Approver, Gate, Question
from agent.autonomy.levels import Level
from agent.budgets import Budgets
from agent.checkpoints import Checkpoints
from agent.context.conversation import Conversation
from agent.journal import AnyEvent, AttemptMade, CheckRun, Journal
from agent.models.chat import ChatModel
from agent.models.profiles import LOCAL, profile_for
from agent.verification import Verification
from agent.work import Work
from sandboxes.docker.backend import DockerBackend
from sandboxes.protocol import WORKSPACE, Sandbox, SandboxSpec
from tools.protocol import Workbench
from tools.registry import default_tools

Files = Mapping[str, str | bytes]


class Silent:
    """A watcher that shows nothing."""

    def event(self, event: AnyEvent) -> None:
        pass

    def text(self, piece: str) -> None:
        pass

    def output(self, piece: bytes) -> None:
        """Nothing."""

    def note(self, line: str) -> None:
        pass


@dataclass
class Person:
    """Answers from a list, and remembers what was asked."""

    answers: list[Ruled]
    asked: list[Question] = field(default_factory=list)
    name: str = "person"

    async def ask(self, question: Question) -> Ruled:
        self.asked.append(question)
        return self.answers.pop(0)


@dataclass
class Scene:
    """A piece of work, its service, and what can be seen of it."""

    work: Work
    service: Service
    sandbox: Sandbox

    @property
    def attempts(self) -> list[AttemptMade]:
        return [event for event in self.work.journal.events if isinstance(event, AttemptMade)]

    @property
    def checks(self) -> list[CheckRun]:
        return [event for event in self.work.journal.events if isinstance(event, CheckRun)]

    async def file(self, path: str) -> str:
        return (await self.sandbox.read(f"{WORKSPACE}/{path}")).decode()


Stage = Callable[..., Awaitable[Scene]]


@pytest.fixture
async def open_sandbox(engine: None, tmp_path: Path) -> AsyncIterator[Callable[[Files], Awaitable[Sandbox]]]:
    """Opens sandboxes with the host's toolchain and this Python's environment, and closes them."""
    opened: list[Sandbox] = []

    async def start(files: Files) -> Sandbox:
        backend = DockerBackend(host_paths=[Path(sys.prefix)])
        env = {"PYTHONPATH": WORKSPACE, "PYTHONDONTWRITEBYTECODE": "1"}
        sandbox = await backend.open(SandboxSpec(run_id="test.repair", env=env))
        opened.append(sandbox)
        await sandbox.upload(_archive(files, tmp_path / f"files-{len(opened)}.tar"))
        return sandbox

    yield start
    for sandbox in opened:
        await sandbox.close()


@pytest.fixture
async def stage(
    open_sandbox: Callable[[Files], Awaitable[Sandbox]], service: Callable[..., Service], tmp_path: Path
) -> AsyncIterator[Stage]:
    """Sets a scene: files, the model's answers, the command that must pass (`given` by the user, or found), and
    who answers at which level."""
    scenes: list[Scene] = []

    async def start(
        files: Files,
        answers: list[str | Answer],
        *,
        check: str | None = "python3 -m pytest -q",
        level: Level = Level.FULL,
        approver: Approver | None = None,
        max_steps: int = 100,
        check_seconds: float = 60,
        given: bool = True,
    ) -> Scene:
        script = service([answer if isinstance(answer, Answer) else Answer(text=answer) for answer in answers])
        journal = Journal(tmp_path / "journal.jsonl")
        sandbox = await open_sandbox(files)
        work = Work(
            task="mean is wrong",
            journal=journal,
            conversation=Conversation(),
            model=ChatModel("scripted", script.url, "none", max_attempts=1),
            profile=profile_for(LOCAL),
            prices=None,
            tools=default_tools(),
            bench=Workbench(sandbox),
            gate=Gate(level, approver or AbsentApprover(), journal.append),
            budgets=Budgets(max_steps=max_steps),
            verification=Verification(check, check_seconds, given) if check else None,
            checkpoints=Checkpoints(
                DockerBackend(), sandbox, "test", journal.events, journal.append, Silent().note
            ),
            planning=level is Level.PLAN,
            watch=Silent(),
        )
        scenes.append(Scene(work, script, sandbox))
        return scenes[-1]

    yield start
    for scene in scenes:
        await scene.work.model.close()
        scene.work.journal.close()


@pytest.fixture(scope="session")
def person() -> type[Person]:
    return Person


def _archive(files: Files, path: Path) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size, info.uid, info.gid, info.mode = len(data), 1000, 1000, 0o644
            tar.addfile(info, io.BytesIO(data))
    return path
