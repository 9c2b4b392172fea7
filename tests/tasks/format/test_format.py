"""Reading tasks: what is wrong is named by file, field and reason; what is not known is told."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.outcomes import UsageProblem
from tasks.environments.allowed import Allowed
from tasks.environments.dockerfile import needs
from tasks.format.tables import TaskFile
from tasks.format.task import content_hash, load_suite, load_task, unknown

PAGE = Path(__file__).parents[3] / "docs" / "tasks.md"

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


def step(folder: Path, name: str, tests: str = "exit 0\n") -> None:
    for file, text in {"instruction.md": f"Do {name}.\n", "tests/test.sh": tests}.items():
        path = folder / "steps" / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_step_is_a_task_with_what_it_says_itself_and_else_the_tasks(folder: Path) -> None:
    said = '[[steps]]\nname = "one"\n[steps.agent]\ntimeout_sec = 5\n[steps.verifier]\nenv = { B = "2" }\n'
    more = '[[steps]]\nname = "two"\nmin_reward = { reward = 1 }\n'
    text = HARBOR.replace("[verifier]", '[verifier]\nenv = { A = "1" }')
    (folder / "task.toml").write_text(text + said + more)
    (folder / "instruction.md").unlink()
    step(folder, "one")
    step(folder, "two", tests="its own\n")
    one, two = load_task(folder).steps
    assert (one.instruction, one.file.agent.timeout_sec, two.file.agent.timeout_sec) == ("Do one.", 5.0, 120.0)
    assert (one.file.verifier.env, two.file.verifier.env) == ({"A": "1", "B": "2"}, {"A": "1"})
    assert two.tests["test.sh"].read_text() == "its own\n", "the step's own come before the task's"
    assert load_task(folder).solution is None, "no step has one"


@pytest.mark.parametrize(
    ("more", "agent", "verifier"),
    [
        ("", None, None),
        ("allow_internet = false", "none", "none"),
        ("allow_internet = true", "full", "full"),
        ('network_mode = "no-network"\nallow_internet = true', "none", "none"),
        ('allowed_hosts = ["example.org"]', "allowlist: example.org", "allowlist: example.org"),
        ('network_mode = "no-network"\n[verifier]\nnetwork_mode = "public"', "none", "full"),
    ],
)
def test_a_network_is_said_in_bridles_terms(more: str, agent: str | None, verifier: str | None) -> None:
    file = TaskFile.model_validate(tomllib.loads(f"[environment]\n{more}\n"))
    found = [file.network("agent"), file.network("verifier")]
    assert [each and str(each) for each in found] == [agent, verifier]


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("environment.gpus = 1", "environment.gpus: Bridle runs no tasks with GPUs"),
        ('environment.mcp_servers = [{ name = "x" }]', "environment.mcp_servers"),
        ('environment.os = "windows"', "environment.os: Bridle runs tasks on Linux only"),
        ('verifier.environment_mode = "separate"', "verifier.environment_mode"),
        ('environment.memory = "much"', "environment.memory: 'much' is no size"),
        ('environment.network_mode = "some"', "environment.network_mode"),
        ('environment.network_mode = "public"\nenvironment.allowed_hosts = ["a.org"]', "allowed_hosts goes with"),
        ('environment.allowed_hosts = ["http://a.org/"]', "is no host"),
        ('environment.workdir = "app"', "environment.workdir"),
        ('bridle.paths = ["/etc"]', "need an image of the task's own"),
        ('bridle.tests = "workspace"', "tests in the workspace are named in"),
        ("environment.healthcheck.retries = 3", "environment.healthcheck.command"),
    ],
)
def test_what_cannot_be_done_or_meant_is_refused(folder: Path, more: str, named: str) -> None:
    (folder / "task.toml").write_text(more + "\n")
    with pytest.raises(UsageProblem, match=r"task\.toml") as error:
        load_task(folder)
    assert named in str(error.value)


def test_older_spellings_are_read(folder: Path) -> None:
    (folder / "task.toml").write_text('version = "1.0"\n[environment]\nmemory = "2G"\nstorage = "512M"\n')
    table = load_task(folder).file.environment
    assert (table.memory_bytes, table.storage_bytes) == (2 << 30, 512 << 20)


@pytest.mark.parametrize("number", range(3))
def test_the_examples_of_the_page_are_read_without_a_word(number: int) -> None:
    examples = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(examples) == 3
    file = TaskFile.model_validate(tomllib.loads(examples[number]))
    assert not [word for word in unknown(file) if "not known" in word]


@given(
    st.dictionaries(
        st.sampled_from(["steps", "environment", "bridle", "agent", "verifier", "metadata", "artifacts"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["name", "env", "expected", "paths", "min_reward", "memory", "timeout_sec"]),
                    inner,
                    max_size=4,
                )
            ),
        ),
    )
)
def test_whatever_a_table_holds_is_read_or_refused_in_a_sentence(said: dict[str, Any]) -> None:
    try:
        file = TaskFile.model_validate(said)
    except ValidationError:
        return
    known = set(TaskFile.model_fields)
    assert [word.split(" ")[1] for word in unknown(file) if "." not in word.split(" ")[1].rstrip(":")] == [
        f"{name}:" if name == "artifacts" else name for name in sorted(set(said) - known)
    ]


DOCKERFILE = """# syntax=docker/dockerfile:1
ARG BASE=debian
ARG TAG
FROM --platform=linux/amd64 ${BASE}:${TAG:-stable} AS build
RUN make \\
    # a comment between
    all
FROM scratch AS empty
FROM build
COPY --from=build /a /a
COPY --from=0 /b /b
COPY --from=tools:2 /c /c
ADD --chmod=755 https://example.org/x.tar.gz local.txt /opt/
"""


def test_what_a_dockerfile_needs_from_outside_is_found() -> None:
    found = needs(DOCKERFILE)
    assert found.images == ("debian:stable", "tools:2")
    assert found.addresses == ("https://example.org/x.tar.gz",)


lines = st.lists(
    st.sampled_from(
        ["FROM", "ARG", "COPY", "ADD", "RUN", "AS", "--from=", "a", "${A:-b}", "$", '"', "\\", "\n", "#"]
    )
)


@given(st.text() | lines.map(" ".join))
def test_no_text_is_too_much_for_the_dockerfile_reader(text: str) -> None:
    found = needs(text)
    assert all(isinstance(each, str) for each in (*found.images, *found.addresses))


@given(st.lists(st.sampled_from(["${A}", "${B}", "${A:-x}", "${C:-y}", "$A", "{", "}", "plain"])))
def test_only_allowed_variables_are_filled_in(parts: list[str]) -> None:
    allowed = Allowed(variables=("A",))
    text = " ".join(parts)
    if "${B}" in parts:
        with pytest.raises(UsageProblem, match="--task-env B"):
            allowed.filled("task.toml: environment.env", {"V": text}, {"A": "1", "B": "2"})
        return
    filled = allowed.filled("task.toml: environment.env", {"V": text}, {"A": "1", "B": "2"})["V"]
    wanted = {"${A}": "1", "${A:-x}": "1", "${C:-y}": "y"}
    assert filled == " ".join(wanted.get(each, each) for each in parts)
