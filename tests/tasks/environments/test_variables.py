"""Variables of this machine that a task asks for: there in every sandbox, and in nothing that is kept or told."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.project import bridle
from support.service import Answer, Script, Service, submit

import tasks
from agent.outcomes import UsageProblem
from tasks.environments.allowed import Allowed

BUNDLED = Path(tasks.__file__).parent / "bundled"
VALUE = "kq-7Jm2-words-for-tasks"
SUM = hashlib.sha256(VALUE.encode()).hexdigest()
SHOW = 'printf %s "$GIVEN" | sha256sum; echo "it is $GIVEN, $PLAIN"'
EDIT = ("edit", {"path": "rolling.py", "old": "len(values) - window)]", "new": "len(values) - window + 1)]"})


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A task over the host's toolchain that asks for a variable."""
    monkeypatch.setenv("WORDS_FOR_TASKS", VALUE)
    folder = tmp_path / "task"
    shutil.copytree(BUNDLED / "bug-rolling-mean", folder)
    with (folder / "task.toml").open("a") as file:
        file.write('\n[environment.env]\nGIVEN = "${WORDS_FOR_TASKS}"\nPLAIN = "plain words"\n')
    return folder


def holds(out: Path, text: str) -> list[str]:
    """The files below `out` that hold `text`."""
    return [str(path) for path in out.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_a_session_has_them_and_its_model_is_told_a_name(
    task: Path, tmp_path: Path, service: Callable[[Script], Service]
) -> None:
    out = tmp_path / "out"
    shows = ("write", {"path": "__init__.py", "content": "import os\nprint(os.environ['GIVEN'])\n"})
    model = service([Answer(calls=[("shell", {"command": SHOW})]), Answer(calls=[EDIT, shows]), submit()])
    command = ["suite", "run", str(task), "--model", "scripted", "--base-url", model.url, "--out", str(out)]
    done = bridle(*command, "--task-env", "WORDS_FOR_TASKS", "--json")
    assert json.loads(done.out)["passed"] == 1, done.err
    told = json.dumps(model.requests[-1])
    assert SUM in told
    assert "it is [secret WORDS_FOR_TASKS], plain words" in told
    assert VALUE not in told
    assert holds(out, VALUE) == []


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_a_command_has_them_and_what_it_prints_is_kept_without(task: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tells = 'def rolling_mean(*_): raise ValueError(__import__("os").environ["GIVEN"])'
    line = f"command:{SHOW}; echo '{tells}' >> rolling.py"
    done = bridle(
        "suite", "run", str(task), "--agent", line, "--out", str(out), "--task-env", "WORDS_FOR_TASKS", "--json"
    )
    assert done.code == 0, done.err
    (journal,) = out.glob("attempts/*/1/journal.jsonl")
    assert SUM in journal.read_text()
    assert "it is [secret WORDS_FOR_TASKS], plain words" in journal.read_text()
    assert "[secret WORDS_FOR_TASKS]" in (journal.parent / "result.json").read_text()
    assert holds(out, VALUE) == []


def test_a_value_that_cannot_be_kept_out_of_what_is_told_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONG", "x" * 5000)
    monkeypatch.setenv("SHORT", "blue")
    with pytest.raises(UsageProblem, match="--task-env LONG: the secret LONG is longer than 4 KiB"):
        Allowed(variables=("LONG",)).secrets()
    assert Allowed(variables=("SHORT", "NOT_SET")).secrets().names == ()
