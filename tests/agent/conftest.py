"""A session that is run by its own functions, without the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.project import make_project
from support.service import Script, Service
from support.world import World

from agent.masking import MaskedApprover, MaskedWatcher
from agent.models.select import make_model
from agent.repository.source import open_repository
from agent.session import PatientApprover, Session, start_event
from agent.settings import Settings
from agent.store import Store, open_journal
from cli.terminal import QuietWatcher
from sandboxes.docker.backend import DockerBackend
from sandboxes.network.outside import Outside
from sandboxes.secrets import Secrets

Start = Callable[[Script], Service]


@pytest.fixture
def begin(tmp_path: Path, service: Start) -> Callable[..., Session]:
    """A session on a small project, ready to run, with the scripted model."""

    def make(
        script: Script, approver: Any, world: World | None = None, outside: Outside | None = None, **settings: Any
    ) -> Session:
        values = Secrets(settings.pop("values", {}))
        repository = open_repository(make_project(tmp_path / "project"))
        url = service(script).url
        made = Settings(model="scripted", base_url=url, verify="true", **settings)
        folder = Store().create()
        folder.lock()
        journal = open_journal(folder, values)
        journal.append(start_event(folder, made, "mean() is wrong", repository))
        return Session(
            folder=folder,
            journal=journal,
            settings=made,
            task="mean() is wrong",
            repository=repository,
            store=Store(),
            backend=DockerBackend(),
            approver=PatientApprover(MaskedApprover(approver, values)),
            watch=MaskedWatcher(QuietWatcher(), values),
            make_model=lambda: make_model("scripted", base_url=url),
            secrets=values,
            outside=(outside or world.egress.outside) if world else None,
        )

    return make
