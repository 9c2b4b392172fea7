"""Terminal-Bench's first format, a folder with a task.yaml, as a task folder of Harbor's.

    task.yaml, Dockerfile, docker-compose.yaml, run-tests.sh, tests/, solution.sh or solution.yaml

What is not told otherwise goes into environment/, which is what the Dockerfile is built with. The tests run by
run-tests.sh, and pass where pytest's summary names tests that passed and none that did not.

Threat model: the YAML is a task author's. It is read as plain data, and aliases that would make much of little are
refused; nothing of the folder is run, and links are copied as links.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.outcomes import UsageProblem
from tasks.importing.writing import Imported, plain_name, toml, write_task

MAX_YAML = 1 << 20
COMPOSE = ("docker-compose.yaml", "docker-compose.yml", "compose.yaml", "compose.yml")
NOT_OF_THE_IMAGE = frozenset({"task.yaml", "run-tests.sh", "tests", "solution.sh", "solution.yaml", *COMPOSE})
_TEST_SH = """#!/bin/bash
# Runs the task's run-tests.sh, and reads pytest's summary as the task's own harness does.
export TEST_DIR=/tests
said=$(mktemp)
bash /tests/run-tests.sh 2>&1 | tee "$said"
summary=$(sed -n '/short test summary info/,$p' "$said")
passed=$(printf '%s\\n' "$summary" | grep -c '^PASSED ')
other=$(printf '%s\\n' "$summary" | grep -cE '^(FAILED|ERROR|XPASS) ')
mkdir -p /logs/verifier
if [ "$passed" -gt 0 ] && [ "$other" -eq 0 ]; then echo 1; else echo 0; fi > /logs/verifier/reward.txt
"""


class TaskYaml(BaseModel):
    """task.yaml; seconds are seconds."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    instruction: str | None = None
    descriptions: tuple[dict[str, Any], ...] = ()
    author_name: str | None = None
    author_email: str | None = None
    difficulty: str = "medium"
    category: str = "other"
    tags: tuple[str, ...] = ()
    parser_name: str = "pytest"
    max_agent_timeout_sec: float = Field(default=360.0, gt=0)
    max_test_timeout_sec: float = Field(default=60.0, gt=0)
    run_tests_in_same_shell: bool = False


_MEANINGLESS = frozenset(
    {"disable_asciinema", "estimated_duration_sec", "expert_time_estimate_min", "junior_time_estimate_min"}
)


class _NoAliases(yaml.SafeLoader):  # type: ignore[misc]
    """Plain data, without references from one place to another."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases are not read here")
        return super().compose_node(parent, index)


def import_folder(folder: Path, out: Path) -> Imported:
    """Write a folder below `out` for the task in `folder`, or for each in its folders. Raises UsageProblem."""
    one = (folder / "task.yaml").is_file()
    found = [folder] if one else sorted(path.parent for path in folder.glob("*/task.yaml"))
    if not found:
        raise UsageProblem(f"{folder} holds no task.yaml: give a task of Terminal-Bench, or a folder of them")
    written, notes, left_out = [], [], []
    for each in found:
        name = plain_name(each.absolute().name)
        said = read_task_yaml(each)
        services = _services(each)
        why = _unfit(each, said, services) if name else "its folder's name can be no task's"
        if why or name is None:
            left_out.append(f"{each.name}: {why}")
            continue
        notes += [f"{name}: {note}" for note in _notes(each, said, services)]
        write_task(out / name, _files(each, name, said, services))
        written.append(name)
    return Imported(written=tuple(written), notes=tuple(notes), left_out=tuple(left_out))


def read_task_yaml(folder: Path) -> TaskYaml:
    """task.yaml of a folder. Raises UsageProblem, which names file, field and reason."""
    where = folder / "task.yaml"
    try:
        said = TaskYaml.model_validate(_read(where))
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"])) or "the file"
        raise UsageProblem(f"{where}: {field}: {problem['msg']}") from error
    if not _instruction(said):
        raise UsageProblem(f"{where}: instruction: it is empty, and says what the agent is to do")
    return said


def _read(where: Path) -> Any:
    try:
        text = where.read_text(encoding="utf-8")
        if len(text) > MAX_YAML:
            raise UsageProblem(f"{where} is larger than {MAX_YAML >> 20} MiB")
        return yaml.load(text, Loader=_NoAliases)  # noqa: S506 -- a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{where} cannot be read as UTF-8 text: {error}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UsageProblem(f"{where} is no YAML: {' '.join(str(error).split())[:300]}") from error


def _instruction(said: TaskYaml) -> str:
    """The instruction; in the oldest tasks the description that is called base."""
    old = [str(each.get("description", "")) for each in said.descriptions if each.get("key") == "base"]
    return (said.instruction or next(iter(old), "")).strip()


def _services(folder: Path) -> dict[str, Any]:
    """The services of the compose file, by name; nothing where there is no such file. Raises UsageProblem."""
    path = next((folder / name for name in COMPOSE if (folder / name).is_file()), None)
    if path is None:
        return {}
    said = _read(path)
    services = said.get("services") if isinstance(said, dict) else None
    if not isinstance(services, dict) or not all(isinstance(each, dict) for each in services.values()):
        raise UsageProblem(f"{path}: services: it names the containers of the task")
    return {str(name): each for name, each in services.items()}


def _unfit(folder: Path, said: TaskYaml, services: Mapping[str, Any]) -> str:
    if len(services) > 1:
        return f"it has {len(services)} containers ({', '.join(sorted(services))}), and Bridle runs tasks with one"
    if said.parser_name != "pytest":
        return f"task.yaml: parser_name: the parser {said.parser_name} is the harness's own; Bridle reads pytest's"
    if not (folder / "run-tests.sh").is_file():
        return "it has no run-tests.sh"
    if not (folder / "Dockerfile").is_file() and _image(services) is None:
        return "it has no Dockerfile, and names no image"
    return ""


def _image(services: Mapping[str, Any]) -> str | None:
    name = next((each.get("image") for each in services.values()), None)
    return name if isinstance(name, str) and "$" not in name else None


def _notes(folder: Path, said: TaskYaml, services: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted((said.model_extra or {}).keys() - _MEANINGLESS):
        yield f"task.yaml: {name} is not known and does nothing"
    for service in services.values():
        for name in sorted(
            service.keys() & {"privileged", "cap_add", "devices", "ports", "networks", "entrypoint"}
        ):
            yield f"docker-compose: {name} does nothing here"
    if (folder / "solution.yaml").is_file() and _commands(folder / "solution.yaml") is None:
        yield "solution.yaml types at a terminal, which no script can do: the task has no solution"


def _files(folder: Path, name: str, said: TaskYaml, services: Mapping[str, Any]) -> dict[str, str | bytes]:
    built = (folder / "Dockerfile").is_file()
    files: dict[str, str | bytes] = {
        "task.toml": _toml(name, said, services, built=built),
        "instruction.md": _instruction(said) + "\n",
    }
    for path in _all_files(folder):
        place = path.relative_to(folder).as_posix()
        if place.split("/")[0] not in NOT_OF_THE_IMAGE:
            files[f"environment/{place}"] = path.read_bytes()
        elif place.startswith("tests/"):
            files[place] = path.read_bytes()
    files |= {"tests/run-tests.sh": (folder / "run-tests.sh").read_bytes(), "tests/test.sh": _TEST_SH}
    if (folder / "solution.sh").is_file():
        files["solution/solve.sh"] = (folder / "solution.sh").read_bytes()
    elif (folder / "solution.yaml").is_file() and (script := _commands(folder / "solution.yaml")) is not None:
        files["solution/solve.sh"] = script
    return files


def _all_files(folder: Path) -> Iterator[Path]:
    for root, names, files in os.walk(folder):
        names[:] = sorted(each for each in names if each not in (".git", "__pycache__"))
        for each in sorted(files):
            path = Path(root) / each
            if path.is_file() and not path.is_symlink():
                yield path


def _toml(name: str, said: TaskYaml, services: Mapping[str, Any], *, built: bool) -> str:
    known = said.difficulty in ("easy", "medium", "hard")
    return toml(
        {
            "": {"schema_version": "1.4"},
            "task": {"name": f"terminal-bench/{name}"},
            "metadata": {
                "author_name": said.author_name,
                "author_email": said.author_email,
                "difficulty": said.difficulty,
                "category": said.category,
                "tags": said.tags,
            },
            "agent": {"timeout_sec": said.max_agent_timeout_sec},
            "verifier": {"timeout_sec": said.max_test_timeout_sec},
            "environment": {
                "docker_image": None if built else _image(services),
                "network_mode": "public",
                "env": _env(services),
            },
            "bridle": {"category": said.category, "difficulty": said.difficulty if known else None},
        }
    )


def _env(services: Mapping[str, Any]) -> dict[str, str]:
    """The variables of the one service, without those of the harness's own."""
    found = next((each.get("environment") for each in services.values()), None) or {}
    pairs = found.items() if isinstance(found, dict) else (str(each).partition("=")[::2] for each in found)
    texts = {str(key): "" if value is None else str(value) for key, value in pairs}
    return {key: text for key, text in texts.items() if "T_BENCH_" not in key + text and "$" not in text}


def _commands(path: Path) -> str | None:
    """The commands of a solution.yaml as a script; None where keys are typed that are no lines."""
    said = _read(path)
    lines = []
    for each in said if isinstance(said, list) else [None]:
        if not isinstance(each, dict) or not isinstance(each.get("command"), str):
            return None
        if each.get("append_enter") is False or not each["command"].isprintable():
            return None
        lines.append(each["command"])
    return "#!/bin/bash\n" + "\n".join(lines) + "\n"
