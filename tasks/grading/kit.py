"""What a grading sandbox is given: the task's tests, strict, some of them as twins, and what runs them."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tasks.format.task import Task
from tasks.grading.strict import helper_name, strict
from tasks.grading.twins import named_tests, turned

_INSIDE = Path(__file__).parent / "inside"
REWARDS = "/logs/verifier"
"""Where test.sh writes its reward."""
Turned = Mapping[str, frozenset[str]]
"""By test file, the functions that are turned round."""


def pack_for_ids(task: Task, target: Path, place: str, chosen: Turned) -> None:
    """A tar with the runner and the tests below `place`. Blocking."""
    files, rng = task.tests, random.SystemRandom()
    with tarfile.open(target, "w") as tar:
        add(tar, f"{place}/run_tests.py", (_INSIDE / "run_tests.py").read_bytes())
        add(tar, f"{place}/tests/{helper_name(place)}.py", (_INSIDE / "strict_equality.py").read_bytes())
        if task.bridle.tests == "workspace":
            return
        if "pytest.ini" not in files:
            add(tar, f"{place}/tests/pytest.ini", b"[pytest]\n")
        for name, path in files.items():
            data = path.read_bytes()
            if path.suffix == ".py":
                text = turned(data.decode("utf-8"), sorted(chosen.get(name, ())), rng)
                data = strict(text, helper_name(place)).encode()
            add(tar, f"{place}/tests/{name}", data, path.stat().st_mode & 0o777)


def in_place(sources: Mapping[str, str], place: str, chosen: Turned) -> dict[str, str]:
    """Test files for where they lie, strict, with the functions `chosen` turned round."""
    rng, helper = random.SystemRandom(), helper_name(place)
    return {
        name: strict(turned(text, sorted(chosen.get(name, ())), rng), helper) for name, text in sources.items()
    }


def pack_for_script(task: Task, target: Path, chosen: Turned, rewards: str = REWARDS) -> None:
    """A tar with the tests as they are, but for the twins, and for the folder they write rewards to. Blocking.

    Python tests are written in one way, whether something is turned round in them or not: that would tell.
    """
    rng = random.SystemRandom()
    with tarfile.open(target, "w") as tar:
        for name, path in task.tests.items():
            data, mode = path.read_bytes(), path.stat().st_mode & 0o777
            if chosen.get(name) or _is_tests(path, data):
                data = turned(data.decode("utf-8"), sorted(chosen.get(name, ())), rng).encode()
            data = data.replace(REWARDS.encode(), rewards.encode())
            add(tar, name, data, 0o755 if name == "test.sh" else mode)


def _is_tests(path: Path, data: bytes) -> bool:
    try:
        return path.suffix == ".py" and bool(named_tests(data.decode("utf-8")))
    except UnicodeDecodeError:
        return False


def add(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    """Add a file that everybody may read."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode | 0o444
    tar.addfile(member, io.BytesIO(data))
