"""Grading: the patch, in a fresh sandbox that never ran the agent, judged on the host.

    patch → tree with the task's own tests and configuration → fresh sandbox, no network → results → verdict

With `[bridle] expected`, pytest runs twice: as it is, and, where everything passed, inverted, so that every test
has to come out as failed with the run's nonce in its message. Otherwise the task's test.sh writes a reward.

Threat model: the patch is the agent's, and its code runs in this sandbox, as the user whom the tests run as,
beside the tests and for pytest in their process. It can change what it reaches there. What it did before does not
come here: no process, no file outside the patch, nothing protected. What it does here has to come out right in
both runs, under names it was not told; a process that it leaves behind ends the matter, since that could rewrite a
result. A program that knows this grader and forges both runs is not stopped by this: what is imported by tests is
trusted that far, and tests that start the program as a process of its own trust it less.
"""

from __future__ import annotations

import asyncio
import io
import json
import math
import secrets
import tarfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from agent.repository.stream import PatchProblem
from agent.workspace import open_workspace
from sandboxes.protocol import WORKSPACE, Backend, ExecResult, FileError, Sandbox, SandboxError
from tasks.environments.prepare import Prepared
from tasks.grading.delivery import Delivery, write_tree
from tasks.grading.inside.strict_equality import MESSAGE
from tasks.grading.integrity import Flag
from tasks.grading.junit import TestResult, judge
from tasks.grading.strict import HELPER, strict

MAX_RESULTS = 8 << 20
MAX_OUTPUT = 16384
GRACE_SECONDS = 1.5
"""How long what the tests started may take to end after them."""
_INSIDE = Path(__file__).parent / "inside"
_LEFT = """
import os, sys
skip = {os.getpid(), os.getppid(), 1}
for name in filter(str.isdigit, os.listdir("/proc")):
    try:
        if int(name) not in skip and os.stat("/proc/" + name).st_uid == os.getuid():
            state = open("/proc/" + name + "/stat").read().rsplit(")", 1)[1].split()[0]
            if state not in "ZX":
                print(open("/proc/" + name + "/cmdline").read().replace("\\0", " ")[:100] or name)
    except OSError:
        pass
"""
Verdict = Literal["pass", "fail"]


class GraderProblem(Exception):
    """The grader itself could not do its work: the attempt is not scored."""


class Grade(BaseModel):
    """What an attempt's patch is worth. `reward` is from 0 to 1 in most tasks; a pass is a whole one.

    `ending` is how the tests' process ended; `output` its last words; `touched` the paths that the patch changes.
    """

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    reward: float
    rewards: dict[str, float] = {}
    tests: tuple[TestResult, ...] = ()
    flags: tuple[Flag, ...] = ()
    put_back: tuple[str, ...] = ()
    touched: tuple[str, ...] = ()
    applied: bool = True
    ending: str = ""
    detail: str = ""
    output: str = ""


class _Ran(NamedTuple):
    tests: tuple[TestResult, ...]
    result: ExecResult


async def grade(prepared: Prepared, patch: Path, backend: Backend, keeper: Path) -> Grade:
    """Grade a patch. Raises GraderProblem, SandboxError: then it is not scored."""
    with TemporaryDirectory(prefix="bridle-grade-") as folder:
        tree = Path(folder) / "tree.tar"
        try:
            delivery = await asyncio.to_thread(write_tree, prepared, patch, tree)
        except PatchProblem as error:
            return Grade(verdict="fail", reward=0.0, applied=False, detail=str(error))
        spec = prepared.spec("suite.grade", keeper)
        sandbox = await open_workspace(backend, spec, tree, WORKSPACE)
        try:
            judge_it = _by_ids if prepared.task.bridle.expected else _by_reward
            found = await judge_it(prepared, sandbox, Path(folder))
        finally:
            await sandbox.close()
    return _with(found, delivery, _forbidden(prepared, delivery))


def _with(found: Grade, delivery: Delivery, forbidden: list[Flag]) -> Grade:
    verdict: Verdict = "fail" if forbidden else found.verdict
    return found.model_copy(
        update={
            "verdict": verdict,
            "reward": 0.0 if forbidden else found.reward,
            "detail": f"forbidden: {forbidden[0].where}" if forbidden else found.detail,
            "flags": (*delivery.flags, *found.flags, *forbidden),
            "put_back": delivery.put_back,
            "touched": tuple(each.path for each in delivery.touched),
        }
    )


def _forbidden(prepared: Prepared, delivery: Delivery) -> list[Flag]:
    """What of the delivery the task forbids."""
    from pathspec import GitIgnoreSpec

    said = prepared.task.bridle.forbidden
    paths = GitIgnoreSpec.from_lines(said.paths)
    found = [
        Flag(name="safety.forbidden", where=each.path) for each in delivery.touched if paths.match_file(each.path)
    ]
    for each in delivery.touched:
        new = [text for text in said.text if text in each.text and text not in each.base_text]
        found += [Flag(name="safety.forbidden", where=f"{each.path} holds {text!r}") for text in new]
    return found


async def _by_ids(prepared: Prepared, sandbox: Sandbox, folder: Path) -> Grade:
    expected = prepared.task.bridle.expected
    first = await _run_tests(prepared, sandbox, folder, inverted=False)
    flags = [Flag(name="integrity.daemon", where=line) for line in await _left(sandbox)]
    if any(MESSAGE in each.message for each in first.tests):
        flags.append(Flag(name="integrity.equals_everything", where="a comparison in the tests"))
    if first.result.exit_code == 0 and all(each.result == "missing" for each in first.tests):
        flags.append(Flag(name="integrity.early_exit", where="the tests ended with success and without results"))
    passed = sum(each.result == "passed" for each in first.tests)
    if passed == len(expected) and not flags:
        nonce_seen = await _run_tests(prepared, sandbox, folder, inverted=True)
        forged = [each.id for each in nonce_seen.tests if each.result != "failed"]
        if forged:
            flags.append(Flag(name="integrity.results_forged", where=f"{forged[0]} does not fail where it has to"))
        flags += [Flag(name="integrity.daemon", where=line) for line in await _left(sandbox)]
    good = passed == len(expected) and not flags
    return Grade(
        verdict="pass" if good else "fail",
        reward=1.0 if good else 0.0,
        tests=first.tests,
        flags=tuple(flags),
        ending=first.result.ending,
        detail=f"{passed} of {len(expected)} expected tests passed",
        output=first.result.output.text()[-MAX_OUTPUT:],
    )


async def _run_tests(prepared: Prepared, sandbox: Sandbox, folder: Path, *, inverted: bool) -> _Ran:
    """One run of the expected ids, in a folder of its own, under a nonce of its own."""
    nonce, place = secrets.token_hex(16), f"/tmp/grade-{secrets.token_hex(8)}"  # noqa: S108 -- inside
    kit = folder / f"kit-{nonce}.tar"
    await asyncio.to_thread(_pack_kit, prepared, kit)
    await sandbox.upload(kit, place)
    python = await _python(sandbox)
    paths = prepared.base.text_paths()
    source = any(path.startswith("src/") and path.endswith(".py") for path in paths)
    asked = {
        "workspace": [f"{WORKSPACE}/src", WORKSPACE] if source else [WORKSPACE],
        "tests": f"{place}/tests",
        "ids": list(prepared.task.bridle.expected),
        "results": f"{place}/{nonce}.xml",
        "nonce": nonce,
        "inverted": inverted,
    }
    result = await sandbox.exec(
        [python, "-I", "-B", f"{place}/run_tests.py"],
        cwd=place,
        stdin=json.dumps(asked).encode(),
        timeout=prepared.task.file.verifier.timeout_sec,
        max_output=MAX_OUTPUT,
    )
    if result.exit_code == 1 and b"No module named 'pytest'" in result.output.head:
        raise GraderProblem(f"the image {prepared.image} has no pytest for the tests of {prepared.task.name}")
    data = b""
    with suppress(FileError):  # without results, everything that was expected is missing
        data = await sandbox.read(str(asked["results"]), max_bytes=MAX_RESULTS)
    tests = judge(data, prepared.task.bridle.expected, nonce)
    if inverted:
        tests = tuple(_as_inverted(each, nonce) for each in tests)
    return _Ran(tests, result)


def _as_inverted(test: TestResult, nonce: str) -> TestResult:
    """A test that failed for another reason than the nonce did not come out as it has to."""
    right = test.result == "failed" and nonce in test.message
    return test if right else test.model_copy(update={"result": "error"})


async def _python(sandbox: Sandbox) -> str:
    """The sandbox's own Python, never one of the workspace. Raises GraderProblem."""
    asked = ["sh", "-c", "command -v python3"]
    found = (await sandbox.exec(asked, cwd="/", timeout=30)).output.text().strip()
    if not found.startswith("/") or found.startswith(WORKSPACE):
        raise GraderProblem("the task's image has no python3 to run the tests with")
    return found


async def _left(sandbox: Sandbox) -> list[str]:
    """What still runs after the tests, a moment later."""
    python = await _python(sandbox)
    for wait in (0.0, GRACE_SECONDS):
        await asyncio.sleep(wait)
        said = await sandbox.exec([python, "-I", "-S", "-c", _LEFT], cwd="/", timeout=30)
        left = said.output.text().splitlines()
        if not left:
            return []
    return left[:5]


def _pack_kit(prepared: Prepared, target: Path) -> None:
    """The runner and the task's tests, strict, as a tar."""
    tests = prepared.task.folder / "tests"
    with tarfile.open(target, "w") as tar:
        _add(tar, "run_tests.py", (_INSIDE / "run_tests.py").read_bytes())
        if not (tests / "pytest.ini").is_file():
            _add(tar, "tests/pytest.ini", b"[pytest]\n")
        _add(tar, f"tests/{HELPER}.py", (_INSIDE / "strict_equality.py").read_bytes())
        for path in sorted(tests.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                data = path.read_bytes()
                if path.suffix == ".py":
                    data = strict(data.decode("utf-8")).encode()
                _add(tar, f"tests/{path.relative_to(tests).as_posix()}", data, path.stat().st_mode & 0o777)


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    tar.addfile(member, io.BytesIO(data))


async def _by_reward(prepared: Prepared, sandbox: Sandbox, folder: Path) -> Grade:
    """Run test.sh as Harbor does, and read the reward it leaves in a folder that did not exist before."""
    kit, tests = folder / "kit.tar", prepared.task.folder / "tests"
    with tarfile.open(kit, "w") as tar:
        for path in sorted(tests.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                mode = 0o755 if path.name == "test.sh" else path.stat().st_mode & 0o777
                _add(tar, f"tests/{path.relative_to(tests).as_posix()}", path.read_bytes(), mode)
        logs = tarfile.TarInfo("logs/verifier")
        logs.type, logs.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(logs)
    try:
        await sandbox.upload(kit, "/")
    except FileError as error:
        raise GraderProblem(
            "a task with a test.sh needs /tests and /logs, which bubblewrap has no room for: use Docker"
        ) from error
    table = prepared.task.file.verifier
    result = await sandbox.exec(
        [sandbox.shell, "/tests/test.sh"], env=table.env, timeout=table.timeout_sec, max_output=MAX_OUTPUT
    )
    flags = tuple(Flag(name="integrity.daemon", where=line) for line in await _left(sandbox))
    rewards = await _rewards(sandbox)
    reward = rewards.get("reward", sum(rewards.values()) / len(rewards) if rewards else 0.0)
    good = bool(rewards) and reward >= 1.0 and not flags and result.ending == "exited"
    return Grade(
        verdict="pass" if good else "fail",
        reward=0.0 if flags else reward,
        rewards=rewards,
        flags=flags,
        ending=result.ending,
        detail=f"reward {reward:g}" if rewards else "test.sh left no reward",
        output=result.output.text()[-MAX_OUTPUT:],
    )


async def _rewards(sandbox: Sandbox) -> dict[str, float]:
    """What /logs/verifier says, reward.txt before reward.json; nothing when that is no number or several."""
    for name in ("reward.txt", "reward.json"):
        try:
            text = (await sandbox.read(f"/logs/verifier/{name}", max_bytes=65536)).decode("utf-8", "replace")
        except FileError:
            continue
        except SandboxError:
            raise
        try:
            said = json.loads(text)
            items = said.items() if isinstance(said, dict) else [("reward", said)]
            found = {str(key): float(value) for key, value in items if isinstance(value, int | float)}
        except (ValueError, RecursionError, OverflowError):
            return {}
        return found if all(map(math.isfinite, found.values())) else {}
    return {}
