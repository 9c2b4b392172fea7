"""SWE-bench's instances, one JSON object a line, as task folders.

    instance_id, repo, base_commit, problem_statement, patch, test_patch, FAIL_TO_PASS, PASS_TO_PASS

The image is the one that the instance names (`image_name`, `docker_image`), else the template's. Its /testbed is
the workspace, its own environment runs the tests, and the ids are judged on the host as those of any task are.
Only what pytest calls a test can be: instances of projects with a runner of their own are left out, and told.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from agent.outcomes import UsageProblem
from tasks.format.tables import is_pytest_id
from tasks.importing.writing import Imported, plain_name, toml, write_task

TEMPLATE = "swebench/sweb.eval.x86_64.{id}:latest"
"""The name of the image that SWE-bench publishes; {id} is the instance's, with `_1776_` for `__`, in small
letters.
"""
WORKDIR = "/testbed"
TEST_SECONDS = 1800.0
AGENT_SECONDS = 3600.0
PATH = (
    "/opt/miniconda3/envs/testbed/bin:/opt/miniconda3/bin:"
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)
"""What activating the images' environment comes to; where there is none, the first two folders are not there."""
_CHANGED = re.compile(r"^diff --git a/(.+) b/(.+)$", re.MULTILINE)
_WORDS = f"The repository in {WORKDIR} has this issue. Fix it."
_SOLVE = """#!/bin/sh
# The change that was made for the issue.
fix=$(dirname "$0")/fix.patch
if command -v git >/dev/null; then git apply --whitespace=nowarn "$fix"; else patch -p1 <"$fix"; fi
"""


def _list(value: Any) -> Any:
    """A list that may be written as the text of one."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError("it is neither a list nor the JSON of one") from error
    return value


Ids = Annotated[tuple[str, ...], BeforeValidator(_list)]


class Instance(BaseModel):
    """One line of such a file; what else it says is not needed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    instance_id: str = Field(min_length=1)
    repo: str = ""
    base_commit: str = ""
    problem_statement: str = Field(min_length=1)
    patch: str = ""
    test_patch: str = ""
    fail_to_pass: Ids = Field(validation_alias=AliasChoices("FAIL_TO_PASS", "fail_to_pass"))
    pass_to_pass: Ids = Field(default=(), validation_alias=AliasChoices("PASS_TO_PASS", "pass_to_pass"))
    image: str | None = Field(default=None, validation_alias=AliasChoices("image_name", "docker_image", "image"))
    created_at: str = ""


def read_instances(file: Path) -> Iterator[Instance]:
    """The instances of a file. Raises UsageProblem, which names file, line, field and reason."""
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _instance(line, f"{file}:{number}")
    except OSError as error:
        raise UsageProblem(f"{file} cannot be read: {error.strerror}") from error


def _instance(line: bytes, where: str) -> Instance:
    try:
        return Instance.model_validate(json.loads(line))
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"])) or "the line"
        raise UsageProblem(f"{where}: {field}: {problem['msg'].removeprefix('Value error, ')}") from error
    except (ValueError, RecursionError) as error:
        raise UsageProblem(f"{where} is no JSON: {error}") from error


def import_file(file: Path, out: Path, template: str = TEMPLATE) -> Imported:
    """Write a folder below `out` for each instance that can be judged. Raises UsageProblem."""
    if "{id}" not in template:
        raise UsageProblem(f"--image-template {template}: it has to say {{id}} where the instance's name belongs")
    written, notes, left_out = [], [], []
    for each in read_instances(file):
        if why := _unfit(each):
            left_out.append(f"{each.instance_id}: {why}")
            continue
        name = str(plain_name(each.instance_id))
        if stray := [test for test in each.pass_to_pass if not is_pytest_id(test)]:
            notes.append(
                f"{name}: {len(stray)} of PASS_TO_PASS are no pytest ids and left out, such as {stray[0]!r}"
            )
        write_task(out / name, _files(each, template))
        written.append(name)
    return Imported(written=tuple(written), notes=tuple(notes), left_out=tuple(left_out))


def _unfit(each: Instance) -> str:
    if plain_name(each.instance_id) is None:
        return "its instance_id can be no folder's name"
    if not each.fail_to_pass:
        return "FAIL_TO_PASS is empty, so nothing would show that the issue is fixed"
    if stray := next((test for test in each.fail_to_pass if not is_pytest_id(test)), None):
        return f"FAIL_TO_PASS: {stray!r} is no pytest id, and Bridle judges no other runner's"
    return ""


def image_of(each: Instance, template: str) -> str:
    """The image of an instance."""
    name = each.instance_id.lower().replace("__", "_1776_")
    return each.image or template.replace("{id}", name)


def _files(each: Instance, template: str) -> dict[str, str]:
    regression = tuple(dict.fromkeys(filter(is_pytest_id, each.pass_to_pass)))
    expected = tuple(dict.fromkeys((*each.fail_to_pass, *regression)))
    about = toml(
        {
            "": {"schema_version": "1.4"},
            "task": {"name": f"swe-bench/{plain_name(each.instance_id)}"},
            "metadata": {"repo": each.repo, "base_commit": each.base_commit, "instance_id": each.instance_id},
            "agent": {"timeout_sec": AGENT_SECONDS},
            "verifier": {"timeout_sec": TEST_SECONDS},
            "environment": {
                "docker_image": image_of(each, template),
                "workdir": WORKDIR,
                "network_mode": "no-network",
                "cpus": 2.0,
                "memory_mb": 4096,
                "env": {"PATH": PATH},
            },
            "bridle": {
                "category": "bug-fix",
                "date": _date(each.created_at),
                "tests": "workspace",
                "expected": expected,
                "regression": regression,
                "locations": tuple(dict.fromkeys(path for pair in _CHANGED.findall(each.patch) for path in pair)),
            },
        }
    )
    files = {
        "task.toml": about,
        "instruction.md": f"{_WORDS}\n\n{each.problem_statement.strip()}\n",
        "tests/README": "The tests lie in the workspace; test.patch brings them up to date.\n",
    }
    if each.test_patch.strip():
        files["tests/test.patch"] = _ended(each.test_patch)
    if each.patch.strip():
        files |= {"solution/fix.patch": _ended(each.patch), "solution/solve.sh": _SOLVE}
    return files


def _ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def _date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text[:10])
    except ValueError:
        return None
