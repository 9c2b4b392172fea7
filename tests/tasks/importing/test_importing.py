"""Tasks of other formats, from their files to a verdict."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.images import examples_base
from support.project import bridle

from agent.outcomes import UsageProblem
from sandboxes.docker.engine import Engine
from tasks.importing.swebench import TEMPLATE, Instance, image_of, import_file, read_instances
from tasks.importing.terminal_bench import import_folder, read_task_yaml
from tasks.importing.writing import plain_name, toml

EXAMPLES = Path(__file__).parents[1] / "examples"
COUNT = EXAMPLES / "terminal_bench" / "count-words"
PYTEST = "bridle-test/pytest:bookworm"
TESTBED = "bridle-test/testbed:1"
FIX = """diff --git a/pieces/__init__.py b/pieces/__init__.py
--- a/pieces/__init__.py
+++ b/pieces/__init__.py
@@ -1,3 +1,3 @@
 def split(text, mark):
     \"\"\"The pieces of `text` between marks, without empty ones.\"\"\"
-    return text.split(mark)
+    return [piece for piece in text.split(mark) if piece]
"""
TESTS = """diff --git a/tests/test_pieces.py b/tests/test_pieces.py
--- a/tests/test_pieces.py
+++ b/tests/test_pieces.py
@@ -11,3 +11,10 @@
 class TestJoin:
     def test_back(self, mark):
         assert mark.join(split("a,b", mark)) == "a,b"
+
+
+def test_nothing_between(mark):
+    assert split("a,,b", mark) == ["a", "b"]
+
+def test_empty(mark):
+    assert split("", mark) == []
"""
INSTANCE: dict[str, Any] = {
    "repo": "example/pieces",
    "instance_id": "example__pieces-7",
    "base_commit": "0" * 40,
    "patch": FIX,
    "test_patch": TESTS,
    "problem_statement": "split() gives empty pieces, which its docstring says it does not.",
    "created_at": "2024-03-01T10:00:00Z",
    "image_name": TESTBED,
    "FAIL_TO_PASS": json.dumps(["tests/test_pieces.py::test_nothing_between", "tests/test_pieces.py::test_empty"]),
    "PASS_TO_PASS": [
        "tests/test_pieces.py::test_two[a,b]",
        "tests/test_pieces.py::test_two[x",
        "tests/test_pieces.py::TestJoin::test_back",
    ],
}


def lines(folder: Path, *instances: Mapping[str, Any]) -> Path:
    file = folder / "instances.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in instances))
    return file


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, engine: None) -> None:
    """Images with pytest: as the system's, and as SWE-bench has it. They stay: all test runs share them."""
    client, context = Engine().client(), tmp_path_factory.mktemp("context")
    examples_base(client)
    shutil.copytree(EXAMPLES / "swebench", context, dirs_exist_ok=True)
    (context / "packages").mkdir()
    for name in ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "py"):
        found = find_spec(name)
        assert found is not None
        assert found.origin is not None
        if (origin := Path(found.origin)).name == "__init__.py":
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(origin.parent, context / "packages" / name, ignore=ignored)
        else:
            shutil.copy(origin, context / "packages")
    for name in ("pytest", "pluggy"):  # whose versions are asked for
        about = next(Path(str(pytest.__file__)).parents[1].glob(f"{name}-*.dist-info"))
        shutil.copytree(about, context / "packages" / about.name)
    (context / "system").write_text(
        "FROM bridle-test/debian:bookworm\nCOPY packages /usr/lib/python3/dist-packages\n"
    )
    for name, dockerfile in ((PYTEST, "system"), (TESTBED, "Dockerfile")):
        said = list(
            client.build(
                path=str(context), dockerfile=dockerfile, tag=name, rm=True, network_mode="none", decode=True
            )
        )
        assert "error" not in said[-1], said[-3:]


@pytest.mark.docker
def test_an_instance_becomes_a_task_that_is_proven(tmp_path: Path, images: None) -> None:
    done = bridle("suite", "import", "swebench", str(lines(tmp_path, INSTANCE)), "--out", str(tmp_path / "suite"))
    assert (done.code, done.out) == (0, "example__pieces-7\n"), done.err
    cheat = tmp_path / "cheat.sh"
    cheat.write_text(
        "cat > tests/conftest.py <<'END'\n"
        "import pytest\n\n\n"
        "@pytest.hookimpl(hookwrapper=True)\n"
        "def pytest_runtest_makereport(item, call):\n"
        "    outcome = yield\n"
        "    outcome.get_result().outcome = 'passed'\n"
        "END\n"
        "cp tests/conftest.py conftest.py; rm tests/test_pieces.py\n"
    )
    checked = bridle("suite", "check", str(tmp_path / "suite"), "--cheat", str(cheat), "--json", seconds=400)
    (found,) = json.loads(checked.out)
    assert (checked.code, found["problems"]) == (0, []), checked.err
    assert "integrity.hooks_planted" in found["flags"]["cheat"]


@pytest.mark.docker
def test_a_terminal_bench_folder_becomes_a_task_that_is_proven(tmp_path: Path, images: None) -> None:
    done = bridle("suite", "import", "terminal-bench", str(COUNT.parent), "--out", str(tmp_path / "suite"))
    assert (done.code, done.out, done.err) == (0, "count-words\n", "")
    checked = bridle("suite", "check", str(tmp_path / "suite"), seconds=400)
    assert (checked.code, checked.out) == (0, "ok  count-words\n"), checked.err


def test_an_instances_task_says_what_the_instance_says(tmp_path: Path) -> None:
    found = import_file(lines(tmp_path, {**INSTANCE, "image_name": None}), tmp_path / "suite")
    folder = tmp_path / "suite" / "example__pieces-7"
    said = tomllib.loads((folder / "task.toml").read_text())
    assert (found.written, found.notes, found.left_out) == (("example__pieces-7",), (), ())
    assert said["environment"]["docker_image"] == "swebench/sweb.eval.x86_64.example_1776_pieces-7:latest"
    assert said["bridle"]["regression"] == INSTANCE["PASS_TO_PASS"]
    assert said["bridle"]["expected"][:2] == json.loads(INSTANCE["FAIL_TO_PASS"])
    assert (said["bridle"]["locations"], str(said["bridle"]["date"])) == (["pieces/__init__.py"], "2024-03-01")
    assert (folder / "tests" / "test.patch").read_text() == TESTS
    assert (folder / "solution" / "fix.patch").read_text() == FIX


def test_a_file_that_the_change_moves_is_changed_in_both_places(tmp_path: Path) -> None:
    moved = (
        "diff --git a/pieces/test.py b/pieces/trial.py\nrename from pieces/test.py\nrename to pieces/trial.py\n"
    )
    import_file(lines(tmp_path, {**INSTANCE, "patch": FIX + moved}), tmp_path / "suite")
    said = tomllib.loads((tmp_path / "suite" / "example__pieces-7" / "task.toml").read_text())
    assert said["bridle"]["locations"] == ["pieces/__init__.py", "pieces/test.py", "pieces/trial.py"]


def test_what_no_pytest_runs_is_left_out_and_told(tmp_path: Path) -> None:
    django = {**INSTANCE, "instance_id": "d__d-1", "FAIL_TO_PASS": ["test_x (app.tests.Case)"]}
    half = {**INSTANCE, "PASS_TO_PASS": ["test_y (app.tests.Case)", "tests/test_pieces.py::TestJoin::test_back"]}
    done = bridle("suite", "import", "swebench", str(lines(tmp_path, django, half)), "--out", str(tmp_path / "s"))
    assert (done.code, done.out) == (0, "example__pieces-7\n")
    assert "1 of PASS_TO_PASS are no pytest ids and left out" in done.err
    assert "left out: d__d-1: FAIL_TO_PASS: 'test_x (app.tests.Case)' is no pytest id" in done.err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"FAIL_TO_PASS": "not a list"}, "FAIL_TO_PASS: it is neither a list nor the JSON of one"),
        ({"FAIL_TO_PASS": 3}, "FAIL_TO_PASS: Input should be a valid tuple"),
        ({"problem_statement": ""}, "problem_statement: String should have at least 1 character"),
        ({"instance_id": None}, "instance_id: Input should be a valid string"),
    ],
)
def test_a_wrong_instance_names_file_line_field_and_reason(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageProblem) as error:
        import_file(lines(tmp_path, INSTANCE, {**INSTANCE, "instance_id": "b", **change}), tmp_path / "suite")
    assert str(error.value).startswith(f"{tmp_path}/instances.jsonl:2: {words}")


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("task.yaml", "parser_name: swelancer\ninstruction: x\n", "the parser swelancer is the harness's own"),
        ("docker-compose.yaml", "services: {client: {}, db: {}}\n", "it has 2 containers (client, db)"),
    ],
)
def test_a_folder_that_cannot_be_judged_is_left_out_and_told(
    tmp_path: Path, file: str, text: str, words: str
) -> None:
    folder = tmp_path / "count"
    shutil.copytree(COUNT, folder)
    (folder / file).write_text(text)
    found = import_folder(folder, tmp_path / "suite")
    assert (found.written, len(found.left_out)) == ((), 1)
    assert words in found.left_out[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("instruction: [", "task.yaml is no YAML"),
        ("instruction: &a x\ntags: [*a]", "aliases are not read here"),
        ("instruction: ''", "instruction: it is empty"),
        ("instruction: x\nmax_agent_timeout_sec: soon", "task.yaml: max_agent_timeout_sec: Input should be"),
        ("- a", "the file: Input should be a valid dictionary"),
    ],
)
def test_a_wrong_task_yaml_names_file_field_and_reason(tmp_path: Path, text: str, words: str) -> None:
    folder = tmp_path / "count"
    shutil.copytree(COUNT, folder)
    (folder / "task.yaml").write_text(text)
    with pytest.raises(UsageProblem, match=r"task\.yaml") as error:
        import_folder(folder, tmp_path / "suite")
    assert words in str(error.value)


def test_a_solution_of_commands_becomes_a_script_and_typed_keys_do_not(tmp_path: Path) -> None:
    folder = tmp_path / "count"
    shutil.copytree(COUNT, folder)
    (folder / "solution.sh").unlink()
    (folder / "solution.yaml").write_text("- command: wc -w < data/text.txt > count.txt\n  append_enter: true\n")
    import_folder(folder, tmp_path / "a")
    script = (tmp_path / "a" / "count" / "solution" / "solve.sh").read_text()
    assert script == "#!/bin/bash\nwc -w < data/text.txt > count.txt\n"
    (folder / "solution.yaml").write_text("- command: vim x\n  append_enter: false\n")
    found = import_folder(folder, tmp_path / "b")
    assert not (tmp_path / "b" / "count" / "solution").exists()
    assert "the task has no solution" in found.notes[0]


keys = st.text(min_size=1).filter(lambda text: max(text) < "\ud800" or max(text) > "\udfff")
texts = st.text(st.characters(codec="utf-8"))
values = st.one_of(texts, st.booleans(), st.integers(-(2**60), 2**60), st.lists(texts, min_size=1), st.dates())


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), values))
def test_whatever_is_written_as_toml_is_read_back(table: dict[str, Any]) -> None:
    wanted = {"t": table} if table else {}
    assert tomllib.loads(toml({"t": table})) == wanted


@given(st.text())
def test_a_name_is_a_folders_name_or_none(text: str) -> None:
    name = plain_name(text)
    assert name is None or (0 < len(name) <= 100 and Path(name).name == name and not name.startswith("."))


words = st.sampled_from(["instruction", "tags", "descriptions", "parser_name", "instance_id", "FAIL_TO_PASS", "x"])
data = st.recursive(st.none() | st.integers() | st.text(max_size=9), lambda inner: st.lists(inner, max_size=3))


@given(
    st.binary(max_size=80) | st.dictionaries(words, data, max_size=6).map(lambda each: json.dumps(each).encode())
)
def test_whatever_lies_in_a_file_is_read_or_refused_in_a_sentence(content: bytes) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("task.yaml", "instances.jsonl"):
            (folder / file).write_bytes(content)
        read: list[Callable[[], Any]] = [
            lambda: read_task_yaml(folder),
            lambda: list(read_instances(folder / "instances.jsonl")),
        ]
        for each in read:
            try:
                each()
            except UsageProblem as error:
                assert str(error).startswith(name)  # noqa: PT017 -- both endings are right


def test_the_name_of_the_published_image() -> None:
    instance = Instance.model_validate({**INSTANCE, "instance_id": "Django__Django-1", "image_name": None})
    assert image_of(instance, TEMPLATE) == "swebench/sweb.eval.x86_64.django_1776_django-1:latest"
