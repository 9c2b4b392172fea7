"""Reading tasks: what is wrong is named by file, field and reason; what is not known is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.outcomes import UsageProblem
from tasks.format.task import content_hash, load_suite, load_task

HARBOR = """
schema_version = "1.1"

[task]
name = "org/hello"

[metadata]
author_name = "A"
category = "programming"
difficulty = "easy"

[verifier]
timeout_sec = 120.0

[agent]
timeout_sec = 120.0

[environment]
build_timeout_sec = 600.0
cpus = 1
memory_mb = 2048
storage_mb = 10240
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    task = tmp_path / "hello"
    for name, text in {
        "task.toml": HARBOR,
        "instruction.md": "Write hello.txt.\n",
        "environment/files/README": "x\n",
        "tests/test.sh": "echo 1 > /logs/verifier/reward.txt\n",
        "solution/solve.sh": "echo hello > hello.txt\n",
    }.items():
        (task / name).parent.mkdir(parents=True, exist_ok=True)
        (task / name).write_text(text)
    return task


def test_a_harbor_task_is_read_as_it_is(folder: Path) -> None:
    task = load_task(folder)
    assert (task.name, task.category, task.instruction) == ("hello", "programming", "Write hello.txt.")
    assert (task.file.agent.timeout_sec, task.file.environment.memory_mb) == (120.0, 2048)
    assert task.notes == ()
    assert load_suite(folder.parent) == [task]


def test_unknown_fields_are_told_and_do_no_harm(folder: Path) -> None:
    (folder / "task.toml").write_text(HARBOR + '\n[agent.more]\nx = 1\n[bridle]\ncolour = "red"\n')
    assert load_task(folder).notes == (
        "task.toml: agent.more is not known and does nothing",
        "task.toml: bridle.colour is not known and does nothing",
    )


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("[bridle]\ndifficulty = 'epic'", "bridle.difficulty"),
        ("[bridle]\nexpected = ['nothing']", "bridle.expected"),
        ("[bridle]\nexpected = ['test_missing.py::test_it']", "no test file for test_missing.py::test_it"),
        ("[bridle]\nexpected = ['../x.py::test_it']", "bridle.expected"),
        ("[bridle]\nregression = ['test_a.py::test_b']", "bridle.regression"),
        ("[bridle]\nfiles = '../other'", "bridle.files"),
        ("[bridle]\nneeds = ['gcc; ls']", "bridle.needs: 'gcc; ls' is no name of a program"),
        ("[bridle]\nsplit = 'secret'", "bridle.split"),
        ("[bridle]\nfiles = 'elsewhere'", "there is no folder elsewhere"),
        ("[bridle]\nautonomy = 'reckless'", "bridle.autonomy"),
        ("[bridle.forbidden]\neffects = ['joy']", "bridle.forbidden.effects.0"),
        ("[[steps]]\nname = '../one'", "steps.0.name"),
        ("[[steps]]\nname = 'a'\n[[steps]]\nname = 'a'", "two have the same name"),
        ("[[steps]]\nname = 'a'\nmin_reward = 'much'", "steps.0.min_reward"),
        ("[ver", "is not TOML"),
    ],
)
def test_a_wrong_task_names_file_field_and_reason(folder: Path, more: str, named: str) -> None:
    (folder / "task.toml").write_text(HARBOR + more + "\n")
    with pytest.raises(UsageProblem, match=r"task\.toml") as error:
        load_task(folder)
    assert named in str(error.value)


def test_gpus_and_several_containers_are_refused(folder: Path) -> None:
    (folder / "environment" / "docker-compose.yaml").write_text("services: {}\n")
    with pytest.raises(UsageProblem, match="several containers"):
        load_task(folder)


def test_the_hash_is_that_of_everything_in_the_folder(folder: Path) -> None:
    first = content_hash(folder)
    (folder / "tests" / "test.sh").chmod(0o755)
    second = content_hash(folder)
    (folder / "instruction.md").write_text("Write it.\n")
    assert len({first, second, content_hash(folder)}) == 3
    (folder / "tests" / "__pycache__").mkdir()
    (folder / "tests" / "__pycache__" / "x.pyc").write_text("x")
    assert content_hash(folder) == content_hash(folder)


def test_no_task_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="holds no task"):
        load_suite(tmp_path)
